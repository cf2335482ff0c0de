"""What is known of an event beside its images, for records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from deltaforge.core.event import ChangeEvent
from deltaforge.records.plan import Fact


def fact_of(event: ChangeEvent, fact: Fact) -> Any:
    """The value of a fact; None: the event has none."""
    value = _FACTS[fact](event)
    return None if value is UNSET else value


_FACTS: dict[Fact, Callable[[ChangeEvent], Any]] = {
    Fact.OP: lambda event: event.op,
    Fact.TS_MS: lambda event: event.source.ts_ms,
    Fact.NOW_MS: lambda _: time.time_ns() // 1_000_000,
    Fact.NOW_US: lambda _: time.time_ns() // 1_000,
    Fact.NOW_NS: lambda _: time.time_ns(),
    Fact.SNAPSHOT: lambda event: event.source.snapshot,
    Fact.SERVER_ID: lambda event: event.source.server_id,
    Fact.GTID: lambda event: event.source.gtid,
    Fact.BINLOG_FILE: lambda event: event.source.file,
    Fact.BINLOG_END: lambda event: event.source.pos,
    Fact.BINLOG_ROW: lambda event: event.source.row,
    Fact.TX_ID: lambda event: event.source.txId,
    Fact.COMMIT_LSN_TEXT: lambda event: event.source.lsn,
    Fact.XMIN: lambda event: event.source.xmin,
    Fact.EVENT_ID: lambda event: event.event_id,
    Fact.NATIVE_TRANSACTION_ID: lambda event: event.transaction.id if event.transaction else None,
}
