"""JSON: compact, UTF-8, one line; numbers of any size are written exactly."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from deltaforge.config.model import StrictModel
from deltaforge.core.batch import EventEncoder
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_text import encode_json
from deltaforge.envelopes.base import Envelope


class JsonEncodingSpec(StrictModel):
    """JSON text."""

    type: Literal["json"] = "json"

    def build(self, envelope: Envelope) -> EventEncoder:
        """An encoder of documents of that envelope."""
        return JsonEncoder(envelope)


class JsonEncoder:
    """Encodes events as JSON (``application/json``). Line ends in text are escaped: a value is one line."""

    def __init__(self, envelope: Envelope) -> None:
        self.identity: Hashable = ("json", *envelope.identity)
        self._document = envelope.document

    def encode(self, event: ChangeEvent) -> bytes:
        try:
            return encode_json(self._document(event))
        except (ValueError, OverflowError) as exc:
            raise RecordError(
                f"cannot encode an event of {event.source.qualified_table} as JSON: {exc}",
                index=0,
                event_id=event.event_id,
            ) from exc
