"""A shape as JSON Schema, draft 07. Contract 05 section 5.

The document accepts every value that the shape was learned from. It leaves open what was never seen:
unknown fields are not refused. Objects with dynamic keys are maps: ``additionalProperties``.
"""

from __future__ import annotations

from typing import Any

from deltaforge.sensing.shape import (
    ARRAY,
    BYTES,
    NULL,
    OBJECT,
    OPAQUE,
    OPTIONAL,
    TYPE_NAMES,
    Compound,
    Shape,
    flags_of,
)

DIALECT = "http://json-schema.org/draft-07/schema#"

_WRAPPER = {
    "type": "object",
    "properties": {"_base64": {"type": "string", "format": "byte"}, "srid": {"type": "integer"}},
    "required": ["_base64"],
}


def json_schema(title: str, shape: Shape) -> dict[str, Any]:
    """The document of a key.

    Args:
        title: ``table`` or ``table:column``.
        shape: What was learned; of an object there are always ``properties`` and ``required``.
    """
    body = _schema(shape)
    if flags_of(shape) & OBJECT and "anyOf" not in body:
        body = {"properties": {}, "required": [], **body}
    order = ("type", "properties", "required")
    first = {name: body.pop(name) for name in order if name in body}
    return {"$schema": DIALECT, "title": title, **first, **body}


def _schema(shape: Shape) -> dict[str, Any]:
    flags = flags_of(shape)
    if not flags & BYTES:
        return _unwrapped(shape, flags)
    rest = flags & ~(BYTES | OPTIONAL)
    if not rest:
        return dict(_WRAPPER)
    if rest == NULL:
        return {**_WRAPPER, "type": ["object", "null"]}
    return {"anyOf": [_unwrapped(shape, rest), dict(_WRAPPER)]}


def _unwrapped(shape: Shape, flags: int) -> dict[str, Any]:
    """Every keyword but ``type`` speaks of one type only, so a union needs no alternatives."""
    types = _types(flags)
    body: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if isinstance(shape, Compound) and not flags & OPAQUE:
        if flags & OBJECT:
            body.update(_object(shape))
        if flags & ARRAY and shape.items is not None:
            body["items"] = _schema(shape.items)
    return body


def _object(shape: Compound) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if shape.fields:
        body["properties"] = {name: _schema(field) for name, field in shape.fields.items()}
    required = [name for name, field in shape.fields.items() if not flags_of(field) & OPTIONAL]
    if required:
        body["required"] = required
    if shape.values is not None:
        body["additionalProperties"] = _schema(shape.values)
    return body


def _types(flags: int) -> list[str]:
    """Names in fixed order, null last; an opaque container may be of either kind."""
    names = [name for flag, name in TYPE_NAMES.items() if flags & flag and flag not in (OPAQUE, BYTES)]
    if flags & OPAQUE:
        names = [*(name for name in names if name not in ("array", "object")), "array", "object"]
    return [*names, "null"] if flags & NULL else names
