"""Conditions for rows by their keys, of which only the texts in events are known."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from deltaforge.core.errors import ProtocolError, SourceError
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json
from deltaforge.sources.mysql.snapshot.names import quoted, text_literal


def condition_of_keys(names: Sequence[str], keys: Sequence[str]) -> str:
    """The condition of the rows that have one of these keys; it may hold for others that compare equal to them.

    Args:
        names: Of the key's columns.
        keys: Row keys as events have them: JSON objects.

    Raises:
        SourceError: One cannot be read.
    """
    try:
        rows = [parse_json_exact(key) for key in keys]
        found = [" and ".join(f"{quoted(name)} = {_literal(row[name])}" for name in names) for row in rows]
    except (ProtocolError, KeyError, TypeError, binascii.Error) as exc:
        raise SourceError("a key of a row cannot be read", kind="checkpoint") from exc
    return " or ".join(f"({condition})" for condition in found)


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return f"x'{base64.b64decode(value['_base64']).hex()}'"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        is_time = value[10:11] == "T" and value.endswith("Z")
        return text_literal(value[:-1] if is_time else value)
    return encode_json(value).decode()
