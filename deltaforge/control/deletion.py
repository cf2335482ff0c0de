"""What a deleted pipeline leaves behind, and its removal."""

from __future__ import annotations

import shutil

from deltaforge.control.pipeline import Pipeline
from deltaforge.core.errors import StorageError


def remove_files(pipeline: Pipeline) -> None:
    """The folder of a pipeline, with its positions.

    Raises:
        StorageError: Something of it is left.
    """
    paths = pipeline.supervisor.paths
    try:
        paths.socket.unlink(missing_ok=True)
        if paths.root.exists():
            shutil.rmtree(paths.root)
    except OSError as exc:
        raise StorageError(f"the files of pipeline {pipeline.name} cannot be removed: {exc}") from exc
