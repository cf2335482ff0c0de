"""What is counted per top-level field of a key, as far as ``tracking`` asks for it.

Null rates count every sampled value: a structure that was seen before has the same nulls. Enum values and
statistics need the values themselves, so they rest on the values that are looked at in full: with
``field_statistics`` every sampled one; otherwise each value whose structure is new, and those that the
recognition of dynamic keys looks at (:func:`deltaforge.sensing.cardinality.wants_look`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from deltaforge.sensing.keys import DynamicKeys
from deltaforge.sensing.settings import Tracking
from deltaforge.sensing.sketches import HyperLogLog

VALUE = ""
"""The name of a value that is no object."""

MIN_TEXTS = 20
"""Strings of a field before they are called an enum."""

MAX_FIELDS = 200
_MAX_TEXT = 100  # characters; longer strings are no labels
_PRECISION = 10


class FieldStatistics(msgspec.Struct, array_like=True):
    """Facts of one field, of the values that were looked at.

    Attributes:
        text_count: Strings.
        texts: Different strings, in order of appearance; None once they are too many, too long, or never repeat.
        minimum: The smallest number, as a float.
        maximum: The largest number, as a float.
        min_length: Characters of the shortest string.
        max_length: Characters of the longest string.
        distinct: Estimates the number of different scalars; only with ``field_statistics``.
    """

    text_count: int = 0
    texts: list[str] | None = []
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    distinct: HyperLogLog | None = None

    def note(self, value: Any, tracking: Tracking) -> None:
        """Take in one value."""
        if type(value) is str:
            self.text_count += 1
            if tracking.enum_detection:
                self._note_text(value, tracking.enum_max_cardinality)
        if tracking.field_statistics:
            self._note_statistics(value)

    def enum_values(self) -> list[str] | None:
        """The values of a field that has few, sorted; None if it is no such field or too few were seen."""
        if not self.texts or self.text_count < max(MIN_TEXTS, 2 * len(self.texts)):
            return None
        return sorted(self.texts)

    def _note_text(self, text: str, limit: int) -> None:
        if self.texts is None or text in self.texts:
            return
        never_repeats = self.text_count > MIN_TEXTS and len(self.texts) + 1 == self.text_count
        if len(self.texts) == limit or len(text) > _MAX_TEXT or never_repeats:
            self.texts = None
        else:
            self.texts.append(text.encode("utf-8", "replace").decode())

    def _note_statistics(self, value: Any) -> None:
        if isinstance(value, str):
            size = len(value)
            self.min_length = size if self.min_length is None else min(self.min_length, size)
            self.max_length = size if self.max_length is None else max(self.max_length, size)
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            number = _as_float(value)
            self.minimum = number if self.minimum is None else min(self.minimum, number)
            self.maximum = number if self.maximum is None else max(self.maximum, number)
        if value is not None and not isinstance(value, dict | list):
            self.distinct = self.distinct or HyperLogLog.empty(_PRECISION)
            self.distinct.add(f"{type(value).__name__}:{value}")


def note_fields(facts: dict[str, FieldStatistics], value: Any, tracking: Tracking, dynamic: DynamicKeys | None) -> None:
    """Take in a value that is looked at in full: the top-level fields of an object, else the value itself."""
    if not (tracking.enum_detection or tracking.field_statistics):
        return
    fields = value if isinstance(value, dict) else {VALUE: value}
    for name, inner in fields.items():
        if dynamic is not None and dynamic.is_dynamic(name):
            continue
        if not (tracking.field_statistics or type(inner) is str):
            continue
        known = facts.get(name)
        if known is None and len(facts) < MAX_FIELDS:
            known = facts[name.encode("utf-8", "replace").decode()] = FieldStatistics()
        if known is not None:
            known.note(inner, tracking)


def null_names(value: Any, dynamic: DynamicKeys | None) -> tuple[str, ...]:
    """The top-level fields that are null: equal for all values of one structure. Dynamic keys are no fields."""
    if not isinstance(value, dict):
        return ()
    names = [name for name, inner in value.items() if inner is None and not (dynamic and dynamic.is_dynamic(name))]
    return tuple(name.encode("utf-8", "replace").decode() for name in names)


def _as_float(value: float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
