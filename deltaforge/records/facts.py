"""What is known of an event beside its images, for records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from deltaforge.core.event import ChangeEvent, Origin
from deltaforge.records.plan import Fact

_NO_ORIGIN = Origin()


def fact_of(event: ChangeEvent, fact: Fact, now_ns: int = 0) -> Any:
    """The value of a fact; None: the event has none.

    Args:
        event: The event.
        fact: Which one.
        now_ns: The wall clock at which the batch was received, see :class:`deltaforge.core.batch.Batch`.
    """
    if fact in _NOW:
        return now_ns // _NOW[fact]
    value = _FACTS[fact](event, event.origin or _NO_ORIGIN)
    return None if value is UNSET else value


_NOW = {Fact.NOW_MS: 1_000_000, Fact.NOW_US: 1_000, Fact.NOW_NS: 1}


def _ts_us(event: ChangeEvent, origin: Origin) -> int:
    return event.source.ts_ms * 1_000 if origin.ts_us is None else origin.ts_us


def _snapshot(event: ChangeEvent, origin: Origin) -> Any:
    return event.source.snapshot if origin.snapshot is None else origin.snapshot


def _sequence(_event: ChangeEvent, origin: Origin) -> str | None:
    """Texts of numbers, as Debezium's Jackson writes them."""
    if origin.lsn is None:
        return None
    last = "null" if origin.last_commit_lsn is None else f'"{origin.last_commit_lsn}"'
    return f'[{last},"{origin.lsn}"]'


def _transaction_id(event: ChangeEvent, origin: Origin) -> str | None:
    """Debezium's: the GTID; on PostgreSQL the xid and the place of the row."""
    if origin.lsn is not None:
        return f"{event.source.txId}:{origin.lsn}"
    return event.transaction.id if event.transaction else None


_FACTS: dict[Fact, Callable[[ChangeEvent, Origin], Any]] = {
    Fact.OP: lambda event, _: event.op,
    Fact.TS_MS: lambda event, _: event.source.ts_ms,
    Fact.TS_US: _ts_us,
    Fact.TS_NS: lambda event, origin: _ts_us(event, origin) * 1_000,
    Fact.SNAPSHOT: _snapshot,
    Fact.SERVER_ID: lambda event, _: event.source.server_id,
    Fact.GTID: lambda event, _: event.source.gtid,
    Fact.BINLOG_FILE: lambda event, _: event.source.file,
    Fact.BINLOG_POS: lambda event, origin: event.source.pos if origin.pos_begin is None else origin.pos_begin,
    Fact.BINLOG_END: lambda event, _: event.source.pos,
    Fact.BINLOG_ROW: lambda event, _: event.source.row,
    Fact.THREAD: lambda _, origin: origin.thread,
    Fact.QUERY: lambda _, origin: origin.query,
    Fact.TX_ID: lambda event, _: event.source.txId,
    Fact.LSN: lambda _, origin: origin.lsn,
    Fact.COMMIT_LSN_TEXT: lambda event, _: event.source.lsn,
    Fact.SEQUENCE: _sequence,
    Fact.XMIN: lambda event, _: event.source.xmin,
    Fact.TRANSACTION_ID: _transaction_id,
    Fact.TOTAL_ORDER: lambda _, origin: origin.total_order,
    Fact.TABLE_ORDER: lambda _, origin: origin.table_order,
    Fact.EVENT_ID: lambda event, _: event.event_id,
    Fact.NATIVE_TRANSACTION_ID: lambda event, _: event.transaction.id if event.transaction else None,
}
