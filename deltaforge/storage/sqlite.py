"""Storage in one SQLite file. Contract 02 section 9 names the tables.

The file holds documents with their secrets, so it is made readable by its owner only. WAL with
``synchronous=NORMAL``: a crash of the machine may lose the last writes, never the file. ``df_kv``, and what is added to
``df_log`` and ``df_queue``, is written with ``synchronous=FULL`` instead, an fsync of the WAL before the call
returns: what is registered is answered as done, rows that refer to an entry may leave at once, and an event that is in
a queue need not be read again.

Several processes share the file (the control plane and its pipelines): each statement, and each ``extend``, is one
transaction, and a process that finds the file locked waits up to ``BUSY_TIMEOUT_SECS``. Where processes of other
machines may have it, too, there is no WAL, and every write is an fsync: see :mod:`.network_files`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deltaforge.core.errors import StorageError
from deltaforge.storage.base import LogEntry, QueueEntry, Slot
from deltaforge.storage.network_files import may_be_shared
from deltaforge.storage.private_files import FILE, close_to_others, make_folders

BUSY_TIMEOUT_SECS = 5.0

_SCHEMA = """
create table if not exists df_kv (
  ns text not null, key text not null, val blob not null, updated_at real not null, expires_at real,
  primary key (ns, key)) without rowid;
create table if not exists df_slot (
  ns text not null, key text not null, version integer not null, state blob not null, updated_at real not null,
  primary key (ns, key)) without rowid;
create table if not exists df_log (
  seq integer primary key autoincrement, ns text not null, key text not null, val blob not null, ts real not null);
create index if not exists df_log_key on df_log (ns, key);
create table if not exists df_queue (
  id integer primary key autoincrement, ns text not null, key text not null, val blob not null, ts real not null);
create index if not exists df_queue_key on df_queue (ns, key);
"""

_ENTRIES = "select seq, key, val, ts from df_log"
_WAITING = "select id, val, ts from df_queue where ns = ? and key = ?"
_REMOVAL = "delete from df_queue where ns = ? and key = ?"


class SqliteDatabase:
    """One connection, used by one thread at a time; foreign errors become ours here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors("opened"):
            make_folders(path.parent)
            # made before SQLite does it, so that it is private from its first byte on; -wal and -shm copy the mode
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE))
            for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                if part.exists():
                    close_to_others(part)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_SECS, isolation_level=None, check_same_thread=False
            )
            self._usual = "normal"
            if may_be_shared(path):
                self._leave_wal()
            else:
                self._connection.execute("pragma journal_mode=wal")
            self._connection.execute(f"pragma synchronous={self._usual}")
            self._connection.executescript(_SCHEMA)

    def run(self, statement: str, *values: str | bytes | float | None) -> tuple[list[tuple[object, ...]], int]:
        """Execute one statement in a transaction of its own; returns its rows and how many it changed."""
        with self._lock, self._errors("used"):
            cursor = self._connection.execute(statement, values)
            return cursor.fetchall(), cursor.rowcount

    def write_durably(self, statement: str, *values: str | bytes | float | None) -> None:
        """The same for one that returns nothing, on disk when this returns."""
        with self._lock, self._errors("used"), self._durable():
            self._connection.execute(statement, values)

    def run_durably(self, statement: str, rows: Sequence[tuple[str | bytes | float, ...]]) -> list[object]:
        """Execute a statement that returns one value, once for each row, in one transaction that is on disk when
        this returns.
        """
        with self._lock, self._errors("used"), self._durable():
            connection = self._connection
            connection.execute("begin immediate")
            with connection:  # commits, or rolls back after an error
                return [connection.execute(statement, row).fetchone()[0] for row in rows]

    @contextmanager
    def _durable(self) -> Iterator[None]:
        self._connection.execute("pragma synchronous=full")
        try:
            yield
        finally:
            self._connection.execute(f"pragma synchronous={self._usual}")

    def _leave_wal(self) -> None:
        """What would be ``normal`` with a write-ahead log may break a file without one. The mode is in the file: it is
        left by whoever comes first, and needs that nobody else has the file open then.
        """
        self._usual = "full"
        if self._connection.execute("pragma journal_mode").fetchone()[0] == "wal":
            self._connection.execute("pragma journal_mode=delete")

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._errors("closed"):
            self._connection.close()

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            raise StorageError(f"storage file {self._path} cannot be {verb}: {exc}") from exc


