"""Document part of the ``outbox`` processor. Known to the document; not built in this version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.core.template import Template


class OutboxColumns(StrictModel):
    """Names of the columns of an outbox table."""

    payload: str = Field("payload", description="The message itself.")
    aggregate_type: str = Field("aggregate_type", description="Kind of the thing that the message is about.")
    aggregate_id: str = Field("aggregate_id", description="Its identity; the message key by default.")
    event_type: str = Field("event_type", description="What happened to it.")
    topic: str = Field("topic", description="Destination of this one message.")
    event_id: str = Field("id", description="Identity of the message.")


class OutboxProcessorSpec(StrictModel):
    """Turns rows of an outbox table into the messages they hold."""

    type: Literal["outbox"]
    id: str = Field("outbox", min_length=1, description="Unique in the pipeline.")
    tables: list[TablePattern] = Field(default_factory=list, description="Outbox tables; empty: all tagged events.")
    topic: str | None = Field(None, description="Template over the columns of the outbox row.")
    default_topic: str | None = Field(None, description="When neither template nor column gives a topic.")
    key: str | None = Field(None, description="Template of the key; absent: the aggregate id.")
    raw_payload: bool = Field(False, description="Deliver the payload alone, without an envelope.")
    strict: bool = Field(False, description="Fail the batch when topic, payload or an aggregate column is missing.")
    columns: OutboxColumns = Field(default_factory=OutboxColumns, description="Names of the columns.")
    additional_headers: dict[str, str] = Field(default_factory=dict, description="Header name → column.")

    @field_validator("topic", "key")
    @classmethod
    def _is_template(cls, text: str | None) -> str | None:
        if text is not None:
            Template.parse(text)
        return text
