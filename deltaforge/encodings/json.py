"""JSON: compact, UTF-8, one line; numbers of any size are written exactly."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.core.batch import EncodedValues, EventEncoder, EventGroup, encode_each
from deltaforge.core.errors import RecordError, SpecError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_text import encode_json
from deltaforge.core.routing import row_key_bytes
from deltaforge.encodings.records import JsonRecordEncoder
from deltaforge.envelopes.base import Envelope, RecordForm
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import JsonForm


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

    def build(self, envelope: Envelope | RecordForm) -> EventEncoder:
        """An encoder of documents of that envelope.

        Raises:
            SpecError: The settings are of another envelope.
        """
        if isinstance(envelope, RecordForm):
            return JsonRecordEncoder(envelope, self.schemas, defaults_for_null=self.replace_null_with_default)
        for name in sorted(self.model_fields_set - {"type"}):
            raise SpecError(
                f"encoding.{name} is of records alone", hint="write envelope: {type: debezium, dialect: connect}"
            )
        return JsonEncoder(envelope)


class JsonEncoder:
    """Encodes events as JSON. Line ends in text are escaped: a value is one line."""

    content_type = "application/json"

    def __init__(self, envelope: Envelope) -> None:
        self.identity: Hashable = ("json", *envelope.identity)
        self._document = envelope.document
        self.form = _compiled_form(envelope.identity)

    def encode(self, event: ChangeEvent) -> bytes:
        try:
            return encode_json(self._document(event))
        except (ValueError, OverflowError) as exc:
            raise RecordError(
                f"cannot encode an event of {event.source.qualified_table} as JSON: {exc}",
                index=0,
                event_id=event.event_id,
            ) from exc

    def encode_groups(self, groups: Sequence[EventGroup]) -> EncodedValues:
        if compiled is None or self.form is None:
            return encode_each(self, groups)
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
                try:
                    value = self.encode(event)
                except RecordError as error:
                    error.index = len(values)
                    raise
                try:
                    values.append(value, row_key_bytes(event, 0))
                except RecordError:  # of those alone who ask for its key
                    return encode_each(self, groups)


def _compiled_form(identity: tuple[str, ...]) -> JsonForm | None:
    """The envelope as the kernel knows it; None if it does not."""
    if compiled is None:
        return None
    match identity:
        case ("native" | "debezium" as name,):
            return compiled.JsonForm(name)
        case ("cloudevents", prefix, include_nulls):
            return compiled.JsonForm("cloudevents", encode_json(prefix)[1:-1], include_nulls == "True")
    return None
