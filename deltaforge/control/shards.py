"""Which shards of a pipeline a request is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from deltaforge.core.errors import ControlError, SpecError
from deltaforge.core.lanes import ONE_LANE, ONE_LOG, Lane
from deltaforge.spec import PipelineSpec

if TYPE_CHECKING:
    from deltaforge.control.pipeline import Pipeline


class ShardService:
    """Single shards of registered pipelines.

    Args:
        change: Does something with a pipeline while nothing else does.
    """

    def __init__(self, change: Callable[[str, Callable[[Pipeline], Awaitable[Pipeline]]], Awaitable[Pipeline]]) -> None:
        self._change = change

    async def switch(self, name: str, shard: str, *, is_paused: bool) -> Pipeline:
        """Pause one shard of a running pipeline until it is resumed, also over restarts; or have it go on, also where
        it could not be read any more.

        Raises:
            SpecError: There is no such shard.
            ControlError: The pipeline does not run.
        """

        async def run(pipeline: Pipeline) -> Pipeline:
            shards_asked(pipeline.parsed.spec, shard)
            if pipeline.supervisor.status not in ("running", "paused"):
                raise ControlError(f"pipeline {pipeline.name} is {pipeline.supervisor.status}", hint="resume it first")
            await pipeline.supervisor.switch_shard(shard, is_paused=is_paused)
            return pipeline

        return await self._change(name, run)


def shards_of(pipeline: Pipeline) -> tuple[str, ...]:
    """All of a registered pipeline; of a refused document nobody knows them."""
    return (ONE_LOG,) if pipeline.fault else pipeline.parsed.spec.shards()


def lanes_of(pipeline: Pipeline) -> tuple[Lane, ...]:
    """All of a registered pipeline; of a refused document nobody knows them."""
    return (ONE_LANE,) if pipeline.fault else pipeline.parsed.spec.lanes()


def shards_asked(document: PipelineSpec, shard: Any) -> tuple[str, ...]:
    """The one that is named, or all of them.

    Raises:
        SpecError: There is no such shard.
    """
    known = document.shards()
    if shard is None:
        return known
    if shard not in known or shard == ONE_LOG:
        has = f"it has {', '.join(known)}" if known != (ONE_LOG,) else "its source has no shards"
        raise SpecError(f"the pipeline has no shard {str(shard)[:64]!r}", path="shard", hint=has)
    return (shard,)


def shard_asked(document: PipelineSpec, shard: Any) -> str:
    """The one that is named, or the only log.

    Raises:
        SpecError: There is no such shard, or it is not said which.
    """
    found = shards_asked(document, shard)
    if len(found) > 1:
        raise SpecError("say which shard", path="shard", hint=f"the pipeline has {', '.join(found)}")
    return found[0]


def said_of(shard: str | None) -> dict[str, str]:
    """``shard`` in an answer, if there are some."""
    return {"shard": shard} if shard else {}
