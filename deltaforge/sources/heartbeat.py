"""Heartbeats: events that say that a log is read, also while it brings no rows."""

from __future__ import annotations

import time

from deltaforge.core.batch import DecodedGroup
from deltaforge.core.event import ChangeEvent, EventIds, Origin, SourceInfo
from deltaforge.sources.base import SourceConfig, SourceContext
from deltaforge.sources.batching import TransactionBatcher


class Heartbeats:
    """Puts heartbeats between two transactions. They stand nowhere in the log and move no position.

    Args:
        config: Says how often.
        context: Says whether a sink asks for them.
        source: What is equal in all events of the source.
    """

    def __init__(self, config: SourceConfig, context: SourceContext, source: SourceInfo) -> None:
        is_asked = "heartbeat" in context.asked
        self._interval_secs = config.heartbeat_interval_ms / 1000 if is_asked else 0.0
        self._source, self._tenant = source, context.tenant
        self._count = context.metrics.notices.labels(context.pipeline, config.id, "heartbeat")
        self._next_at = 0.0

    def beat(self, batcher: TransactionBatcher, now: float) -> None:
        """Add one to what leaves next, if it is time for it. No transaction is open."""
        if not self._interval_secs or now < self._next_at:
            return
        self._next_at = now + self._interval_secs
        batcher.add(DecodedGroup([self._event()]), 0, now)
        batcher.end_transaction(now)
        self._count.inc()

    def _event(self) -> ChangeEvent:
        at_ms = time.time_ns() // 1_000_000
        source = SourceInfo(
            version=self._source.version,
            connector=self._source.connector,
            name=self._source.name,
            ts_ms=at_ms,
            db=self._source.db,
            table="",
        )
        ids = EventIds.of(source.connector, source.name, f"heartbeat|{at_ms}")
        return ChangeEvent(
            before=None,
            after=None,
            source=source,
            op="c",
            ts_ms=at_ms,
            event_id=ids.at(0),
            tenant_id=self._tenant,
            origin=Origin(ts_us=at_ms * 1000, notice="heartbeat"),
        )
