"""Captured tables, and the change events of their row groups and statements."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol

import msgspec

from deltaforge import __version__
from deltaforge.core.errors import ProtocolError
from deltaforge.core.event import ChangeEvent, DefinitionChange, Op, Origin, SourceInfo, Transaction
from deltaforge.core.row_ids import event_id
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import RowPlan
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.protocol.mysql.rows import RowDecoder, Rows
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.fragments import event_fragments
from deltaforge.sources.python_rows import CountPythonRows, uncounted

VERSION = f"deltaforge-{__version__}"
MAX_ROWS = (1 << 24) - 1  # of a row event that ids tell apart


class PackedTable(msgspec.Struct, tag_field="format", tag="mysql 1"):
    """What a captured table is made of. ``columns``: names and types in table order."""

    version: SchemaVersion
    columns: list[tuple[str, ColumnType]]
    is_outbox: bool


class CapturedTable:
    """One registered table definition with what decodes its rows.

    Attributes:
        registered: The version as the registry has it; ``version`` is its fingerprint, ``sequence`` that of its
            registration.
        columns: Names and types in table order, hidden ones too.
        is_versioned: Whether the table keeps a history of its rows, so that events of the log are not those of rows.
        plan: The kernel's row plan, None without a kernel.
        selected: What is selected to copy it; ``digest``: of the definition then. Empty unless it is to be copied.
    """

    def __init__(
        self, version: SchemaVersion, columns: Sequence[tuple[str, ColumnType]], mapper: EventMapper, *, is_outbox: bool
    ) -> None:
        self.registered = version
        self.schema = schema = version.schema
        self.name = schema.table.qualified
        self.version = version.hash
        self.sequence = version.sequence
        self.columns = columns
        self.is_versioned = any(column.ends_row for _, column in columns)
        self.decoder = RowDecoder(schema.table.qualified, columns, schema.primary_key)
        self.mapper = mapper
        self.is_outbox = is_outbox
        self.selected = self.digest = ""
        self.plan: RowPlan | None = None
        if compiled is not None:
            texts = event_fragments(compiled, mapper.event_of(self, "u"))
            insert_texts = event_fragments(compiled, mapper.event_of(self, "c"))
            self.plan = compiled.RowPlan(self, [name for name, _ in columns], schema.primary_key, texts, insert_texts)
            self.plan.set_mysql([column for _, column in columns])

    @property
    def source_name(self) -> str:
        """What its events call their source."""
        return self.mapper.source_name

    @functools.cached_property
    def packed(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(PackedTable(self.registered, list(self.columns), self.is_outbox))


class StatementPlace(msgspec.Struct):
    """Where in the log a statement stands; row groups have the same attributes."""

    transaction: OpenTransaction
    ordinal: int
    ts_ms: int
    server_id: int
    file: str
    pos: int
    begin_pos: int


class LoggedRows(Protocol):
    """A row event with its place: a group of the kernel, or ``RawRows``."""

    table: CapturedTable
    rows: Rows
    op: Op
    transaction: OpenTransaction
    ordinal: int
    ts_ms: int
    server_id: int
    file: str
    pos: int
    begin_pos: int
    query: str | None


class EventMapper:
    """What is equal in all events of a pipeline.

    Args:
        name: The ``source.name`` of events.
        tenant: ``metadata.tenant``.
        count_python_rows: Is told of rows that the kernel leaves to the Python decoders.
    """

    def __init__(self, name: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> None:
        self.source_name = name
        self._tenant = tenant
        self.count_python_rows = count_python_rows

    def events(self, group: LoggedRows) -> list[ChangeEvent]:
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
                event.old_zero_dates = group.table.decoder.old_zero_dates
                event.source = msgspec.structs.replace(head.source, row=row)
                event.event_id = event_id(event, ids, group.ordinal, row)
                events.append(event)
        except ProtocolError as error:
            error.message = f"{error.message}; in {group.file} before {group.pos}"
            error.context["file"] = group.file
            raise
        return events

    def versioned_events(self, group: LoggedRows) -> list[ChangeEvent]:
        """The events of a row group of a system-versioned table; rows of its history have none.

        Raises:
            ProtocolError: As :meth:`events`.
        """
        events = []
        for row in self.events(group):
            if row.before is None and row.after is None:
                continue
            event = self.event_of(group.table, "c" if row.before is None else "d" if row.after is None else "u")
            self._put(event, group).query = group.query
            event.before, event.after, event.event_id, event.source.row = (
                row.before,
                row.after,
                row.event_id,
                row.source.row,
            )
            events.append(event)
        return events

    def head(self, group: LoggedRows) -> ChangeEvent:
        """The first event of a row group, without its images."""
        event = self.event_of(group.table, group.op)
        self._put(event, group).query = group.query
        event.source.row = 0
        return event

    def event_of(self, table: CapturedTable, op: Op) -> ChangeEvent:
        """An event of a captured table that stands nowhere yet."""
        event = self._event(table.schema.table.db, table.schema.table.name, op)
        if table.is_outbox and op == "c":
            event.source.schema = "__outbox"
        if op == "r":
            event.source.snapshot = "true"
        event.schema, event.schema_version, event.schema_sequence = table.schema, table.version, table.sequence
        return event

    def truncate(self, place: StatementPlace, db: str, table: str, sql: str) -> ChangeEvent:
        """The event of a TRUNCATE."""
        event = self._event(db, table, "t")
        self._put(event, place).ts_us = place.ts_ms * 1000
        event.ddl = {"sql": sql}
        return event

    def definition(self, place: StatementPlace, change: DefinitionChange, number: int) -> ChangeEvent:
        """The notice of a statement's ``number``-th change. Its id is none that a row of the transaction may have."""
        event = self._event(change.database, change.tables or "", "c")
        origin = self._put(event, place)
        origin.ts_us, origin.definition, origin.notice = place.ts_ms * 1000, change, "definition"
        event.event_id = place.transaction.ids.at(place.ordinal, MAX_ROWS - number)
        event.transaction = None
        return event

    def source_info(self) -> SourceInfo:
        """What is equal in all events."""
        return self._event("", "", "c").source

    def _event(self, db: str, table: str, op: Op) -> ChangeEvent:
        source = SourceInfo(version=VERSION, connector="mysql", name=self.source_name, ts_ms=0, db=db, table=table)
        return ChangeEvent(before=None, after=None, source=source, op=op, ts_ms=0, tenant_id=self._tenant)

    def _put(self, event: ChangeEvent, place: StatementPlace | LoggedRows) -> Origin:
        """Put an event where a place or group stands."""
        source, transaction = event.source, place.transaction
        event.ts_ms = source.ts_ms = place.ts_ms
        source.server_id, source.file, source.pos = place.server_id, place.file, place.pos
        commit_us = place.ts_ms * 1000 if transaction.commit_us is None else transaction.commit_us
        event.origin = Origin(ts_us=commit_us, thread=transaction.thread, pos_begin=place.begin_pos or None)
        event.event_id = transaction.ids.at(place.ordinal)
        if transaction.gtid:
            source.gtid, event.transaction = transaction.gtid, Transaction(transaction.gtid)
        return event.origin
