"""The ``encoding`` part of a sink, and how it meets the ``envelope``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from deltaforge.core.batch import EventEncoder
from deltaforge.core.encoded import NO_RULES, MessageRules
from deltaforge.encodings.avro import AvroEncodingSpec
from deltaforge.encodings.base import DestinationEncoder
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.json_schema import JsonSchemaEncodingSpec
from deltaforge.envelopes.base import EnvelopeSpec


def _tagged(value: Any) -> Any:
    """The bare name of an encoding means that encoding without settings."""
    if value in ("avro", "json_schema"):
        raise ValueError(f"{value} needs a schema registry URL: write {{type: {value}, schema_registry_url: …}}")
    return {"type": value} if isinstance(value, str) else value


AnyEncoding = Annotated[
    Annotated[JsonEncodingSpec | AvroEncodingSpec | JsonSchemaEncodingSpec, Field(discriminator="type")],
    BeforeValidator(_tagged),
]
"""The ``encoding`` of a sink: ``json``, or with a ``schema_registry_url`` ``avro`` or ``json_schema``."""


def build_encoder(
    envelope: EnvelopeSpec,
    encoding: JsonEncodingSpec | AvroEncodingSpec | JsonSchemaEncodingSpec,
    rules: MessageRules = NO_RULES,
) -> EventEncoder | DestinationEncoder:
    """What makes the messages of a sink: the event in its envelope, encoded.

    Raises:
        SpecError: The encoding is not available in this version.
    """
    return encoding.build(envelope.build(), rules)
