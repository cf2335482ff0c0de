"""The storage that pipelines write what they have learned to, also when nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deltaforge.control.options import ServeOptions
from deltaforge.runtime.stored_schemas import storage_path_of
from deltaforge.storage.base import Storage
from deltaforge.storage.memory import MemoryStorage
from deltaforge.storage.sqlite import SqliteStorage

if TYPE_CHECKING:
    from deltaforge.control.pipeline import Pipeline


@contextmanager
def learned_storage(storage: Storage, options: ServeOptions, pipeline: Pipeline) -> Iterator[Storage]:
    """Where a pipeline keeps what outlives its process; see :mod:`deltaforge.runtime.stored_schemas`.

    Args:
        storage: Of the control plane.
        options: Of the control plane.
        pipeline: Whose storage.

    Raises:
        StorageError: It cannot be opened.
    """
    shared = options.shared_storage
    path = storage_path_of(pipeline.supervisor.paths, shared)
    if path == shared:
        yield storage
    elif path.exists():
        own = SqliteStorage(path)
        try:
            yield own
        finally:
            own.close()
    else:
        yield MemoryStorage()  # it never ran
