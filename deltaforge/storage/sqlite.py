"""Storage in one SQLite file. Contract 02 section 9 names the tables.

The file holds documents with their secrets, so it is made readable by its owner only. WAL with
``synchronous=NORMAL``: a crash of the machine may lose the last writes, never the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deltaforge.core.errors import StorageError
from deltaforge.storage.base import Slot

BUSY_TIMEOUT_SECS = 5.0

_SCHEMA = """
create table if not exists df_kv (
  ns text not null, key text not null, val blob not null, updated_at real not null, expires_at real,
  primary key (ns, key)) without rowid;
create table if not exists df_slot (
  ns text not null, key text not null, version integer not null, state blob not null, updated_at real not null,
  primary key (ns, key)) without rowid;
"""


class SqliteDatabase:
    """One connection, used by one thread at a time; foreign errors become ours here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            # made before SQLite does it, so that it is private from its first byte on; -wal and -shm copy the mode
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_SECS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("pragma journal_mode=wal")
            self._connection.execute("pragma synchronous=normal")
            self._connection.executescript(_SCHEMA)

    def run(self, statement: str, *values: str | bytes | float | None) -> tuple[list[tuple[object, ...]], int]:
        """Execute one statement in a transaction of its own; returns its rows and how many it changed."""
        with self._lock, self._errors("used"):
            cursor = self._connection.execute(statement, values)
            return cursor.fetchall(), cursor.rowcount

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
        self._clock = clock

    def get(self, ns: str, key: str) -> bytes | None:
        rows, _ = self._run(
            "select val from df_kv where ns = ? and key = ? and (expires_at is null or expires_at > ?)",
            *(ns, key, self._clock()),
        )
        return _bytes(rows[0][0]) if rows else None

    def put(self, ns: str, key: str, val: bytes, *, ttl_secs: float | None = None) -> None:
        now = self._clock()
        self._run(
            "insert or replace into df_kv (ns, key, val, updated_at, expires_at) values (?, ?, ?, ?, ?)",
            *(ns, key, val, now, None if ttl_secs is None else now + ttl_secs),
        )

    def delete(self, ns: str, key: str) -> bool:
        found = self.get(ns, key) is not None
        self._run("delete from df_kv where ns = ? and key = ?", ns, key)
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
