"""The ``native`` envelope: the event object itself (contract 03 section 1)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from deltaforge.core.event import ChangeEvent, Op, RowImage, SourceInfo, Transaction
from deltaforge.envelopes.base import EnvelopeSettings


class NativeEnvelopeSpec(EnvelopeSettings):
    """The event itself, without anything around it."""

    type: Literal["native"] = "native"

    def build(self) -> NativeEnvelope:
        """The envelope; it has no settings."""
        return NativeEnvelope()


class NativeDocument(msgspec.Struct, omit_defaults=True):
    """An event as readers see it, in wire order: what is not set has no key, ``before`` and ``after`` always have."""

    before: RowImage | None
    after: RowImage | None
    source: SourceInfo
    op: Op
    ts_ms: int
    transaction: Transaction | None = None
    event_id: str | None = None
    tenant_id: str | None = None
    schema_version: str | None = None
    schema_sequence: int | None = None
    ddl: dict[str, Any] | None = None
    trace_id: str | None = None
    tags: list[str] | None = None
    synthetic: str | None = None
    tx_end: bool = False


class NativeEnvelope:
    """Leaves ``schema`` and ``routing`` behind, which are never on the wire."""

    identity = ("native",)

    def document(self, event: ChangeEvent) -> NativeDocument:
        return NativeDocument(
            event.before,
            event.after,
            event.source,
            event.op,
            event.ts_ms,
            event.transaction,
            event.event_id,
            event.tenant_id,
            event.schema_version,
            event.schema_sequence,
            event.ddl,
            event.trace_id,
            event.tags,
            event.synthetic,
            event.tx_end,
        )
