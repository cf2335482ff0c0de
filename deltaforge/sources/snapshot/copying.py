"""The job that runs: its chunks are merged into the log, between two transactions."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError, TableChangedError
from deltaforge.core.positions import Position
from deltaforge.core.retry import Retry, retry_of
from deltaforge.core.snapshot import ChunkMark, Cursor, SnapshotJob, TableCopy
from deltaforge.schema.registry import TableName
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot import states
from deltaforge.sources.snapshot.base import CopyableLog, Listed, TablePlan
from deltaforge.sources.snapshot.chunks import Ready, passed_over
from deltaforge.sources.snapshot.counts import SnapshotCounts
from deltaforge.sources.snapshot.ledger import Ledger
from deltaforge.sources.snapshot.marking import mark_rows
from deltaforge.sources.snapshot.notes import Notes, Unseen
from deltaforge.sources.snapshot.preflight import ToldRisks
from deltaforge.sources.snapshot.tables import RETRY, UNSETTLED, Captured, TableRun, Waits
from deltaforge.sources.snapshot.tasks import ListTables, PlanTable, ReadChunk, ReadDone, Result, SplitStripe, Task
from deltaforge.sources.snapshot.truncation import next_emptied
from deltaforge.sources.snapshot.work import Work

log = logging.getLogger(__name__)

MAX_REFUSALS = 10
"""So often chunks of a table without a key are read again since the log has changes of it; then they are delivered, and
a row of it may come twice, or be older than what the log said last."""


class Copying:
    """Copies the tables of one job. Knows no thread and no clock: who calls holds a lock, and says what time it is.

    The log and the chunks meet in :meth:`next_batch`, which is called where no transaction is open: a chunk leaves
    once the log has passed all that it can have seen, without the rows that were changed by a transaction that was
    delivered before and that the chunk has perhaps not seen.

    Attributes:
        work: What is to be read.
        waits: What has to be waited for.
        error: Why the job as a whole cannot be done.

    Args:
        job_id: It is in the state of ``ledger``, and not over.
        ledger: Takes the changes of the state.
        config: How many at a time, and how much.
        counts: Of what becomes of chunks.
        again: Chunks that a sink has and no saved state knows of: they are delivered first, as they were.
    """

    def __init__(  # noqa: PLR0913 - a job, what it is of, and how it is told
        self,
        job_id: str,
        ledger: Ledger,
        config: SnapshotConfig,
        counts: SnapshotCounts,
        source_id: str,
        again: deque[ChunkMark] | None = None,
    ) -> None:
        self.job_id, self._ledger, self._counts = job_id, ledger, counts
        self._log = logging.LoggerAdapter(log, {"source_id": source_id})
        job = ledger.job(job_id)
        self.work = Work(config, job, counts.turns)
        self._notes = Notes({})
        self._has_notes = False
        self._ready: list[Ready] = []
        self._server = ""
        self._again = deque[ChunkMark]() if again is None else again
        self.waits = Waits()
        self.error: str | None = None
        self._told = ToldRisks(config)
        if job.began_ms:
            self._enter(job)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to copy."""
        return self.error is not None or (self.work.is_listed and not self.work.tables)

    # The thread that reads the log.

    def connected(self, stream: CopyableLog) -> None:
        """A connection of the log begins, behind what was noted. Notes go on, unless they are of another server; but
        tables are decoded anew, so what was read before is read again.
        """
        for run in self.work.tables:
            run.captured = None
        if stream.server() != self._server:
            self._server, self._has_notes = stream.server(), False
        self._read_again()

    def forget(self) -> None:
        """What is noted is worth nothing: begin anew."""
        self._has_notes = False

    def note(self, batch: Batch, provisional: Collection[str]) -> None:
        """A batch of the log leaves for the sinks. ``provisional``: see :meth:`CopyableLog.provisional`."""
        self.work.turns.note_log(batch.received_at)
        for table, note in self._notes.add(batch, provisional):
            run = self.work.run_of(table) if note.incomplete else None
            if run is not None and run.plan is not None:
                # The row may have moved into a part of the table that some sink has already, and be in no chunk.
                self._change(run, partial(states.to_reread, keys=note.incomplete))

    def prepare(self, stream: CopyableLog) -> list[TableName]:
        """Take notes if none are taken, or too many; which tables are to be captured."""
        if not self._has_notes or self._notes.is_full:
            for run in self.work.tables:
                run.ids = stream.ids_of(run.transaction)
            self._notes = Notes({})
            self._watch()
            self.work.since, self.work.newest, self._has_notes = stream.since(), None, True
            self._read_again()
        elif self._notes.has_grown:
            self._forget_seen()
        return self.work.to_capture()

    def captured(self, names: Sequence[TableName], found: Mapping[TableName, Captured]) -> None:
        """How the stream decodes these tables; those that are not in ``found`` are gone."""
        for run in [run for run in self.work.tables if run.name in names]:
            if run.name in found:
                run.captured = found[run.name]
            else:
                self._gone(run, "it is not there, not published, or has no columns")

    def next_batch(self, stream: CopyableLog, position: Position, now: float) -> Batch | None:
        """The next chunk that may leave at a place of the log, or None. There is room for one."""
        if self._again and self._is_lost(self._again[0]):
            return passed_over(self._again.popleft(), self._ledger, position, now)
        batch = next_emptied(self.work.tables, self._again, self._ledger, self.work.job, position, now)
        if batch is not None:
            self._has_notes = False  # what was delivered of the table is gone: chunks have to have seen it
            return batch
        blocked: set[tuple[TableName, int | None]] = set()
        for ready in list(self._ready) if self._has_notes and self.work.turns.is_next(now) else ():
            stripe = (ready.task.table, ready.task.stripe)
            run = self.work.run_of(ready.task.table)
            if run is None or ready not in self._ready or stripe in blocked:
                continue
            unseen = self._judged(ready, run, stream, position, now)
            if unseen is not None:
                return self._delivered(ready, run, unseen, position, now)
            blocked.add(stripe)
        return None

    def _judged(
        self, ready: Ready, run: TableRun, stream: CopyableLog, position: Position, now: float
    ) -> Unseen | None:
        """What the chunk has perhaps not seen, if it may leave here. If it never may, it is thrown away."""
        chunk = ready.chunk
        if run.captured is None or stream.definition_count(run.name) != run.captured.definition_count:
            self._plan_again(run)
            return None
        is_behind = position.is_behind(chunk.high)
        if is_behind is None:  # of another server
            self._read_table_again(run)
        elif is_behind:
            stream.hasten(chunk.high)
            self.waits.wait(run.name, "the log to be read up to where the chunk was read")
        elif ready.task.again or self._ledger.is_plan_saved(self.job_id, run.name, ready.task.stripe):
            unseen = self._notes.unseen(run.name, chunk.mark)
            if unseen.is_emptied:
                self._plan_again(run)
            elif unseen.is_unknown or (unseen.is_keyless and run.refusals < MAX_REFUSALS):
                run.refusals += 1
                if run.refusals == MAX_REFUSALS and unseen.is_keyless:
                    self._log.warning("snapshot of %s: it has no key and is always written: see its limits", run.title)
                run.wait.again(UNSETTLED, now, "a moment without changes whose rows cannot be told apart")
                self._read_table_again(run)
            elif unseen.is_provisional and chunk.request.reread and not ready.task.again:
                self._reread_later(ready, run, now)
            else:
                return unseen
        return None

    def _reread_later(self, ready: Ready, run: TableRun, now: float) -> None:
        """The log may take back what it says of the rows: nobody knows their newest versions yet."""
        self._let_go(ready, run)
        self._counts.discarded()
        run.reread_wait.again(UNSETTLED, now, "")
        self.waits.wait(run.name, "XA transactions that are prepared")

    def _delivered(self, ready: Ready, run: TableRun, unseen: Unseen, position: Position, now: float) -> Batch:
        task, chunk = ready.task, ready.chunk
        mark = ready.mark(self._ledger.state.number + 1, self.work.job)
        batch = ready.batch(mark, unseen.row_ids, position, now)
        row_count = batch.event_count
        if task.stripe is not None and chunk.fraction is not None:
            run.stripes[task.stripe].fraction = chunk.fraction
        what = states.Delivered(
            row_count=row_count,
            byte_count=chunk.byte_count,
            dropped_count=chunk.row_count - row_count,
            # What a sink has of a chunk from before a restart may lack rows that it has now.
            reread=mark.reread if task.again else tuple(key for key in mark.reread if key in unseen.incomplete),
            fraction=run.fraction(self._copy(run), row_count),
        )
        before = self._ledger.job(self.job_id)
        copy = self._change(run, lambda copy: states.delivered(copy, mark, what))
        mark_rows(batch, before, copy)
        self._ledger.set(states.numbered(self._ledger.state, mark.number))
        batch.turn = self.work.turns.begin(row_count) if row_count else None
        self._counts.delivered(run.title, what, is_reread=bool(mark.reread), now=now)
        self._let_go(ready, run)
        self.waits.over(run.name)
        self._forget_seen()
        if task.again is not None:
            self._again.popleft()
            run.rewind(copy.stripes)
        if states.is_copied(copy):
            self._over(run, states.completed)
        return batch

    def _let_go(self, ready: Ready, run: TableRun) -> None:
        self._hold([other for other in self._ready if other is not ready])
        if ready.task.stripe is None:
            run.reread_busy = False

    def _is_lost(self, mark: ChunkMark) -> bool:
        """Whether a chunk that a sink has cannot be read again: its table is gone, or has to be planned again."""
        run = self.work.run_of((mark.schema, mark.table))
        return mark.job != self.job_id or run is None or run.plan is None

    def _forget_seen(self) -> None:
        ready = (ready.chunk.mark for ready in self._ready)
        self._notes.forget([*self.work.floors.values(), *ready, self.work.newest])

    # Workers.

    def next_task(self, now: float) -> Task | None:
        """What a worker is to do; None: nothing at present."""
        if not self._again:
            return self.work.next(now, self._copy)
        mark = self._again[0]
        run = self.work.run_of((mark.schema, mark.table))
        return None if self._is_lost(mark) or run is None else self.work.again(mark, run, now)

    def finished(self, task: Task, result: Result, now: float) -> None:
        """A worker did a task."""
        if isinstance(task, ListTables):
            self._listed(task, result)
        elif (run := self._run_of(task)) is not None:
            if isinstance(task, PlanTable) and isinstance(result, TablePlan):
                self._planned(run, result)
            elif isinstance(task, SplitStripe):
                self._split(run, task.number, result if isinstance(result, str) else None)
            elif isinstance(task, ReadChunk) and isinstance(result, ReadDone):
                self._read(run, task, result, now)

    def failed(self, task: Task, error: DeltaForgeError, now: float) -> None:
        """A worker could not do a task."""
        is_passing = retry_of(error) is Retry.BACKOFF
        if isinstance(task, ListTables):
            self.work.list_wait.again(RETRY, now, str(error))
            self.work.is_listing = False
            self.waits.trouble(None, str(error))
            self.error = None if is_passing else str(error)
            return
        run = self._run_of(task)
        if run is None:
            return
        run.released(task)
        if isinstance(error, TableChangedError) and isinstance(task, PlanTable):
            self._gone(run, str(error))
        elif isinstance(error, TableChangedError):
            self._plan_again(run)
            run.wait.again(UNSETTLED, now, str(error))
        elif is_passing:
            run.wait.again(RETRY, now, str(error))
            self.waits.trouble(run.name, str(error))
            self._log.warning("snapshot of %s: trying again: %s", run.title, error)
        else:
            self._log.error("snapshot of %s failed: %s", run.title, error)
            self._over(run, lambda copy: states.failed(copy, str(error)))

    def _listed(self, task: ListTables, result: Result) -> None:
        if task.epoch != self.work.epoch or not isinstance(result, Listed):
            return
        self._told.kept = result.kept
        self.work.is_listing = False
        self.waits.over(None)
        self._ledger.change_job(self.job_id, lambda job: states.begun(job, result.tables, self._ledger.now_ms()))
        self._enter(self._ledger.job(self.job_id))

    def _enter(self, job: SnapshotJob) -> None:
        """The tables of the job are known."""
        self.work.is_listed, self.work.job, self._has_notes = True, job, False
        for copy in job.tables:
            if copy.is_over:
                continue
            self.work.tables.append(TableRun.of(job, copy))

    def _planned(self, run: TableRun, plan: TablePlan) -> None:
        run.is_planning = False
        run.wait.over()
        run.planned(plan)
        incomplete = self._notes.incomplete(run.name)
        self._change(run, lambda copy: states.to_reread(states.planned(copy, plan), incomplete))
        for warning in (*plan.warnings, *self._told.news(plan)):
            self._log.warning("snapshot of %s: %s", run.title, warning)

    def _split(self, run: TableRun, number: int, at: Cursor | None) -> None:
        run.split(number, at)
        if at is not None:
            self._change(run, lambda copy: states.split(copy, number, at))

    def _read(self, run: TableRun, task: ReadChunk, done: ReadDone, now: float) -> None:
        run.released(task)
        if done.unsettled is not None:
            self._counts.discarded()
            run.wait.again(UNSETTLED, now, done.unsettled)
            self.waits.wait(run.name, done.unsettled)
            return
        chunk = done.chunk
        run.wait.over()
        self.waits.over(run.name)
        run.note_size(chunk.row_count, chunk.byte_count)
        self.work.pace.note(chunk.row_count, now)
        self.work.newest = chunk.mark
        if task.stripe is None:
            run.reread_busy = True
        else:
            stripe = run.stripes[task.stripe]
            stripe.read_to = chunk.reached if chunk.reached is not None else stripe.end
            stripe.is_read = stripe.read_to == stripe.end
        self._hold([*self._ready, Ready(task, chunk)])

    def _run_of(self, task: PlanTable | SplitStripe | ReadChunk) -> TableRun | None:
        """The table of a task; None if what was asked for is worth nothing any more."""
        self.work.floors.pop(id(task), None)
        run = self.work.run_of(task.table)
        is_valid = run is not None and task.epoch == self.work.epoch and task.round == run.round
        if not is_valid and isinstance(task, ReadChunk):
            self._counts.discarded()
        return run if is_valid else None

    # What both sides do to tables.

    def _copy(self, run: TableRun) -> TableCopy:
        return self._ledger.table(self.job_id, run.name)

    def _change(self, run: TableRun, change: Callable[[TableCopy], TableCopy]) -> TableCopy:
        return self._ledger.change_table(self.job_id, run.name, change)

    def _throw_away(self, run: TableRun | None) -> None:
        """The chunks of a table (None: of all) that are not delivered."""
        kept = [ready for ready in self._ready if run is not None and ready.task.table != run.name]
        self._counts.discarded(len(self._ready) - len(kept))
        self._hold(kept)

    def _hold(self, ready: list[Ready]) -> None:
        self._ready, self.work.ready_count = ready, len(ready)
        self.work.ready_bytes = sum(one.chunk.byte_count for one in ready)

    def _read_again(self) -> None:
        self.work.epoch = next(self._ledger.epochs)
        self.work.is_listing = False
        self._throw_away(None)
        for run in self.work.tables:
            run.is_planning = False
            if run.plan is not None:
                run.rewind(self._copy(run).stripes)

    def _read_table_again(self, run: TableRun) -> None:
        self._throw_away(run)
        run.rewind(self._copy(run).stripes)

    def _plan_again(self, run: TableRun) -> None:
        """It was truncated, or is defined anew."""
        self._log.info("snapshot of %s begins again: the table was truncated or has changed", run.title)
        self._throw_away(run)
        run.to_plan()

    def _gone(self, run: TableRun, reason: str) -> None:
        self._log.warning("snapshot of %s: nothing to copy: %s", run.title, reason)
        self._throw_away(run)
        self._ledger.change_job(self.job_id, lambda job: states.without_table(job, run.name))
        self._remove(run)

    def _over(self, run: TableRun, change: Callable[[TableCopy], TableCopy]) -> None:
        self._throw_away(run)
        copy = self._change(run, change)
        if copy.status == "completed":
            self._log.info("snapshot of %s: %d rows copied", run.title, copy.row_count)
        self._remove(run)

    def _remove(self, run: TableRun) -> None:
        self.work.tables.remove(run)
        self.waits.over(run.name)
        self._watch()

    def _watch(self) -> None:
        self._notes.watch({run.name: run.ids for run in self.work.tables if run.ids is not None})
