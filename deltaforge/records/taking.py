"""The steps of a plan, taken in Python: what the kernel's way is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from deltaforge.core.encoded import EncodedMessage
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, Origin, RowImage
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.facts import fact_of
from deltaforge.records.plan import Bytes, Fact, FactStep, IfTransaction, ImageStep, PlannedColumn, RecordPlan, Step
from deltaforge.records.values import converted
from deltaforge.records.writers import AvroWriter, JsonWriter, ValueWriter, java_float

_WRITERS: dict[str, ValueWriter] = {"json": JsonWriter(), "avro": AvroWriter()}


class UnplannedError(ValueError):
    """The plan has no bytes for an event: a value is not there, and the record cannot say so."""


NEW_KEY, OLD_KEY = "__debezium.newkey", "__debezium.oldkey"
"""Headers of the delete and of the insert that an update of the key is made of."""


def messages_of(plan: RecordPlan, event: ChangeEvent, now_ns: int = 0) -> list[EncodedMessage]:
    """The messages of an event that was received at ``now_ns``: usually one.

    Raises:
        ValueError: As :func:`value_of` and :func:`key_of`, or a row has columns that its table does not have.
    """
    _check_columns(plan, event)
    if event.op == "t":
        return (
            [] if "t" in plan.skipped_ops else [EncodedMessage(None, value_of(plan, event, now_ns), dict(plan.headers))]
        )
    if event.op == "u" and event.before is not None:
        if plan.skips_unchanged and _is_unchanged(plan, event.before, event.after or {}):
            return []
        parts = _key_change(plan, event, event.before)
        if parts is not None:
            (deleted, before), (inserted, after) = parts
            return [
                *_of_row(plan, deleted, now_ns, {NEW_KEY: after}),
                *_of_row(plan, inserted, now_ns, {OLD_KEY: before}),
            ]
    return [] if event.op in plan.skipped_ops else _of_row(plan, event, now_ns, {})


def _check_columns(plan: RecordPlan, event: ChangeEvent) -> None:
    if plan.table_columns is None:
        return
    for image in (event.before, event.after):
        if image is not None and not plan.table_columns.issuperset(image):
            names = ", ".join(sorted(set(image) - plan.table_columns))
            raise ValueError(f"columns {names}: its table has none of that name; take an envelope without a schema")


def _of_row(plan: RecordPlan, event: ChangeEvent, now_ns: int, headers: dict[str, bytes]) -> list[EncodedMessage]:
    headers = {**(headers if plan.header_key is not None else {}), **dict(plan.headers)}
    key = key_of(plan, key_image(event))
    found = [EncodedMessage(key, value_of(plan, event, now_ns), headers)]
    if event.op == "d" and plan.marks_deletes:
        found.append(EncodedMessage(key, None, headers))
    return found


_Part = tuple[ChangeEvent, bytes]


def _key_change(plan: RecordPlan, event: ChangeEvent, before: RowImage) -> tuple[_Part, _Part] | None:
    """An update of the key as a delete and an insert, each with the key of its row as JSON; None: it is none, or the
    log does not hold the old key.
    """
    if not plan.splits_key_changes or plan.key is None:
        return None
    try:
        old = key_of(plan, before)
    except UnplannedError:
        return None
    if old == key_of(plan, key_image(event)):
        return None
    deleted = msgspec.structs.replace(event, op="d", after=None)
    inserted = msgspec.structs.replace(event, op="c", before=None, origin=_next_place(event.origin))
    return (deleted, _header_key(plan, before)), (inserted, _header_key(plan, key_image(event)))


def _next_place(origin: Origin | None) -> Origin | None:
    """Where the insert of a split update stands in its transaction: behind the delete."""
    if origin is None or origin.total_order is None or origin.table_order is None:
        return origin
    return msgspec.structs.replace(origin, total_order=origin.total_order + 1, table_order=origin.table_order + 1)


class _HeaderWriter(JsonWriter):
    """What Connect writes of structs into headers. It is not always JSON: moments are bare, and of the letters of texts
    only quotes and backslashes are escaped.
    """

    def value(self, conversion: Conversion, value: Any) -> bytes:
        if conversion.form is Form.HEADER_MOMENT:
            return str(value).encode()
        if conversion.form is Form.DECIMAL:
            number = int.from_bytes(value, "big", signed=True)
            digits = tuple(map(int, str(abs(number))))
            return str(Decimal((int(number < 0), digits, -conversion.scale))).encode()
        if isinstance(value, float):
            return java_float(value).encode()
        if isinstance(value, str):
            return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
        return super().value(conversion, value)


def _header_key(plan: RecordPlan, image: RowImage) -> bytes:
    return b"{" + b"".join(_columns(plan.header_key or (), image, _HeaderWriter())) + b"}"


def _is_unchanged(plan: RecordPlan, before: RowImage, after: RowImage) -> bool:
    """Whether all columns of the record are as before; one that the log does not hold may have changed."""
    names = [column.column for column in plan.columns]
    return all(name in before and name in after and _is_same(before[name], after[name]) for name in names)


def _is_same(old: Any, new: Any) -> bool:
    return bool(old == new) and old != UNCHANGED_TOAST


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
        raise UnplannedError(
            f"column {column.column}: its value is not there, and the record cannot say so; reload the "
            "definition of the table, or on MySQL set binlog_row_image to FULL"
        )
    return stands_for_it
