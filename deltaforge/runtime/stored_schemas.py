"""Where a pipeline keeps the table definitions of its source, its dead letters and its lease: the one place that
knows the rule.

With the SQLite backend it is the file of the control plane, which hands its path on. With the memory backend, and in a
pipeline that runs in the foreground without ``--storage-path``, it is a SQLite file in the pipeline's own folder:
the definitions must live as long as the saved positions, and they are in that folder too.

It is never one of Bytewax's recovery files: two SQLite libraries in one process must not open the same file.
"""

from __future__ import annotations

from pathlib import Path

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.schema.tenants import take_over
from deltaforge.storage.sqlite import SqliteStorage


def storage_path_of(paths: PipelinePaths, storage_path: Path | None) -> Path:
    """The SQLite file of a pipeline.

    Args:
        paths: Of the pipeline.
        storage_path: Of the control plane's SQLite backend; None: it has another one, or there is no control plane.
    """
    return storage_path or paths.learned


class StoredSchemas:
    """The opened file, as a source uses it. :meth:`close` it when nothing uses the registry any more.

    Args:
        path: Of the file.
        tenant: ``metadata.tenant``.
        source_id: ``spec.source.config.id``.
        goes_on: Whether reading goes on at a saved position.

    Raises:
        StorageError: The file cannot be opened.
        SchemaError: What is in it cannot be read.
    """

    def __init__(self, path: Path, tenant: str, source_id: str, *, goes_on: bool = True) -> None:
        self._storage = SqliteStorage(path)
        take_over(self._storage.log, self._storage.kv, tenant, source_id, goes_on=goes_on)
        self.registry = SchemaRegistry(self._storage.log, tenant, source_id)
        self.failover = FailoverLog(self._storage.kv, source_id)

    def close(self) -> None:
        """Close the file."""
        self._storage.close()
