"""One replication connection to PostgreSQL as a :class:`~deltaforge.sources.base.LogStream`."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence

import psycopg
from psycopg.rows import TupleRow

from deltaforge.checkpoint.identity import ServerIdentity
from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.errors import ProtocolError, SourceError
from deltaforge.core.event import ChangeEvent, EventIds
from deltaforge.core.notices import notice_of
from deltaforge.core.positions import LogEdge, Position, PostgresPosition, Start
from deltaforge.core.positions.postgres import text_from_lsn
from deltaforge.kernel.backend import CopyData
from deltaforge.protocol.postgres.messages import (
    Begin,
    Commit,
    Keepalive,
    LogicalMessage,
    Relation,
    TypeName,
    XLogData,
    decode_frame,
    decode_message,
)
from deltaforge.schema.registry import TableName
from deltaforge.sources.base import SourceContext
from deltaforge.sources.batching import TransactionBatcher
from deltaforge.sources.failover import FailoverCheck
from deltaforge.sources.heartbeat import Heartbeats
from deltaforge.sources.loader import Loaded, TableReload, reload
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.client import ReplicationConnection, connect
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.postgres.definitions import load_definitions
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.postgres.message_mapper import CONNECTOR, MessageMapper
from deltaforge.sources.postgres.publication import PublicationWatch
from deltaforge.sources.postgres.relations import Relations
from deltaforge.sources.postgres.snapshot.log import HASTEN_SECS, CopyableTables, have_flushed, read_since
from deltaforge.sources.postgres.start import server_of, start_of, wire_of
from deltaforge.sources.postgres.unmatched import look_for_tables
from deltaforge.sources.unmatched import PatternWatch

log = logging.getLogger(__name__)

STATUS_SECS = 10.0
STATUSES_PER_TIMEOUT = 4
SILENCE_SECS = 60.0
IDLE_MOVE_SECS = 3.0
SLOT_CHECK_SECS = 10.0
MAX_MESSAGES = 5000
MAX_BLOCK_BYTES = 1 << 20


class PostgresStream:
    """Reads one slot. Confirms nothing that was not handed in as confirmed."""

    provisional: Collection[str] = ()  # a prepared transaction is in the log with its commit

    def __init__(self, config: PostgresSourceConfig, context: SourceContext) -> None:
        self._config = config
        self._context = context
        self._side: psycopg.Connection[TupleRow] | None = None
        self._wire: ReplicationConnection | None = None
        self._resume = PostgresPosition(0)
        self._batcher = TransactionBatcher(context.limits, lambda: self._resume, context.asked)
        self._is_tx_open = False
        self._received = self._wal_end = self._confirmed = self._bytes = self._awaited = 0
        self._status_secs = STATUS_SECS
        self._hastened_at = self._sent_at = self._heard_at = self._moved_at = self._checked_at = 0.0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._begun: tuple[CopyData | None, int] = (None, 0)
        self._watch = PatternWatch(config.id, {})

    def open(self, position: Start | None) -> Position:
        if position is not None and not isinstance(position, (PostgresPosition, LogEdge)):
            raise SourceError("the saved position is not one of PostgreSQL", kind="checkpoint")
        context, config = self._context, self._config
        dsn = config.dsn.get_secret_value()
        self._side = connect(dsn)
        catalog = self._catalog = Catalog(self._side)
        catalog.check_server(config.publication)
        self._wire = wire_of(dsn, catalog)
        catalog.check_same_server(self._wire.server_start())
        self._status_secs = _status_secs(catalog.sender_timeout_secs())
        system_id, timeline = self._wire.identify()
        self._system_id, is_standby = system_id, catalog.is_standby()
        # The timeline of a standby may change under us: its positions are of no timeline.
        current = ServerIdentity(system_id, 0 if is_standby else timeline)
        saved = position if isinstance(position, PostgresPosition) else None
        failover = FailoverCheck(context, config, current, saved, server_of(saved))
        with failover.reaching():
            start = start_of(config, (catalog, self._wire), position, failover, is_standby=is_standby)
        keeps_marker, count = config.toast == "marker", context.metrics.count_python_rows
        identity = (context.source_name, context.tenant, catalog.database())
        events = EventMapper(*identity, keeps_marker=keeps_marker, count_python_rows=count)
        self._heartbeats = Heartbeats(config, context, events.source_info())
        self._relations = Relations(config.tables, catalog, context.registry, system_id, events)
        outbox = config.outbox.prefixes if config.outbox else None
        self._copyable = CopyableTables(config, context.registry, system_id, events)
        tells_all = "message" in context.asked
        self._mapper = MessageMapper(events, self._relations.tables, outbox, system_id, tells_all=tells_all)
        loaded, captures = failover.load(self._loaded), self._relations.captures
        if loaded is not None:
            failover.reconcile(loaded, captures)
        self._wire.start(config.slot, start, config.publication)
        failover.accept(loaded)
        self._publication = PublicationWatch(
            self._side, config, context.failover, server=system_id, captured=captures, changed=self._count_change
        )
        self._publication.check()
        self._watch = PatternWatch(config.id, {"tables": self._relations.patterns})
        look_for_tables(self._side, config.publication, self._watch)
        commit_ms = (saved.commit_ms if saved else 0) or int(time.time() * 1000)
        tx_id, last_commit = (saved.tx_id, saved.last_commit) if saved else (None, 0)
        self._resume = PostgresPosition(start, tx_id, system_id, current.timeline, commit_ms).after(last_commit)
        self._received, self._confirmed = start, 0  # what was read before may not be saved so far
        self._mapper.last_commit = last_commit
        if loaded is not None:
            context.registry.record(loaded.definitions.values(), loaded.point)
        self._relations.look_ahead(start)
        self._heard_at = self._moved_at = time.monotonic()
        return self._resume

    def poll(self, timeout_secs: float) -> list[Batch]:
        wire, now = self._connected(), time.monotonic()
        deadline = now + timeout_secs
        if rest := self._batcher.rest_secs(now):
            time.sleep(rest)
        try:
            while True:
                is_drained = self._drain(wire)
                now = time.monotonic()
                if not self._is_tx_open:
                    self._heartbeats.beat(self._batcher, now)
                batches = self._batcher.due(now, is_quiet=is_drained)
                if batches or now >= deadline:
                    self._batcher.note_read(self._bytes, now)
                    return batches
                wait = self._batcher.wait_secs(now, deadline - now)
                if is_drained and not wire.wait(max(0.001, wait)):
                    self._check_silence(now)
        finally:
            self._count()

    def keep_alive(self, confirmed: Position | None) -> None:
        wire, now = self._wire, time.monotonic()
        if wire is None:
            return
        lsn = confirmed.lsn if isinstance(confirmed, PostgresPosition) else 0
        if now - self._sent_at >= self._status_secs or (lsn > self._confirmed and now - self._sent_at >= 1.0):
            self._confirmed = max(self._confirmed, lsn)
            self._send_status(wire, wants_reply=True)
        if now - self._checked_at >= SLOT_CHECK_SECS:
            self._checked_at = now
            retained = self._catalog.retained_bytes(self._config.slot)
            self._wal_end = self._catalog.current_lsn()
            self._status_secs = _status_secs(self._catalog.sender_timeout_secs())
            self._publication.check()
            if self._watch.reasons and self._side is not None:
                look_for_tables(self._side, self._config.publication, self._watch)
            if retained is not None:
                self._context.metrics.slot_retained_bytes.labels(self._context.pipeline, self._config.id).set(retained)

    def log_end(self) -> Position | None:
        end = max(self._received, self._wal_end)
        return PostgresPosition(end, None, self._resume.system_id) if end else None

    def unmatched_patterns(self) -> dict[str, str]:
        return dict(self._watch.reasons)

    def reload(self, tables: Sequence[TableName] | None) -> list[TableReload]:
        loaded = self._loaded()
        reloaded = reload(self._context.registry, loaded, tables)
        self._watch.seen(*loaded.definitions)
        self._relations.look_ahead(self._resume.lsn)
        return reloaded

    def tables_to_copy(self, tables: Sequence[TableName]) -> dict[TableName, CapturedTable]:
        found = self._copyable.tables(tables)
        self._relations.copied(found)
        self._relations.look_ahead(self._resume.lsn)
        return found

    def since(self) -> object:
        if self._side is None:
            raise SourceError("the stream is not open", kind="other")
        return read_since(self._side)

    def server(self) -> str:
        return f"{self._system_id}/{self._resume.timeline}"

    def ids_of(self, transaction: str) -> EventIds:
        return EventIds.of(CONNECTOR, self._system_id, transaction)

    def definition_count(self, table: TableName) -> int:
        return self._relations.changes[table]

    def hasten(self, position: Position) -> None:
        if not isinstance(position, PostgresPosition) or position.lsn <= self._resume.lsn:
            return
        is_new, now = position.lsn > self._awaited, time.monotonic()
        if is_new or now - self._hastened_at >= HASTEN_SECS:
            if not is_new and self._side is not None:
                have_flushed(self._side)  # what is not on the server's disk is not sent, and on a quiet server stays so
            self._awaited, self._hastened_at = max(position.lsn, self._awaited), now
            self._send_status(self._connected(), wants_reply=True)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        if self._side is not None:
            self._side.close()
        self._wire = self._side = None

    def _loaded(self) -> Loaded:
        dsn = self._config.dsn.get_secret_value()
        return load_definitions(dsn, self._config.publication, self._relations.captures, self._system_id)

    def _drain(self, wire: ReplicationConnection) -> bool:
        """Take in what has arrived, up to a bound, so that batches leave in between. Whether that was all."""
        if wire.reads_blocks:
            begun, index = self._begun
            block, is_all = wire.read_block(MAX_BLOCK_BYTES, begun, index)
            self._check_left_out(wire)
            if begun is not None and block.count == begun.count - index:
                return is_all  # nothing new
            if block.count:
                self._begun = (None, 0)
                self._on_block(wire, block)
            return is_all
        for _ in range(MAX_MESSAGES):
            data = wire.read()
            self._check_left_out(wire)
            if data is None:
                return True
            self._heard_at = time.monotonic()
            self._on_frame(wire, data, self._heard_at)
        return False

    def _on_block(self, wire: ReplicationConnection, block: CopyData) -> None:
        now = self._heard_at = time.monotonic()
        mapper, index = self._mapper, 0
        while index < block.count:
            if not self._is_tx_open:
                index = self._on_transactions(block, index, now)
                if index == block.count:
                    return
            elif mapper.begun is not None:
                begun = mapper.begun
                index, group, size, received = block.rows(
                    index, self._relations.tables, mapper.transaction, begun.commit_ms, begun.xid, mapper.lsn_bytes
                )
                if group is not None:
                    self._batcher.add(group, size, now)
                    self._counts[group.table.name, group.op] += group.event_count
                if size:
                    self._bytes += size
                    self._received = max(self._received, received)
                    continue
            self._on_frame(wire, block.message(index), now)
            index += 1

    def _on_transactions(self, block: CopyData, index: int, now: float) -> int:
        """Take the plain transactions that are whole in the block, all in one go; the index behind them, and behind a
        small one that goes on in the next block: it is taken together with that.
        """
        mapper, batcher = self._mapper, self._batcher
        while index < block.count:
            room = batcher.room, batcher.open_room, mapper.last_commit
            found = block.transactions(index, self._relations.tables, mapper.id_origin, self._relations.ahead, *room)
            if found.stop == index:
                if not found.is_cut:
                    break
                self._begun = (block, index)
                return block.count
            index = found.stop
            self._bytes += found.scanned_bytes
            self._received = max(self._received, found.received)
            for table, op, count, _ in found.counts:
                self._counts[table.name, op] += count
            mapper.last_commit = found.end_lsn
            self._resume_at(found.end_lsn, found.xid, now, found.commit_ms)
            batcher.add_ended(found.groups, found.byte_count, found.event_count, now)
        return index

    def _on_frame(self, wire: ReplicationConnection, data: bytes, now: float) -> None:
        frame = decode_frame(data)
        if isinstance(frame, Keepalive):
            self._on_keepalive(wire, frame, now)
        else:
            self._bytes += len(data)
            self._on_data(frame, now)

    def _on_keepalive(self, wire: ReplicationConnection, frame: Keepalive, now: float) -> None:
        self._received = max(self._received, frame.end)
        if frame.wants_reply:
            self._send_status(wire, wants_reply=False)
        # Nothing of ours lies before the keepalive's end: once saved, a quiet table pins no WAL.
        is_ahead = frame.end > self._resume.lsn and not self._is_tx_open
        is_awaited = self._resume.lsn < self._awaited <= frame.end
        if is_ahead and (is_awaited or now - self._moved_at >= IDLE_MOVE_SECS):
            self._move(frame.end, self._resume.tx_id, now)

    def _on_data(self, frame: XLogData, now: float) -> None:
        try:
            message = decode_message(frame.data)
            if isinstance(message, Begin):
                self._is_tx_open = True
                self._relations.reach(message.commit_lsn)
                self._mapper.begin(message)
                self._xid = message.xid
            elif isinstance(message, Commit):
                self._is_tx_open = False
                self._mapper.last_commit = message.end_lsn
                self._move(message.end_lsn, self._xid, now, self._mapper.opened().commit_ms)
            elif isinstance(message, Relation):
                self._relations.describe(message)
                self._watch.seen((message.schema, message.name))
            elif isinstance(message, TypeName):
                self._relations.note_type(message)
            elif isinstance(message, LogicalMessage) and not message.is_transactional:
                self._relations.reach(message.lsn)
                for event in self._mapper.standalone(message, self._resume.commit_ms):
                    self._add(event, len(frame.data), now)
                # Its LSN is where it ends, and the next record begins: one more, and that would be passed over.
                self._move(max(message.lsn, self._resume.lsn), self._resume.tx_id, now)
            else:
                for oid in self._relations.undefined(message):
                    self._relations.define(oid, self._mapper.opened(), frame.start)
                for event in self._mapper.events(message, frame.start):
                    self._add(event, len(frame.data), now)
        except ProtocolError as error:
            error.message = f"{error.message}; in the WAL at {text_from_lsn(frame.start)}"
            raise
        self._received = max(self._received, frame.start)

    def _add(self, event: ChangeEvent, byte_count: int, now: float) -> None:
        self._batcher.add(DecodedGroup([event]), byte_count, now)
        if notice := notice_of(event):
            self._context.metrics.notices.labels(self._context.pipeline, self._config.id, notice).inc()
        else:
            self._counts[event.source.qualified_table, event.op] += 1

    def _move(self, lsn: int, tx_id: int | None, now: float, commit_ms: int | None = None) -> None:
        self._resume_at(lsn, tx_id, now, commit_ms)
        self._batcher.end_transaction(now)

    def _resume_at(self, lsn: int, tx_id: int | None, now: float, commit_ms: int | None = None) -> None:
        known = self._resume
        at_ms = known.commit_ms if commit_ms is None else commit_ms
        moved = PostgresPosition(lsn, tx_id, known.system_id, known.timeline, at_ms)
        self._resume = moved.after(self._mapper.last_commit)
        self._moved_at = now

    def _send_status(self, wire: ReplicationConnection, *, wants_reply: bool) -> None:
        wire.send_status(self._received, self._confirmed, wants_reply=wants_reply)
        self._sent_at = time.monotonic()

    def _check_left_out(self, wire: ReplicationConnection) -> None:
        if wire.has_left_out:
            wire.has_left_out = False
            self._publication.left_out()

    def _count_change(self, change: str) -> None:
        metrics, labels = self._context.metrics, (self._context.pipeline, self._config.id)
        metrics.publication_changes.labels(*labels, change).inc()

    def _check_silence(self, now: float) -> None:
        if now - self._heard_at > SILENCE_SECS:
            raise SourceError(f"nothing heard from the server for {SILENCE_SECS:.0f} s", kind="timeout")

    def _connected(self) -> ReplicationConnection:
        if self._wire is None:
            raise SourceError("the stream is not open", kind="other")
        return self._wire

    def _count(self) -> None:
        metrics, labels = self._context.metrics, (self._context.pipeline, self._config.id)
        if self._bytes:
            metrics.source_bytes.labels(*labels).inc(self._bytes)
            self._bytes = 0
        metrics.count_rows(self._config.id, self._counts)
        self._counts.clear()
        metrics.unmatched_patterns.labels(*labels).set(len(self._watch.reasons))
        if self._relations.misses:
            metrics.schema_cache_misses.labels(*labels).inc(self._relations.misses)
            self._relations.misses = 0


def _status_secs(timeout_secs: float) -> float:
    """How often the server has to hear of us. It asks at half of its timeout, which we do not hear while paused."""
    return min(STATUS_SECS, timeout_secs / STATUSES_PER_TIMEOUT) if timeout_secs else STATUS_SECS
