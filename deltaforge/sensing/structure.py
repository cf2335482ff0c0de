"""64-bit hashes of the structure of JSON values: kinds and key names, never values.

Two values with one hash look the same to schema inference, so a value whose hash was seen before needs
no second look. A compiled decoder computes the same numbers from JSON text; this module is the specification.

Shape, all modulo 2^64, with ``mix`` the finalizer of splitmix64 and ``name_hash`` FNV-1a:

* scalar, and whatever lies at ``max_depth`` or deeper: ``mix(kind)``
* object: ``mix(8 + sum of mix(name_hash(key) ^ hash of the value * 3))``, whatever the order
* array: ``mix(7 + sum of mix(hash))`` of the first 16 different elements; if there are others, the smallest
  hash times 5 and the largest times 7 of all elements are added

A result of 0 or 1 becomes 2: 1 stands for null or missing, 0 for "not hashed".
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from deltaforge.core.event import RowImage
from deltaforge.core.exact_number import WrittenNumber

NULL, BOOLEAN, INTEGER, NUMBER, STRING, ARRAY, OBJECT, OPAQUE = 1, 2, 3, 4, 5, 7, 8, 9

NOT_HASHED = 0
"""In place of a hash: look at the value."""

ABSENT = 1
"""In place of a hash: the value is null or missing."""

_KINDS: dict[type, int] = {
    type(None): NULL, bool: BOOLEAN, int: INTEGER, float: NUMBER, Decimal: NUMBER, WrittenNumber: NUMBER,
    str: STRING, list: ARRAY, dict: OBJECT,
}  # fmt: skip
_MASK = (1 << 64) - 1
_MAX_ELEMENTS = 16


def kind_of(value: Any) -> int:
    """The kind of a JSON value; ``OPAQUE`` for anything else."""
    return _KINDS.get(type(value), OPAQUE)


def is_bytes(value: dict[str, Any]) -> bool:
    """Whether an object is the wrapper of bytes, with or without the SRID of a geometry."""
    if "_base64" not in value or type(value["_base64"]) is not str:
        return False
    return len(value) == 1 or (len(value) == 2 and type(value.get("srid")) is int)


def mix(x: int) -> int:
    """Spread the bits of a 64-bit number."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _MASK
    return x ^ x >> 31


@lru_cache(maxsize=1 << 16)
def name_hash(name: str) -> int:
    """FNV-1a over the UTF-8 bytes of a name."""
    found = 0xCBF29CE484222325
    for byte in name.encode("utf-8", "surrogatepass"):
        found = (found ^ byte) * 0x100000001B3 & _MASK
    return found


@lru_cache(maxsize=1 << 16)
def field_term(name: str, found: int) -> int:
    """What a field adds to the sum of its object.

    Args:
        name: The key.
        found: The hash of the value; for a row signature its kind.
    """
    return mix(name_hash(name) ^ (found * 3 & _MASK))


_OF_KIND = [mix(kind) for kind in range(OPAQUE + 1)]
EMPTY_ARRAY = _OF_KIND[ARRAY]


def structure_hash(value: Any, max_depth: int) -> int:
    """The structure of one value.

    Args:
        value: A JSON value as in a :data:`~deltaforge.core.event.RowImage`.
        max_depth: Objects and arrays with so many containers around them are not looked into.
    """
    return _at_least_2(_hash(value, max_depth))


def signature(image: RowImage) -> int:
    """The structure of a row: column names and the kinds of their values, without looking into them."""
    kinds = _KINDS
    return _at_least_2(
        mix(sum([field_term(name, kinds.get(type(value), OPAQUE)) for name, value in image.items()]) & _MASK)
    )


def object_hash(terms: Iterable[int]) -> int:
    """The hash of an object from the :func:`field_term` of its fields."""
    return mix(OBJECT + sum(terms) & _MASK)


def array_hash(hashes: Iterable[int]) -> int:
    """The hash of an array from the hashes of its elements, in order."""
    distinct = dict[int, None]()
    lowest, highest, is_cut = _MASK, 0, False
    for found in hashes:
        lowest, highest = min(lowest, found), max(highest, found)
        if found not in distinct:
            if len(distinct) < _MAX_ELEMENTS:
                distinct[found] = None
            else:
                is_cut = True
    total = ARRAY + sum(map(_mixed, distinct))
    if is_cut:
        total += lowest * 5 + highest * 7
    return mix(total & _MASK)


def _hash(value: Any, depth_left: int) -> int:
    kind = _KINDS.get(type(value), OPAQUE)
    if kind < ARRAY or kind == OPAQUE:
        return _OF_KIND[kind]
    if depth_left <= 0:
        return _OF_KIND[OPAQUE]
    if kind == OBJECT:
        return object_hash([field_term(key, _hash(inner, depth_left - 1)) for key, inner in value.items()])
    return array_hash([_hash(inner, depth_left - 1) for inner in value]) if value else EMPTY_ARRAY


def _at_least_2(found: int) -> int:
    return found if found > ABSENT else 2


_mixed = lru_cache(maxsize=1 << 16)(mix)
