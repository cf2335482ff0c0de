"""Saved positions as REST shows them, and their reset."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deltaforge.checkpoint.reader import delivery_key, read_delivery_states, read_source_state
from deltaforge.checkpoint.reset import ResetRequest, read_reset, request_from_body, write_reset
from deltaforge.checkpoint.state import DeliveryState, SinkCheckpoint
from deltaforge.control import child
from deltaforge.core.errors import CheckpointError, ControlError
from deltaforge.core.lanes import Lane
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
    text = ((live or {}).get("source") or {}).get("log_end")
    end = decode_position(text.encode()) if text else None
    return [_view(lane, checkpoint, end) for lane, checkpoint in found]


def pending_reset(paths: PipelinePaths) -> dict[str, Any]:
    """``{"pending_reset": …}`` while a reset waits for the next start, else nothing."""
    try:
        request = read_reset(paths.reset)
    except CheckpointError as error:
        return {"pending_reset": {"error": str(error)}}
    return {} if request is None else {"pending_reset": request.view()}


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
    spec = document.spec
    request = request_from_body(
        body,
        source_type=spec.source.type,
        sink_ids=[sink.config.id for sink in spec.sinks],
        saved=await asyncio.to_thread(
            _saved, paths, document.lanes(), body.get("sink_id") if isinstance(body, dict) else None
        ),
    )
    paths.create()
    await asyncio.to_thread(write_reset, paths.reset, request)
    log.warning("the checkpoint of pipeline %s will be reset: %s", paths.name, request.view())
    return {
        "pipeline": paths.name,
        "status": status,
        "reset": request.view(),
        "message": _message(request, spec.source.type),
    }


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
        state = read_source_state(paths.recovery)
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
