"""One process per pipeline: a file lock for this machine and this state directory, and a lease for all processes that
share a storage.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.runtime.context import PipelineContext
from deltaforge.runtime.learned import learned_path
from deltaforge.runtime.outcome import Outcome
from deltaforge.runtime.paths import CONTROL_PLANE_LOCK, PipelinePaths
from deltaforge.storage.file_lock import FileLock, holder_of
from deltaforge.storage.lease import Lease, LeaseKeeper
from deltaforge.storage.sqlite import SqliteStorage

log = logging.getLogger(__name__)


@contextmanager
def owned(context: PipelineContext) -> Iterator[None]:
    """Own the pipeline: two processes of it would deliver everything twice.

    Raises:
        ControlError: Kind ``already_running``: another process owns it.
        StorageError: The lease cannot be read or written.
    """
    path, descriptor = context.paths.lock, context.lock_descriptor
    lock = FileLock(path) if descriptor is None else FileLock.inherited(path, descriptor)
    try:
        if not lock.take():
            raise _already_runs(context.paths, lock.holder())
        try:
            with _leased(context, lock):
                yield
        except DeltaForgeError as error:
            Outcome.of(error).write(context.paths.outcome)
            raise
    finally:
        lock.close()


def _already_runs(paths: PipelinePaths, pid: str) -> ControlError:
    who, hint = f"as process {pid}", "stop that process, or use another --state-dir and source id"
    if is_of_control_plane(pid):
        plane = control_plane_pid(paths.state_dir)
        who += ", started by the control plane" + (f" (process {plane})" if plane else ", which does not run now")
        hint = "stop the pipeline there, over REST, or use another --state-dir and source id"
    message = f"pipeline {paths.name} already runs from {paths.state_dir} {who}"
    return ControlError(message, kind="already_running", hint=hint)


def is_of_control_plane(pid: str) -> bool:
    """Whether a process is one that a control plane starts, as far as the system says."""
    try:
        arguments = Path(f"/proc/{int(pid)}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return False
    return b"deltaforge.runtime.launcher" in arguments


def control_plane_pid(state_dir: Path) -> str | None:
    """The process id of the control plane that runs pipelines from a state directory; None if there is none."""
    path = state_dir / CONTROL_PLANE_LOCK
    return holder_of(path) if path.exists() else None


@contextmanager
def _leased(context: PipelineContext, lock: FileLock) -> Iterator[None]:
    storage = SqliteStorage(learned_path(context.paths, context.storage_path))
    try:
        lease = Lease(storage.slots, f"pipeline {context.name}", lock=lock)
        lease.acquire()
        log.info("pipeline %s is owned by this process, fence %d", context.name, lease.fence)
        context.check_owner = lease.check
        keeper = LeaseKeeper(lease, lambda error: _end_at_once(context, error))
        try:
            yield
        finally:
            keeper.close()
    finally:
        storage.close()


def _end_at_once(context: PipelineContext, error: ControlError) -> None:
    """End the process like a crash does: whatever clients have buffered must not be sent any more."""
    log.critical("%s", error)
    Outcome.of(error).write(context.paths.outcome)
    os._exit(error.exit_code)
