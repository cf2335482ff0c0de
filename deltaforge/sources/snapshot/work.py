"""What is to be read next of the tables of a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from deltaforge.core.snapshot import ChunkMark, SnapshotJob, Stripe, TableCopy
from deltaforge.schema.registry import TableName
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot.base import ChunkRequest, Mark
from deltaforge.sources.snapshot.pace import Pace, Turns
from deltaforge.sources.snapshot.tables import CHUNK_BYTES, MAX_CHUNK_BYTES, REREAD_KEYS, TableRun, Wait
from deltaforge.sources.snapshot.tasks import ListTables, PlanTable, ReadChunk, SplitStripe, Task

PLANNED_AHEAD = 64
"""So many tables are planned before they are read: a plan is saved first."""
READY_PER_WORKER = 2


class Work:
    """Hands out tasks: lists and plans tables, reads stripes in order, splits large ones for workers without work.

    Attributes:
        epoch: What was asked for in another one is worth nothing. Those of two runs are never equal.
        tables: Those of the job that are not over, in its order.
        ready_count, ready_bytes: Chunks that were read and not delivered.
        newest: What all chunks that are asked for from now on have seen at least.
        since: What was delivered before notes were taken.
        turns: How large a chunk may be at present.
        floors: What each chunk that is being read has seen at least.
    """

    def __init__(self, config: SnapshotConfig, job: SnapshotJob, turns: Turns) -> None:
        self._config = config
        self.job = job
        bounds = [bound for bound in (config.max_rows_per_second, job.max_rows_per_second) if bound is not None]
        self.turns = turns
        self.pace = Pace(min(bounds) if bounds else None)
        self.epoch = 0
        self.tables: list[TableRun] = []
        self.is_listed = False
        self.is_listing = False
        self.list_wait = Wait()
        self.ready_count = self.ready_bytes = 0
        self.newest: Mark | None = None
        self.since: object = None
        self.floors: dict[int, Mark | None] = {}

    @property
    def worker_count(self) -> int:
        """How many workers can have something to do."""
        config, tables = self._config, max(1, len(self.tables))
        if not config.intra_table_parallel:
            return min(config.max_parallel_tables, tables)
        return min(config.most_workers, min(config.max_parallel_tables, tables) * config.max_parallel_chunks)

    @property
    def stripe_count(self) -> int:
        """Into how many a table is divided."""
        return self._config.max_parallel_chunks if self._config.intra_table_parallel else 1

    def run_of(self, table: TableName) -> TableRun | None:
        """A table that is not over."""
        return next((run for run in self.tables if run.name == table), None)

    def to_capture(self) -> list[TableName]:
        """Tables that the stream has to say how it decodes: many at a time, since it looks at all of the catalog."""
        if all(run.captured is not None for run in self.tables[: max(PLANNED_AHEAD // 2, self.worker_count)]):
            return []
        return [run.name for run in self._near() if run.captured is None]

    def next(self, now: float, copy_of: Callable[[TableRun], TableCopy]) -> Task | None:
        """The next thing to do for a worker; None: nothing at present."""
        if not self.is_listed:
            if self.is_listing or self.list_wait.until > now:
                return None
            self.is_listing = True
            return ListTables(self.epoch)
        near = [run for run in self._near() if run.captured is not None and run.wait.until <= now]
        planned = sum(1 for run in near if run.plan is not None and not run.is_begun)
        task: Task | None = self._plan(near) if planned < self.worker_count else None
        task = task or self._read(near, now, copy_of) or self._plan(near)
        if task is not None:
            return task
        if self.stripe_count > 1 and self._has_room():
            self._wish_for_more(near)
        return None

    def wait_secs(self, now: float, most: float) -> float:
        """When it is worth asking again, if nothing else happens."""
        waits = (wait.until for run in self._near() for wait in (run.wait, run.reread_wait))
        times = (self.list_wait.until, now + self.pace.wait_secs(now), *waits)
        return max(0.001, min([most, *(at - now for at in times if at > now)]))

    def again(self, mark: ChunkMark, run: TableRun, now: float) -> ReadChunk | None:
        """The chunk that was delivered before a restart as this, once more. One at a time."""
        if (
            mark.empties
            or run.plan is None
            or run.captured is None
            or self.floors
            or self.ready_count
            or run.wait.until > now
        ):
            return None
        stripe = run.stripes[mark.stripe]
        request = self._request(run, mark.low, stripe.end, 1 << 31, mark.reread)
        request = replace(request, high=None if mark.reread else mark.high)
        return self._started(run, None if mark.reread else mark.stripe, request, mark)

    def _near(self) -> list[TableRun]:
        return self.tables[: max(PLANNED_AHEAD, 2 * self.worker_count)]

    def _plan(self, near: list[TableRun]) -> PlanTable | None:
        for run in near:
            if run.plan is None and not run.is_planning:
                run.is_planning = True
                return PlanTable(self.epoch, run.name, run.round, self.job.where, self.stripe_count)
        return None

    def _read(
        self, near: list[TableRun], now: float, copy_of: Callable[[TableRun], TableCopy]
    ) -> ReadChunk | SplitStripe | None:
        if self.pace.wait_secs(now) or not self._has_room():
            return None
        begun = sum(1 for run in near if run.is_begun)
        for run in near:
            if run.plan is None or run.must_empty or (not run.is_begun and begun >= self._config.max_parallel_tables):
                continue
            if run.busy_count >= self.stripe_count:
                continue
            task = self._reread(run, copy_of(run), now) or self._stripe(run, now)
            if task is not None:
                return task
        return None

    def _has_room(self) -> bool:
        most = READY_PER_WORKER * self.worker_count
        return self.ready_count + len(self.floors) < most and self.ready_bytes < most * CHUNK_BYTES

    def _reread(self, run: TableRun, copy: TableCopy, now: float) -> ReadChunk | None:
        """Rows to be read again, once there are many, or nothing else is left to read."""
        if run.reread_busy or not copy.reread or run.reread_wait.until > now:
            return None
        if len(copy.reread) < REREAD_KEYS and not all(stripe.is_read for stripe in run.stripes):
            return None
        run.reread_busy = True
        request = self._request(run, None, None, REREAD_KEYS, copy.reread[:REREAD_KEYS])
        return self._started(run, None, request)

    def _stripe(self, run: TableRun, now: float) -> ReadChunk | SplitStripe | None:
        free = next(((n, stripe) for n, stripe in enumerate(run.stripes) if stripe.is_free), None)
        if free is None or run.plan is None:
            return None
        number, stripe = free
        stripe.is_busy = True
        if run.wants_split and not stripe.is_small and stripe.read_to is not None:
            run.wants_split = False
            left = Stripe(stripe.read_to, stripe.end)
            return SplitStripe(self.epoch, run.name, run.round, number, run.plan, left)
        bounds = (self._config.chunk_size, self.pace.rows_per_second, self.turns.max_rows(now))
        max_rows = run.max_rows(min(bound for bound in bounds if bound is not None))
        return self._started(run, number, self._request(run, stripe.read_to, stripe.end, max_rows, ()))

    def _request(
        self, run: TableRun, low: str | None, end: str | None, max_rows: int, reread: tuple[str, ...]
    ) -> ChunkRequest:
        plan, captured, ids = run.known()
        where = self.job.where
        return ChunkRequest(
            plan, captured, run.transaction, ids, low, end, max_rows, MAX_CHUNK_BYTES, where, reread=reread
        )

    def _started(
        self, run: TableRun, stripe: int | None, request: ChunkRequest, again: ChunkMark | None = None
    ) -> ReadChunk:
        run.busy_count += 1
        run.is_begun = True
        task = ReadChunk(self.epoch, run.name, run.round, stripe, request, self.newest, self.since, again)
        self.floors[id(task)] = self.newest
        return task

    def _wish_for_more(self, near: list[TableRun]) -> None:
        """A worker has nothing to do: a stripe is to be divided as soon as nobody reads it."""
        for run in near:
            if run.plan is not None and 0 < run.busy_count < self.stripe_count:
                run.wants_split = True
                return