class SqliteKeyValues:
    """The table ``df_kv``."""

    def __init__(self, database: SqliteDatabase, clock: Callable[[], float]) -> None:
        self._run = database.run
        self._write = database.write_durably
        self._clock = clock

    def get(self, ns: str, key: str) -> bytes | None:
        rows, _ = self._run(
            "select val from df_kv where ns = ? and key = ? and (expires_at is null or expires_at > ?)",
            *(ns, key, self._clock()),
        )
        return _bytes(rows[0][0]) if rows else None

    def put(self, ns: str, key: str, val: bytes, *, ttl_secs: float | None = None) -> None:
        now = self._clock()
        self._write(
            "insert or replace into df_kv (ns, key, val, updated_at, expires_at) values (?, ?, ?, ?, ?)",
            *(ns, key, val, now, None if ttl_secs is None else now + ttl_secs),
        )

    def delete(self, ns: str, key: str) -> bool:
        found = self.get(ns, key) is not None
        self._write("delete from df_kv where ns = ? and key = ?", ns, key)
        return found

    def list(self, ns: str, prefix: str = "") -> list[tuple[str, bytes]]:
        rows, _ = self._run(
            "select key, val from df_kv where ns = ? and substr(key, 1, ?) = ? "
            "and (expires_at is null or expires_at > ?) order by key",
            *(ns, len(prefix), prefix, self._clock()),
        )
        return [(str(key), _bytes(val)) for key, val in rows]


class SqliteSlots:
    """The table ``df_slot``."""

    def __init__(self, database: SqliteDatabase, clock: Callable[[], float]) -> None:
        self._run = database.run
        self._clock = clock

    def get(self, ns: str, key: str) -> Slot | None:
        rows, _ = self._run("select version, state from df_slot where ns = ? and key = ?", ns, key)
        return Slot(_int(rows[0][0]), _bytes(rows[0][1])) if rows else None

    def upsert(self, ns: str, key: str, state: bytes) -> int:
        rows, _ = self._run(
            "insert into df_slot (ns, key, version, state, updated_at) values (?, ?, 1, ?, ?) "
            "on conflict (ns, key) do update "
            "set version = version + 1, state = excluded.state, updated_at = excluded.updated_at returning version",
            *(ns, key, state, self._clock()),
        )
        return _int(rows[0][0])

    def compare_and_swap(self, ns: str, key: str, expected_version: int, state: bytes) -> bool:
        if expected_version == 0:
            _, changed = self._run(
                "insert or ignore into df_slot (ns, key, version, state, updated_at) values (?, ?, 1, ?, ?)",
                *(ns, key, state, self._clock()),
            )
        else:
            _, changed = self._run(
                "update df_slot set version = version + 1, state = ?, updated_at = ? "
                "where ns = ? and key = ? and version = ?",
                *(state, self._clock(), ns, key, expected_version),
            )
        return changed == 1

    def delete(self, ns: str, key: str) -> bool:
        _, changed = self._run("delete from df_slot where ns = ? and key = ?", ns, key)
        return changed == 1


