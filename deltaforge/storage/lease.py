"""One owner of a name, among all processes that share a storage backend.

A lease is a slot that its owner writes again and again. Clocks of two machines are never compared: who wants the
lease watches the slot with its own monotonic clock. If the slot changes, the owner lives; if it stays the same for
``TTL_SECS``, it may be taken. Every write is a compare and swap on the version that the writer wrote or read last, so
an owner that was stopped in between finds out with its next write, and always before it counts as the owner again.

The slot is never removed: a slot that is made again would start at version 1, and an old owner could take the new
version for its own.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

import msgspec

from deltaforge.core.errors import ControlError, StorageError
from deltaforge.storage.base import Slot, Slots
from deltaforge.storage.file_lock import FileLock, is_free

log = logging.getLogger(__name__)

NAMESPACE = "leases"
TTL_SECS = 10.0
RENEW_SECS = 2.0
FRESH_SECS = 4.0
"""How old a renewal may be when something is written; an older one is renewed first."""
POLL_SECS = 0.1


def monotonic() -> float:
    """Seconds, of a clock that also runs while the machine sleeps, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the slot.

    ``id`` is of one process and one taking; ``fence`` grows with every taking. ``lock_path`` and ``lock_identity``
    name the file that a process of the same machine can look at. ``is_released``: it ended in good order.
    """

    id: str
    fence: int
    host: str
    pid: int
    lock_path: str = ""
    lock_identity: str = ""
    is_released: bool = False

    @property
    def who(self) -> str:
        """For messages."""
        return f"process {self.pid} on {self.host} (fence {self.fence})"


_decoder = msgspec.json.Decoder(Owner)


class Lease:
    """The ownership of ``name``. May be used from any thread.

    Args:
        slots: Of the storage backend that all who want the name share.
        name: What is owned.
        lock: The file lock that this process holds as well; a later owner on this machine sees by it that we died.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        slots: Slots,
        name: str,
        *,
        lock: FileLock | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._slots = slots
        self._name = name
        self._lock_path = str(lock.path) if lock else ""
        self._lock_identity = lock.identity if lock else ""
        self._clock = clock
        self._sleep = sleep
        self._guard = threading.Lock()
        self._owner: Owner | None = None
        self._version = 0
        self._renewed_at = 0.0
        self._loss: ControlError | None = None

    @property
    def fence(self) -> int:
        """Grows with every owner of the name; 0 before the first taking."""
        return self._owner.fence if self._owner else 0

    @property
    def renewed_at(self) -> float:
        """When the lease was known to be ours last, by :func:`monotonic`."""
        return self._renewed_at

    def acquire(self) -> None:
        """Become the owner; waits up to ``TTL_SECS`` for an owner that shows no life.

        Raises:
            ControlError: Kind ``already_running``: the owner lives.
            StorageError: The backend failed.
        """
        found = self._slots.get(NAMESPACE, self._name)
        began = self._clock()
        while not self._is_free(found) and self._clock() - began < TTL_SECS:
            self._sleep(POLL_SECS)
            now = self._slots.get(NAMESPACE, self._name)
            if now is not None and found is not None and now.version != found.version and not self._is_free(now):
                raise self._taken(_owner_of(now))
            found = now
        if not self._take(found):
            other = self._slots.get(NAMESPACE, self._name)
            raise self._taken(_owner_of(other) if other else None)

    def check(self) -> None:
        """Make sure that the lease is ours now; a look at the clock unless the last renewal is old.

        Raises:
            ControlError: Another process owns the name.
            StorageError: Nobody knows: the backend failed, and the last renewal is old.
        """
        if self._loss is not None or self._clock() - self._renewed_at > FRESH_SECS:
            self.renew()

    def renew(self) -> None:
        """Show life.

        Raises:
            ControlError: Another process owns the name.
            StorageError: The backend failed; the lease may still be ours.
        """
        with self._guard:
            if self._loss is not None:
                raise self._loss
            if self._owner is None:
                raise StorageError(f"the lease on {self._name} was never taken")
            self._swap(self._owner)

    def release(self) -> None:
        """Give the lease up at a clean end. Never raises."""
        with self._guard:
            if self._owner is None or self._loss is not None:
                return
            released = msgspec.structs.replace(self._owner, is_released=True)
            try:
                self._slots.compare_and_swap(NAMESPACE, self._name, self._version, msgspec.json.encode(released))
            except StorageError as error:
                log.warning("the lease on %s could not be given up and runs out: %s", self._name, error)
            self._owner = None

    def _take(self, found: Slot | None) -> bool:
        before = _owner_of(found) if found else None
        if before is not None and not before.is_released:
            log.warning("%s is taken over from %s, which shows no life", self._name, before.who)
        owner = Owner(
            id=uuid.uuid4().hex,
            fence=(before.fence if before else 0) + 1,
            host=socket.gethostname(),
            pid=os.getpid(),
            lock_path=self._lock_path,
            lock_identity=self._lock_identity,
        )
        began, version = self._clock(), found.version if found else 0
        if not self._slots.compare_and_swap(NAMESPACE, self._name, version, msgspec.json.encode(owner)):
            return False
        self._owner, self._version, self._renewed_at = owner, version + 1, began
        return True

    def _swap(self, owner: Owner) -> None:
        began = self._clock()  # before the write: whoever reads it later counts from later
        if not self._slots.compare_and_swap(NAMESPACE, self._name, self._version, msgspec.json.encode(owner)):
            other = self._slots.get(NAMESPACE, self._name)
            self._loss = self._lost(_owner_of(other) if other else None)
            raise self._loss
        self._version, self._renewed_at = self._version + 1, began

    def _is_free(self, slot: Slot | None) -> bool:
        if slot is None:
            return True
        owner = _owner_of(slot)
        if owner.is_released:
            return True
        if owner.lock_identity and owner.lock_identity == self._lock_identity:
            return True  # we hold the very lock that it held all its life
        return is_free(owner.lock_path, owner.lock_identity)

    def _taken(self, owner: Owner | None) -> ControlError:
        return ControlError(
            f"{self._name} is already run by {owner.who if owner else 'another process'}",
            kind="already_running",
            hint="stop that process first, or give this one a storage of its own",
        )

    def _lost(self, owner: Owner | None) -> ControlError:
        return ControlError(
            f"{self._name} was taken over by {owner.who if owner else 'another process'} while this process showed "
            "no life; it writes nothing more",
            kind="already_running",
            hint="nothing is lost: the other process goes on from what it has saved",
        )


class LeaseKeeper:
    """Renews a lease in a thread of its own until :meth:`close`.

    Args:
        lease: Taken already.
        on_loss: Called once, in that thread, when the lease is lost.
    """

    def __init__(self, lease: Lease, on_loss: Callable[[ControlError], None]) -> None:
        self._lease = lease
        self._on_loss = on_loss
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and give the lease up. Never raises."""
        self._is_closing.set()
        self._thread.join(timeout=10)
        self._lease.release()

    def _run(self) -> None:
        while not self._is_closing.wait(RENEW_SECS):
            try:
                self._lease.renew()
            except ControlError as error:
                self._on_loss(error)
                return
            except StorageError as error:
                log.warning("the lease could not be renewed: %s", error)


def _owner_of(slot: Slot) -> Owner:
    try:
        return _decoder.decode(slot.state)
    except msgspec.MsgspecError as exc:
        raise StorageError(f"a lease cannot be read: {exc}") from exc
