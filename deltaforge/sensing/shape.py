"""Shapes: what is known of the values of one key, learned value by value. Contract 05 section 3.

A :data:`Shape` is a number as long as only scalars were seen, and a :class:`Compound` once there were
objects or arrays; both are immutable, so whoever learns nothing new gets the same object back. A shape
only ever grows: it holds for every value that it was learned from.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from deltaforge.core.exact_number import WrittenNumber
from deltaforge.sensing.keys import DynamicKeys
from deltaforge.sensing.structure import is_bytes

NULL, BOOLEAN, INTEGER, NUMBER, STRING, BYTES, ARRAY, OBJECT = (1 << bit for bit in range(8))
OPAQUE = 1 << 8
"""A container beyond the depth limit."""
OPTIONAL = 1 << 9
"""Missing in some of the objects."""

MAX_FIELDS = 1000
"""Named fields of an object; the names that come later count as dynamic, so no shape grows without end."""

TYPE_NAMES = {
    BOOLEAN: "boolean",
    INTEGER: "integer",
    NUMBER: "number",
    STRING: "string",
    BYTES: "bytes",
    ARRAY: "array",
    OBJECT: "object",
    OPAQUE: "opaque",
}

_SCALARS: dict[type, int] = {
    type(None): NULL, bool: BOOLEAN, int: INTEGER, float: NUMBER, Decimal: NUMBER, WrittenNumber: NUMBER, str: STRING,
}  # fmt: skip


class Compound(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A shape with objects or arrays in it. No part of it is ever changed.

    Attributes:
        flags: Every type that was seen, and ``OPTIONAL`` for a field.
        fields: Shapes of the named fields of objects.
        items: Shape of the elements of arrays; None if all were empty.
        values: Shape of the values under dynamic keys; None without such keys.
    """

    flags: int
    fields: dict[str, int | Compound] = {}
    items: int | Compound | None = None
    values: int | Compound | None = None


Shape: TypeAlias = int | Compound


def flags_of(shape: Shape) -> int:
    """The types that were seen."""
    return shape if isinstance(shape, int) else shape.flags


def type_names(shape: Shape) -> list[str]:
    """The types but null, in fixed order; ``["null"]`` if there was nothing else."""
    flags = flags_of(shape)
    return [name for flag, name in TYPE_NAMES.items() if flags & flag] or ["null"]


def learned(shape: Shape | None, value: Any, depth_left: int, dynamic: DynamicKeys | None = None) -> Shape:
    """What is known after one more value; ``shape`` itself if that taught nothing.

    Args:
        shape: What was known; None before the first value.
        value: A JSON value as in a row image.
        depth_left: Levels that may be looked into; a container at 0 is opaque.
        dynamic: Which keys of which objects are dynamic; None: none.
    """
    flag = _SCALARS.get(type(value))
    if flag is not None:
        return with_flags(shape, flag)
    if depth_left <= 0:
        return with_flags(shape, OPAQUE)
    if type(value) is dict:
        return with_flags(shape, BYTES) if is_bytes(value) else _learned_object(shape, value, depth_left - 1, dynamic)
    if type(value) is list:
        return _learned_array(shape, value, depth_left - 1, dynamic)
    return with_flags(shape, OPAQUE)


def with_flags(shape: Shape | None, flags: int) -> Shape:
    """The shape with more types or ``OPTIONAL``."""
    if shape is None:
        return flags
    if flags_of(shape) & flags == flags:
        return shape
    if isinstance(shape, int):
        return shape | flags
    return Compound(shape.flags | flags, shape.fields, shape.items, shape.values)


def without_optional(shape: Shape) -> Shape:
    """The shape as one of a value rather than of a field."""
    if isinstance(shape, int):
        return shape & ~OPTIONAL
    if not shape.flags & OPTIONAL:
        return shape
    return Compound(shape.flags & ~OPTIONAL, shape.fields, shape.items, shape.values)


