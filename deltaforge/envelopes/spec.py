"""The ``envelope`` part of a sink: which envelopes a document may name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from deltaforge.envelopes.cloudevents import CloudEventsEnvelopeSpec
from deltaforge.envelopes.debezium import DebeziumEnvelopeSpec
from deltaforge.envelopes.native import NativeEnvelopeSpec


def _tagged(value: Any) -> Any:
    """The bare name of an envelope means that envelope without settings."""
    return {"type": value} if isinstance(value, str) else value


AnyEnvelope = Annotated[
    Annotated[
        NativeEnvelopeSpec | DebeziumEnvelopeSpec | CloudEventsEnvelopeSpec,
        Field(discriminator="type"),
    ],
    BeforeValidator(_tagged),
]
"""The ``envelope`` of a sink: ``native``, ``debezium`` or ``{type: cloudevents, type_prefix: …}``."""
