"""JSON: compact, UTF-8, one line; numbers of any size are written exactly."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.core.batch import EventEncoder, EventGroup
from deltaforge.core.encoded import NO_RULES, EncodedList, EncodedMessage, EncodedValues, MessageRules
from deltaforge.core.errors import RecordError, SpecError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_text import encode_json
from deltaforge.core.key_changes import split_key_change
from deltaforge.core.routing import row_key_bytes
from deltaforge.envelopes.base import Envelope, RecordForm
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import EncodedEvents, JsonForm


class JsonEncodingSpec(StrictModel):
    """JSON text."""

    type: Literal["json"] = "json"
    schemas: Literal["none", "inline"] = Field(
        "none",
        description="With the connect dialect: `inline` writes each message as `{schema, payload}`, as Kafka Connect's "
        "JsonConverter does with `schemas.enable`.",
    )
    replace_null_with_default: bool = Field(
        False,
        description="With the connect dialect: write NULL as the default of its column, as Kafka Connect's "
        "JsonConverter does unasked; then nobody can tell the two apart.",
    )

    def build(self, envelope: Envelope | RecordForm, rules: MessageRules = NO_RULES) -> EventEncoder:
        """An encoder of documents of that envelope.

        Raises:
            SpecError: The settings are of another envelope.
        """
        if isinstance(envelope, RecordForm):
            from deltaforge.encodings.records import JsonRecordEncoder

            return JsonRecordEncoder(envelope, self.schemas, rules, defaults_for_null=self.replace_null_with_default)
        for name in sorted(set(self.model_dump(exclude_defaults=True)) - {"type"}):
            raise SpecError(
                f"encoding.{name} is of records alone", hint="write envelope: {type: debezium, dialect: connect}"
            )
        return JsonEncoder(envelope, rules)


class JsonEncoder:
    """Encodes events as JSON. Line ends in text are escaped: a value is one line."""

    content_type = "application/json"

    def __init__(self, envelope: Envelope, rules: MessageRules = NO_RULES) -> None:
        self._tombstones, self._splits = bool(rules.tombstones), bool(rules.splits_key_changes)
        self.identity: Hashable = ("json", *envelope.identity, self._tombstones, self._splits)
        self._document = envelope.document
        self.form = _compiled_form(envelope.identity, marks_deletes=self._tombstones, splits_key_changes=self._splits)

    def encode(self, event: ChangeEvent) -> bytes:
        try:
            return encode_json(self._document(event))
        except (ValueError, OverflowError) as exc:
            raise RecordError(
                f"cannot encode an event of {event.source.qualified_table} as JSON: {exc}",
                index=0,
                event_id=event.event_id,
            ) from exc

    def encode_groups(self, groups: Sequence[EventGroup], now_ns: int = 0) -> EncodedValues:
        del now_ns  # no document says when it was made
        if compiled is None or self.form is None:
            return self.encode_each(groups)
        values, groups, at, row = compiled.EncodedEvents(), list(groups), 0, 0
        while True:
            at, row = values.extend(groups, at, row, self.form)
            if at == len(groups):
                return values
            group = groups[at]  # what the kernel leaves to Python: one row, or a group that is not its own
            events: Sequence[ChangeEvent]
            if isinstance(group, compiled.RowGroup):
                events, row = [group.event(row)], row + 1
            else:
                events, at, row = group.events(), at + 1, 0
            for event in events:
                parts = self._parts(event, values.event_count)
                try:
                    keys = [row_key_bytes(part, 0) for part, _ in parts]
                except RecordError:  # of those alone who ask for its key
                    return self.encode_each(groups)
                _append(values, keys, [value for _, value in parts])

    def encode_each(self, groups: Sequence[EventGroup]) -> EncodedList:
        """As :meth:`encode_groups`, by Python alone."""
        values, events, places = list[bytes | None](), list[ChangeEvent](), list[int]()
        for index, event in enumerate(event for group in groups for event in group.events()):
            for part, value in self._parts(event, index):
                values.append(value)
                events.append(part)
                places.append(index)
        return EncodedList(values, events, places)

    def _parts(self, event: ChangeEvent, index: int) -> list[tuple[ChangeEvent, bytes | None]]:
        """The messages of the event at ``index``: the event whose key each has, and its value."""
        parts: list[tuple[ChangeEvent, bytes | None]] = []
        try:
            for part in (self._splits and split_key_change(event)) or (event,):
                parts.append((part, self.encode(part)))
                if self._tombstones and part.op == "d":
                    parts.append((part, None))
        except RecordError as error:
            error.index = index
            raise
        return parts


def _append(values: EncodedEvents, keys: list[bytes], found: list[bytes | None]) -> None:
    if len(found) == 1 and found[0] is not None:
        values.append(found[0], keys[0])
    else:
        values.append_messages(list(map(EncodedMessage, keys, found)))


def _compiled_form(identity: tuple[str, ...], *, marks_deletes: bool, splits_key_changes: bool) -> JsonForm | None:
    """The envelope as the kernel knows it; None if it does not."""
    if compiled is None:
        return None
    match identity:
        case ("native" | "debezium" as name,):
            return compiled.JsonForm(name, b"", False, marks_deletes, splits_key_changes)
        case ("cloudevents", prefix, include_nulls):
            type_prefix = encode_json(prefix)[1:-1]
            return compiled.JsonForm(
                "cloudevents", type_prefix, include_nulls == "True", marks_deletes, splits_key_changes
            )
    return None