class SqliteLog:
    """The table ``df_log``. Its ``autoincrement`` never gives a sequence twice."""

    def __init__(self, database: SqliteDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def append(self, ns: str, key: str, val: bytes) -> int:
        return self.extend(ns, [(key, val)])[0]

    def extend(self, ns: str, entries: Sequence[tuple[str, bytes]]) -> list[int]:
        now = self._clock()
        found = self._database.run_durably(
            "insert into df_log (ns, key, val, ts) values (?, ?, ?, ?) returning seq",
            [(ns, key, val, now) for key, val in entries],
        )
        return [_int(seq) for seq in found]

    def since(self, ns: str, seq: int) -> list[LogEntry]:
        return self._entries(f"{_ENTRIES} where ns = ? and seq > ? order by seq", ns, seq)

    def latest(self, ns: str, key: str) -> LogEntry | None:
        found = self._entries(f"{_ENTRIES} where ns = ? and key = ? order by seq desc limit 1", ns, key)
        return found[0] if found else None

    def delete(self, ns: str, prefix: str) -> int:
        _, changed = self._database.run(
            "delete from df_log where ns = ? and substr(key, 1, ?) = ?", ns, len(prefix), prefix
        )
        return changed

    def _entries(self, query: str, *values: str | int) -> list[LogEntry]:
        rows, _ = self._database.run(query, *values)
        return [LogEntry(_int(seq), str(key), _bytes(val), float(str(ts))) for seq, key, val, ts in rows]

    def list(self, ns: str, prefix: str = "") -> list[LogEntry]:
        query = f"{_ENTRIES} where ns = ? and substr(key, 1, ?) = ? order by seq"
        return self._entries(query, ns, len(prefix), prefix)


class SqliteQueue:
    """The table ``df_queue``. Its ``autoincrement`` never gives an id twice."""

    def __init__(self, database: SqliteDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def push(self, ns: str, key: str, vals: Sequence[bytes]) -> list[int]:
        ids = self._database.run_durably(
            "insert into df_queue (ns, key, val, ts) values (?, ?, ?, ?) returning id",
            [(ns, key, val, self._clock()) for val in vals],
        )
        return [_int(entry_id) for entry_id in ids]

    def peek(self, ns: str, key: str, limit: int, *, after: int = 0) -> list[QueueEntry]:
        return self._entries(f"{_WAITING} and id > ? order by id limit ?", ns, key, after, limit)

    def find(self, ns: str, key: str, ids: Sequence[int]) -> list[QueueEntry]:
        return [entry for n in sorted(set(ids)) for entry in self._entries(f"{_WAITING} and id = ?", ns, key, n)]

    def count(self, ns: str, key: str) -> int:
        rows, _ = self._database.run("select count(*) from df_queue where ns = ? and key = ?", ns, key)
        return _int(rows[0][0])

    def ack(self, ns: str, key: str, up_to: int) -> int:
        return self._delete(f"{_REMOVAL} and id <= ?", ns, key, up_to)

    def remove(self, ns: str, key: str, entry_id: int) -> bool:
        return bool(self._delete(f"{_REMOVAL} and id = ?", ns, key, entry_id))

    def drop_oldest(self, ns: str, key: str, count: int) -> int:
        oldest = "select id from df_queue where ns = ? and key = ? order by id limit ?"
        return self._delete(f"{_REMOVAL} and id in ({oldest})", ns, key, ns, key, max(count, 0))

    def expire(self, ns: str, key: str, before: float) -> int:
        return self._delete(f"{_REMOVAL} and ts < ?", ns, key, before)

    def purge(self, ns: str, key: str) -> int:
        return self._delete(_REMOVAL, ns, key)

    def _entries(self, query: str, *values: str | float) -> list[QueueEntry]:
        rows, _ = self._database.run(query, *values)
        return [QueueEntry(_int(entry_id), _bytes(val), float(str(ts))) for entry_id, val, ts in rows]

    def _delete(self, statement: str, *values: str | float) -> int:
        return self._database.run(statement, *values)[1]


class SqliteStorage:
    """A :class:`deltaforge.storage.base.Storage` in the file ``path``.

    Args:
        path: Made when missing, with its parent directory.
        clock: Unix seconds; values with a time to live end by it.

    Raises:
        StorageError: The file cannot be made or is not a database.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = SqliteDatabase(path)
        self.kv = SqliteKeyValues(self._database, clock)
        self.slots = SqliteSlots(self._database, clock)
        self.log = SqliteLog(self._database, clock)
        self.queue = SqliteQueue(self._database, clock)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise StorageError(f"a stored value is a {type(value).__name__}, expected bytes")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise StorageError(f"a stored version is a {type(value).__name__}, expected an integer")
    return value
