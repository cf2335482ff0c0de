"""Events as plain data on disk, every value as it was: what the log rows became, or what a processor made.

Shape: MessagePack. Extensions are numbers that only a :class:`~decimal.Decimal` holds exactly, integers beyond 64 bits,
text that is not valid Unicode, and values that are nested too deeply to be walked through, as JSON text. What has no
JSON form stays something that no sink can encode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from deltaforge.core.errors import StorageError, UnsupportedValueError
from deltaforge.core.event import ChangeEvent, Op, Origin, Routing, SourceInfo, Transaction
from deltaforge.core.exact_number import exact_number
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json, is_unicode
from deltaforge.core.table import TableSchema

_DECIMAL, _INTEGER, _TEXT, _NO_FORM, _JSON = 1, 2, 3, 4, 5
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_NAMES = frozenset({str})
_MIN, _MAX = -(1 << 63), (1 << 64) - 1


class NoJsonForm:
    """Stands for a value of an event that cannot be written as JSON: a sink refuses the event, as it did before."""


class SpooledEvent(msgspec.Struct, array_like=True):
    """A :class:`ChangeEvent`; ``schema`` is a place in the list of schemas beside it."""

    before: Any
    after: Any
    source: SourceInfo
    op: Op
    ts_ms: int
    transaction: Transaction | None
    event_id: str | None
    tenant_id: str | None
    schema_version: str | None
    schema_sequence: int | None
    ddl: Any
    trace_id: str | None
    tags: list[str] | None
    synthetic: str | None
    tx_end: bool
    schema: int | None
    routing: Routing | None
    zero_dates: dict[str, str] | None = None
    old_zero_dates: dict[str, str] | None = None
    origin: Origin | None = None


class SpooledEvents(msgspec.Struct, array_like=True, tag="events"):
    """Events that follow each other, with each of their table definitions once."""

    schemas: list[TableSchema]
    events: list[SpooledEvent]


def spooled_events(events: Iterable[ChangeEvent], *, looks_at_all: bool) -> SpooledEvents:
    """The plain form of events; they are not changed, and may be part of the result.

    Args:
        events: In log order.
        looks_at_all: Look into images whose values are all numbers and texts too: needed if the encoder finds a
            number or text among them that it cannot write.
    """
    schemas, found = _Schemas(), []
    for event in events:
        images = (_image(image, looks_at_all=looks_at_all) for image in (event.before, event.after, event.ddl))
        before, after, ddl = images
        found.append(
            SpooledEvent(
                before,
                after,
                event.source,
                event.op,
                event.ts_ms,
                event.transaction,
                event.event_id,
                event.tenant_id,
                event.schema_version,
                event.schema_sequence,
                ddl,
                event.trace_id,
                event.tags,
                event.synthetic,
                event.tx_end,
                schemas.place(event.schema),
                event.routing,
                event.zero_dates,
                event.old_zero_dates,
                event.origin,
            )
        )
    return SpooledEvents(schemas.all, found)


def restored_events(spooled: SpooledEvents) -> Sequence[ChangeEvent]:
    """The events again.

    Raises:
        StorageError: An event names a table definition that is not there.
    """
    schemas = spooled.schemas
    events = []
    for event in spooled.events:
        place = event.schema
        if place is not None and not 0 <= place < len(schemas):
            raise StorageError(f"a spooled event has table definition {place} of {len(schemas)}")
        events.append(
            ChangeEvent(
                before=event.before,
                after=event.after,
                source=event.source,
                op=event.op,
                ts_ms=event.ts_ms,
                transaction=event.transaction,
                event_id=event.event_id,
                tenant_id=event.tenant_id,
                schema_version=event.schema_version,
                schema_sequence=event.schema_sequence,
                ddl=event.ddl,
                trace_id=event.trace_id,
                tags=event.tags,
                synthetic=event.synthetic,
                tx_end=event.tx_end,
                schema=None if place is None else schemas[place],
                routing=event.routing,
                zero_dates=event.zero_dates,
                old_zero_dates=event.old_zero_dates,
                origin=event.origin,
            )
        )
    return events


def restored_value(code: int, data: memoryview) -> Any:
    """The value of an extension.

    Raises:
        ValueError, ArithmeticError, UnsupportedValueError: It is none of ours.
    """
    if code == _NO_FORM:
        return NoJsonForm()
    text = bytes(data).decode("utf-8", "surrogatepass")
    if code == _DECIMAL:
        return exact_number(text)
    if code == _INTEGER:
        return int(text, 16)
    if code == _TEXT:
        return text
    if code == _JSON:
        return parse_json_exact(text)
    raise ValueError(f"extension {code}")


class _Schemas:
    """Distinct table definitions in the order in which they were met."""

    def __init__(self) -> None:
        self.all: list[TableSchema] = []
        self._places: dict[TableSchema, int] = {}
        self._newest: tuple[TableSchema | None, int | None] = None, None

    def place(self, schema: TableSchema | None) -> int | None:
        if schema is not self._newest[0]:
            self._newest = schema, None if schema is None else self._find(schema)
        return self._newest[1]

    def _find(self, schema: TableSchema) -> int:
        place = self._places.setdefault(schema, len(self.all))
        if place == len(self.all):
            self.all.append(schema)
        return place


def _image(image: Any, *, looks_at_all: bool) -> Any:
    """An image in plain form; most are in plain form as they are."""
    if image is None:
        return None
    if not looks_at_all and type(image) is dict and _is_simple(image):
        return image
    if type(image) is not dict:
        return _plain_or_text(image)
    return {key: _plain_or_text(value) for key, value in map(_plain_name, image.items())}


def _plain_or_text(value: Any) -> Any:
    """A value in plain form, or as JSON text if it is too deep to walk through."""
    try:
        return _plain(value)
    except RecursionError:
        pass
    try:
        return msgspec.msgpack.Ext(_JSON, encode_json(value))
    except ValueError:
        return _extension(_NO_FORM, "")


def _is_simple(image: dict[Any, Any]) -> bool:
    return _NAMES.issuperset(map(type, image)) and _SIMPLE.issuperset(map(type, image.values()))


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _plain(item) for key, item in map(_plain_name, value.items())}
    if kind is list:
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return _extension(_DECIMAL, str(value))
    if kind is int and not _MIN <= value <= _MAX:
        return _extension(_INTEGER, f"{value:x}")
    if kind is str:
        return value if is_unicode(value) else _extension(_TEXT, value)
    if kind in _SIMPLE:
        return value
    if kind is NoJsonForm:
        return _extension(_NO_FORM, "")
    try:
        return _plain(parse_json_exact(encode_json(value).decode()))
    except (ValueError, UnsupportedValueError):
        return _extension(_NO_FORM, "")


def _plain_name(item: tuple[Any, Any]) -> tuple[Any, Any]:
    name = item[0]
    if type(name) is str and is_unicode(name):
        return item
    if type(name) is int and _MIN <= name <= _MAX:
        return item
    return ascii(name), NoJsonForm()  # no sink can write this object


def _extension(code: int, text: str) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, text.encode("utf-8", "surrogatepass"))
