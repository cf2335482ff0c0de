"""A terminal that log lines share with a live status below them."""

from __future__ import annotations

import os
import shutil
import threading
import unicodedata
from collections.abc import Sequence
from io import TextIOBase
from typing import TextIO

from rich.cells import chop_cells

_TO_LINE_START = "\r"
_UP = "\x1b[{}A"
_CLEAR_BELOW = "\x1b[J"


class StatusBelow(TextIOBase):
    """A stream to a terminal: what is written to it stands above a status that stays the last thing on the screen.

    The status is wrapped, not cut, unless it is higher than the screen. From any thread.

    Args:
        stream: The terminal; not closed.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lock = threading.Lock()
        self._rows: list[str] = []
        self._is_line_begun = False

    def show(self, text: str, bars: Sequence[str] = ()) -> None:
        """Replace the status; an empty one shows nothing.

        Args:
            text: The status.
            bars: Rows above it, which are cut, not wrapped.
        """
        width, height = shutil.get_terminal_size()
        room = max(width - 1, 1)
        rows = [chop_cells(_without_controls(bar), room)[0] for bar in bars if bar]
        rows += chop_cells(_visible(text), room)
        if len(rows) >= height:
            rows = [*rows[: max(height - 2, 0)], "…"]
        with self._lock:
            if self._is_line_begun:  # somebody writes: theirs first
                self._rows = rows
                return
            self._put(self._erased() + "\n".join(rows))
            self._rows = rows

    def write(self, text: str) -> int:
        """Write above the status."""
        if text:
            with self._lock:
                erased = "" if self._is_line_begun else self._erased()
                self._is_line_begun = not text.endswith("\n")
                self._put(erased + text + ("" if self._is_line_begun else "\n".join(self._rows)))
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""

    def isatty(self) -> bool:
        return True

    def _erased(self) -> str:
        up = _UP.format(len(self._rows) - 1) if len(self._rows) > 1 else ""
        return up + _TO_LINE_START + _CLEAR_BELOW if self._rows else ""

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def is_terminal(stream: TextIO) -> bool:
    """Whether a status can stand below what is written to a stream."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _visible(text: str) -> str:
    """One line, without characters that move the cursor."""
    return _without_controls(" ".join(text.split()))


def _without_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
