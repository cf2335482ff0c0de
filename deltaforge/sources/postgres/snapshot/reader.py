"""Reads chunks of the tables of a publication; see :class:`deltaforge.sources.snapshot.base.ChunkReader`."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from deltaforge.core.errors import DeltaForgeError, SourceError, TableChangedError
from deltaforge.core.positions.postgres import PostgresPosition, lsn_from_text, text_from_lsn
from deltaforge.core.snapshot import Cursor, Stripe
from deltaforge.kernel import backend
from deltaforge.schema.registry import TableName
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.postgres.event_mapper import CapturedTable
from deltaforge.sources.postgres.group import copied_rows
from deltaforge.sources.postgres.message_mapper import CONNECTOR
from deltaforge.sources.postgres.relations import captured_tables
from deltaforge.sources.postgres.snapshot.catalog import (
    DEFINITION,
    NO_FILE,
    check_readable,
    kept_bytes,
    plan_of,
    published,
    transactions_at_work,
    warnings_of,
)
from deltaforge.sources.postgres.snapshot.connection import CopiedChunk, CopyConnection
from deltaforge.sources.postgres.snapshot.keys import condition_of_keys
from deltaforge.sources.postgres.snapshot.marks import Since, Snapshot, SnapshotMark, reachable
from deltaforge.sources.postgres.snapshot.plan import CopyPlan, Leaf, Place, literal, quoted, rows_between, rows_where
from deltaforge.sources.postgres.snapshot.range_size import RangeSize
from deltaforge.sources.snapshot.base import Chunk, ChunkRequest, Kept, Mark, TablePlan
from deltaforge.sources.snapshot.plans import SavedPlans

_plan_decoder = msgspec.json.Decoder(CopyPlan)
CUT_BYTES = 64 << 20
"""A chunk that has so many bytes is given up, and a smaller one read."""

_FACTS = """
select pg_current_snapshot()::text, pg_is_in_recovery()::text,
       case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text,
       (extract(epoch from clock_timestamp()) * 1000)::int8,
       (select system_identifier::text from pg_control_system()), pg_postmaster_start_time()::text,
       ({leaf}::regclass::oid = {oid})::text, pg_relation_filenode({oid})::int8, pg_relation_size({oid}), ({definition})
