"""Events that hold a pipeline up, and letting one of them pass."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from deltaforge.checkpoint.skips import Skip, Skips
from deltaforge.control.shards import said_of
from deltaforge.core.errors import CheckpointError, SpecError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.runtime.paths import PipelinePaths

log = logging.getLogger(__name__)


async def skip_views(paths: PipelinePaths, shards: Sequence[str] = (ONE_LOG,)) -> dict[str, Any]:
    """``{"held": the event that the source stands at, or null, "skipped": those that were let pass}``. With shards each
    says whose it is, and ``held`` is that of the first shard that stands.

    Raises:
        CheckpointError: The files cannot be read.
    """
    held, passed = await asyncio.to_thread(_found, paths, shards)
    return {"held": held[0] if held else None, "skipped": passed}


async def add_skip(paths: PipelinePaths, body: Any, shards: Sequence[str] = (ONE_LOG,)) -> dict[str, Any]:
    """Let the event pass that the source stands at, from the next start on, and say so. With shards the body may have
    ``shard``, and has to if several of them stand.

    Raises:
        SpecError: The body is wrong.
        ControlError: The source does not stand at that event.
    """
    skip, shard = await asyncio.to_thread(_add, paths, body, shards)
    log.warning("an event of pipeline %s will be left out: %s", paths.name, skip.view(), extra=said_of(shard))
    return {
        "pipeline": paths.name,
        "skipped": {**skip.view(), **said_of(shard)},
        "message": "the next start (resume) of the pipeline goes past this event and no other. "
        "What it changed in captured tables is not delivered.",
    }


def skips_in_ops(paths: PipelinePaths, shards: Sequence[str] = (ONE_LOG,)) -> dict[str, Any]:
    """``held_event`` and ``skipped_events`` where there are any."""
    try:
        held, passed = _found(paths, shards)
    except CheckpointError as error:
        return {"held_event": {"error": str(error)}}
    shown: dict[str, Any] = {"held_event": held[0]} if held else {}
    return {**shown, "skipped_events": passed} if passed else shown


def _found(paths: PipelinePaths, shards: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Where each shard stands that does, and what was let pass of all of them."""
    held, passed = [], []
    for shard in shards:
        skips = _skips(paths, shard)
        if (event := skips.held()) is not None:
            held.append({**event.view(), **said_of(shard)})
        passed += [{**skip.view(), **said_of(shard)} for skip in skips.all()]
    return held, passed


def _add(paths: PipelinePaths, body: Any, shards: Sequence[str]) -> tuple[Skip, str]:
    named = body.get("shard") if isinstance(body, dict) and tuple(shards) != (ONE_LOG,) else None
    if named is None:
        meant = [shard for shard in shards if _skips(paths, shard).held() is not None] or [*shards[:1]]
    else:
        meant = [shard for shard in shards if shard == named]
    if len(meant) != 1:
        raise SpecError("say which shard", path="shard", hint=f"one of {', '.join(meant or shards)}")
    asked = body if named is None else {key: value for key, value in body.items() if key != "shard"}
    return _skips(paths, meant[0]).add(asked), meant[0]


def _skips(paths: PipelinePaths, shard: str) -> Skips:
    return Skips(paths.of_log(shard).log_root)
