"""Snapshots that operators asked for, in the files that bring them to the process that copies.

A running pipeline writes the file before it answers; of a stopped one the control plane does, and the next start takes
it. It is removed once a state is saved that knows the job. So a crash in between asks once more, under the same id.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from deltaforge.checkpoint.durable import sync_folder, write_durably
from deltaforge.core.errors import CheckpointError
from deltaforge.core.snapshot import SnapshotJob
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

    def view(self) -> dict[str, Any]:
        """As a job that no process has taken so far; its tables are the patterns."""
        job = SnapshotJob(
            self.id,
            "ad_hoc",
            (),
            where=self.where,
            sinks=self.sinks,
            max_rows_per_second=self.max_rows_per_second,
            truncate_first=self.truncate_first,
            requested_ms=self.requested_ms,
        )
        return {**job_view(job), "status": "requested", "patterns": list(self.tables)}


_decoder = msgspec.json.Decoder(SnapshotRequest)


def write_snapshot_request(folder: Path, request: SnapshotRequest) -> None:
    """Put a request where the next start finds it. Durable when this returns.

    Args:
        folder: See :attr:`~deltaforge.runtime.paths.PipelinePaths.snapshot_requests`; made if it is not there.
        request: Replaces an earlier one with its id.

    Raises:
        CheckpointError: It cannot be written.
    """
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        write_durably(_path(folder, request.id), msgspec.json.encode(request))
    except OSError as exc:
        raise CheckpointError(f"the snapshot cannot be noted in {folder.name}: {os.strerror(exc.errno or 0)}") from exc


def read_snapshot_requests(folder: Path) -> list[SnapshotRequest]:
    """What was asked for and is in no saved state so far, the oldest first.

    Raises:
        CheckpointError: A file cannot be read.
    """
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append(_decoder.decode(path.read_bytes()))
        except FileNotFoundError:
            continue  # its job was saved meanwhile
        except (OSError, msgspec.MsgspecError) as exc:
            raise CheckpointError(
                f"the request {path.name} of a snapshot cannot be read: {exc}", hint=f"remove {path} and ask again"
            ) from exc
        if found[-1].v != 1:
            raise CheckpointError(f"the request {path.name} of a snapshot has another version than 1")
    return sorted(found, key=lambda request: (request.requested_ms, request.id))


def remove_snapshot_request(folder: Path, job_id: str) -> bool:
    """The request is saved, or not wanted any more: forget it. Whether there was one."""
    path = _path(folder, job_id)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(folder)
    return True


def _path(folder: Path, job_id: str) -> Path:
    if not job_id.isalnum() or not job_id.isascii():
        raise CheckpointError(f"{job_id[:64]!r} is not the id of a snapshot")
    return folder / f"{job_id}.json"
