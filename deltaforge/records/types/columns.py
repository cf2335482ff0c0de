"""Columns of tables as fields of records."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from deltaforge.core.table import Column
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.schema import Schema, Type
from deltaforge.records.types.connect import Mapped
from deltaforge.records.types.declared import Declared, declared
from deltaforge.records.types.options import CdcModes, ConnectOptions
from deltaforge.records.types.table import ROWS, UNKNOWN, Row


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
    return None if mapped is None else _completed(mapped, column)


def cdc_column(connector: str, column: Column, modes: CdcModes) -> RecordColumn:
    """The field of a ``deltaforge.cdc`` record for a column."""
    type_ = _declared(column)
    if type_.items is None:
        mapped = _row(connector, type_).cdc(type_, modes)
    else:
        mapped = _array(_row(connector, type_.items).cdc(type_.items, modes))
    return _completed(mapped, column)


def _declared(column: Column) -> Declared:
    return declared(column.type)


def _row(connector: str, type_: Declared) -> Row:
    return ROWS[connector].get(type_.name, UNKNOWN)


def _array(items: Mapped) -> Mapped:
    schema = msgspec.structs.replace(items.schema, optional=True)
    return Mapped(Schema(type=Type.ARRAY, items=schema), Conversion(Form.ARRAY, items=items.conversion))


def _completed(mapped: Mapped, column: Column) -> RecordColumn:
    schema = msgspec.structs.replace(mapped.schema, optional=column.nullable)
    return RecordColumn(schema, mapped.conversion, None if column.nullable else _nothing(schema))


def _nothing(schema: Schema) -> Any:
    if schema.type is Type.STRUCT:
        return {field.name: _nothing(field.schema) for field in schema.fields if not field.schema.optional}
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
