"""The ``cloudevents`` envelope: CloudEvents 1.0 in structured JSON (contract 03 section 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from pydantic import Field

from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import idempotency_key
from deltaforge.envelopes.base import EnvelopeSettings

_SUFFIXES = {"c": "created", "u": "updated", "d": "deleted", "r": "snapshot", "t": "truncated"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CloudEventsEnvelopeSpec(EnvelopeSettings):
    """CloudEvents 1.0 around the row images."""

    type: Literal["cloudevents"]
    type_prefix: str = Field(min_length=1, description="Beginning of `type`, e.g. `com.acme.shop` → `….created`.")
    include_nulls: bool = Field(
        False,
        description="Write an absent `before` or `after` as null instead of leaving it out.",
    )

    def build(self) -> CloudEventsEnvelope:
        """The envelope of these settings."""
        return CloudEventsEnvelope(self.type_prefix, include_nulls=self.include_nulls)


class CloudEvent(msgspec.Struct, kw_only=True):
    """The attributes of one event, in wire order."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    time: str
    datacontenttype: str = "application/json"
    subject: str
    data: dict[str, Any]


class CloudEventsEnvelope:
    """Names the change in CloudEvents attributes and puts the row images into ``data``.

    An event without an id gets its idempotency key: the attribute is not optional.
    """

    def __init__(self, type_prefix: str, *, include_nulls: bool) -> None:
        self.identity = ("cloudevents", type_prefix, str(include_nulls))
        self._types = {op: f"{type_prefix}.{suffix}" for op, suffix in _SUFFIXES.items()}
        self._include_nulls = include_nulls

    def document(self, event: ChangeEvent) -> CloudEvent:
        table = event.source.qualified_table
        return CloudEvent(
            id=event.event_id or idempotency_key(event),
            source=f"deltaforge/{event.source.name}/{table}",
            type=self._types[event.op],
            time=_rfc3339(event.ts_ms),
            subject=table,
            data=self._data(event),
        )

    def _data(self, event: ChangeEvent) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if event.before is not None or self._include_nulls:
            data["before"] = event.before
        if event.after is not None or self._include_nulls:
            data["after"] = event.after
        data["op"] = event.op
        return data


def _rfc3339(ts_ms: int) -> str:
    """UTC with three fraction digits and ``Z``."""
    return (_EPOCH + timedelta(milliseconds=ts_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
