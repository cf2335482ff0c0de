"""The log of one pipeline as its files hold it: the last lines, and what is added, across rotation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from deltaforge.config.known_secrets import KnownSecrets
from deltaforge.config.secret import redacted

MAX_BYTES = 4 << 20
"""What is looked through for the last lines, and read at once of what is added."""
MAX_LINE_BYTES = 16 << 10
"""A longer line is cut."""


class LogFile:
    """Reads the log of a pipeline; passwords are taken out of each line.

    Args:
        path: The file that is being written. Its process starts another one at times, and this one is then renamed.
        known: Secrets of the pipeline; libraries print by themselves.
    """

    def __init__(self, path: Path, known: KnownSecrets | None = None) -> None:
        self._path = path
        self._known = known or KnownSecrets()
        self._file: BinaryIO | None = None
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last lines, at most ``count``, oldest first; :meth:`added` goes on behind them."""
        self._open()
        data = _end_of(self._file, MAX_BYTES) if self._file else b""
        whole, newline, self._rest = data.rpartition(b"\n")
        lines = (whole + newline).splitlines(keepends=True)
        if len(lines) < count and len(data) < MAX_BYTES:
            lines = self._older(MAX_BYTES - len(data)) + lines
        return [self._shown(line) for line in lines[-count:]]

    def added(self) -> list[str]:
        """Whole lines that were added since; also of the next file if another one was begun."""
        if self._file is None:
            self._open()
        if self._file is None:
            return []
        data = self._rest + self._file.read(MAX_BYTES)
        if data == self._rest and self._is_replaced():
            self.close()
            self._rest = b""
            return [self._shown(data)] if data else []
        whole, newline, self._rest = data.rpartition(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:  # without an end: nothing is kept of it but its beginning
            self._rest = self._rest[: MAX_LINE_BYTES + 1]
        return [self._shown(line) for line in (whole + newline).splitlines()]

    def close(self) -> None:
        """Close the file. May be called again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _shown(self, line: bytes) -> str:
        text = line.rstrip(b"\r\n")
        cut = text[:MAX_LINE_BYTES].decode(errors="replace") + (" …" if len(text) > MAX_LINE_BYTES else "")
        return redacted(self._known.hidden(cut))

    def _open(self) -> None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None

    def _older(self, max_bytes: int) -> list[bytes]:
        try:
            with self._path.with_suffix(".log.1").open("rb") as file:
                return _end_of(file, max_bytes).splitlines(keepends=True)
        except FileNotFoundError:
            return []

    def _is_replaced(self) -> bool:
        try:
            return self._file is not None and not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return True


def _end_of(file: BinaryIO, max_bytes: int) -> bytes:
    """The end of a file, from the beginning of a line; the file stands at its end then."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - max_bytes))
    data = file.read(size - start)
    return data if start == 0 else data.partition(b"\n")[2]
