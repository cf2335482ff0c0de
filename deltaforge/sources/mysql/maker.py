"""Makes change events of row groups and statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from deltaforge import __version__
from deltaforge.core.errors import ProtocolError
from deltaforge.core.event import ChangeEvent, Op, SourceInfo, Transaction

if TYPE_CHECKING:
    from deltaforge.sources.mysql.tables import CapturedTable

VERSION = f"deltaforge-{__version__}"


class Place(msgspec.Struct):
    """Where in the log a statement stands; row groups have the same attributes."""

    transaction: Any
    ordinal: int
    ts_ms: int
    server_id: int
    file: str
    pos: int


class EventMaker:
    """What is equal in all events of a pipeline.

    Args:
        pipeline: ``metadata.name``.
        tenant: ``metadata.tenant``.
    """

    def __init__(self, pipeline: str, tenant: str) -> None:
        self._pipeline = pipeline
        self._tenant = tenant

    def events(self, group: Any) -> list[ChangeEvent]:
        """The events of a row group.

        Raises:
            ProtocolError: The bytes break the format; names table and place.
        """
        head, events, ids = self.head(group), list[ChangeEvent](), group.transaction.ids
        try:
            for row, (before, after) in enumerate(group.table.decoder.rows(group.rows)):
                event = msgspec.structs.replace(head) if row else head
                event.before, event.after = before, after
                event.zero_dates = group.table.decoder.zero_dates or None
                event.source = msgspec.structs.replace(head.source, row=row)
                event.event_id = ids.at(group.ordinal, row)
                events.append(event)
        except ProtocolError as error:
            error.message = f"{error.message}; in {group.file} before {group.pos}"
            error.context["file"] = group.file
            raise
        return events

    def versioned_events(self, group: Any) -> list[ChangeEvent]:
        """The events of a row group of a system-versioned table; rows of its history have none.

        Raises:
            ProtocolError: As :meth:`events`.
        """
        events = []
        for row in self.events(group):
            if row.before is None and row.after is None:
                continue
            event = self.event_of(group.table, "c" if row.before is None else "d" if row.after is None else "u")
            self._put(event, group)
            event.before, event.after, event.event_id, event.source.row = (
                row.before,
                row.after,
                row.event_id,
                row.source.row,
            )
            events.append(event)
        return events

    def head(self, group: Any) -> ChangeEvent:
        """The first event of a row group, without its images."""
        event = self.event_of(group.table, group.op)
        self._put(event, group)
        event.source.row = 0
        return event

    def event_of(self, table: CapturedTable, op: Op) -> ChangeEvent:
        """An event of a captured table that stands nowhere yet."""
        event = self._event(table.schema.table.db, table.schema.table.name, op)
        if table.is_outbox and op == "c":
            event.source.schema = "__outbox"
        event.schema, event.schema_version, event.schema_sequence = table.schema, table.version, table.sequence
        return event

    def truncate(self, place: Place, db: str, table: str, sql: str) -> ChangeEvent:
        """The event of a TRUNCATE."""
        event = self._event(db, table, "t")
        self._put(event, place)
        event.ddl = {"sql": sql}
        return event

    def _event(self, db: str, table: str, op: Op) -> ChangeEvent:
        source = SourceInfo(version=VERSION, connector="mysql", name=self._pipeline, ts_ms=0, db=db, table=table)
        return ChangeEvent(before=None, after=None, source=source, op=op, ts_ms=0, tenant_id=self._tenant)

    def _put(self, event: ChangeEvent, place: Any) -> None:
        """Put an event where a place or group stands."""
        source, transaction = event.source, place.transaction
        event.ts_ms = source.ts_ms = place.ts_ms
        source.server_id, source.file, source.pos = place.server_id, place.file, place.pos
        event.event_id = transaction.ids.at(place.ordinal)
        if transaction.gtid:
            source.gtid, event.transaction = transaction.gtid, Transaction(transaction.gtid)
