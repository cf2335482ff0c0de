"""The columns of copied rows: from declared types, what a full table map would say of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from deltaforge.protocol.mysql.types import BYTES_PER_CHARACTER, LABELLED, Code, ColumnType
from deltaforge.sources.mysql.column_types import fraction_digits
from deltaforge.sources.mysql.definitions import TableDefinition
from deltaforge.sources.mysql.snapshot.names import quoted

_WORD = re.compile(r"[a-z0-9]+")
_NUMBERS = re.compile(r"\((\d+)(?:,\s*(\d+))?\)")
_LENGTHS = {"tiny": 1, "": 2, "medium": 3, "long": 4}
_STORED = {"uuid": 16, "inet6": 16, "inet4": 4}
"""Bytes of what MariaDB shows as text and keeps as bytes, in the log too."""
_NEW_TIMES = {Code.TIME: Code.TIME2, Code.DATETIME: Code.DATETIME2, Code.TIMESTAMP: Code.TIMESTAMP2}


def copied_types(definition: TableDefinition, *, is_mariadb: bool) -> list[tuple[str, ColumnType]]:
    """Names and types of all columns that can be selected, in table order."""
    return [
        (column.name, _completed(column.type.lower(), kind, is_mariadb=is_mariadb))
        for column, kind in zip(definition.schema.columns, definition.columns, strict=True)
    ]


def select_list(definition: TableDefinition, columns: Sequence[tuple[str, ColumnType]]) -> str:
    """What is to be selected so that the rows hold what the log holds."""
    return ", ".join(
        selected(name, declared.type.lower(), kind)
        for (name, kind), declared in zip(columns, definition.schema.columns, strict=True)
    )


def selected(column: str, text: str, kind: ColumnType) -> str:
    """What stands for a column of the type ``text``: labels by number, what is shown as text by its bytes."""
    name = quoted(column)
    if kind.code in LABELLED:
        return f"cast({name} as unsigned)"
    if text.startswith("year(2)"):  # whose century the server does not show; 1900 is the year 0
        return f"if(year({name}) = 1900, 0, year({name}))"
    size = _STORED.get(_word(text))
    return f"cast({name} as binary({size}))" if size else name


def _completed(text: str, kind: ColumnType, *, is_mariadb: bool) -> ColumnType:
    code, replace = kind.code, msgspec.structs.replace
    match = _NUMBERS.search(text)
    first, second = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
    if code in _NEW_TIMES:
        return replace(kind, code=_NEW_TIMES[code], scale=fraction_digits(text) or 0)
    sizes = {Code.FLOAT: 4, Code.DOUBLE: 8, Code.BIT: first or 1, Code.YEAR: first}
    if code in sizes:
        return replace(kind, length=sizes[code])
    if code == Code.NEWDECIMAL:
        return replace(kind, precision=first or 10, scale=second)
    if code in LABELLED:
        return replace(kind, length=_label_bytes(code, len(kind.labels or ())))
    if code in (Code.STRING, Code.VARCHAR):
        size = BYTES_PER_CHARACTER.get(kind.charset or "", 1) * (first or 1)
        return replace(kind, length=_STORED.get(_word(text), size))
    if code == Code.BLOB:
        return replace(kind, length=_LENGTHS[re.sub("(?:blob|text)$", "", _word(text))])
    if code == Code.VECTOR and is_mariadb:
        return replace(kind, code=Code.VARCHAR, length=4 * (first or 1))
    if code in (Code.JSON, Code.GEOMETRY, Code.VECTOR):
        return replace(kind, length=4)
    return kind


def _label_bytes(code: Code, count: int) -> int:
    if code == Code.ENUM:
        return 1 if count < 256 else 2
    size = (count + 7) // 8
    return size if size <= 4 else 8


def _word(text: str) -> str:
    match = _WORD.match(text)
    return match[0] if match else ""
