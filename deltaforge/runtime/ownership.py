"""One process per pipeline: a file lock for this machine and this state directory, and a lease for all processes that
share a storage.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.runtime.outcome import Outcome
from deltaforge.runtime.paths import CONTROL_PLANE_LOCK, PipelinePaths
from deltaforge.runtime.stored_schemas import storage_path_of
from deltaforge.storage.file_lock import FileLock, holder_of
from deltaforge.storage.lease import FRESH_SECS, TTL_SECS, Lease, LeaseKeeper, monotonic
from deltaforge.storage.sqlite import SqliteStorage

log = logging.getLogger(__name__)

BEAT = struct.Struct("<d")
"""What a leader says to its members: :attr:`Ownership.renewed_at`."""


class Ownership:
    """Whether a pipeline is this process's: two processes of it would deliver everything twice.

    It always is where nobody took it: inside somebody else's Bytewax run, whose processes share a pipeline.
    """

    def __init__(self) -> None:
        self._lease: Lease | None = None
        self._lock: FileLock | None = None

    @property
    def renewed_at(self) -> float:
        """When the pipeline was known to be ours last, by :func:`~deltaforge.storage.lease.monotonic`."""
        return self._lease.renewed_at if self._lease is not None else 0.0

    @property
    def lock_descriptor(self) -> int | None:
        """Of the lock file, while the lock is held: a process that inherits it holds the lock, too."""
        return self._lock.descriptor if self._lock is not None else None

    def check(self) -> None:
        """Check that it still is: nothing may be written or saved any more otherwise.

        Raises:
            ControlError: Kind ``already_running``: another process owns it.
        """
        if self._lease is not None:
            self._lease.check()

    @contextmanager
    def held(self, paths: PipelinePaths, storage_path: Path | None, lock_descriptor: int | None) -> Iterator[None]:
        """Own the pipeline while it is open.

        Args:
            paths: Of the pipeline.
            storage_path: Of the control plane's SQLite backend, if there is one.
            lock_descriptor: Of the lock file, held already: by the control plane that made this process.

        Raises:
            ControlError: Kind ``already_running``: another process owns it.
            StorageError: The lease cannot be read or written.
        """
        path = paths.lock
        lock = FileLock(path) if lock_descriptor is None else FileLock.inherited(path, lock_descriptor)
        try:
            if not lock.take():
                raise _already_runs(paths, lock.holder())
            self._lock = lock
            try:
                with self._leased(paths, storage_path, lock):
                    yield
            except DeltaForgeError as error:
                Outcome.of(error).write(paths.outcome)
                raise
        finally:
            self._lock = None
            lock.close()

    @contextmanager
    def _leased(self, paths: PipelinePaths, storage_path: Path | None, lock: FileLock) -> Iterator[None]:
        storage = SqliteStorage(storage_path_of(paths, storage_path))
        try:
            lease = Lease(storage.slots, f"pipeline {paths.name}", lock=lock)
            lease.acquire()
            log.info("pipeline %s is owned by this process, fence %d", paths.name, lease.fence)
            self._lease = lease
            keeper = LeaseKeeper(lease, lambda error: _end_at_once(paths, error))
            try:
                yield
            finally:
                keeper.close()
        finally:
            storage.close()


class LeashedOwnership(Ownership):
    """Of a member of a pipeline's cluster. Its leader owns the pipeline, and says again and again until when that was
    so; the clock is the machine's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard = threading.Condition()
        self._renewed_at = monotonic()

    @property
    def renewed_at(self) -> float:
        return self._renewed_at

    def beat(self, renewed_at: float) -> None:
        """The leader has said something."""
        with self._heard:
            self._renewed_at = renewed_at
            self._heard.notify_all()

    def check(self) -> None:
        if monotonic() - self._renewed_at <= FRESH_SECS:
            return
        with self._heard:
            if not self._heard.wait_for(lambda: monotonic() - self._renewed_at <= FRESH_SECS, TTL_SECS):
                raise ControlError(
                    "nothing is heard of the process that owns the pipeline: it may be somebody else's by now",
                    kind="timeout",
                )


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


def _end_at_once(paths: PipelinePaths, error: ControlError) -> None:
    """End the process like a crash does: whatever clients have buffered must not be sent any more."""
    log.critical("%s", error)
    Outcome.of(error).write(paths.outcome)
    os._exit(error.exit_code)
