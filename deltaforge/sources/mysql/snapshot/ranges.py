"""Conditions and statements of ranges of a key, and the cursors that bound them.

A range lies behind one cursor and ends with another one. A composite key is compared as ``a > ? or (a = ? and b > ?)``:
the servers read all rows before it for ``(a, b) > (?, ?)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deltaforge.core.errors import SourceError
from deltaforge.core.snapshot import Cursor
from deltaforge.schema.registry import TableName
from deltaforge.sources.mysql.snapshot.keys import Key, Value
from deltaforge.sources.mysql.snapshot.names import quoted, quoted_table

_decoder: msgspec.json.Decoder[list[Value]] = msgspec.json.Decoder(list[Value])


def cursor_of(values: Sequence[Value]) -> Cursor:
    """The cursor of a row with this key."""
    return msgspec.json.encode(list(values)).decode()


def values_of(cursor: Cursor) -> list[Value]:
    """The key at a cursor.

    Raises:
        SourceError: It is none.
    """
    try:
        return _decoder.decode(cursor)
    except msgspec.MsgspecError as exc:
        raise SourceError("a cursor of a table cannot be read", kind="checkpoint") from exc


def behind(key: Key, cursor: Cursor) -> str:
    """The condition of rows behind a cursor."""
    return _compared(key, cursor, "><", "")


def up_to(key: Key, cursor: Cursor) -> str:
    """The condition of rows up to a cursor, with the row there."""
    return _compared(key, cursor, "<>", "=")


def at(key: Key, cursor: Cursor) -> str:
    """The condition of the row at a cursor."""
    pairs = zip(key.columns, _literals(key, cursor), strict=True)
    return " and ".join(f"{quoted(column.name)} = {literal}" for column, literal in pairs)


def statement(table: TableName, key: Key, selected: str, conditions: Sequence[str], limit: int | None) -> str:
    """A statement that reads rows in the order of a key."""
    where = " and ".join(f"({condition}\n)" for condition in conditions)
    return (
        f"select {selected} from {quoted_table(table)} force index ({quoted(key.index)})"  # noqa: S608 - quoted
        f"{' where ' * bool(where)}{where} order by {key.order}{'' if limit is None else f' limit {limit}'}"
    )


def _compared(key: Key, cursor: Cursor, rising_falling: str, equal: str) -> str:
    literals = _literals(key, cursor)
    parts = []
    for n, column in enumerate(key.columns):
        equals = [f"{quoted(before.name)} = {literals[m]}" for m, before in enumerate(key.columns[:n])]
        sign = rising_falling[column.falls] + (equal if n == len(key.columns) - 1 else "")
        parts.append(" and ".join([*equals, f"{quoted(column.name)} {sign} {literals[n]}"]))
    return " or ".join(f"({part})" for part in parts) if len(parts) > 1 else parts[0]


def _literals(key: Key, cursor: Cursor) -> list[str]:
    values = values_of(cursor)
    if len(values) != len(key.columns):
        raise SourceError("a cursor has not as many values as the key", kind="checkpoint")
    return [column.literal(value) for column, value in zip(key.columns, values, strict=True)]
