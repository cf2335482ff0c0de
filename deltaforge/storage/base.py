"""What a storage backend offers: keyed values, versioned slots, a log and queues. Contract 02 section 9.

Everything is bytes under a namespace and a key. Calls block; they are short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Slot(NamedTuple):
    """A value that changes only by compare and swap. ``version`` is 1 after the first write."""

    version: int
    state: bytes


class LogEntry(NamedTuple):
    """One entry of a log. ``seq`` grows by every entry of the store, whatever its namespace; ``ts``: Unix seconds."""

    seq: int
    key: str
    val: bytes
    ts: float


class QueueEntry(NamedTuple):
    """One entry of a queue. ``id`` grows by every entry of the store, whatever its queue; ``ts``: Unix seconds."""

    id: int
    val: bytes
    ts: float


class KeyValues(Protocol):
    """Values by key. What is written is on disk when the call returns, where there is one."""

    def get(self, ns: str, key: str) -> bytes | None:
        """The value; None if there is none or its time is over."""
        ...

    def put(self, ns: str, key: str, val: bytes, *, ttl_secs: float | None = None) -> None:
        """Set or replace. With ``ttl_secs`` the value is gone that long afterwards."""
        ...

    def delete(self, ns: str, key: str) -> bool:
        """Remove; returns whether there was a value."""
        ...

    def list(self, ns: str, prefix: str = "") -> list[tuple[str, bytes]]:
        """All values whose key starts with ``prefix`` (compared exactly), ordered by key."""
        ...


class Slots(Protocol):
    """Values of which a writer can tell whether another writer was faster."""

    def get(self, ns: str, key: str) -> Slot | None:
        """The present version and state."""
        ...

    def upsert(self, ns: str, key: str, state: bytes) -> int:
        """Set whatever is there; returns the new version."""
        ...

    def compare_and_swap(self, ns: str, key: str, expected_version: int, state: bytes) -> bool:
        """Set if the version is still ``expected_version`` (0: there is no slot); returns whether it was."""
        ...

    def delete(self, ns: str, key: str) -> bool:
        """Remove; returns whether there was a slot. The next write starts at version 1 again."""
        ...


class Log(Protocol):
    """Entries that are only ever appended. Sequences are never given twice, not even after a deletion."""

    def append(self, ns: str, key: str, val: bytes) -> int:
        """Append one entry; returns its sequence. It is durable when this returns: also a crash of the machine
        does not take it back.
        """
        ...

    def extend(self, ns: str, entries: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append keys with values, all or none of them; returns their sequences. As durable as :meth:`append`."""
        ...

    def since(self, ns: str, seq: int) -> list[LogEntry]:
        """The entries behind ``seq``, in order."""
        ...

    def latest(self, ns: str, key: str) -> LogEntry | None:
        """The newest entry of a key."""
        ...

    def delete(self, ns: str, prefix: str) -> int:
        """Remove the entries whose key starts with ``prefix``; returns how many there were."""
        ...

    def list(self, ns: str, prefix: str = "") -> list[LogEntry]:
        """All entries whose key starts with ``prefix`` (compared exactly), in order."""
        ...


class Queue(Protocol):
    """Entries that wait in the order they were pushed. Ids are never given twice, not even after a removal."""

    def push(self, ns: str, key: str, vals: Sequence[bytes]) -> list[int]:
        """Add entries at the end, all or none of them; returns their ids. As durable as :meth:`Log.append`."""
        ...

    def peek(self, ns: str, key: str, limit: int, *, after: int = 0) -> list[QueueEntry]:
        """The oldest entries whose id is above ``after``, in order, at most ``limit``."""
        ...

    def find(self, ns: str, key: str, ids: Sequence[int]) -> list[QueueEntry]:
        """Those of the entries that are still there, in order."""
        ...

    def count(self, ns: str, key: str) -> int:
        """How many entries wait."""
        ...

    def ack(self, ns: str, key: str, up_to: int) -> int:
        """Remove the entries whose id is at most ``up_to``; returns how many there were."""
        ...

    def remove(self, ns: str, key: str, entry_id: int) -> bool:
        """Remove one entry, wherever it is; returns whether it was there."""
        ...

    def drop_oldest(self, ns: str, key: str, count: int) -> int:
        """Remove the ``count`` oldest entries; returns how many there were."""
        ...

    def expire(self, ns: str, key: str, before: float) -> int:
        """Remove the entries pushed before that Unix time; returns how many there were."""
        ...

    def purge(self, ns: str, key: str) -> int:
        """Remove all entries; returns how many there were."""
        ...


class Storage(Protocol):
    """One backend. May be used from any thread."""

    @property
    def kv(self) -> KeyValues:
        """Values by key."""
        ...

    @property
    def slots(self) -> Slots:
        """Versioned values."""
        ...

    @property
    def log(self) -> Log:
        """Appended values."""
        ...

    @property
    def queue(self) -> Queue:
        """Values that wait."""
        ...

    def close(self) -> None:
        """Release files and connections; afterwards nothing else may be called."""
        ...
