"""Columns of tables as fields of records."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from deltaforge.core.table import Column
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.schema import Schema, Type
from deltaforge.records.types.connect import Mapped
from deltaforge.records.types.declared import Declared, declared
from deltaforge.records.types.defaults import mysql_default, postgres_default
from deltaforge.records.types.options import CdcModes, ConnectOptions
from deltaforge.records.types.table import ROWS, UNKNOWN, Row
from deltaforge.records.values import converted


class RecordColumn(NamedTuple):
    """A column in a record.

    Attributes:
        schema: Of its field, complete.
        conversion: Of its values.
        fallback: What stands for NULL where the schema has no null, as converted: the default, else nothing, as in
            zero, false or no letters. None: the schema has null.
    """

    schema: Schema
    conversion: Conversion
    fallback: Any = None


def record_column(connector: str, column: Column, options: ConnectOptions) -> RecordColumn | None:
    """The field that Debezium has for a column; None: it leaves columns of that type out."""
    type_ = _declared(column)
    if type_.items is None:
        mapped = _row(connector, type_).connect(type_, options)
    else:
        items = _row(connector, type_.items).connect(type_.items, options)
        mapped = None if items is None else _array(items)
    if mapped is None:
        return None
    return _completed(mapped, column, _default(connector, column, type_, mapped))


def cdc_column(connector: str, column: Column, modes: CdcModes) -> RecordColumn:
    """The field of a ``deltaforge.cdc`` record for a column."""
    type_ = _declared(column)
    if type_.items is None:
        mapped = _row(connector, type_).cdc(type_, modes)
    else:
        mapped = _array(_row(connector, type_.items).cdc(type_.items, modes))
    return _completed(mapped, column)


def _declared(column: Column) -> Declared:
    return declared(column.type if column.underlying is None else column.underlying)


def _row(connector: str, type_: Declared) -> Row:
    return ROWS[connector].get(type_.name, UNKNOWN)


def _array(items: Mapped) -> Mapped:
    schema = msgspec.structs.replace(items.schema, optional=True)
    return Mapped(Schema(type=Type.ARRAY, items=schema), Conversion(Form.ARRAY, items=items.conversion))


def _default(connector: str, column: Column, type_: Declared, mapped: Mapped) -> Any:
    """The default of a column as its values are in records; None: the schema says none."""
    if mapped.schema.type in (Type.STRUCT, Type.ARRAY, Type.MAP) or _is_domain(column):
        return None
    try:
        value = (postgres_default if connector == "postgresql" else mysql_default)(column, type_)
        if value is None:
            is_zero_date = column.default is not None and column.default.startswith("0000-00-00")
            return None if column.nullable or not is_zero_date else _nothing(mapped)
        return value if mapped.conversion.form is Form.WIDENED_SINGLE else converted(mapped.conversion, value)
    except (ValueError, ArithmeticError, TypeError):
        return None  # what the form cannot have, such as a negative time where times are those of a day


def _is_domain(column: Column) -> bool:
    """Whether a type is one over another, of which Debezium has no defaults."""
    return column.underlying is not None and not column.underlying.startswith("enum(")


def _completed(mapped: Mapped, column: Column, default: Any = None) -> RecordColumn:
    has_default = default is not None
    schema = msgspec.structs.replace(mapped.schema, optional=column.nullable, default=default, has_default=has_default)
    if column.nullable:
        return RecordColumn(schema, mapped.conversion)
    return RecordColumn(schema, mapped.conversion, _nothing(mapped) if default is None else default)


def _nothing(mapped: Mapped) -> Any:
    zero = _ZEROS.get(mapped.conversion.form)
    return _zero(mapped.schema) if zero is None else zero


_ZEROS: dict[Form, Any] = {
    Form.ZONED_TEXT: "1970-01-01T00:00:00Z",
    Form.ISO_DATE: "1970-01-01Z",
    Form.ISO_TIME: "00:00:00Z",
    Form.ISO_STAMP: "1970-01-01T00:00:00Z",
    Form.ZONED_TIME: "00:00:00Z",
    Form.DECIMAL: b"\0",
    Form.MONEY: b"\0",
}


def _zero(schema: Schema) -> Any:
    if schema.type is Type.STRUCT:
        return {field.name: None if field.schema.optional else _zero(field.schema) for field in schema.fields}
    return _NOTHING[schema.type]


_NOTHING: dict[Type, Any] = {
    Type.BOOLEAN: False,
    **dict.fromkeys((Type.INT8, Type.INT16, Type.INT32, Type.INT64), 0),
    **dict.fromkeys((Type.FLOAT32, Type.FLOAT64), 0.0),
    Type.STRING: "",
    Type.BYTES: b"",
    Type.ARRAY: [],
    Type.MAP: {},
}
