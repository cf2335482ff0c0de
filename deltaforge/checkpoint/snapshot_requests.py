"""Snapshots that operators asked for, in the files that bring them to the process that copies.

A running pipeline writes the file before it answers; of a stopped one the control plane does, and the next start takes
it. It is removed once a state is saved that knows the job. So a crash in between asks once more, under the same id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from deltaforge.checkpoint.job_files import JobFiles
from deltaforge.core.snapshot import JobChange, JobStatus, SnapshotJob, TableCopy
from deltaforge.core.snapshot_view import job_view


class SnapshotRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tables to copy, for an ``ad_hoc`` job.

    Attributes:
        id: Of the job; the same id twice is one job.
        tables: Patterns as in the document's source; of the captured tables, those that they match.
        where: Which rows, as a condition in the SQL of the source; None: all.
        sinks: Ids of those that get them; None: all.
        max_rows_per_second: For all tables together; None: no bound.
        truncate_first: Whether a truncate event goes before the first row of each table.
        requested_ms: When, in milliseconds since the epoch.
    """

    id: str
    tables: tuple[str, ...]
    where: str | None = None
    sinks: tuple[str, ...] | None = None
    max_rows_per_second: int | None = None
    truncate_first: bool = False
    requested_ms: int = 0
    v: int = 1

    def job(self, tables: tuple[TableCopy, ...] = (), status: JobStatus = "running", **more: Any) -> SnapshotJob:
        """The job that it asks for, of these tables."""
        return SnapshotJob(
            self.id,
            "ad_hoc",
            tables,
            status,
            where=self.where,
            sinks=self.sinks,
            max_rows_per_second=self.max_rows_per_second,
            truncate_first=self.truncate_first,
            requested_ms=self.requested_ms,
            **more,
        )

    def view(self, change: JobChange | None = None) -> dict[str, Any]:
        """As a job that no process has taken so far; its tables are the patterns. ``change``: of it, since."""
        status = "requested" if change is None or change.status == "running" else change.status
        return {**job_view(self.job()), "status": status, "patterns": list(self.tables)}


_files = JobFiles(SnapshotRequest, "request")


def write_snapshot_request(folder: Path, request: SnapshotRequest) -> None:
    """Put a request where the next start finds it. Durable when this returns.

    Args:
        folder: See :attr:`~deltaforge.runtime.paths.PipelinePaths.snapshot_requests`; made if it is not there.
        request: Replaces an earlier one with its id.

    Raises:
        CheckpointError: It cannot be written.
    """
    _files.write(folder, request)


def read_snapshot_requests(folder: Path) -> list[SnapshotRequest]:
    """What was asked for and is in no saved state so far, the oldest first.

    Raises:
        CheckpointError: A file cannot be read.
    """
    return sorted(_files.read(folder), key=lambda request: (request.requested_ms, request.id))


def remove_snapshot_request(folder: Path, job_id: str) -> bool:
    """The request is saved, or not wanted any more: forget it. Whether there was one."""
    return _files.remove(folder, job_id)
