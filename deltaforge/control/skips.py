"""Events that hold a pipeline up, and letting one of them pass."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from deltaforge.checkpoint.skips import Skips
from deltaforge.core.errors import CheckpointError
from deltaforge.runtime.paths import PipelinePaths

log = logging.getLogger(__name__)


async def skip_views(paths: PipelinePaths) -> dict[str, Any]:
    """``{"held": the event that the source stands at, or null, "skipped": those that were let pass}``.

    Raises:
        CheckpointError: The files cannot be read.
    """
    skips = Skips(paths.root)
    held, passed = await asyncio.to_thread(lambda: (skips.held(), skips.all()))
    return {"held": held and held.view(), "skipped": [skip.view() for skip in passed]}


async def add_skip(paths: PipelinePaths, body: Any) -> dict[str, Any]:
    """Let the event pass that the source stands at, from the next start on, and say so.

    Raises:
        SpecError: The body is wrong.
        ControlError: The source does not stand at that event.
    """
    skip = await asyncio.to_thread(Skips(paths.root).add, body)
    log.warning("an event of pipeline %s will be left out: %s", paths.name, skip.view())
    return {
        "pipeline": paths.name,
        "skipped": skip.view(),
        "message": "the next start (resume) of the pipeline goes past this event and no other. "
        "What it changed in captured tables is not delivered.",
    }


def skips_in_ops(paths: PipelinePaths) -> dict[str, Any]:
    """``held_event`` and ``skipped_events`` where there are any."""
    skips = Skips(paths.root)
    try:
        held, passed = skips.held(), skips.all()
    except CheckpointError as error:
        return {"held_event": {"error": str(error)}}
    shown: dict[str, Any] = {} if held is None else {"held_event": held.view()}
    return {**shown, "skipped_events": [skip.view() for skip in passed]} if passed else shown
