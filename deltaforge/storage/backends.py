"""The storage backends that a command line may name."""

from __future__ import annotations

from pathlib import Path

from deltaforge.core.errors import SpecError
from deltaforge.storage.base import Storage
from deltaforge.storage.memory import MemoryStorage
from deltaforge.storage.sqlite import SqliteStorage

BACKENDS = ("sqlite", "memory")


def open_storage(backend: str, path: Path, dsn: str | None = None) -> Storage:
    """Open the backend that the command line names.

    Args:
        backend: ``sqlite`` or ``memory``.
        path: Database file of ``sqlite``.
        dsn: For backends that are servers; none is built yet.

    Raises:
        SpecError: The backend is unknown or not built.
        StorageError: It cannot be opened.
    """
    if backend == "sqlite":
        return SqliteStorage(path)
    if backend == "memory":
        return MemoryStorage()
    del dsn
    known = ", ".join(BACKENDS)
    if backend == "postgres":
        raise SpecError(
            "storage backend postgres is not part of this version", path="storage.backend", hint=f"use one of {known}"
        )
    raise SpecError(f"unknown storage backend {backend!r}", path="storage.backend", hint=f"use one of {known}")
