"""Whether the start of a log has to begin elsewhere than at the saved position: asked for, or because of a new sink."""

from __future__ import annotations

import logging
import uuid

from deltaforge.checkpoint.reader import read_delivery_states, stream_key
from deltaforge.checkpoint.reset import ResetRequest, read_reset, write_reset
from deltaforge.core.positions import LogEdge
from deltaforge.runtime.run_info import RunInfo

log = logging.getLogger(__name__)


def resets_of_start(info: RunInfo) -> dict[str, ResetRequest]:
    """The resets that a start of the pipeline has to carry out, by shard; see :func:`reset_of_start`."""
    found = {shard: reset_of_start(of_log) for shard, of_log in info.logs().items()}
    return {shard: reset for shard, reset in found.items() if reset is not None}


def reset_of_start(info: RunInfo) -> ResetRequest | None:
    """The reset that this start of a log has to carry out; None: begin at what is saved.

    A sink with ``start: earliest`` that the saved state does not know makes one of its own. The other sinks
    keep their positions and drop what they have. Must be called before Bytewax opens the recovery store.

    Raises:
        CheckpointError: The request or the saved state cannot be read.
    """
    pending = read_reset(info.paths.reset)
    if pending is not None:
        return pending
    new = new_sinks(info, "earliest")
    if not new:
        return None
    request = ResetRequest(id=uuid.uuid4().hex, edge=LogEdge.EARLIEST, sink_id=new[0])
    info.paths.make_log_root()
    write_reset(info.paths.reset, request)
    log.info("new sinks begin with the oldest rows: %s", ", ".join(new), extra={"reset": request.view()})
    return request


def new_sinks(info: RunInfo, start: str) -> list[str]:
    """Ids of sinks with this ``start`` that were added since the log was last read.

    Raises:
        CheckpointError: The saved state cannot be read.
    """
    saved, key = read_delivery_states(info.paths.recovery), stream_key(info.lane.shard)
    states = [state for lane, state in saved.items() if lane == key or lane.startswith(f"{key}#")]
    if not states:
        return []
    configs = [sink.config for sink in info.spec.spec.sinks if sink.config.start == start]
    return [config.id for config in configs if not any(state.knows(config.id) for state in states)]
