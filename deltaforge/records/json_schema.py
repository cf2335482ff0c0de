"""JSON Schemas of records, as a schema registry keeps them for JSON messages.

They describe what Connect's JsonConverter writes: bytes, also those of decimals, are base64. What JSON Schema cannot
say is in ``connect.*`` beside it, as in the schemas that Confluent's JsonSchemaConverter registers: ``connect.type``,
``connect.version``, ``connect.parameters`` and ``connect.index``, the place of a field; a name is the ``title``.
"""

from __future__ import annotations

import base64
from typing import Any

from deltaforge.core.json_text import encode_json
from deltaforge.records.schema import Schema, Type

_TYPES = {
    Type.BOOLEAN: "boolean",
    Type.INT8: "integer",
    Type.INT16: "integer",
    Type.INT32: "integer",
    Type.INT64: "integer",
    Type.FLOAT32: "number",
    Type.FLOAT64: "number",
    Type.STRING: "string",
    Type.BYTES: "string",
}
_CONNECT_TYPES = {Type.FLOAT32: "float32", Type.FLOAT64: "float64", Type.MAP: "map"}
_PLAIN = (Type.BOOLEAN, Type.STRING, Type.STRUCT, Type.ARRAY)
"""Types that JSON Schema names as well as Connect."""


def json_schema(schema: Schema) -> str:
    """The text of a schema."""
    return encode_json({"$schema": "http://json-schema.org/draft-07/schema#", **_of(schema)}).decode()


def _of(schema: Schema, index: int | None = None) -> dict[str, Any]:
    found = _with_properties(schema, _type(schema))
    if schema.optional:
        found = {"oneOf": [{"type": "null"}, found]}
        if schema.has_default:
            found["default"] = _default(schema.default)
    if index is not None:
        found["connect.index"] = index
    return found


def _type(schema: Schema) -> dict[str, Any]:
    if schema.type is Type.STRUCT:
        properties = {field.name: _of(field.schema, place) for place, field in enumerate(schema.fields)}
        required = [field.name for field in schema.fields if not field.schema.optional]
        return {"type": "object", "properties": properties} | ({"required": required} if required else {})
    if schema.type in (Type.ARRAY, Type.MAP):
        if schema.items is None:
            raise ValueError(f"a schema of type {schema.type} without one of its items")
        if schema.type is Type.MAP:
            return {"type": "object", "additionalProperties": _of(schema.items)}
        return {"type": "array", "items": _of(schema.items)}
    if schema.type in (Type.FLOAT32, Type.FLOAT64):  # numbers that JSON does not have are texts
        return {"oneOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
    return {"type": _TYPES[schema.type]}


def _with_properties(schema: Schema, found: dict[str, Any]) -> dict[str, Any]:
    if schema.name is not None:
        found["title"] = schema.name
    if schema.doc is not None:
        found["description"] = schema.doc
    if schema.version is not None:
        found["connect.version"] = schema.version
    if schema.parameters:
        found["connect.parameters"] = dict(schema.parameters)
    if schema.type not in _PLAIN:
        found["connect.type"] = _CONNECT_TYPES.get(schema.type, schema.type.value)
    if schema.has_default and schema.default is not None and not schema.optional:
        found["default"] = _default(schema.default)
    return found


def _default(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _default(item) for name, item in value.items()}
    return [_default(item) for item in value] if isinstance(value, (list, tuple)) else value
