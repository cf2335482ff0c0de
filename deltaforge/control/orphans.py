"""Processes of pipelines that nobody has registered."""

from __future__ import annotations

import logging
from collections.abc import Container
from pathlib import Path
from urllib.parse import unquote

from deltaforge.control import child
from deltaforge.control.options import ServeOptions
from deltaforge.core.errors import ControlError
from deltaforge.runtime.paths import PipelinePaths

log = logging.getLogger(__name__)


def folders_of(state_dir: Path) -> set[str]:
    """The names of all pipelines that have a folder there. Other folders are none of ours."""
    folder = state_dir.resolve() / "pipelines"
    found = {unquote(path.name, errors="surrogateescape"): path for path in folder.iterdir()} if folder.is_dir() else {}
    return {name for name, path in found.items() if name.isprintable() and PipelinePaths(state_dir, name).root == path}


async def end_orphan(options: ServeOptions, name: str, registered: Container[str]) -> None:
    """End the process of a pipeline that is not registered, if there is one. Never raises."""
    paths = PipelinePaths(options.state_dir, name)
    try:
        if name not in registered and child.is_alive(paths):
            log.warning("ending pipeline %s, which runs but is not registered", name)
            await child.stop(paths, options.stop_grace_secs)
    except ControlError as error:
        log.warning("pipeline %s, which is not registered, could not be ended: %s", name, error)
