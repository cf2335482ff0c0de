"""A shape as rows, one per field. Contract 05 section 3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deltaforge.sensing.keys import ANY_KEY
from deltaforge.sensing.sensor import KeyState
from deltaforge.sensing.shape import NULL, OPTIONAL, Compound, Shape, flags_of, type_names

ELEMENTS = "[]"
"""Added to the name of an array for its elements; alone, the elements of a value that is an array."""


def field_rows(shape: Shape, depth: int = 1) -> list[dict[str, Any]]:
    """The fields of a shape.

    Args:
        shape: What was learned.
        depth: Levels of names; below the first, names are dotted (``metadata.tags``, ``items[].sku``), and
            dynamic keys are one row ``<*>``.
    """
    return list(_rows(shape, "", depth))


def add_statistics(rows: list[dict[str, Any]], state: KeyState) -> None:
    """Add to the rows of top-level fields what ``tracking`` counted of them, as far as there is anything."""
    rates = state.null_rates()
    for row in rows:
        name = row["name"]
        if name in rates:
            row["null_rate"] = rates[name]
        facts = state.facts.get(name)
        if facts is None:
            continue
        distinct = None if facts.distinct is None else facts.distinct.estimate()
        found = {
            "enum_values": facts.enum_values(),
            "minimum": facts.minimum,
            "maximum": facts.maximum,
            "min_length": facts.min_length,
            "max_length": facts.max_length,
            "cardinality": distinct,
        }
        row.update({key: value for key, value in found.items() if value is not None})


def _rows(shape: Shape, prefix: str, depth: int) -> Iterator[dict[str, Any]]:
    if not isinstance(shape, Compound) or depth <= 0:
        return
    start = f"{prefix}." if prefix else ""
    for name, field in shape.fields.items():
        yield _row(f"{start}{name}", field)
        yield from _rows(field, f"{start}{name}", depth - 1)
    if shape.values is not None:
        yield _row(f"{start}{ANY_KEY}", shape.values, is_optional=True)
        yield from _rows(shape.values, f"{start}{ANY_KEY}", depth - 1)
    if shape.items is None:
        return
    if prefix:  # elements have no row of their own below a field: it names their types
        yield from _rows(shape.items, f"{prefix}{ELEMENTS}", depth)
    else:
        yield _row(ELEMENTS, shape.items)
        yield from _rows(shape.items, ELEMENTS, depth - 1)


def _row(name: str, shape: Shape, *, is_optional: bool = False) -> dict[str, Any]:
    flags = flags_of(shape)
    row: dict[str, Any] = {
        "name": name,
        "types": type_names(shape),
        "nullable": bool(flags & NULL),
        "optional": is_optional or bool(flags & OPTIONAL),
    }
    if isinstance(shape, Compound):
        if shape.items is not None:
            row["array_element_types"] = _with_null(shape.items)
        if "object" in row["types"]:
            row["nested_field_count"] = len(shape.fields) + (shape.values is not None)
    return row


def _with_null(shape: Shape) -> list[str]:
    names = type_names(shape)
    return ["null", *names] if flags_of(shape) & NULL and names != ["null"] else names
