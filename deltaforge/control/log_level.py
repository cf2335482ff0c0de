"""The level of log lines, of the control plane and of the pipeline processes that run and will run."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable

from deltaforge.control import child
from deltaforge.control.pipeline import Pipeline
from deltaforge.core.errors import ControlError
from deltaforge.observability.logging import set_level

log = logging.getLogger(__name__)


async def set_log_level(pipelines: Iterable[Pipeline], level: str) -> str:
    """Set the level filter here, and in every process that answers; those that are made later begin with it.

    Returns:
        The filter, as it was given.

    Raises:
        ValueError: A level is unknown; nothing changed.
    """
    text = set_level(level)
    os.environ["DELTAFORGE_LOG"] = text
    running = [pipeline for pipeline in pipelines if pipeline.supervisor.status in ("running", "paused")]
    asked = (child.ask(pipeline.supervisor.paths, "log_level", level=text) for pipeline in running)
    for pipeline, answer in zip(running, await asyncio.gather(*asked, return_exceptions=True), strict=True):
        if isinstance(answer, ControlError):
            log.warning("the log level of pipeline %s stays as it was: %s", pipeline.name, answer)
        elif isinstance(answer, BaseException):
            raise answer
    return text
