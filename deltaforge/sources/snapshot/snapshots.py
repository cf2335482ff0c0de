"""The snapshots of one source: takes jobs, runs one at a time, and gives the reader of the log what is to be delivered
between two transactions.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from deltaforge.core.batch import Batch
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import ControlError, DeltaForgeError, NotFoundError
from deltaforge.core.positions import Position
from deltaforge.core.resume import transaction_of
from deltaforge.core.retry import Retry, retry_of
from deltaforge.core.snapshot import ChunkMark, JobChange, SnapshotJob, SnapshotState
from deltaforge.core.snapshot_view import job_view
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.schema.registry import TableName
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot import states
from deltaforge.sources.snapshot.base import ChunkReader, CopyableLog
from deltaforge.sources.snapshot.chunks import passed_over
from deltaforge.sources.snapshot.copying import Copying
from deltaforge.sources.snapshot.counts import SnapshotCounts, eta_secs
from deltaforge.sources.snapshot.ledger import Ledger
from deltaforge.sources.snapshot.notes import WaitingJobs
from deltaforge.sources.snapshot.tables import REST, RETRY, Captured, Wait
from deltaforge.sources.snapshot.tasks import Result, Task
from deltaforge.sources.snapshot.worker import SnapshotWorker

log = logging.getLogger(__name__)

BUSY_POLL_SECS, IDLE_POLL_SECS = 0.005, 0.1
IDLE_SECS = 10.0
"""A worker without work for so long disconnects."""
IDLE_WAIT_SECS = 0.5
YIELDS_AFTER_SECS = 1.0
"""Nothing is read ahead for the copy if the log has had all the room for so long."""
SHOWN_AFTER_SECS = 10.0


class Snapshots:
    """Copies tables while the log is read. See ``docs/snapshots.md``.

    The thread that reads the log calls :meth:`connected`, :meth:`disconnected`, :meth:`note` and :meth:`next_batch`;
    who saves states :meth:`saved`; anybody the rest.

    Attributes:
        awaits_rest: No chunk leaves before the log has the rest of a transaction that a reconnection has cut, or, after
            a failover that lost it, another one.

    Args:
        source_id: For log lines and names of threads.
        config: How much at a time.
        build_reader: Makes a connection for a worker, unopened.
        metrics: The pipeline's metrics.
        state: As it was saved; None: no table was ever to be copied.
        ahead: What sinks have that keep their progress themselves; None: there is none.
        clock: Seconds, only ever growing.
    """

    def __init__(  # noqa: PLR0913 - what is saved, and two that speak of it
        self,
        source_id: str,
        config: SnapshotConfig,
        build_reader: Callable[[], ChunkReader],
        metrics: PipelineMetrics,
        *,
        state: SnapshotState | None = None,
        ahead: ChunksAhead | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._source_id, self._config, self._build_reader = source_id, config, build_reader
        self._ahead = ahead
        self._ledger = Ledger(state or SnapshotState(), lambda: int(time.time() * 1000))
        self._counts = SnapshotCounts(metrics, clock())
        self._changed = threading.Condition()
        self._copying: Copying | None = None
        self._others = WaitingJobs(self._ledger)
        self._again: deque[ChunkMark] | None = None
        self._workers: list[SnapshotWorker] = []
        self._is_connected = self._has_room = self._is_closed = False
        self._had_room_at = -YIELDS_AFTER_SECS
        self._open_tx, self.awaits_rest = "", False
        self._provisional: Collection[str] = ()
        self._capture_wait = Wait()

    # The thread that reads the log.

    @property
    def is_active(self) -> bool:
        """Whether there is anything to do at all."""
        return bool(self._ledger.state.jobs) or self._ledger.is_changed

    @property
    def poll_secs(self) -> float:
        """How long to wait for the log at most: chunks leave between two polls."""
        return IDLE_POLL_SECS if self._copying is None else BUSY_POLL_SECS

    @property
    def state(self) -> SnapshotState:
        """As it is now: what the next batch takes along. From any thread."""
        return self._ledger.state

    def connected(self, stream: CopyableLog) -> None:
        """The log is read over a new connection, exactly behind what was noted last."""
        with self._changed:
            self._is_connected, self._provisional = True, stream.provisional
            if self._copying is not None:
                self._copying.connected(stream)

    def disconnected(self) -> None:
        """The connection is gone; nothing is to be read until there is another."""
        with self._changed:
            self._is_connected = False

    def note(self, batch: Batch) -> None:
        """A batch of the log leaves; it takes the state along if that changes with it."""
        if not batch.event_count:
            return
        with self._changed:
            if self._open_tx and transaction_of(batch.groups[0]) != self._open_tx and self._copying is not None:
                self._copying.forget()  # what was delivered of a transaction that never ended is noted, and never seen
            self._open_tx = "" if batch.is_tx_end else transaction_of(batch.groups[-1])
            if self._copying is not None:
                self._copying.note(batch, self._provisional)
            self._others.note(batch, self._copying.job_id if self._copying is not None else None, self._provisional)
            if self._ledger.is_changed:
                batch.snapshot = self._ledger.take()

    def next_batch(self, stream: CopyableLog, position: Position, *, has_room: bool) -> Batch | None:
        """What may leave behind the last batch, where no transaction is open: a chunk, or a state alone; None: nothing.

        Args:
            stream: As it is connected.
            position: Up to where the log has left.
            has_room: Whether there is room for chunks: the log goes first.
        """
        now = self._clock()
        with self._changed:
            before, self._has_room = (self._copying, self._yields(now)), has_room
            if has_room:
                self._had_room_at = now
            copying = self._chosen(stream, now)
            names = self._prepared(copying, stream, now) if copying is not None else []
        found = self._captured(stream, names, now) if names else {}
        with self._changed:
            if copying is not None and found is not None and copying is self._copying:
                copying.captured(names, found)
            batch = self._batch(stream, position, now)
            if batch is not None:
                batch.snapshot = self._ledger.take()
            self._hire()
            if batch is not None or names or before != (self._copying, self._yields(now)):
                self._changed.notify_all()
            return batch

    def _chosen(self, stream: CopyableLog, now: float) -> Copying | None:
        """The job that runs now."""
        if self._again is None:
            if self._ahead is not None and self._ahead.waiting_for() is not None:
                return None
            marks = () if self._ahead is None else self._ahead.marks(self._ledger.state.number)
            self._again = deque(marks)
        job_id = self._next_job_id(self._again)
        if self._copying is not None and self._copying.job_id != job_id:
            self._copying = None
        if self._copying is None and job_id is not None:
            self._copying = Copying(job_id, self._ledger, self._config, self._counts, self._source_id, self._again)
            self._copying.connected(stream)
            self._counts.begin(now)
            job = self._ledger.job(job_id)
            log.info("snapshot %s %s", job_id, "goes on" if job.began_ms else "begins", extra=self._extra(job))
        return self._copying

    def _next_job_id(self, again: deque[ChunkMark]) -> str | None:
        jobs = self._ledger.state.jobs
        if again and any(job.id == again[0].job for job in jobs):
            return again[0].job
        ready = (job.id for job in jobs if job.status == "running" and self._ledger.is_job_saved(job.id))
        return next(ready, None)

    def _prepared(self, copying: Copying, stream: CopyableLog, now: float) -> list[TableName]:
        """Tables that the stream has to say how it decodes."""
        if self._capture_wait.until > now:
            return []
        try:
            return copying.prepare(stream)
        except DeltaForgeError as error:
            self._not_now(error, now)
            return []

    def _not_now(self, error: DeltaForgeError, now: float) -> None:
        """The server did not answer the thread that reads the log, which goes on: later, or the job has failed."""
        log.warning("snapshot: the log cannot be asked: %s", error, extra={"source_id": self._source_id})
        with self._changed:
            self._capture_wait.again(RETRY, now, str(error))
            if retry_of(error) is not Retry.BACKOFF and self._copying is not None:
                self._capture_wait.over()
                self._copying.error = str(error)

    def _captured(
        self, stream: CopyableLog, names: Sequence[TableName], now: float
    ) -> dict[TableName, Captured] | None:
        """How the stream decodes these tables; None if it could not say now."""
        try:
            found = stream.tables_to_copy(names)
        except DeltaForgeError as error:
            self._not_now(error, now)
            return None
        self._capture_wait.over()
        return {name: Captured(table, stream.definition_count(name)) for name, table in found.items()}

    def _batch(self, stream: CopyableLog, position: Position, now: float) -> Batch | None:
        copying, batch = self._copying, None
        if self._again and not any(job.id == self._again[0].job for job in self._ledger.state.jobs):
            return passed_over(self._again.popleft(), self._ledger, position, now)
        if copying is not None:
            batch = copying.next_batch(stream, position, now) if self._has_room else None
            if copying.is_over:
                self._end(copying)
        if batch is None and self._ledger.is_changed:
            batch = Batch((), position, received_at=now)
        return batch

    def _end(self, copying: Copying) -> None:
        self._copying = None
        job = self._ledger.job(copying.job_id)
        status, error = states.outcome(job.tables) if copying.error is None else ("failed", copying.error)
        self._ledger.set(states.ended(self._ledger.state, job.id, status, self._ledger.now_ms(), error))
        level = logging.INFO if status == "completed" else logging.ERROR
        log.log(level, "snapshot %s %s", job.id, status, extra={**self._extra(job), "error": error})

    def _extra(self, job: SnapshotJob) -> dict[str, Any]:
        row_count = sum(copy.row_count for copy in job.tables)
        return {"source_id": self._source_id, "job_kind": job.kind, "tables": len(job.tables), "rows": row_count}

    def _hire(self) -> None:
        copying = self._copying
        if copying is None or self._is_closed:
            return
        while len(self._workers) < copying.work.worker_count:
            name = f"snapshot-{self._source_id}-{len(self._workers)}"
            self._workers.append(SnapshotWorker(name, self, self._build_reader))
            self._workers[-1].start()

    # Workers.

    def next_task(self) -> Task | None:
        """The next thing to do, as soon as there is one; None: the worker may go."""
        idle_since = self._clock()
        with self._changed:
            while not self._is_closed:
                now = self._clock()
                task = self._task(now)
                if task is not None:
                    return task
                if now - idle_since >= IDLE_SECS:
                    return None
                copying = self._copying
                self._changed.wait(IDLE_WAIT_SECS if copying is None else copying.work.wait_secs(now, IDLE_WAIT_SECS))
        return None

    def _task(self, now: float) -> Task | None:
        copying = self._copying
        is_ready = self._is_connected and not self._yields(now)
        return copying.next_task(now) if copying is not None and is_ready else None

    def _yields(self, now: float) -> bool:
        return now - self._had_room_at >= YIELDS_AFTER_SECS

    def finished(self, task: Task, result: Result) -> None:
        """A worker did a task."""
        with self._changed:
            if self._copying is not None:
                self._copying.finished(task, result, self._clock())
            self._changed.notify_all()

    def failed(self, task: Task, error: DeltaForgeError) -> None:
        """A worker could not do a task."""
        with self._changed:
            if self._copying is not None:
                self._copying.failed(task, error, self._clock())
            self._changed.notify_all()

    def left(self, worker: SnapshotWorker) -> None:
        """A worker has gone."""
        with self._changed:
            self._workers.remove(worker)

    # Anybody.

    def saved(self, state: SnapshotState) -> None:
        """A restart would find this state now."""
        with self._changed:
            self._ledger.saved = state

    def request(self, job: SnapshotJob) -> None:
        """Copy tables, behind what was requested before. A job that is known already is not done again."""
        with self._changed:
            self._ledger.set(states.requested(self._ledger.state, job))

    def change(self, change: JobChange) -> None:
        """Pause a job, so that nothing more of it is read or delivered for now and the next one runs; go on with it; or
        end it. What was copied stays at the sinks.

        Raises:
            NotFoundError: There is no such job.
            ControlError: It is over.
        """
        with self._changed:
            self._check(change.id)
            if change.status != "running":
                self._stop(change.id)
            self._ledger.set(states.changed(self._ledger.state, change))

    def view(self) -> list[dict[str, Any]]:
        """All jobs as people see them: those that are not over in their order, then the others, the newest first."""
        with self._changed:
            now, state = self._clock(), self._ledger.state
            running = self._copying.job_id if self._copying is not None else None
            waiting_for = self._waiting_for(now)
            views = []
            for number, job in enumerate(state.jobs):
                rate = self._counts.rate.rows_per_second(now) if job.id == running else None
                reason = waiting_for if job.id == running or (running is None and number == 0) else None
                views.append(
                    job_view(
                        job,
                        rows_per_second=rate,
                        eta_seconds=eta_secs(job, rate),
                        waiting_for=reason,
                        waiting_seconds=None if reason is None else now - self._counts.progressed_at,
                    )
                )
            return views + [job_view(job) for job in reversed(state.ended)]

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def close(self, timeout_secs: float = 10.0) -> None:
        """End the workers. Never raises."""
        self.stop()
        with self._changed:
            workers = list(self._workers)
        deadline = time.monotonic() + timeout_secs
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _check(self, job_id: str) -> None:
        job = states.job_of(self._ledger.state, job_id)
        if job is None:
            raise NotFoundError(f"there is no snapshot {job_id}")
        if job not in self._ledger.state.jobs:
            raise ControlError(f"snapshot {job_id} is over: it is {job.status}", hint="request another one")

    def _stop(self, job_id: str) -> None:
        """What is being read of a job is worth nothing."""
        if self._copying is not None and self._copying.job_id == job_id:
            self._copying = None

    def _waiting_for(self, now: float) -> str | None:
        if self._ahead is not None and (silent := self._ahead.waiting_for()) is not None:
            return silent
        is_long = now - self._counts.progressed_at >= SHOWN_AFTER_SECS
        if is_long and self.awaits_rest:
            return REST
        if self._capture_wait.reason or self._copying is None:
            return self._capture_wait.reason or None
        return self._copying.waits.reason(is_long=is_long)
