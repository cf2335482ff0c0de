"""What operators asked for last of snapshots, durable before it is answered.

A running pipeline writes the file before it answers; of a stopped one the control plane does. The next start finds the
job so, whatever was saved of it. The file is removed once a state is saved whose job has seen it.
"""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import Literal

from deltaforge.checkpoint.job_files import JobFiles
from deltaforge.core.errors import CheckpointError
from deltaforge.core.snapshot import JobChange, SnapshotState

_files = JobFiles(JobChange, "change")


def new_change(job_id: str, status: Literal["running", "paused", "cancelled"]) -> JobChange:
    """What is asked for now of a job."""
    return JobChange(id=job_id, change_id=uuid.uuid4().hex, status=status, asked_ms=time.time_ns() // 1_000_000)


def write_snapshot_change(folder: Path, change: JobChange) -> None:
    """Put a change where the next start finds it; it replaces an earlier one of its job. Durable when this returns.

    Args:
        folder: See :attr:`~deltaforge.runtime.paths.PipelinePaths.snapshot_changes`; made if it is not there.
        change: Of a job that is there, and not over.

    Raises:
        CheckpointError: It cannot be written.
    """
    _files.write(folder, change)


def read_snapshot_changes(folder: Path) -> dict[str, JobChange]:
    """What no saved state has seen so far, by the ids of the jobs.

    Raises:
        CheckpointError: A file cannot be read.
    """
    return {change.id: change for change in _files.read(folder)}


class SnapshotChanges:
    """Those of one log, in the process that copies. Called from any thread, :meth:`note` by one at a time.

    Args:
        folder: Of the files.

    Raises:
        CheckpointError: A file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._noted = read_snapshot_changes(folder)
        self._lock = threading.Lock()  # a file is not removed that has just been written anew

    def all(self) -> list[JobChange]:
        """What is not saved so far."""
        return list(self._noted.values())

    def of(self, job_id: str) -> JobChange | None:
        """That of one job."""
        return self._noted.get(job_id)

    def note(self, change: JobChange) -> None:
        """Have it hold over a crash. Durable when this returns.

        Raises:
            CheckpointError: It cannot be written; what was asked for before holds.
        """
        with self._lock:
            before, self._noted[change.id] = self._noted.get(change.id), change
        try:
            write_snapshot_change(self._folder, change)
        except CheckpointError:
            with self._lock:
                self._noted.pop(change.id)
                if before is not None:
                    self._noted[change.id] = before
            raise

    def forget(self, change: JobChange) -> None:
        """It is saved, or there is nothing to change; a later one of the same job stays."""
        with self._lock:
            if self._noted.get(change.id) is change:
                del self._noted[change.id]
                _files.remove(self._folder, change.id)

    def saved(self, state: SnapshotState) -> None:
        """A restart would find this state: what its jobs have seen needs no file, nor does what is over."""
        if self._noted:
            seen = {job.id: job.change_id for job in state.jobs}
            over = {job.id for job in state.ended}
            for change in self.all():
                if change.id in over or seen.get(change.id) == change.change_id:
                    self.forget(change)
