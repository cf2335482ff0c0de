"""The ``debezium`` envelope: ``{"schema":null,"payload":<event>}``, the schemaless form."""

from __future__ import annotations

from typing import Literal

import msgspec

from deltaforge.config.model import StrictModel
from deltaforge.core.event import ChangeEvent
from deltaforge.envelopes.native import NativeDocument, NativeEnvelope


class DebeziumEnvelopeSpec(StrictModel):
    """The form that readers of Debezium topics know, without schemas."""

    type: Literal["debezium"] = "debezium"

    def build(self) -> DebeziumEnvelope:
        """The envelope; it has no settings."""
        return DebeziumEnvelope()


class DebeziumDocument(msgspec.Struct):
    """A native document as the payload of a message without a schema."""

    schema: None
    payload: NativeDocument


class DebeziumEnvelope:
    """Wraps the native document."""

    identity = ("debezium",)

    def __init__(self) -> None:
        self._payload = NativeEnvelope().document

    def document(self, event: ChangeEvent) -> DebeziumDocument:
        return DebeziumDocument(None, self._payload(event))
