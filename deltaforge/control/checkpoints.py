"""Saved positions as REST shows them, and their reset."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deltaforge.checkpoint.reader import delivery_key, read_delivery_states, read_source_states, source_key
from deltaforge.checkpoint.reset import ResetRequest, read_reset, request_from_body, write_reset
from deltaforge.checkpoint.state import DeliveryState, SinkCheckpoint
from deltaforge.control import child
from deltaforge.control.shards import said_of, shards_asked
from deltaforge.core.errors import CheckpointError, ControlError, SpecError
from deltaforge.core.lanes import ONE_LOG, Lane
from deltaforge.core.positions import POSITION_TYPES, LogEdge, Position, decode_position
from deltaforge.runtime.paths import PipelinePaths

if TYPE_CHECKING:
    from deltaforge.control.pipeline import Pipeline
    from deltaforge.spec import PipelineSpec

log = logging.getLogger(__name__)


def checkpoint_views(found: list[tuple[Lane, SinkCheckpoint]], live: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One entry for each sink of each lane; ``lag_bytes`` only where the running process knows how long the log is.

    Args:
        found: What is saved.
        live: What the process says of itself; None when none runs.
    """
    source = (live or {}).get("source") or {}
    texts = {shard["id"]: shard.get("log_end") for shard in source.get("shards", ())} | {ONE_LOG: source.get("log_end")}
    ends = {shard: decode_position(text.encode()) for shard, text in texts.items() if text}
    return [_view(lane, checkpoint, ends.get(lane.shard)) for lane, checkpoint in found]


def pending_reset(paths: PipelinePaths, shards: Sequence[str] = (ONE_LOG,)) -> dict[str, Any]:
    """``{"pending_reset": …}`` while a reset waits for the next start, else nothing; with shards: of each."""
    found = {shard: view for shard in shards if (view := _pending(paths.of_log(shard))) is not None}
    if not found:
        return {}
    return {"pending_reset": found.get(ONE_LOG, {"shards": found})}


def _pending(paths: PipelinePaths) -> dict[str, Any] | None:
    try:
        request = read_reset(paths.reset)
    except CheckpointError as error:
        return {"error": str(error)}
    return None if request is None else request.view()


async def reset_checkpoints(pipeline: Pipeline, body: Any) -> dict[str, Any]:
    """Note a reset for the next start, and say what that start will do.

    Raises:
        ControlError: The pipeline is not stopped.
        SpecError: The body is not a reset of this pipeline.
    """
    return await reset_stopped(pipeline.parsed.spec, pipeline.supervisor.paths, body, status=pipeline.supervisor.status)


async def reset_stopped(document: PipelineSpec, paths: PipelinePaths, body: Any, *, status: str) -> dict[str, Any]:
    """The same without a control plane.

    Args:
        document: Of the pipeline.
        paths: Of the pipeline.
        body: As over REST.
        status: Of the pipeline, as far as the caller knows.
    """
    if child.is_alive(paths):
        status = "running" if status in ("stopped", "failed") else status
    if status not in ("stopped", "failed"):
        raise ControlError(
            f"pipeline {paths.name} is {status}: its checkpoint can be reset only while it is stopped",
            hint="stop it first",
        )
    named = body.get("shard") if isinstance(body, dict) else None
    shards = shards_asked(document, named)
    if len(shards) > 1 and not isinstance(body.get("to") if isinstance(body, dict) else "", str):
        raise SpecError("a position is one of a shard: say which", path="shard", hint=f"it has {', '.join(shards)}")
    body = {key: value for key, value in body.items() if key != "shard"} if isinstance(body, dict) else body
    requests = {shard: await asyncio.to_thread(_request, document, paths, body, shard) for shard in shards}
    paths.create()
    for shard, request in requests.items():
        await asyncio.to_thread(_note, paths.of_log(shard), request)
    log.warning("the checkpoint of pipeline %s will be reset: %s", paths.name, request.view(), extra=said_of(named))
    return {
        "pipeline": paths.name,
        "status": status,
        "reset": request.view() | said_of(named),
        "message": _message(request, document.spec.source.type),
    }


def _request(document: PipelineSpec, paths: PipelinePaths, body: Any, shard: str) -> ResetRequest:
    """The reset of one log."""
    lanes = [lane for lane in document.lanes() if lane.shard == shard]
    return request_from_body(
        body,
        source_type=document.spec.source.type,
        sink_ids=[sink.config.id for sink in document.spec.sinks],
        saved=_saved(paths, lanes, body.get("sink_id") if isinstance(body, dict) else None),
    )


def _note(paths: PipelinePaths, request: ResetRequest) -> None:
    paths.make_log_root()
    write_reset(paths.reset, request)


def _view(lane: Lane, checkpoint: SinkCheckpoint, end: Position | None) -> dict[str, Any]:
    view = {
        "sink_id": checkpoint.sink_id,
        **({"lane": lane.name} if lane.name else {}),
        "position": checkpoint.position.view(),
        "age_seconds": round(checkpoint.age_seconds(), 3),
    }
    count = checkpoint.position.bytes_to(end) if end else None
    return view if count is None else {**view, "lag_bytes": count}


def _saved(paths: PipelinePaths, lanes: Sequence[Lane], sink_id: Any) -> Position | None:
    """What a sink has in every lane, or where the source would continue; None if nobody can say, which a reset may
    mend.
    """
    try:
        states = read_delivery_states(paths.recovery) if sink_id is not None else {}
        of_lanes = [_of_sink(states.get(delivery_key(lane)), sink_id) for lane in lanes]
        state = read_source_states(paths.recovery).get(source_key(lanes[0].shard))
    except CheckpointError as error:
        log.warning("the checkpoint that is to be reset cannot be read: %s", error)
        return None
    known = [position for position in of_lanes if position is not None]
    first = next((position for position in known if not any(other.is_behind(position) for other in known)), None)
    return first or (state.position if state else None)


def _of_sink(state: DeliveryState | None, sink_id: str) -> Position | None:
    """What a sink has of a lane; of one that was given up, where that was."""
    if state is None:
        return None
    mark = state.spools.get(sink_id)
    if mark is not None and mark.is_detached:
        return mark.position
    return next((sink.position for sink in state.sinks if sink.sink_id == sink_id), None)


def _message(request: ResetRequest, source_type: str) -> str:
    who = "all sinks" if request.sink_id is None else f"sink {request.sink_id}"
    where = POSITION_TYPES[source_type].BEGINS[request.edge]
    again = "" if request.edge is LogEdge.LATEST else " Rows that were delivered before may be delivered again."
    return f"the next start (resume) of the pipeline reads for {who} {where}.{again}"
