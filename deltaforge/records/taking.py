"""The steps of a plan, taken in Python: what the kernel's way is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, RowImage
from deltaforge.records.conversion import Conversion
from deltaforge.records.facts import fact_of
from deltaforge.records.plan import Bytes, Fact, FactStep, IfTransaction, ImageStep, PlannedColumn, RecordPlan, Step
from deltaforge.records.values import converted
from deltaforge.records.writers import AvroWriter, JsonWriter, ValueWriter

_WRITERS: dict[str, ValueWriter] = {"json": JsonWriter(), "avro": AvroWriter()}


class UnplannedError(ValueError):
    """The plan has no bytes for an event: a value is not there, and the record cannot say so."""


class RecordMessage(NamedTuple):
    """What is sent. ``key`` None: it has none; ``value`` None: a tombstone."""

    key: bytes | None
    value: bytes | None


def messages_of(plan: RecordPlan, event: ChangeEvent, now_ns: int = 0) -> list[RecordMessage]:
    """The messages of an event that was received at ``now_ns``.

    Raises:
        ValueError: As :func:`value_of` and :func:`key_of`.
    """
    return [RecordMessage(key_of(plan, key_image(event)), value_of(plan, event, now_ns))]


def key_image(event: ChangeEvent) -> RowImage:
    """The columns that the key of an event is made of: the newer row, and where it lacks some, the older one."""
    if event.after is None or event.before is None:
        return event.after or event.before or {}
    newer = {name: value for name, value in event.after.items() if value != UNCHANGED_TOAST}
    return {**event.before, **newer}


def value_of(plan: RecordPlan, event: ChangeEvent, now_ns: int = 0) -> bytes:
    """The value of an event that was received at ``now_ns``.

    Raises:
        ValueError: A value does not fit its form; names the column.
    """
    return b"".join(_taken(plan, plan.value, event, now_ns))


def key_of(plan: RecordPlan, image: RowImage) -> bytes | None:
    """The key of the row that an image is of; None: it has none.

    Raises:
        ValueError: As :func:`value_of`, or the log does not hold the key.
    """
    if plan.key is None:
        return None
    columns = b"".join(_columns(plan.key, image, _WRITERS[plan.writer]))
    return plan.key_prefix + columns + plan.key_suffix


def _taken(plan: RecordPlan, steps: Sequence[Step], event: ChangeEvent, now_ns: int) -> Iterable[bytes]:
    writer = _WRITERS[plan.writer]
    for step in steps:
        match step:
            case Bytes(data):
                yield data
            case FactStep():
                value = fact_of(event, step.fact, now_ns)
                if value is None:
                    yield step.null
                else:
                    yield step.prefix + writer.value(Conversion(step.form), value) + step.suffix
            case ImageStep():
                image = event.before if step.is_before else event.after
                if image is None:
                    yield step.null
                else:
                    yield step.prefix
                    yield from _columns(plan.columns if step.columns is None else step.columns, image, writer)
                    yield step.suffix
            case IfTransaction():
                if fact_of(event, Fact.TOTAL_ORDER) is None:
                    yield step.null
                else:
                    yield from _taken(plan, step.steps, event, now_ns)


def _columns(columns: Sequence[PlannedColumn], image: RowImage, writer: ValueWriter) -> Iterable[bytes]:
    for column in columns:
        yield column.name
        if column.column not in image:
            yield _planned(column, column.missing)
            continue
        value: Any = image[column.column]
        if value is None:
            yield _planned(column, column.null)
        elif value == UNCHANGED_TOAST:
            yield _planned(column, column.unavailable)
        else:
            try:
                yield column.prefix + writer.value(column.conversion, converted(column.conversion, value))
            except (ValueError, TypeError, ArithmeticError) as exc:
                raise ValueError(f"column {column.column}: {exc}") from exc


def _planned(column: PlannedColumn, stands_for_it: bytes) -> bytes:
    if not stands_for_it:
        raise UnplannedError(f"column {column.column}: its value is not there, and the record cannot say so")
    return stands_for_it
