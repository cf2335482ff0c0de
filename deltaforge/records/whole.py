"""Values of any schema, written as a whole: what is equal in all rows of a table, and records that belong to no row.

None is null, or of a schema that has no null, an error. Values are as converted (:mod:`deltaforge.records.values`).
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from typing import Any

from deltaforge.core.json_text import encode_json
from deltaforge.records.avro_schema import has_null_first
from deltaforge.records.plan import Writer
from deltaforge.records.schema import Schema, Type
from deltaforge.records.writers import avro_block, avro_bytes, avro_long, name_of_float

_INTEGERS = (Type.INT8, Type.INT16, Type.INT32, Type.INT64)


def written(writer: Writer, schema: Schema, value: Any) -> bytes:
    """The bytes of a value.

    Raises:
        ValueError: It is null, and the schema has no null.
    """
    return (json_of if writer == "json" else avro_of)(schema, value)


def json_of(schema: Schema, value: Any) -> bytes:
    """A value as Connect's JsonConverter writes it, nulls as they are."""
    return encode_json(_json_value(schema, value))


def _json_value(schema: Schema, value: Any) -> Any:
    if value is None:
        return _null(schema)
    if schema.type is Type.STRUCT:
        return {field.name: _json_value(field.schema, value.get(field.name)) for field in schema.fields}
    if schema.type is Type.ARRAY:
        return [_json_value(_items(schema), item) for item in value]
    if schema.type is Type.MAP:
        return {name: _json_value(_items(schema), item) for name, item in value.items()}
    if schema.type is Type.BYTES:
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return name_of_float(value)
    return value


def avro_of(schema: Schema, value: Any) -> bytes:
    """A value in Avro's binary encoding, by the schema that :func:`avro_schema` makes."""
    if not schema.optional:
        return _avro_value(schema, value)
    if value is None:
        return null_branch(schema)
    return value_branch(schema) + _avro_value(schema, value)


def null_branch(schema: Schema) -> bytes:
    """The branch of null in the union of an optional schema."""
    return b"\x00" if _is_null_first(schema) else b"\x02"


def value_branch(schema: Schema) -> bytes:
    """The branch of values in the union of an optional schema; of one that is not optional, nothing."""
    if not schema.optional:
        return b""
    return b"\x02" if _is_null_first(schema) else b"\x00"


def _is_null_first(schema: Schema) -> bool:
    return schema.type is Type.STRUCT or has_null_first(schema)


def _avro_value(schema: Schema, value: Any) -> bytes:
    if value is None:
        _null(schema)
    return _AVRO[schema.type](schema, value)


def _avro_array(schema: Schema, value: Any) -> bytes:
    items = _items(schema)
    return avro_block([avro_of(items, item) for item in value])


def _avro_map(schema: Schema, value: Any) -> bytes:
    items = _items(schema)
    return avro_block([avro_bytes(name.encode()) + avro_of(items, item) for name, item in value.items()])


_AVRO: dict[Type, Callable[[Schema, Any], bytes]] = {
    Type.BOOLEAN: lambda _, value: b"\x01" if value else b"\x00",
    **dict.fromkeys(_INTEGERS, lambda _, value: avro_long(value)),
    Type.FLOAT32: lambda _, value: struct.pack("<f", value),
    Type.FLOAT64: lambda _, value: struct.pack("<d", value),
    Type.STRING: lambda _, value: avro_bytes(value.encode()),
    Type.BYTES: lambda _, value: avro_bytes(value),
    Type.STRUCT: lambda schema, value: b"".join(avro_of(f.schema, value.get(f.name)) for f in schema.fields),
    Type.ARRAY: _avro_array,
    Type.MAP: _avro_map,
}


def _null(schema: Schema) -> None:
    if not schema.optional:
        raise ValueError(f"null for a {schema.type} that has none")


def _items(schema: Schema) -> Schema:
    if schema.items is None:
        raise ValueError(f"a schema of type {schema.type} without one of its items")
    return schema.items
