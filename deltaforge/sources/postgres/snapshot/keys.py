"""Conditions for rows by their keys, of which only the texts in events are known."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from deltaforge.core.errors import ProtocolError, SourceError
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json
from deltaforge.protocol.postgres.values import kernel_type
from deltaforge.sources.postgres.event_mapper import CapturedTable
from deltaforge.sources.postgres.snapshot.plan import literal, quoted


def condition_of_keys(table: CapturedTable, keys: Sequence[str]) -> str:
    """The condition of the rows that have one of these keys.

    Args:
        table: Whose rows they are.
        keys: Row keys as events have them: JSON objects.

    Raises:
        SourceError: One cannot be read.
    """
    names = table.schema.primary_key
    types = {
        column.name: kernel_type(column.type_oid, table.types)
        for column in table.relation.columns
        if column.name in names
    }
    try:
        rows = [parse_json_exact(key) for key in keys]
        values = (", ".join(_literal(row[name], *types[name]) for name in names) for row in rows)
        listed = ", ".join(f"({value})" for value in values)
    except (ProtocolError, KeyError, TypeError, binascii.Error) as exc:
        raise SourceError(f"a key of table {table.name} cannot be read", kind="checkpoint") from exc
    return f"({', '.join(quoted(name) for name in names)}) in ({listed})"


def _literal(value: Any, name: str, is_array: bool, delimiter: str) -> str:  # noqa: FBT001 - as kernel_type has it
    if isinstance(value, dict) and set(value) == {"_base64"} and name != "bytea":
        # Of a database whose encoding is not known.
        return f"convert_from('\\x{base64.b64decode(value['_base64']).hex()}', 'SQL_ASCII')"
    return literal(_array(value, name, delimiter) if is_array else _text(value, name))


def _text(value: Any, name: str) -> str:
    """A value the way the server reads it."""
    if name == "bytea":
        return "\\x" + base64.b64decode(value["_base64"]).hex()
    if isinstance(value, str) and name not in ("json", "jsonb"):
        return value
    return encode_json(value).decode()


def _array(value: Any, name: str, delimiter: str) -> str:
    if isinstance(value, list):
        return "{" + delimiter.join(_array(item, name, delimiter) for item in value) + "}"
    if value is None:
        return "NULL"
    text = _text(value, name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