"""


@dataclass(frozen=True)
class _Facts:
    """What is true of a chunk. ``bytes``: of the leaf, after the snapshot was taken: no row that it sees is behind."""

    snapshot: Snapshot
    lsn: int
    ts_ms: int
    system_id: str
    started: str
    is_same_leaf: bool
    filenode: int | None
    bytes: int
    definition: str | None

    @classmethod
    def of(cls, chunk: CopiedChunk) -> _Facts:
        values = ["" if value is None else value for value in chunk.facts]
        snapshot, recovery, lsn, ts_ms, system_id, started, same, filenode, size, definition = values
        return cls(
            Snapshot.of(snapshot, is_standby=recovery == "true"),
            lsn_from_text(lsn),
            int(ts_ms),
            system_id,
            started,
            same == "true",
            int(filenode) if filenode else None,
            int(size or 0),
            definition or None,
        )


class PostgresChunkReader:
    """One connection. Opened by its first use, and again after an error."""

    def __init__(self, config: PostgresSourceConfig) -> None:
        self._config = config
        self._captures = captured_tables(config.tables)
        self._connection: CopyConnection | None = None
        self._plans = SavedPlans(_plan_decoder)
        self._sizes: dict[tuple[int, str | None], RangeSize] = {}  # a condition leaves fewer rows on a page
        self._at_work: tuple[Since | None, frozenset[int]] = (
            None,
            frozenset(),
        )  # of the running, known to commit later

    def tables(self) -> list[TableName]:
        return published(self._connected(), self._config.publication, self._captures.matches)

    def plan(self, table: TableName, *, where: str | None, stripe_count: int) -> TablePlan:
        connection = self._connected()
        plan, found = plan_of(connection, self._config.publication, table)
        check_readable(connection, plan.leaves, where)
        rows = sum(leaf.rows_per_page * leaf.pages for leaf in plan.leaves)
        return TablePlan(
            table,
            "ctid",
            msgspec.json.encode(plan).decode(),
            plan.stripes(stripe_count),
            round(rows) if rows or not plan.pages else None,
            round(sum(leaf.bytes_per_page * leaf.pages for leaf in plan.leaves)),
            warnings_of(found),
        )

    def read(self, request: ChunkRequest) -> Chunk:
        plan = self._plans.of(request.plan)
        if request.reread:
            condition = condition_of_keys(request.captured, request.reread)
            rows = rows_where(plan, request.plan.table, _columns(request), self._conditions(request, condition))
            copied, facts = self._copy(request, Place(), rows, None)
            return self._chunk(request, copied, facts, (Place(), None))
        low, end = Place.of(request.low), None if request.end is None else Place.of(request.end)
        copied, facts, stop = self._range(request, plan, low, end)
        is_end = stop.leaf >= len(plan.leaves) or (end is not None and stop >= end)
        return self._chunk(request, copied, facts, (low, None if is_end else stop))

    def _range(
        self, request: ChunkRequest, plan: CopyPlan, low: Place, end: Place | None
    ) -> tuple[CopiedChunk, _Facts, Place]:
        """The rows behind a place, as many as a chunk may have, and where the next ones begin."""
        if low.leaf >= len(plan.leaves):
            raise TableChangedError(f"table {'.'.join(request.plan.table)} has no such partition")
        leaf, exact = plan.leaves[low.leaf], None if request.high is None else Place.of(request.high)
        size = self._sizes.setdefault((leaf.oid, request.where), RangeSize(leaf))
        while True:
            stop = exact or size.stop(low, request.max_rows, request.max_bytes)
            stop = stop if end is None else min(stop, end)
            rows = rows_between(leaf, _columns(request), low, stop, self._conditions(request))
            copied, facts = self._copy(request, low, rows, None if exact or size.is_least else CUT_BYTES)
            if copied.is_whole:
                break
            size.cut(low, stop)
        if exact:
            return copied, facts, exact
        page_count = facts.bytes // self._connected().block_bytes
        read_to = min(stop, Place(low.leaf, page_count))  # behind it there was nothing to read
        size.note(low, read_to, copied.row_count, copied.byte_count, request.max_bytes)
        return copied, facts, Place(low.leaf + 1) if stop.leaf == low.leaf and stop.page >= page_count else stop

    def unsettled(self, mark: Mark, since: object) -> str | None:
        if not isinstance(mark, SnapshotMark) or not isinstance(since, Since):
            raise SourceError("a mark of another source", kind="other")
        if mark.server != since.server:
            raise SourceError(
                "the log and a chunk of a snapshot have been read from different servers",
                kind="connect",
                hint="let the DSN lead to one server, for example with target_session_attrs=read-write",
            )
        at_work = self._at_work[1] if self._at_work[0] is since else frozenset[int]()
        running = since.running_in(mark.snapshot) - at_work
        if running:
            at_work |= transactions_at_work(self._connected(), running)
            self._at_work = (since, at_work)
            running -= at_work
        if not running:
            return None
        names = ", ".join(str(xid) for xid in sorted(running)[:5])
        return f"transactions that were under way when the copy began: {names}"

    def split(self, plan: TablePlan, stripe: Stripe) -> Cursor | None:
        own = self._plans.of(plan)
        return own.middle(Place.of(stripe.at), None if stripe.end is None else Place.of(stripe.end))

    def kept(self) -> Kept:
        return Kept(byte_count=kept_bytes(self._connected()))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> CopyConnection:
        if self._connection is None:
            self._connection = CopyConnection(self._config.dsn.get_secret_value())
        return self._connection

    def _conditions(self, request: ChunkRequest, *own: str) -> list[str]:
        return [*own, self._plans.of(request.plan).row_filter, request.where or ""]

    def _copy(self, request: ChunkRequest, low: Place, rows: str, max_bytes: int | None) -> tuple[CopiedChunk, _Facts]:
        """Rows of the leaf of a place, or of the whole table, and what is true of them."""
        table: CapturedTable = request.captured
        connection, plan = self._connected(), self._plans.of(request.plan)
        leaf = plan.leaves[low.leaf]
        locked = ".".join(map(quoted, request.plan.table)) if request.reread else leaf.sql
        definition = DEFINITION.format(oid=plan.oid, publication=literal(self._config.publication))
        facts = _FACTS.format(leaf=literal(leaf.sql), oid=leaf.oid, definition=definition)
        try:
            copied = connection.copy(facts, rows, locked, (table.relation.oid, len(table.relation.columns)), max_bytes)
        except DeltaForgeError:
            self.close()
            raise
        if not copied.is_whole:
            self.close()
        found = _Facts.of(copied)
        self._check(request, leaf, found)
        return copied, found

    def _check(self, request: ChunkRequest, leaf: Leaf, facts: _Facts) -> None:
        """That the rows are those of the plan, and have the columns that the stream has registered."""
        name, plan = ".".join(request.plan.table), self._plans.of(request.plan)
        if facts.system_id != plan.system_id:
            raise TableChangedError(f"the copy of table {name} was planned on another server")
        if not facts.is_same_leaf:
            raise TableChangedError(f"table {name} was made anew")
        if facts.definition != plan.definition or facts.definition != request.captured.digest:
            raise TableChangedError(f"the definition of table {name} has changed, or how it is published")
        if (facts.filenode or NO_FILE) != leaf.filenode and not request.reread:
            raise TableChangedError(f"table {name} was rewritten: its rows are elsewhere")

    def _chunk(
        self,
        request: ChunkRequest,
        copied: CopiedChunk,
        facts: _Facts,
        places: tuple[Place, Place | None],
    ) -> Chunk:
        connection, plan, (low, reached) = self._connected(), self._plans.of(request.plan), places
        transaction = backend.Transaction(CONNECTOR, facts.system_id, request.transaction, "", facts.ts_ms)
        transaction.ordinal = low.ordinal
        lsn = reachable(facts.lsn, connection.wal_block_bytes, connection.wal_file_bytes)
        rows = copied_rows(request.captured, copied.inserts, transaction, facts.ts_ms, text_from_lsn(lsn))
        end = None if request.end is None else Place.of(request.end)
        return Chunk(
            request,
            rows,
            None if reached is None else reached.cursor(plan),
            SnapshotMark(facts.snapshot, f"{facts.system_id} {facts.started}"),
            PostgresPosition(lsn, None, facts.system_id, commit_ms=facts.ts_ms),
            copied.row_count,
            copied.byte_count,
            1.0 if reached is None else plan.fraction(_begin(request, low), end, reached),
        )


def _columns(request: ChunkRequest) -> list[str]:
    return [column.name for column in request.captured.relation.columns]


def _begin(request: ChunkRequest, low: Place) -> Place:
    """Where the stripe of a chunk begins."""
    begins = (Place.of(stripe.at) for stripe in request.plan.stripes)
    return max((begin for begin in begins if begin <= low), default=low)
