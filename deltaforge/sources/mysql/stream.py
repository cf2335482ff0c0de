"""One binary log dump as a :class:`~deltaforge.sources.base.LogStream`, for MySQL and MariaDB."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from deltaforge.checkpoint.identity import ServerIdentity
from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.errors import ProtocolError, SchemaError, SourceError
from deltaforge.core.notices import notice_of
from deltaforge.core.positions import LogEdge, MysqlPosition, Position, Start
from deltaforge.core.positions.gtid import GtidSet, MariadbGtids
from deltaforge.kernel import backend, compiled
from deltaforge.kernel.backend import TransactionScanner
from deltaforge.kernel.captured import OpenTransaction
from deltaforge.protocol.mysql.events import (
    BinlogDecoder,
    FormatDescription,
    Header,
    MariadbGtid,
    Message,
    Query,
    Rotate,
    RowsQuery,
    TransactionPayload,
    XaPrepare,
    Xid,
    decode_header,
    positioned,
)
from deltaforge.protocol.mysql.gtid_event import Gtid
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.schema.registry import TableName
from deltaforge.sources.base import SourceContext
from deltaforge.sources.batching import TransactionBatcher
from deltaforge.sources.failover import FailoverCheck
from deltaforge.sources.heartbeat import Heartbeats
from deltaforge.sources.loader import TableReload, reload
from deltaforge.sources.mysql.catalog import CatalogNeeded
from deltaforge.sources.mysql.client import READ_TIMEOUT_SECS, DumpConnection, connect
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.counts import ReadCounts
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper, StatementPlace
from deltaforge.sources.mysql.gate import Gate
from deltaforge.sources.mysql.group import EventPlace, row_group
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.loader import SchemaLoader
from deltaforge.sources.mysql.reach import Reach
from deltaforge.sources.mysql.schema_changes import schema_changes
from deltaforge.sources.mysql.server import (
    ServerSettings,
    at_new_server,
    check_position,
    completed,
    oldest_position,
    read_settings,
)
from deltaforge.sources.mysql.statement import Statement, dialect_of, statement_of
from deltaforge.sources.mysql.statements import EXACT, Meaning, Statements, kept_by, meaning_of, savepoint_name
from deltaforge.sources.mysql.tables import Tables, captured_tables
from deltaforge.sources.mysql.unmatched import look_for_tables

log = logging.getLogger(__name__)

HISTORY_FILE = "schema-history.jsonl"
MAX_BEGUN_EVENTS = 64
"""A transaction that is not whole after so many events is decoded event by event."""


class MysqlStream:
    """Reads one dump. The position moves at transaction ends only."""

    def __init__(self, config: MysqlSourceConfig, context: SourceContext) -> None:
        self._config = config
        self._context = context
        self._dump: DumpConnection | None = None
        self._history = SchemaHistory(context.state_dir / HISTORY_FILE, captured_tables(config).matches)
        self._mapper = EventMapper(context.source_name, context.tenant, context.metrics.count_python_rows)
        self._tables = Tables(config, self._history, self._mapper, context.registry)
        self._gate = Gate(context, config.id)
        self._loader = SchemaLoader(config.dsn.get_secret_value(), self._tables.is_captured)
        reach = Reach(self._loader.objects, self._tables.is_captured)
        self._changes = schema_changes(context, self._tables)
        self._statements = Statements(self._tables, self._history, self._mapper, self._gate, reach, self._changes)
        self._resume = MysqlPosition("", 4)
        self._batcher = TransactionBatcher(context.limits, self._position, context.asked)
        self._heartbeats = Heartbeats(config, context, self._mapper.source_info())
        self._file, self._end_pos = "", 0
        self._begin_pos, self._says_places = 0, True  # of the last event of the transaction whose place the log says
        self._gtids: GtidSet | MariadbGtids = GtidSet()
        self._tx: OpenTransaction | None = None
        self._query: str | None = None
        self._is_begun = False
        self._heard_at = 0.0
        self._counts = ReadCounts()
        self._scanner: TransactionScanner | None = None
        self._begun_events: list[bytes] = []

    def open(self, position: Start | None) -> Position:
        if position is not None and not isinstance(position, (MysqlPosition, LogEdge)):
            raise SourceError("the saved position is not one of MySQL", kind="checkpoint")
        dsn = self._config.dsn.get_secret_value()
        connection = connect(dsn)
        try:
            self._server = server = read_settings(connection)
            self._tables.use(server)
            loader = self._loader
            saved = completed(connection, server, position) if isinstance(position, MysqlPosition) else None
            of_saved = ServerIdentity(saved.server_uuid) if saved and saved.server_uuid else None
            failover = FailoverCheck(self._context, self._config, ServerIdentity(server.uuid), saved, of_saved)
            if saved is not None:
                with failover.reaching():
                    check_position(connection, server, saved)
            self._history.arrive(server.uuid, saved, folds_names=server.folds_names)
            if self._changes is not None:
                self._changes.arrive(server, saved, lambda: loader.settled(connection, server))
            if saved is not None:
                start, loaded = at_new_server(saved, server), failover.load(lambda: loader.load(server))
            elif position is LogEdge.EARLIEST:
                start, loaded = (
                    oldest_position(connection, server),
                    failover.load(lambda: loader.load(server)),
                )
            else:
                start, loaded = loader.first(connection, server, self._history)
            look_for_tables(connection, self._tables.watch)
        finally:
            connection.close()
        if failover.is_failover and loaded is not None:
            failover.reconcile(loaded, self._tables.is_captured, self._tables.canonical)
        self._start_at(start, server, is_failover=failover.is_failover)
        failover.accept(loaded)
        if loaded is not None:
            self._context.registry.record(loaded.definitions.values(), loaded.point)
        self._tables.look_ahead(self._resume)
        return self._position()

    def poll(self, timeout_secs: float) -> list[Batch]:
        dump, now = self._connected(), time.monotonic()
        deadline = now + timeout_secs
        if rest := self._batcher.rest_secs(now):
            time.sleep(rest)
        try:
            while True:
                now = time.monotonic()
                wait = self._batcher.wait_secs(now, deadline - now)
                self._on_events(dump.read(max(0.001, wait)), now)
                now = time.monotonic()
                if self._tx is None:
                    self._heartbeats.beat(self._batcher, now)
                batches = self._batcher.due(now, is_quiet=dump.is_drained)
                if batches or now >= deadline:
                    self._check_silence(now)
                    self._batcher.note_read(self._counts.bytes, now)
                    return batches
        finally:
            self._counts.tell(self._context, self._config.id, self._tables)

    def keep_alive(self, confirmed: Position | None) -> None:
        """Nothing to say: MySQL keeps its log by its own rules."""

    def log_end(self) -> Position | None:
        return MysqlPosition(self._file, self._end_pos, server_uuid=self._server.uuid) if self._file else None

    def unmatched_patterns(self) -> dict[str, str]:
        return dict(self._tables.watch.reasons)

    def reload(self, tables: Sequence[TableName] | None) -> list[TableReload]:
        loaded = self._loader.load(self._server)
        reloaded = reload(self._context.registry, loaded, tables)
        self._tables.watch.seen(*loaded.definitions)
        self._tables.look_ahead(self._resume)
        return reloaded

    def close(self) -> None:
        if self._dump is not None:
            self._dump.close()
            self._dump = None

    def _start_at(self, start: MysqlPosition, server: ServerSettings, *, is_failover: bool) -> None:
        self._gate.open(server.uuid)
        self._resume = start
        self._file, self._end_pos = start.file, start.pos
        is_mariadb, wants_queries = server.flavor == "mariadb", "query" in self._context.asked
        dsn = self._config.dsn.get_secret_value()
        self._dump = DumpConnection(dsn, self._config.id, is_failover=is_failover, wants_queries=wants_queries)
        if is_mariadb:
            self._gtids = MariadbGtids(start.gtid_set)
            self._dump.start(start.file, start.pos, mariadb_state=start.gtid_set or None)
        else:
            self._gtids = gtids = GtidSet(start.gtid_set)
            self._dump.start(start.file, start.pos, gtids=gtids or None)
        self._decoder = BinlogDecoder(has_checksum=self._dump.has_checksum)
        self._dialect = dialect_of(server.version)
        self._scanner, self._begun_events = None, []
        if compiled is not None:
            checksum, by_map = self._dump.has_checksum, self._tables.by_map
            self._scanner = compiled.TransactionScanner(checksum, is_mariadb, server.uuid, by_map, wants_queries)
            self._tables.forget_map = self._scanner.forget_map
        self._heard_at = time.monotonic()

    def _position(self) -> MysqlPosition:
        file, pos = self._resume.file, self._resume.pos
        return MysqlPosition(file, pos, str(self._gtids), self._server.flavor, self._server.uuid)

    def _on_events(self, events: list[bytes], now: float) -> None:
        if not events:
            return
        self._heard_at = now
        index, scanner = 0, self._scanner
        if self._begun_events:
            events, self._begun_events = self._begun_events + events, []
        while index < len(events):
            if scanner is not None and self._tx is None and self._tables.is_safe(self._file, self._end_pos, events[-1]):
                stop = scanner.scan(events, index, self._file, self._end_pos, *self._batcher.room)
                if stop > index:
                    index = stop
                    self._on_transactions(scanner, now)
                    continue
                if scanner.is_cut and len(events) - index < MAX_BEGUN_EVENTS:
                    self._begun_events = events[index:]  # the rest of the transaction comes with the next read
                    return
            self._on_event(events[index], now)
            index += 1

    def _on_transactions(self, found: TransactionScanner, now: float) -> None:
        """Whole transactions that the kernel took."""
        self._counts.bytes += found.scanned_bytes
        self._counts.scanned.append((found.counts, found.null_dates))
        self._tables.hits += found.map_count
        self._end_pos = found.end_pos
        self._resume = MysqlPosition(self._file, found.end_pos)
        for source, first, last in found.gtids:
            self._gtids.add_interval(source, first, last)
        self._batcher.add_ended(found.groups, found.byte_count, found.event_count, now)

    def _on_event(self, data: bytes, now: float) -> None:
        self._counts.bytes += len(data)
        said = decode_header(data)
        header, self._end_pos = positioned(said, self._end_pos)
        if header.log_pos % (1 << 32):  # else a place that is said looks like one that is not
            self._says_places = said.log_pos != 0
        if self._says_places:
            self._begin_pos = header.log_pos - header.size
        elif self._tx is None:
            self._begin_pos = 0
        try:
            message = self._decoder.decode(header, data)
            if isinstance(message, TransactionPayload):
                for inner in message.events:
                    inner_header = decode_header(inner)
                    self._on_message(
                        self._decoder.decode(inner_header, inner, is_inner=True), inner_header, header, now
                    )
            else:
                self._on_message(message, header, header, now, size=len(data))
        except (ProtocolError, SchemaError) as error:
            if "file" in error.context:  # says already where it is
                raise
            error.message = f"{error.message}; event type {header.type} in {self._file} before {header.log_pos}"
            raise

    def _on_message(self, message: Message, header: Header, outer: Header, now: float, size: int | None = None) -> None:
        """Act on a message. ``outer`` is the header of the event in the log that holds it."""
        if isinstance(message, Rows):
            self._on_rows(message, header, outer, now, size or header.size)
        elif isinstance(message, RowsQuery):
            self._query = message.sql if "query" in self._context.asked else None
        elif isinstance(message, Xid):
            self._end(outer, now)
        elif isinstance(message, Query):
            self._on_query(message, header, outer, now)
        elif isinstance(message, Gtid | MariadbGtid):
            self._on_gtid(message, header, outer)
        elif isinstance(message, Rotate):
            self._on_rotate(message)
        elif isinstance(message, FormatDescription):
            self._dialect = dialect_of(message.server_version)
            if message.is_server_start:
                self._history.on_server_start(MysqlPosition(self._file, 4))
        elif isinstance(message, XaPrepare):
            # Delivered with the prepare, as Debezium does; a later XA ROLLBACK of it is reported.
            has_rows = self._batcher.open_count > 0 or self._batcher.has_split_transaction
            self._statements.xa.prepared(has_rows=has_rows)
            self._end(outer, now)

    def _on_gtid(self, message: Gtid | MariadbGtid, header: Header, outer: Header) -> None:
        if isinstance(message, Gtid):
            origin = message.gtid.partition(":")[0] or self._server.uuid
            self._begin(message.gtid, origin, outer, message.commit_us)
        else:
            gtid = message.gtid.format(server_id=header.server_id)
            self._begin(gtid, self._server.uuid, outer, None, is_xa=message.is_prepared)
            self._is_begun = not message.is_standalone

    def _on_rotate(self, message: Rotate) -> None:
        pos = message.pos
        if message.file == self._resume.file:  # with GTIDs a dump begins at the start of the file, and leaves out
            pos = max(pos, self._resume.pos)  # what lies before our position
        self._file, self._end_pos = message.file, pos
        if self._tx is None:
            self._resume = MysqlPosition(message.file, pos)

    def _on_rows(self, rows: Rows, header: Header, outer: Header, now: float, size: int) -> None:
        table_map = self._decoder.table_map(rows.table_id)
        tx = self._tx or self._begin("", self._server.uuid, outer, None)
        tx.ordinal += 1
        table = self._captured(table_map, MysqlPosition(self._file, outer.log_pos))
        if table is None:
            return
        group = row_group(table, rows, tx, self._place(tx, header, outer))
        if group is not None:
            self._batcher.add(group, size, now)
            self._counts.group(table.name, group)

    def _captured(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable | None:
        """The table of a map. What the log does not say of it is looked up, once for each table that is new."""
        try:
            return self._tables.captured(table_map, position)
        except CatalogNeeded:
            in_catalog = self._loader.table(table_map.db, table_map.table)
            return self._tables.captured(table_map, position, in_catalog)

    def _on_query(self, query: Query, header: Header, outer: Header, now: float) -> None:
        statement = statement_of(query, self._dialect)
        meaning = EXACT.get(query.sql) or meaning_of(statement)
        if meaning is Meaning.BEGIN:
            tx = self._tx or self._begin("", self._server.uuid, outer, None)
            tx.thread = query.thread
            self._is_begun = True
        elif meaning is Meaning.COMMIT:
            self._end(outer, now)
        elif meaning is Meaning.ROLLBACK:
            self._roll_back(0)
            self._end(outer, now)
        elif meaning is Meaning.SAVEPOINT and self._tx is not None:
            self._tx.savepoints[savepoint_name(statement)] = self._batcher.open_count
        elif meaning is Meaning.ROLLBACK_TO and self._tx is not None:
            self._roll_back(kept_by(statement, self._tx.savepoints))
        elif meaning in (Meaning.XA_BEGIN, Meaning.XA):
            self._statements.xa.note(statement, self._tx)
            self._is_begun = self._is_begun or meaning is Meaning.XA_BEGIN
            if not self._is_begun:
                self._end(outer, now)
        else:
            self._on_statement(meaning, statement, header, outer, now)

    def _on_statement(self, meaning: Meaning, statement: Statement, header: Header, outer: Header, now: float) -> None:
        """DDL, or rows logged as a statement; outside of BEGIN it is a transaction of its own."""
        tx = self._tx or self._begin("", self._server.uuid, outer, None)
        place = StatementPlace(tx, tx.ordinal + 1, *self._place(tx, header, outer)[:5])
        for event in self._statements.act(meaning, statement, place):
            self._batcher.add(DecodedGroup([event]), len(statement.text), now)
            self._counts.event(event)
            tx.ordinal += notice_of(event) is None  # ids of rows do not depend on notices
        if not self._is_begun:
            self._end(outer, now)

    def _begin(
        self, gtid: str, origin: str, outer: Header, commit_us: int | None, *, is_xa: bool = False
    ) -> OpenTransaction:
        self._is_begun, self._query = False, None
        identity = gtid or f"{self._file}:{outer.log_pos}"
        self._tx = backend.Transaction("mysql", origin, identity, gtid, commit_us or None)
        if is_xa:
            self._statements.xa.begun(self._tx)
        return self._tx

    def _place(self, tx: OpenTransaction, header: Header, outer: Header) -> EventPlace:
        """Where a change stands, and when it was committed, as far as the log says."""
        ms = tx.commit_ms if tx.commit_ms is not None else header.timestamp * 1000
        return EventPlace(ms, header.server_id, self._file, outer.log_pos, self._begin_pos, self._query)

    def _end(self, outer: Header, now: float) -> None:
        tx, self._tx, self._is_begun = self._tx, None, False
        self._resume = MysqlPosition(self._file, outer.log_pos or self._resume.pos)
        if tx is not None and tx.gtid:
            self._gtids.add(tx.gtid)
        self._batcher.end_transaction(now)

    def _roll_back(self, keep_count: int) -> None:
        if self._batcher.has_split_transaction:
            raise SourceError(
                "a transaction was rolled back after a part of it was delivered",
                kind="incompatible",
                hint="raise batch.max_tx_bytes above the size of the largest transaction that is rolled back in part",
            )
        self._batcher.discard_open(keep_count)

    def _check_silence(self, now: float) -> None:
        if now - self._heard_at > READ_TIMEOUT_SECS:
            raise SourceError(f"no heartbeat from the server for {READ_TIMEOUT_SECS} s", kind="timeout")

    def _connected(self) -> DumpConnection:
        if self._dump is None:
            raise SourceError("the stream is not open", kind="other")
        return self._dump
