"""Storage that ends with the process: for tests and throw-away runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from deltaforge.storage.base import LogEntry, QueueEntry, Slot


class MemoryKeyValues:
    """Values by key, in a dictionary."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str], tuple[bytes, float | None]] = {}

    def get(self, ns: str, key: str) -> bytes | None:
        with self._lock:
            return self._alive().get((ns, key), (None, None))[0]

    def put(self, ns: str, key: str, val: bytes, *, ttl_secs: float | None = None) -> None:
        with self._lock:
            self._values[ns, key] = (val, None if ttl_secs is None else self._clock() + ttl_secs)

    def delete(self, ns: str, key: str) -> bool:
        with self._lock:
            return self._alive().pop((ns, key), None) is not None

    def list(self, ns: str, prefix: str = "") -> list[tuple[str, bytes]]:
        with self._lock:
            return sorted((k, v) for (n, k), (v, _) in self._alive().items() if n == ns and k.startswith(prefix))

    def _alive(self) -> dict[tuple[str, str], tuple[bytes, float | None]]:
        now = self._clock()
        for name in [name for name, (_, ends) in self._values.items() if ends is not None and ends <= now]:
            del self._values[name]
        return self._values


class MemorySlots:
    """Versioned values, in a dictionary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[tuple[str, str], Slot] = {}

    def get(self, ns: str, key: str) -> Slot | None:
        with self._lock:
            return self._slots.get((ns, key))

    def upsert(self, ns: str, key: str, state: bytes) -> int:
        with self._lock:
            return self._write(ns, key, state)

    def compare_and_swap(self, ns: str, key: str, expected_version: int, state: bytes) -> bool:
        with self._lock:
            slot = self._slots.get((ns, key))
            if (slot.version if slot else 0) != expected_version:
                return False
            self._write(ns, key, state)
            return True

    def delete(self, ns: str, key: str) -> bool:
        with self._lock:
            return self._slots.pop((ns, key), None) is not None

    def _write(self, ns: str, key: str, state: bytes) -> int:
        slot = self._slots.get((ns, key))
        version = slot.version + 1 if slot else 1
        self._slots[ns, key] = Slot(version, state)
        return version


class MemoryLog:
    """Appended values, in a list."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: list[tuple[str, LogEntry]] = []
        self._newest = 0

    def append(self, ns: str, key: str, val: bytes) -> int:
        return self.extend(ns, [(key, val)])[0]

    def extend(self, ns: str, entries: Sequence[tuple[str, bytes]]) -> list[int]:
        with self._lock:
            first = self._newest + 1
            for key, val in entries:
                self._newest += 1
                self._entries.append((ns, LogEntry(self._newest, key, val, self._clock())))
            return list(range(first, self._newest + 1))

    def since(self, ns: str, seq: int) -> list[LogEntry]:
        return [entry for entry in self.list(ns) if entry.seq > seq]

    def latest(self, ns: str, key: str) -> LogEntry | None:
        return next((entry for entry in reversed(self.list(ns, key)) if entry.key == key), None)

    def delete(self, ns: str, prefix: str) -> int:
        with self._lock:
            before = len(self._entries)
            self._entries = [(n, e) for n, e in self._entries if n != ns or not e.key.startswith(prefix)]
            return before - len(self._entries)

    def list(self, ns: str, prefix: str = "") -> list[LogEntry]:
        with self._lock:
            return [entry for name, entry in self._entries if name == ns and entry.key.startswith(prefix)]


class MemoryQueue:
    """Waiting values, in lists."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str], list[QueueEntry]] = {}
        self._newest = 0

    def push(self, ns: str, key: str, vals: Sequence[bytes]) -> list[int]:
        with self._lock:
            pushed = [QueueEntry(entry_id, val, self._clock()) for entry_id, val in enumerate(vals, self._newest + 1)]
            self._queues.setdefault((ns, key), []).extend(pushed)
            self._newest += len(pushed)
            return [entry.id for entry in pushed]

    def peek(self, ns: str, key: str, limit: int, *, after: int = 0) -> list[QueueEntry]:
        return [entry for entry in self._of(ns, key) if entry.id > after][:limit]

    def find(self, ns: str, key: str, ids: Sequence[int]) -> list[QueueEntry]:
        return [entry for entry in self._of(ns, key) if entry.id in set(ids)]

    def count(self, ns: str, key: str) -> int:
        return len(self._of(ns, key))

    def ack(self, ns: str, key: str, up_to: int) -> int:
        return self._remove(ns, key, lambda entry: entry.id <= up_to)

    def remove(self, ns: str, key: str, entry_id: int) -> bool:
        return bool(self._remove(ns, key, lambda entry: entry.id == entry_id))

    def drop_oldest(self, ns: str, key: str, count: int) -> int:
        oldest = {entry.id for entry in self._of(ns, key)[: max(count, 0)]}
        return self._remove(ns, key, lambda entry: entry.id in oldest)

    def expire(self, ns: str, key: str, before: float) -> int:
        return self._remove(ns, key, lambda entry: entry.ts < before)

    def purge(self, ns: str, key: str) -> int:
        return self._remove(ns, key, lambda _: True)

    def _of(self, ns: str, key: str) -> list[QueueEntry]:
        with self._lock:
            return list(self._queues.get((ns, key), ()))

    def _remove(self, ns: str, key: str, is_gone: Callable[[QueueEntry], bool]) -> int:
        with self._lock:
            before = self._queues.get((ns, key), [])
            self._queues[ns, key] = [entry for entry in before if not is_gone(entry)]
            return len(before) - len(self._queues[ns, key])


class MemoryStorage:
    """A :class:`deltaforge.storage.base.Storage` without a file.

    Args:
        clock: Unix seconds; values with a time to live end by it.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.kv = MemoryKeyValues(clock)
        self.slots = MemorySlots()
        self.log = MemoryLog(clock)
        self.queue = MemoryQueue(clock)

    def close(self) -> None:
        """Nothing to release."""
