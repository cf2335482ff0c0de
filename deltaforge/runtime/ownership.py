"""One process per pipeline: a file lock for this machine and this state directory, and a lease for all processes that
share a storage.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.runtime.context import PipelineContext
from deltaforge.runtime.learned import learned_path
from deltaforge.runtime.outcome import Outcome
from deltaforge.storage.file_lock import FileLock
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
    lock = FileLock(context.paths.lock)
    try:
        if not lock.take():
            raise ControlError(
                f"pipeline {context.name} already runs from {context.paths.state_dir}",
                kind="already_running",
                hint="stop the other process, or use another --state-dir and source id",
            )
        try:
            with _leased(context, lock):
                yield
        except DeltaForgeError as error:
            Outcome.of(error).write(context.paths.outcome)
            raise
    finally:
        lock.close()


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
