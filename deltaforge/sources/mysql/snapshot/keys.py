"""Which key a table is copied by, and what stands for its values in statements.

The server does all comparing and ordering: values are taken from its rows and given back to it as literals of the same
kind. Of an ENUM, SET or BIT that is the number; of text it is the bytes in the column's own character set, so that the
column's collation decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from deltaforge.core.errors import SourceError
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, Code, ColumnType
from deltaforge.schema.registry import TableName
from deltaforge.sources.mysql.snapshot.names import Ask, quoted, text_literal

Kind = Literal["number", "time", "text", "bytes"]
Value = int | str
"""Of a key, as a cursor has it: a number, or text: digits of a decimal, a date or time, or bytes in hexadecimal."""

_NUMBERS = frozenset(
    {Code.TINY, Code.SHORT, Code.INT24, Code.LONG, Code.LONGLONG, Code.YEAR, Code.NEWDECIMAL, Code.BIT}
)
_TIMES = frozenset({Code.DATE, Code.NEWDATE, Code.TIME2, Code.DATETIME2, Code.TIMESTAMP2})
_TWO_DIGITS = 2
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TIME = re.compile(r"[-\d:. T]+")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_CHARSET = re.compile(r"\w+")

_INDEXES = """
select table_name, index_name, non_unique, column_name, sub_part, nullable, index_type, collation
  from information_schema.statistics where table_schema = {} and table_name = {}
 order by index_name, seq_in_index
"""


class KeyColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a key. ``charset``: of text. ``falls``: whether the index holds it in descending order."""

    name: str
    kind: Kind
    charset: str = ""
    falls: bool = False
    is_integer: bool = False

    def literal(self, value: Value) -> str:
        """A value as a statement has it.

        Raises:
            SourceError: It is none of such a column: a cursor is not ours.
        """
        text = str(value)
        pattern, shape = {
            "number": (_NUMBER, "{}"),
            "time": (_TIME, "'{}'"),
            "bytes": (_HEX, "x'{}'"),
            "text": (_HEX, f"_{self.charset} x'{{}}'"),
        }[self.kind]
        if pattern.fullmatch(text) is None:
            raise SourceError(f"a cursor has no value of key column {self.name}", kind="checkpoint")
        return shape.format(text)

    @property
    def printed(self) -> str:
        """What a query selects to get values as a cursor has them, which the client would make objects of."""
        name = quoted(self.name)
        if self.kind == "number":
            return name if self.is_integer else f"cast({name} + 0 as char)"
        return f"cast({name} as char)" if self.kind == "time" else f"lower(hex({name}))"

    def value_of(self, found: Any) -> Value:
        """A value of a row of a result, as a cursor has it."""
        return found.hex() if isinstance(found, bytes) else found if isinstance(found, int) else str(found)


class Key(msgspec.Struct, frozen=True):
    """A unique index of NOT NULL columns, which rows are read in the order of."""

    index: str
    columns: tuple[KeyColumn, ...]

    @property
    def order(self) -> str:
        """What ORDER BY names."""
        return ", ".join(quoted(column.name) + " desc" * column.falls for column in self.columns)

    @property
    def printed(self) -> str:
        """What a query selects to get the values of a cursor."""
        return ", ".join(column.printed for column in self.columns)


class _Index(msgspec.Struct):
    is_unique: bool
    is_usable: bool
    columns: list[tuple[str, bool]] = []


def find_key(ask: Ask, table: TableName, columns: Sequence[tuple[str, ColumnType]]) -> Key | None:
    """The primary key, else the shortest unique index of NOT NULL columns; None if no index has an order that values of
    its columns can be found again by.

    Args:
        ask: Runs a query.
        table: Which.
        columns: Names and complete types of its columns.
    """
    indexes: dict[str, _Index] = {}
    types = dict(columns)
    for of, name, non_unique, column, part, nullable, kind, collation in ask(
        _INDEXES.format(*map(text_literal, table))
    ):
        if str(of) != table[1]:
            continue  # one that differs in case
        index = indexes.setdefault(str(name), _Index(not int(non_unique), is_usable=True))
        found = types.get(str(column)) if column is not None else None
        if found is not None and found.ends_row:
            continue  # of the rows that are there now it is always the same
        index.columns.append((str(column), collation == "D"))
        is_plain = part is None and kind == "BTREE" and nullable != "YES" and found is not None
        index.is_usable = index.is_usable and is_plain and _kind(found) is not None
    usable = {name: index for name, index in indexes.items() if index.is_unique and index.is_usable and index.columns}
    if not usable:
        return None
    name = min(usable, key=lambda name: (name != "PRIMARY", *_size(usable[name], types), name))
    return Key(name, tuple(_key_column(column, types[column], falls=falls) for column, falls in usable[name].columns))


def _size(index: _Index, types: dict[str, ColumnType]) -> tuple[int, int]:
    return len(index.columns), sum(max(8, types[name].length) for name, _ in index.columns)


def _key_column(name: str, column: ColumnType, *, falls: bool) -> KeyColumn:
    kind = _kind(column) or "bytes"
    charset = (column.charset or "") if kind == "text" else ""
    is_integer = kind == "number" and column.code not in LABELLED | {Code.NEWDECIMAL, Code.BIT}
    return KeyColumn(name, kind, charset, falls, is_integer)


def _kind(column: ColumnType | None) -> Kind | None:
    """None: values are not found again by what the server prints (FLOAT, YEAR(2)), or have no order."""
    if column is None or (column.code == Code.YEAR and column.length == _TWO_DIGITS):
        return None
    if column.code in _NUMBERS | LABELLED:
        return "number"
    if column.code in _TIMES:
        return "time"
    if column.code not in CHARACTER:
        return None
    if column.charset == "binary":
        return "bytes"
    return "text" if column.charset and _CHARSET.fullmatch(column.charset) else None
