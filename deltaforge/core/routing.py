"""Where an event goes and under which key: what a processor routed, else the template, else the default."""

from __future__ import annotations

from deltaforge.core.event import ChangeEvent


def idempotency_key(event: ChangeEvent) -> str:
    """``{tenant or _}|{db}.{table}|{transaction id or empty}|{event id or _}``: equal for every replay of an event."""
    source = event.source
    transaction = event.transaction.id if event.transaction else ""
    return f"{event.tenant_id or '_'}|{source.db}.{source.table}|{transaction}|{event.event_id or '_'}"
