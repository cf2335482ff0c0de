"""Which columns records have, which of them make the key, and which are masked, hashed or cut: by regular expressions
over ``schema.table.column``, or where there are no schemas ``db.table.column``, without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from deltaforge.core.table import Column, TableSchema
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.masking import cut, hashed
from deltaforge.records.schema import Schema, Type
from deltaforge.records.types import RecordColumn
from deltaforge.records.types.source_types import source_type

_CUTS = {Type.STRING: Form.CUT_TEXT, Type.BYTES: Form.CUT_BYTES}
_NOT_CUT = frozenset({"org.apache.kafka.connect.data.Decimal", "io.debezium.data.Bits"})
_LENGTH = re.compile(r"\((\d+)\)")


class Mask(msgspec.Struct, frozen=True):
    """Columns whose texts are asterisks."""

    columns: tuple[str, ...]
    length: int


class Hash(msgspec.Struct, frozen=True):
    """Columns whose texts are hashes of the salt and the text, as hexadecimal digits."""

    columns: tuple[str, ...]
    algorithm: str
    salt: str
    is_serialized: bool = False


class Cut(msgspec.Struct, frozen=True):
    """Columns whose texts and bytes are cut."""

    columns: tuple[str, ...]
    length: int


class SourceTypes(msgspec.Struct, frozen=True):
    """Columns whose schemas say what they are at the source: by their names, or as ``schema.table.TYPE``."""

    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """What is chosen of the columns.

    Attributes:
        included: None: all.
        excluded: Of those.
        rules: The first that matches a column holds.
        source_types: Of columns that none of them matches.
        keys: Pairs of a table and its key columns, both of which may be expressions.
    """

    included: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    rules: tuple[Mask | Hash | Cut, ...] = ()
    source_types: SourceTypes = SourceTypes()
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def has(self, table: TableSchema, column: Column) -> bool:
        """Whether records have a column."""
        name = _full_name(table, column.name)
        return (self.included is None or _matches(self.included, name)) and not _matches(self.excluded, name)

    def treated(self, connector: str, table: TableSchema, column: Column, record: RecordColumn) -> RecordColumn:
        """The type of a column in the record, with what is done to its values."""
        name = _full_name(table, column.name)
        for rule in self.rules:
            if _matches(rule.columns, name):
                return _treated(rule, column, record)
        return self.described(connector, table, column, record)

    def described(self, connector: str, table: TableSchema, column: Column, record: RecordColumn) -> RecordColumn:
        """The type of a column with what it is at the source, where that was asked for."""
        asked = self.source_types
        if not asked.columns and not asked.types:
            return record
        type_ = source_type(connector, column)
        by_type = _matches(asked.types, _full_name(table, type_.name))
        if not by_type and not _matches(asked.columns, _full_name(table, column.name)):
            return record
        said = {"type": type_.name, "length": type_.length, "scale": type_.scale, "name": column.name}
        schema = record.schema
        for name, value in said.items():
            if value is not None:
                schema = _with_parameter(schema, f"__debezium.source.column.{name}", str(value))
        return record._replace(schema=schema)

    def key_columns(self, table: TableSchema) -> Sequence[str]:
        """The names of the columns of the key, in order; the primary key where nothing else was said."""
        chosen = [
            column.name
            for pattern, names in self.keys
            for name in names
            for column in table.columns
            if _matches((f"{pattern}.{name}",), _full_name(table, column.name))
        ]
        return chosen or table.primary_key


def key_rules(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """``table:column,column;table:column`` as pairs.

    Raises:
        ValueError: It has another form.
    """
    found = []
    for part in text.split(";"):
        match = _KEY_RULE.fullmatch(part)
        if match is None:
            raise ValueError("write `table:column,column`, with `;` between tables")
        found.append((match["table"].strip(), tuple(name.strip() for name in match["columns"].split(","))))
    return tuple(found)


_KEY_RULE = re.compile(r"\s*(?P<table>[^:]+):(?P<columns>[^:,]+(?:,[^:,]+)*)\s*")


def _full_name(table: TableSchema, column: str) -> str:
    return f"{table.table.qualified}.{column}"


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.strip(), re.IGNORECASE)


def _treated(rule: Mask | Hash | Cut, column: Column, record: RecordColumn) -> RecordColumn:
    schema, conversion, fallback = record
    is_text = schema.type is Type.STRING and schema.name is None
    declared = _LENGTH.search(column.type)
    length = int(declared[1]) if declared else 0
    if isinstance(rule, Cut):
        if 0 < length <= rule.length:
            return record
        schema = _with_parameter(schema, "truncateLength", str(rule.length))
        form = _CUTS.get(schema.type)
        if form is None or schema.name in _NOT_CUT:
            return record._replace(schema=schema)
        return RecordColumn(schema, Conversion(form, size=rule.length, items=conversion), fallback)
    schema = _with_parameter(schema, "masked", "true")
    if not is_text:
        return record._replace(schema=schema)
    if isinstance(rule, Mask):
        stars = "*" * rule.length
        return RecordColumn(schema, Conversion(Form.MASK, labels=(stars,), items=conversion), stars)
    hash_ = Conversion(
        Form.HASH, scale=int(rule.is_serialized), size=length, labels=(rule.algorithm, rule.salt), items=conversion
    )
    return RecordColumn(schema, hash_, None if schema.optional else instead_of(hash_, fallback))


def instead_of(conversion: Conversion, text: Any) -> Any:
    """What stands for a value that the log does not hold, treated as the values are."""
    match conversion.form:
        case Form.MASK:
            return conversion.labels[0]
        case Form.HASH:
            algorithm, salt = conversion.labels
            digits = hashed(algorithm, salt, text, is_serialized=bool(conversion.scale))
            return digits[: conversion.size or None]
        case Form.CUT_TEXT:
            return cut(text, conversion.size)
        case Form.CUT_BYTES:
            return text[: conversion.size]
    return text


def _with_parameter(schema: Schema, name: str, value: str) -> Schema:
    return msgspec.structs.replace(schema, parameters={**schema.parameters, name: value})
