"""One control plane per storage and per state directory: two of them would fight over the pipelines."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from deltaforge.control.options import ServeOptions
from deltaforge.core.errors import ControlError
from deltaforge.runtime.paths import CONTROL_PLANE_LOCK
from deltaforge.storage.base import Storage
from deltaforge.storage.file_lock import FileLock
from deltaforge.storage.lease import Lease, LeaseKeeper

log = logging.getLogger(__name__)

LEASE = "the control plane"


@contextmanager
def owned_storage(storage: Storage, options: ServeOptions) -> Iterator[None]:
    """Own the storage and the state directory while the context manager is open.

    Raises:
        ControlError: Kind ``already_running``: another control plane owns one of them; names it.
        StorageError: The lease cannot be read or written.
    """
    lock = FileLock(options.state_dir / CONTROL_PLANE_LOCK)
    try:
        if not lock.take():
            raise ControlError(
                f"another control plane (process {lock.holder()}) runs from the state directory {options.state_dir}",
                kind="already_running",
                hint="stop it first, or give this one its own --state-dir and --storage-path",
            )
        lease = Lease(storage.slots, LEASE, lock=lock)
        lease.acquire()
        keeper = LeaseKeeper(lease, _end_at_once)
        try:
            yield
        finally:
            keeper.close()
    finally:
        lock.close()


def _end_at_once(error: ControlError) -> None:
    """Like a crash: the pipelines go on, and the other control plane looks after its own."""
    log.critical("%s", error)
    os._exit(error.exit_code)
