"""Partial JSON updates: differences applied to the document before.

Source: MySQL ``json_diff.h`` and ``Json_diff_vector::read_binary``; paths as in the manual, "JSON Path Syntax".
"""

from __future__ import annotations

import copy
import re
from typing import Any

from deltaforge.core.errors import ProtocolError
from deltaforge.protocol.buffer import read_packed_bytes, take
from deltaforge.protocol.mysql.jsonb import json_from_binary

REPLACE, INSERT, REMOVE = 0, 1, 2

_LEG = re.compile(r'\.(?:"((?:[^"\\]|\\.)*)"|([^."\[\]]+))|\[(?:(\d{1,10})|last(?:-(\d{1,10}))?)\]', re.ASCII)
"""A key, or a place in an array, which is a number of 32 bits and may be counted from the end."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


def apply_json_diffs(document: Any, diffs: bytes) -> Any:
    """The document after all differences, in order. ``document`` is not changed.

    Raises:
        ProtocolError: The bytes break the format, or a path is not in the document.
    """
    result, at = copy.deepcopy(document), 0
    while at < len(diffs):
        operation = take(diffs, at, 1)[0]
        raw, at = read_packed_bytes(diffs, at + 1)
        legs = _legs(raw)
        value = None
        if operation != REMOVE:
            data, at = read_packed_bytes(diffs, at)
            value = json_from_binary(data)
        result = _apply(result, operation, legs, value)
    return result


def _legs(raw: bytes) -> list[str | int]:
    path = raw.decode("utf-8", "replace")
    if not path.startswith("$"):
        raise ProtocolError("JSON path does not start with $")
    legs: list[str | int] = []
    at = 1
    while at < len(path):
        match = _LEG.match(path, at)
        if match is None:
            raise ProtocolError("JSON path cannot be read", offset=at)
        legs.append(_leg(match))
        at = match.end()
    return legs


def _leg(match: re.Match[str]) -> str | int:
    """A key, or a place in an array: as in Python, a negative one counts from the end."""
    quoted, plain, place, from_end = match.groups()
    if quoted is not None:
        return _unescaped(quoted)
    if plain is not None:
        return plain
    return int(place) if place is not None else -1 - int(from_end or 0)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPES.get(m[2], m[2]), text)


def _apply(document: Any, operation: int, legs: list[str | int], value: Any) -> Any:
    if not legs:
        if operation != REPLACE:
            raise ProtocolError("only a replacement can change a whole JSON document")
        return value
    *path, last = legs
    parent = document
    try:
        for leg in path:
            parent = parent[leg]
        _change(parent, operation, last, value)
    except (KeyError, IndexError, TypeError):
        raise ProtocolError("JSON difference names a path that the document before does not have") from None
    return document


def _change(parent: Any, operation: int, leg: str | int, value: Any) -> None:
    is_list = isinstance(parent, list)
    if is_list is not isinstance(leg, int):
        raise TypeError
    if operation == REPLACE:
        parent[leg]
        parent[leg] = value
    elif operation == REMOVE:
        del parent[leg]
    elif operation == INSERT:
        if is_list:
            parent.insert(leg, value)
        else:
            parent[leg] = value
    else:
        raise ProtocolError(f"JSON difference has operation {operation}")
