"""What client verbs print for people: tables, ages, text that cannot act on a terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def out(text: str) -> None:
    """A line of the command's output."""
    print(text)  # noqa: T201 - the output of the command


def out_json(value: Any) -> None:
    """The answer of the server as it came, indented."""
    out(json.dumps(value, indent=2))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their heads. Nothing is cut."""
    lines = [heads, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        out("  ".join(cells).rstrip())


def fields(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values below each other; values that are empty are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        out(f"{name:{width}}  {printable(value)}")


def printable(text: str) -> str:
    """The text without characters that move the cursor, colour or hide something: they may come from a row."""
    return "".join(c if c.isprintable() else "\\n" if c == "\n" else f"\\x{ord(c):02x}" for c in text)


def age(seconds: float | None) -> str:
    """A time in seconds as people say it."""
    if seconds is None:
        return "-"
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def compact(value: Any) -> str:
    """A JSON value in one line; text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
