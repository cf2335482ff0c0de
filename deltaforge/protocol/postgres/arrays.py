"""Array and hstore literals, the way PostgreSQL prints them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from deltaforge.core.errors import ProtocolError

_BOUNDS = re.compile(r"(?:\[-?\d+:-?\d+\])+=")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_HSTORE = re.compile(
    r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:, )?',
    re.DOTALL,
)

MAX_DIMENSIONS = 6
"""PostgreSQL's own limit."""


def array_from_text(text: str, element: Callable[[str], Any], delimiter: str = ",") -> list[Any]:
    """An array literal as nested lists; ``element`` decodes each value that is not NULL.

    A quoted ``"NULL"`` is text; lower bounds other than 1 (``[0:1]={a,b}``) are dropped.

    Raises:
        ProtocolError: Not an array literal.
    """
    bounds = _BOUNDS.match(text)
    at = bounds.end() if bounds else 0
    value, end = _list(text, at, element, delimiter, 1)
    if end != len(text):
        raise ProtocolError("text after the end of an array", offset=end)
    return value


def _list(text: str, at: int, element: Callable[[str], Any], delimiter: str, depth: int) -> tuple[list[Any], int]:
    if text[at : at + 1] != "{" or depth > MAX_DIMENSIONS:
        raise ProtocolError("array literal does not start with { or is nested too deeply", offset=at)
    at += 1
    items: list[Any] = []
    if text[at : at + 1] == "}":
        return items, at + 1
    while True:
        if text[at : at + 1] == "{":
            item, at = _list(text, at, element, delimiter, depth + 1)
        else:
            item, at = _item(text, at, element, delimiter)
        items.append(item)
        mark = text[at : at + 1]
        at += 1
        if mark == "}":
            return items, at
        if mark != delimiter:
            raise ProtocolError(f"array has {mark!r} where {delimiter!r} or }} was expected", offset=at - 1)


def _item(text: str, at: int, element: Callable[[str], Any], delimiter: str) -> tuple[Any, int]:
    quoted = _QUOTED.match(text, at)
    if quoted:
        return element(_ESCAPE.sub(r"\1", quoted[1])), quoted.end()
    end = at
    while end < len(text) and text[end] not in "{}" and text[end] != delimiter:
        end += 2 if text[end] == "\\" else 1
    raw = text[at:end]
    if not raw:
        raise ProtocolError("array has an empty element", offset=at)
    return (None if raw == "NULL" else element(_ESCAPE.sub(r"\1", raw))), end


def hstore_from_text(text: str) -> dict[str, str | None]:
    """An hstore literal as an object.

    Raises:
        ProtocolError: Not an hstore literal.
    """
    pairs: dict[str, str | None] = {}
    at = 0
    while at < len(text):
        pair = _HSTORE.match(text, at)
        if pair is None:
            raise ProtocolError("not an hstore literal", offset=at)
        value = pair[2]
        pairs[_ESCAPE.sub(r"\1", pair[1])] = None if value is None else _ESCAPE.sub(r"\1", value)
        at = pair.end()
    return pairs
