"""The open transaction of a binary log: its identity, and the events made of its rows."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from deltaforge import __version__
from deltaforge.core.event import ChangeEvent, EventIds, Op, RowImage, SourceInfo, Transaction
from deltaforge.core.table import TableSchema
from deltaforge.protocol.mysql.events import Header
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.sources.mysql.tables import CapturedTable

VERSION = f"deltaforge-{__version__}"
_OPS: dict[str, Op] = {"write": "c", "update": "u", "partial_update": "u", "delete": "d"}


class OpenTransaction:
    """Makes the events of one transaction.

    Args:
        pipeline: ``metadata.name``.
        tenant: ``metadata.tenant``.
        gtid: The one GTID; empty without GTIDs.
        origin: Where the transaction began: the source of its GTID, else the server.
        start: ``file:pos`` of its first event, its identity without a GTID.
        commit_ms: Commit time where it began; None when the log does not say.
    """

    def __init__(  # noqa: PLR0913 - the identity of a transaction
        self, *, pipeline: str, tenant: str, gtid: str, origin: str, start: str, commit_ms: int | None
    ) -> None:
        self.gtid = gtid
        self.commit_ms = commit_ms
        self.has_rows = False
        self.savepoints: dict[str, int] = {}
        self._pipeline = pipeline
        self._tenant = tenant
        self._transaction = Transaction(gtid) if gtid else None
        self._ids = EventIds("mysql", origin, gtid or start)
        self._ordinal = 0

    def skip(self) -> None:
        """Count a row event of a table that is not captured: ids do not depend on the capture list."""
        self._ordinal += 1

    def row_events(
        self, rows: Rows, table: CapturedTable, header: Header, file: str, pos: int
    ) -> Iterator[ChangeEvent]:
        """The events of a row event. ``pos`` is the end of the event that holds it."""
        self._ordinal += 1
        self.has_rows = True
        op = _OPS[rows.kind]
        for number, (before, after) in enumerate(table.decoder.rows(rows)):
            yield self._event(op, before, after, table, self._source(header, table.schema, file, pos, number), number)

    def truncate(
        self, schema: TableSchema | None, db: str, table: str, sql: str, at: tuple[Header, str]
    ) -> ChangeEvent:
        """The event of a TRUNCATE."""
        self._ordinal += 1
        header, file = at
        source = self._basic_source(header, db, table, file, header.log_pos)
        event = self._bare("t", source, header, 0)
        event.ddl = {"sql": sql}
        event.schema = schema
        event.schema_version = schema.fingerprint() if schema else None
        return event

    def _event(  # noqa: PLR0913 - one call per row, no time for a wrapper
        self,
        op: Op,
        before: RowImage | None,
        after: RowImage | None,
        table: CapturedTable,
        source: SourceInfo,
        number: int,
    ) -> ChangeEvent:
        if table.is_outbox and op == "c":
            source.schema = "__outbox"
        return ChangeEvent(
            before=before,
            after=after,
            source=source,
            op=op,
            ts_ms=source.ts_ms,
            transaction=self._transaction,
            event_id=self._ids.at(self._ordinal, number),
            tenant_id=self._tenant,
            schema_version=table.version,
            schema=table.schema,
        )

    def _bare(self, op: Op, source: SourceInfo, header: Header, number: int) -> ChangeEvent:
        return ChangeEvent(
            before=None,
            after=None,
            source=source,
            op=op,
            ts_ms=self._ms(header),
            transaction=self._transaction,
            event_id=self._ids.at(self._ordinal, number),
            tenant_id=self._tenant,
        )

    def _source(self, header: Header, schema: TableSchema, file: str, pos: int, number: int) -> SourceInfo:
        source = self._basic_source(header, schema.table.db, schema.table.name, file, pos)
        source.row = number
        return source

    def _basic_source(self, header: Header, db: str, table: str, file: str, pos: int) -> SourceInfo:
        return SourceInfo(
            version=VERSION,
            connector="mysql",
            name=self._pipeline,
            ts_ms=self._ms(header),
            db=db,
            table=table,
            server_id=header.server_id,
            gtid=self.gtid or UNSET,
            file=file,
            pos=pos,
        )

    def _ms(self, header: Header) -> int:
        return self.commit_ms if self.commit_ms is not None else header.timestamp * 1000
