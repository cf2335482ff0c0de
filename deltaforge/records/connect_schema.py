"""Schemas inside of messages, as Connect's JsonConverter writes them."""

from __future__ import annotations

import base64
from typing import Any

from deltaforge.core.json_text import encode_json
from deltaforge.records.schema import Schema, Type


def connect_schema(schema: Schema) -> bytes:
    """The text of a schema."""
    return encode_json(_schema(schema))


def _schema(schema: Schema) -> dict[str, Any]:
    found: dict[str, Any] = {"type": schema.type.value}
    if schema.type is Type.STRUCT:
        found["fields"] = [{**_schema(field.schema), "field": field.name} for field in schema.fields]
    elif schema.items is not None:
        if schema.type is Type.MAP:
            found["keys"] = {"type": "string", "optional": False}
        found["items" if schema.type is Type.ARRAY else "values"] = _schema(schema.items)
    found["optional"] = schema.optional
    said = {"name": schema.name, "version": schema.version, "doc": schema.doc, "parameters": dict(schema.parameters)}
    found |= {name: value for name, value in said.items() if value not in (None, {})}
    if schema.has_default and schema.default is not None:
        default = schema.default
        found["default"] = base64.b64encode(default).decode() if isinstance(default, bytes) else default
    return found
