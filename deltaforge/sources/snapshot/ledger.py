"""The state of snapshots as it is now, and as it was last saved."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy
from deltaforge.schema.registry import TableName
from deltaforge.sources.snapshot import states


class Ledger:
    """Holds the newest state until a batch takes it along.

    Attributes:
        state: Now.
        saved: The newest that a restart would find. What depends on a plan waits until that is in here.
        is_changed: Whether no batch has taken ``state`` along yet.
        now_ms: The time, in milliseconds since the epoch.
        epochs: Numbers that no job has used for its tasks.
    """

    def __init__(self, state: SnapshotState, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.epochs = itertools.count(1)
        self.state = self.saved = state
        self.is_changed = False

    def set(self, state: SnapshotState) -> None:
        """The state is another now."""
        if state is not self.state:
            self.state, self.is_changed = state, True

    def take(self) -> SnapshotState:
        """The state, for a batch."""
        self.is_changed = False
        return self.state

    def job(self, job_id: str) -> SnapshotJob:
        """A job that is not over."""
        return next(job for job in self.state.jobs if job.id == job_id)

    def table(self, job_id: str, table: TableName) -> TableCopy:
        """A table of such a job."""
        return next(copy for copy in self.job(job_id).tables if (copy.schema, copy.name) == table)

    def change_job(self, job_id: str, change: Callable[[SnapshotJob], SnapshotJob]) -> None:
        """A job that is not over has changed."""
        self.set(states.with_job(self.state, change(self.job(job_id))))

    def change_table(self, job_id: str, table: TableName, change: Callable[[TableCopy], TableCopy]) -> TableCopy:
        """A table of such a job has changed; how it is now."""
        before = self.table(job_id, table)
        after = change(before)
        if after is not before:
            self.change_job(job_id, lambda job: states.with_table(job, after))
        return after

    def is_job_saved(self, job_id: str) -> bool:
        """Whether a restart would know of a job."""
        return any(job.id == job_id for job in self.saved.jobs)

    def is_plan_saved(self, job_id: str, table: TableName, stripe: int | None) -> bool:
        """Whether a restart would find the present plan of a table, and this stripe of it."""
        job = states.job_of(self.saved, job_id)
        saved = states.table_of(job, table) if job else None
        if saved is None or saved.planned_count != self.table(job_id, table).planned_count:
            return False
        return stripe is None or stripe < len(saved.stripes)
