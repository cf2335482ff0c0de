"""The snapshots of a running pipeline: what operators ask for, tables that are new, and what is saved of them."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from deltaforge.checkpoint.snapshot_changes import SnapshotChanges, new_change
from deltaforge.checkpoint.snapshot_requests import (
    SnapshotRequest,
    read_snapshot_requests,
    remove_snapshot_request,
    write_snapshot_request,
)
from deltaforge.config.patterns import TablePatterns
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import ControlError, DeltaForgeError, NotFoundError, SourceError, SpecError
from deltaforge.core.retry import SOURCE_RECONNECT
from deltaforge.core.snapshot import JobChange, JobKind, SnapshotJob, SnapshotState, TableCopy
from deltaforge.observability.threads import show_thread_name
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.snapshot_control import STATUS_AFTER, SnapshotChange
from deltaforge.schema.registry import TableName
from deltaforge.sources.snapshot.base import ChunkReader
from deltaforge.sources.snapshot.snapshots import Snapshots

log = logging.getLogger(__name__)

LOOK_SECS = 30.0
"""How often the catalog is asked for tables that are new."""


class SnapshotJobs:
    """The :class:`~deltaforge.runtime.snapshot_control.SnapshotControl` of the source that this process reads.

    Args:
        info: Of the run.
        snapshots: Copies the tables.
        ahead: Is told what is saved.
        build_reader: Makes a reader of chunks, to ask the catalog with.
    """

    def __init__(
        self, info: RunInfo, snapshots: Snapshots, ahead: ChunksAhead, build_reader: Callable[[], ChunkReader]
    ) -> None:
        self._info = info
        self._snapshots = snapshots
        self._ahead = ahead
        self._build_reader = build_reader
        self._folder = info.paths.snapshot_requests
        self._pending = {request.id: request for request in read_snapshot_requests(self._folder)}
        config = info.spec.spec.source.config.snapshot
        self._copies_new = config is not None and config.mode != "never"
        self._saved: SnapshotState | None = None
        self._lock = threading.Lock()  # a request becomes one job, and what is on disk last of a job is so in memory
        self._changes = SnapshotChanges(info.paths.snapshot_changes)
        for change in self._changes.all():
            self._take(change)
        self._is_closing = False
        self._wakes = threading.Event()
        self._thread = threading.Thread(target=self._look, name=f"tables-{info.source_id}", daemon=True)
        if self._pending or self._copies_new:
            self._thread.start()

    def saved(self, state: SnapshotState | None) -> None:
        """A state of the source is saved, with these snapshots."""
        if state is None or state is self._saved:
            return
        self._saved = state
        self._ahead.saved = state.number
        self._snapshots.saved(state)
        self._changes.saved(state)
        for job in _jobs(state):
            if self._pending.pop(job.id, None) is not None:
                remove_snapshot_request(self._folder, job.id)

    def views(self) -> list[dict[str, Any]]:
        views = self._snapshots.view()
        known = {view["id"] for view in views}
        waiting = [request for id_, request in list(self._pending.items()) if id_ not in known]
        return [*views, *(request.view(self._changes.of(request.id)) for request in waiting)]

    def request(self, request: SnapshotRequest) -> dict[str, Any]:
        if request.id not in self._pending and not self._has(request.id):
            self._check_sinks(request)
            with self._asking() as reader:
                job = _job_of(request, reader.tables())
                self._check_where(job, reader)
            write_snapshot_request(self._folder, request)
            with self._lock:
                self._pending[request.id] = request
                self._snapshots.request(job)
        return self._view(request.id)

    def change(self, job_id: str, change: SnapshotChange) -> dict[str, Any]:
        with self._lock:
            status, wanted = self._view(job_id)["status"], STATUS_AFTER[change]
            if status != wanted:
                if status in ("completed", "failed", "cancelled"):
                    raise ControlError(f"snapshot {job_id} is over: {status}")
                if job_id not in self._pending and not self._is_saved(job_id):
                    raise ControlError(f"snapshot {job_id} has not begun", hint="ask again in a moment")
                noted = new_change(job_id, wanted)
                self._changes.note(noted)
                self._take(noted)
            return self._view(job_id)

    def look(self) -> None:
        """Ask the catalog for new tables now. Does not wait for the answer."""
        self._wakes.set()

    def close(self, timeout_secs: float) -> None:
        """End the thread. Never raises."""
        self._is_closing = True
        self._wakes.set()
        if self._thread.is_alive():
            self._thread.join(timeout_secs)

    def _take(self, change: JobChange) -> None:
        """Have a job be as it is asked for; one that waits for its tables is so from its beginning on."""
        if not self._has(change.id) and change.id in self._pending:
            if change.status == "cancelled":
                self._snapshots.request(_as_asked(self._pending[change.id].job(), change))
            return
        try:
            self._snapshots.change(change)
        except DeltaForgeError:
            log.info("what was asked for of snapshot %s is moot: the snapshot is over or gone", change.id)
            self._changes.forget(change)

    def _view(self, job_id: str) -> dict[str, Any]:
        view = next((view for view in self.views() if view["id"] == job_id), None)
        if view is None:
            raise NotFoundError(f"pipeline {self._info.name} has no snapshot {job_id}")
        return view

    def _is_saved(self, job_id: str) -> bool:
        return self._saved is not None and any(job.id == job_id for job in _jobs(self._saved))

    def _has(self, job_id: str) -> bool:
        return any(job.id == job_id for job in _jobs(self._snapshots.state))

    def _check_sinks(self, request: SnapshotRequest) -> None:
        known = [sink.config.id for sink in self._info.spec.spec.sinks]
        if unknown := [sink_id for sink_id in request.sinks or () if sink_id not in known]:
            raise SpecError(f"the pipeline has no sink {unknown[0]!r}", path="sinks", hint=f"it has {', '.join(known)}")

    def _check_where(self, job: SnapshotJob, reader: ChunkReader) -> None:
        if job.where is None:
            return
        for table in job.tables:
            try:
                reader.plan((table.schema, table.name), where=job.where, stripe_count=1)
            except SourceError as error:
                raise SpecError(
                    f"{table.schema}.{table.name}: {error.message}", path="where", hint=error.hint
                ) from error

    @contextmanager
    def _asking(self) -> Iterator[ChunkReader]:
        reader = self._build_reader()
        try:
            yield reader
        except SourceError as error:
            raise ControlError(f"the source cannot be copied: {error.message}", hint=error.hint) from error
        finally:
            reader.close()

    def _look(self) -> None:
        """Bring what was asked for while nothing ran, and tables that are new."""
        show_thread_name()
        delays = SOURCE_RECONNECT.delays(random.Random())
        while not self._is_closing:
            wait_secs = LOOK_SECS
            try:
                self._look_once()
            except DeltaForgeError as error:
                wait_secs = next(delays)
                log.warning("the tables to copy are not known: %s", error, extra={"source_id": self._info.source_id})
            else:
                delays = SOURCE_RECONNECT.delays(random.Random())
            self._wakes.wait(wait_secs)
            self._wakes.clear()

    def _look_once(self) -> None:
        asked = [request for request in list(self._pending.values()) if not self._has(request.id)]
        old = _copied(self._snapshots.state) if self._copies_new else None
        if not asked and old is None:
            return
        reader = self._build_reader()
        try:
            tables = reader.tables()
        finally:
            reader.close()
        for request in asked:
            with self._lock:
                if request.id in self._pending and not self._has(request.id):
                    job, change = _job_or_failure(request, tables), self._changes.of(request.id)
                    self._snapshots.request(_as_asked(job, change) if change is not None else job)
        if old is not None and (new := [table for table in tables if table not in old]):
            log.info("new tables are copied: %s", ", ".join(map(".".join, new)))
            self._snapshots.request(msgspec.structs.replace(new_job("new_table"), tables=_copies(new)))


def new_job(kind: JobKind) -> SnapshotJob:
    """A job that is asked for now, of all tables."""
    return SnapshotJob(uuid.uuid4().hex, kind, (), requested_ms=round(time.time() * 1000))


def _jobs(state: SnapshotState) -> tuple[SnapshotJob, ...]:
    return (*state.jobs, *state.ended)


def _copied(state: SnapshotState) -> set[TableName] | None:
    """The tables that were or will be copied on their own; None while a job is to find out which there are."""
    jobs = [job for job in _jobs(state) if job.kind in ("initial", "new_table")]
    if not jobs or any(not job.tables for job in jobs if job.status in ("running", "paused", "failed")):
        return None
    return {(table.schema, table.name) for job in jobs for table in job.tables}


def _copies(tables: list[TableName]) -> tuple[TableCopy, ...]:
    return tuple(TableCopy(*table) for table in tables)


def _job_of(request: SnapshotRequest, tables: list[TableName]) -> SnapshotJob:
    """The job that a request means, of the tables that are captured.

    Raises:
        SpecError: It means none of them.
    """
    patterns = TablePatterns(request.tables)
    meant = [table for table in tables if patterns.matches(*table)]
    if not meant:
        raise SpecError(f"no captured table matches {', '.join(request.tables) or '*'}", path="tables")
    return request.job(_copies(meant))


def _job_or_failure(request: SnapshotRequest, tables: list[TableName]) -> SnapshotJob:
    try:
        return _job_of(request, tables)
    except SpecError as error:
        return request.job(status="failed", ended_ms=round(time.time() * 1000), error=error.message)


def _as_asked(job: SnapshotJob, change: JobChange) -> SnapshotJob:
    """A job that has not begun, after a change; one that has failed already stays so."""
    if job.status == "failed":
        return job
    ended_ms = change.asked_ms if change.status == "cancelled" else 0
    return msgspec.structs.replace(job, status=change.status, change_id=change.change_id, ended_ms=ended_ms)