def _learned_object(shape: Shape | None, value: dict[str, Any], depth_left: int, dynamic: DynamicKeys | None) -> Shape:
    before = shape if isinstance(shape, Compound) else Compound(shape or 0)
    value = _clean_names(value)
    fields, values, changed = before.fields, before.values, dict[str, Shape]()
    had_objects = before.flags & OBJECT
    # while no key is dynamic, a new name must hold for the time when it may have been
    unnamed = before.values if dynamic is None or dynamic.stable is None else None
    for name, inner in value.items():
        known = fields.get(name)
        if (dynamic is not None and dynamic.is_dynamic(name)) or (
            known is None and name not in changed and len(fields) + len(changed) >= MAX_FIELDS
        ):
            values = learned(values, inner, depth_left, dynamic and dynamic.values)
            continue
        keys_below = dynamic and dynamic.fields.get(name)
        now = learned(collapsed(unnamed, keys_below) if known is None else known, inner, depth_left, keys_below)
        if known is None:
            changed[name] = with_flags(now, OPTIONAL) if had_objects else now
        elif now is not known:
            changed[name] = now
    for name, known in fields.items():
        if name not in value and not flags_of(known) & OPTIONAL:
            changed[name] = with_flags(known, OPTIONAL)
    if isinstance(shape, Compound) and not changed and values is before.values and had_objects:
        return shape
    return Compound(before.flags | OBJECT, {**fields, **changed} if changed else fields, before.items, values)


def _learned_array(shape: Shape | None, value: list[Any], depth_left: int, dynamic: DynamicKeys | None) -> Shape:
    before = shape if isinstance(shape, Compound) else Compound(shape or 0)
    items = before.items
    for inner in value:
        items = learned(items, inner, depth_left, dynamic and dynamic.items)
    if isinstance(shape, Compound) and items is before.items and shape.flags & ARRAY:
        return shape
    return Compound(before.flags | ARRAY, before.fields, items, before.values)


def union(left: Shape | None, right: Shape | None) -> Shape | None:
    """A shape that holds for whatever one of the two holds for."""
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, int):
        return with_flags(right, left)
    if isinstance(right, int):
        return with_flags(left, right)
    fields = {name: _united_field(left, right, name) for name in dict.fromkeys((*left.fields, *right.fields))}
    return Compound(left.flags | right.flags, fields, union(left.items, right.items), union(left.values, right.values))


def _united_field(left: Compound, right: Compound, name: str) -> Shape:
    here, there = left.fields.get(name), right.fields.get(name)
    found = union(here or left.values, there or right.values)
    if found is None:
        raise KeyError(name)
    if (here is None and left.flags & OBJECT) or (there is None and right.flags & OBJECT):
        return with_flags(found, OPTIONAL)
    return found


def collapsed(shape: Shape | None, dynamic: DynamicKeys | None) -> Shape | None:
    """The shape as if these dynamic keys had been known from the beginning."""
    if not isinstance(shape, Compound) or dynamic is None:
        return shape
    fields, values = dict[str, Shape](), shape.values
    for name, field in shape.fields.items():
        if dynamic.is_dynamic(name):
            values = union(values, without_optional(field))
        else:
            fields[name] = collapsed(field, dynamic.fields.get(name)) or 0
    if shape.values is not None:  # names that were dynamic until now
        for name in sorted((dynamic.stable or frozenset()) - fields.keys()):
            fields[name] = with_flags(collapsed(shape.values, dynamic.fields.get(name)), OPTIONAL)
    return Compound(shape.flags, fields, collapsed(shape.items, dynamic.items), collapsed(values, dynamic.values))


def fingerprint(shape: Shape) -> str:
    """``sha256:`` + 64 hex over types, flags and sorted names; equal for shapes that are equal but for order."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(_facts(shape))).hexdigest()


def _facts(shape: Shape | None) -> Any:
    if not isinstance(shape, Compound):
        return shape
    fields = [[name, _facts(shape.fields[name])] for name in sorted(shape.fields)]
    return [shape.flags, fields, _facts(shape.items), _facts(shape.values)]


def _clean_names(value: dict[str, Any]) -> dict[str, Any]:
    if all(map(str.isascii, value)):
        return value
    return {name.encode("utf-8", "replace").decode(): inner for name, inner in value.items()}
