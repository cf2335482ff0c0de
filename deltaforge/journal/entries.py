"""One entry of the dead letter queue: what is stored, what is shown, and the way back to an event."""

from __future__ import annotations

from typing import Any

import msgspec

from deltaforge.core.errors import StorageError, UnsupportedValueError
from deltaforge.core.event import ChangeEvent, Origin, Routing, SourceInfo
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json
from deltaforge.core.table import TableSchema
from deltaforge.envelopes.native import NativeDocument, NativeEnvelope
from deltaforge.storage.base import QueueEntry

STREAM = "dlq"
_CURSOR_KEYS = ("server_id", "gtid", "file", "pos", "row", "lsn", "txId")
_IMAGES = ("before", "after")
_document = NativeEnvelope().document


class Meta(msgspec.Struct):
    """Which sink could not take the event, and why. ``attempts`` counts the writes of it that were refused."""

    sink_id: str
    error_kind: str
    error_message: str
    attempts: int = 1


MAX_BRACKETS = 200
"""An event whose JSON has more is stored as text: readers of JSON go down with every level, and only so deep."""


class Entry(msgspec.Struct):
    """An entry as it is stored. ``event`` is native JSON, on disk also as a JSON string; ``schema``, ``routing``,
    ``zero_dates`` and ``origin`` are for a retry, never shown.
    """

    timestamp: int
    pipeline: str
    event_id: str | None
    source_cursor: dict[str, Any] | None
    event: msgspec.Raw
    payload_truncated: bool
    meta: Meta
    schema: TableSchema | None = None
    routing: Routing | None = None
    zero_dates: dict[str, str] | None = None
    origin: Origin | None = None

    @property
    def identity(self) -> tuple[str, str] | None:
        """Equal for the same failure read again from the log; None for events without an id."""
        return (self.meta.sink_id, self.event_id) if self.event_id else None


class EntryView(msgspec.Struct):
    """An entry as it is shown, in the order of the contract."""

    seq: int
    timestamp: int
    pipeline: str
    stream: str
    event_id: str | None
    source_cursor: dict[str, Any] | None
    event: msgspec.Raw
    payload_truncated: bool
    meta: Meta


_decode = msgspec.json.Decoder(Entry).decode


def entry_of(event: ChangeEvent, meta: Meta, *, pipeline: str, max_bytes: int, now: int) -> Entry:
    """The entry of an event that failed alone.

    Args:
        event: What failed.
        meta: Where and why.
        pipeline: Its name.
        max_bytes: Bytes of the event's JSON beyond which its images are cut.
        now: Unix seconds.
    """
    text, is_cut = _text(event, max_bytes)
    if text.count(b"[") + text.count(b"{") > MAX_BRACKETS:
        text = encode_json(text.decode())
    schema, routing = event.schema, event.routing
    if not _has_json_form([schema, routing]):
        schema, routing, is_cut = None, None, True  # it could not be delivered again as it was
    return Entry(
        timestamp=now,
        pipeline=pipeline,
        event_id=event.event_id,
        source_cursor=_cursor(event.source),
        event=msgspec.Raw(text),
        payload_truncated=is_cut,
        meta=meta,
        schema=schema,
        routing=routing,
        zero_dates=event.zero_dates,
        origin=event.origin,
    )


def decode_entry(stored: QueueEntry) -> Entry:
    """The entry in a storage's queue.

    Raises:
        StorageError: It is not one.
    """
    try:
        entry = _decode(stored.val)
        if bytes(memoryview(entry.event)[:1]) == b'"':
            entry.event = msgspec.Raw(msgspec.json.decode(entry.event, type=str))
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise StorageError(f"dead letter {stored.id} cannot be read: {exc}") from exc
    return entry


def view_of(seq: int, entry: Entry) -> EntryView:
    """What people see of an entry."""
    return EntryView(
        seq,
        entry.timestamp,
        entry.pipeline,
        STREAM,
        entry.event_id,
        entry.source_cursor,
        entry.event,
        entry.payload_truncated,
        entry.meta,
    )


def event_of(entry: Entry) -> ChangeEvent:
    """The event again, as it was handed to the sink.

    Raises:
        StorageError: The entry was cut, or is no event.
    """
    if entry.payload_truncated:
        raise StorageError("the event was truncated and cannot be delivered again: its images were not kept")
    try:
        values = parse_json_exact(bytes(entry.event).decode())
        event = msgspec.convert(values, ChangeEvent)
    except (ValueError, msgspec.MsgspecError, RecursionError, UnsupportedValueError) as exc:
        raise StorageError(f"the stored event cannot be read: {exc}") from exc
    event.schema, event.routing, event.zero_dates = entry.schema, entry.routing, entry.zero_dates
    event.origin = entry.origin
    return event


def _text(event: ChangeEvent, max_bytes: int) -> tuple[bytes, bool]:
    """The event's JSON, and whether its images were cut out of it."""
    document = _document(event)
    try:
        text = encode_json(document)
    except ValueError as exc:
        return _cut(document, f"[truncated: the event has no JSON form: {exc}]")
    if len(text) <= max_bytes:
        return text, False
    return _cut(document, f"[truncated: {len(text)} bytes of JSON, more than max_event_bytes {max_bytes}]")


def _cut(document: NativeDocument, notice: str) -> tuple[bytes, bool]:
    fields = {name: getattr(document, name) for name in document.__struct_fields__}
    is_set = {name: value for name, value in fields.items() if value is not None and value is not False}
    kept = {name: value for name, value in is_set.items() if name in _IMAGES or _has_json_form(value)}
    return encode_json({**kept, "before": notice, "after": notice}), True


def _has_json_form(value: Any) -> bool:
    try:
        encode_json(value)
    except ValueError:
        return False
    return True


def _cursor(source: SourceInfo) -> dict[str, Any] | None:
    """The place of the event in its log."""
    found = {key: getattr(source, key) for key in _CURSOR_KEYS}
    return {key: value for key, value in found.items() if value is not msgspec.UNSET} or None
