"""What the logs in this process say of themselves. With one log its figures are those of the pipeline; with shards each
has figures of its own, and those of the pipeline are made of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltaforge.config.secret import redacted
from deltaforge.core.lanes import Lane
from deltaforge.core.positions import encode_position
from deltaforge.runtime import lane_status
from deltaforge.runtime.delivery import Delivery
from deltaforge.runtime.source import LogPartition
from deltaforge.sources.reader_status import ReaderStatus


@dataclass(frozen=True)
class LogStatus:
    """One log, now."""

    shard: str
    source: LogPartition
    reader: ReaderStatus
    failure: str | None

    @property
    def is_away(self) -> bool:
        """Whether it is read by nobody, and should be: it is being connected to, or cannot be read any more."""
        return self.failure is not None or not self.reader.connected

    @property
    def state(self) -> str:
        """``starting``, ``running``, ``paused``, ``reconnecting``, or ``failed``: reading ended for good."""
        if self.failure is not None:
            return "failed"
        if not self.reader.connected and self.reader.last_error:
            return "reconnecting"
        if not self.source.has_begun:
            return "starting"
        return "paused" if self.reader.paused else "running"


def of_logs(sources: Mapping[str, LogPartition], shards: Sequence[str]) -> list[LogStatus]:
    """Those that are here by now, in the order of the document."""
    found = [(shard, source) for shard in shards if (source := sources.get(shard)) is not None]
    return [_status(shard, source) for shard, source in found]


def _status(shard: str, source: LogPartition) -> LogStatus:
    failure = source.reader.failure
    return LogStatus(shard, source, source.reader.status(), None if failure is None else redacted(str(failure)))


def are_connected(logs: Sequence[LogStatus]) -> bool:
    """Whether everything that can be read is; one that stands is spoken of by itself."""
    readable = [each for each in logs if each.failure is None]
    return bool(readable) and all(each.reader.connected for each in readable)


def state_of(logs: Sequence[LogStatus]) -> str:
    """``starting``, ``running`` or ``paused``: of a pipeline that is not about to end. Shards that cannot be read hold
    up no others.
    """
    started = [each for each in logs if each.source.has_begun]
    if not started:
        return "starting"
    return "paused" if all(each.reader.paused for each in started) else "running"


def lag_seconds(reader: ReaderStatus) -> float | None:
    """Now minus the commit time of the newest event read; None before the first."""
    if reader.last_event_ts_ms is None:
        return None
    return round(max(0.0, time.time() - reader.last_event_ts_ms / 1000), 3)


def longest_lag(logs: Sequence[LogStatus]) -> float | None:
    """The longest of those that are known."""
    return max((lag for each in logs if (lag := lag_seconds(each.reader)) is not None), default=None)


def lag_bytes(log: LogStatus, deliveries: Mapping[Lane, Delivery]) -> int | None:
    """Bytes of log behind the position of the slowest sink of its lanes; None when they are not known."""
    lanes = {lane: delivery for lane, delivery in list(deliveries.items()) if lane.shard == log.shard}
    end = log.reader.log_end
    found = [found.position.bytes_to(end) if end else None for _, found in lane_status.checkpoints(lanes)]
    known = [count for count in found if count is not None]
    return max(known) if known and len(known) == len(found) else None


def bytes_behind(logs: Sequence[LogStatus], deliveries: Mapping[Lane, Delivery]) -> int | None:
    """The same of all logs together; None as soon as it is not known of one."""
    found = [lag_bytes(each, deliveries) for each in logs]
    known = [count for count in found if count is not None]
    return sum(known) if known and len(known) == len(found) else None


def source_view(log: LogStatus | None) -> dict[str, Any]:
    """Where a log is read, as plain JSON values."""
    reader = log.reader if log else None
    return {
        "position": reader.position.view() if reader and reader.position else None,
        "log_end": encode_position(reader.log_end).decode() if reader and reader.log_end else None,
        "last_error": redacted(reader.last_error) if reader and reader.last_error else None,
        "reconnects": reader.reconnects if reader else 0,
        "unmatched_patterns": reader.unmatched_patterns if reader else {},
    }


def shards_view(logs: Sequence[LogStatus], deliveries: Mapping[Lane, Delivery]) -> dict[str, Any]:
    """The source of a pipeline with shards: none of it has a position of its own."""
    errors = [f"shard {each.shard}: {each.reader.last_error}" for each in logs if each.reader.last_error]
    return {
        "position": None,
        "log_end": None,
        "last_error": redacted("; ".join(errors)) if errors else None,
        "reconnects": sum(each.reader.reconnects for each in logs),
        "unmatched_patterns": {
            f"{each.shard}: {pattern}": why for each in logs for pattern, why in each.reader.unmatched_patterns.items()
        },
        "shards": [_shard_view(each, deliveries) for each in logs],
    }


def _shard_view(log: LogStatus, deliveries: Mapping[Lane, Delivery]) -> dict[str, Any]:
    behind = lag_bytes(log, deliveries)
    return {
        "id": log.shard,
        "state": log.state,
        "connected": log.reader.connected,
        **source_view(log),
        "events_read": log.reader.events_read,
        "lag_seconds": lag_seconds(log.reader),
        **({} if behind is None else {"lag_bytes": behind}),
    }
