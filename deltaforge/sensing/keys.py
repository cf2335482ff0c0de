"""Which keys of which objects are data rather than names."""

from __future__ import annotations

from typing import Any

import msgspec

from deltaforge.sensing.structure import (
    ARRAY,
    OBJECT,
    array_hash,
    field_term,
    is_bytes,
    kind_of,
    object_hash,
    structure_hash,
)

ANY_KEY = "<*>"
"""Stands for every dynamic key of an object."""


class DynamicKeys(msgspec.Struct, frozen=True):
    """What is dynamic in a value and below; it exists only where something is.

    Attributes:
        stable: Names that stay fields of this object, all others are dynamic; None: no key is dynamic.
        fields: Dynamic keys of the values of named fields.
        items: Dynamic keys of the elements, if this value is an array.
        values: Dynamic keys of the values under dynamic keys.
    """

    stable: frozenset[str] | None = None
    fields: dict[str, DynamicKeys] = {}
    items: DynamicKeys | None = None
    values: DynamicKeys | None = None

    def is_dynamic(self, name: str) -> bool:
        """Whether a key of this object is data."""
        return self.stable is not None and name not in self.stable


def collapsed_hash(value: Any, depth_left: int, dynamic: DynamicKeys | None) -> int:
    """The structure of a value whose dynamic keys all count as :data:`ANY_KEY`.

    The values under dynamic keys count like elements of an array: which different ones there are.
    """
    kind = kind_of(value)
    if dynamic is None or depth_left <= 0 or kind not in (ARRAY, OBJECT):
        return structure_hash(value, depth_left)
    if kind == ARRAY:
        return array_hash([collapsed_hash(inner, depth_left - 1, dynamic.items) for inner in value])
    if is_bytes(value):
        return structure_hash(value, depth_left)
    terms, hashes = list[int](), list[int]()
    for name, inner in value.items():
        if dynamic.is_dynamic(name):
            hashes.append(collapsed_hash(inner, depth_left - 1, dynamic.values))
        else:
            terms.append(field_term(name, collapsed_hash(inner, depth_left - 1, dynamic.fields.get(name))))
    if hashes:
        terms.append(field_term(ANY_KEY, array_hash(hashes)))
    return object_hash(terms)
