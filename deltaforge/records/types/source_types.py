"""Types of columns as Debezium names them where a schema or a schema change says what the source has."""

from __future__ import annotations

import re
from typing import NamedTuple

from deltaforge.core.table import Column
from deltaforge.records.types.declared import Declared, declared


class SourceType(NamedTuple):
    """A type in parts: ``VARCHAR``, 40, None.

    Attributes:
        name: With MySQL's attributes: ``INT UNSIGNED``.
        base: Without them.
        labels: MySQL: of an enum or set, quoted.
    """

    name: str
    length: int | None
    scale: int | None
    base: str = ""
    labels: list[str] | None = None


def source_type(connector: str, column: Column) -> SourceType:
    """The type of a column."""
    return _postgres_type(column) if connector == "postgresql" else mysql_type(column)


def mysql_type(column: Column) -> SourceType:
    """The type of a column of MySQL or MariaDB."""
    match = _TYPE.fullmatch(column.type)
    word, arguments, rest = (match[1], match[2], match[3]) if match else (column.type, None, "")
    base = word.upper()
    labels = _LABEL.findall(arguments or "") if base in {"ENUM", "SET"} else None
    return SourceType((base + rest.upper()).strip(), *_lengths(base, arguments, labels), base, labels)


_TYPE = re.compile(r"(\w+)(?:\((.*)\))?(.*)", re.DOTALL)
_LABEL = re.compile(r"'(?:[^']|'')*'")


def _lengths(base: str, arguments: str | None, labels: list[str] | None) -> tuple[int | None, int | None]:
    """Length and scale: of an enum 1, of a set as many characters as fit one letter and a comma for each label."""
    if labels is not None:
        return (1 if base == "ENUM" else max(1, 2 * len(labels) - 1)), None
    numbers = [int(number) for number in (arguments or "").split(",") if number.strip().isdigit()]
    if base == "DECIMAL" and not numbers:
        return 10, 0
    if base == "BIT" and not numbers:
        return 1, None
    scale = numbers[1] if len(numbers) > 1 else 0 if base == "DECIMAL" else None
    return (numbers[0] if numbers else None), scale


def _postgres_type(column: Column) -> SourceType:
    """Lengths are those of PostgreSQL's driver for Java."""
    type_ = declared(column.type)
    below = type_ if column.underlying is None else declared(column.underlying)
    if type_.items is not None:
        item = _INTERNAL.get(type_.items.name, type_.items.name.upper())
        return SourceType(f"_{item}", *_postgres_lengths(below.items or below))
    return SourceType(_INTERNAL.get(type_.name, type_.name.upper()), *_postgres_lengths(below))


_INTERNAL = {
    "boolean": "BOOL", "smallint": "INT2", "integer": "INT4", "bigint": "INT8", "real": "FLOAT4",
    "double precision": "FLOAT8", "character varying": "VARCHAR", "character": "BPCHAR", '"char"': "CHAR",
    "bit varying": "VARBIT", "time without time zone": "TIME", "time with time zone": "TIMETZ",
    "timestamp without time zone": "TIMESTAMP", "timestamp with time zone": "TIMESTAMPTZ",
}  # fmt: skip
_FIXED = {
    "boolean": (1, 0), "smallint": (5, 0), "integer": (10, 0), "bigint": (19, 0), "oid": (10, 0), "real": (8, 8),
    "double precision": (17, 17), '"char"': (1, 0), "date": (13, 0),
}  # fmt: skip
_WITHOUT_FRACTION = {
    "time without time zone": 8, "time with time zone": 14,
    "timestamp without time zone": 22, "timestamp with time zone": 28,
}  # fmt: skip
_MICROS, _ANY_DIGITS, _ANY_LENGTH, _INTERVAL = 6, 131089, 2147483647, 49
_SINGLE = ("character", "bit")
"""Have one letter unless they say how many."""


def _postgres_lengths(type_: Declared) -> tuple[int, int]:
    if type_.name in _FIXED:
        return _FIXED[type_.name]
    if type_.name == "numeric":
        return type_.number(0, _ANY_DIGITS), type_.number(1, 0)
    if type_.name == "interval":
        return _INTERVAL, type_.number(0, _MICROS)
    if type_.name in _WITHOUT_FRACTION:
        digits = type_.number(0, _MICROS)
        return _WITHOUT_FRACTION[type_.name] + (digits + 1 if digits else 0), digits
    if type_.name in ("character varying", "bit varying", *_SINGLE):
        return type_.number(0, 1 if type_.name in _SINGLE else _ANY_LENGTH), 0
    return _ANY_LENGTH, 0
