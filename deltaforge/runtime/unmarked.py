"""Files of sinks that an earlier version made, which left no marker beside them."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from deltaforge.checkpoint.durable import write_durably
from deltaforge.core.errors import CheckpointError
from deltaforge.core.lanes import ONE_LANE
from deltaforge.runtime.run_info import RunInfo


def unmarked_files(info: RunInfo, saved: Collection[str]) -> frozenset[str]:
    """The sinks that may take the file they are set to, though it has no marker.

    Those are found out once, at the first start that knows markers: the sinks that the saved position speaks of by
    then. What a sink is set to later has to have a marker. Lanes and shards are younger than markers.

    Args:
        info: Of the run.
        saved: Ids of the sinks that the saved position speaks of.

    Raises:
        CheckpointError: What was found out cannot be read or kept.
    """
    if info.lane != ONE_LANE:
        return frozenset()
    now = {
        sink.config.id: use.value
        for sink in info.spec.spec.sinks
        for use in sink.config.local_uses()
        if use.kind == "write"
    }
    path = info.paths.unmarked
    try:
        if not path.exists():
            write_durably(path, msgspec.json.encode({id_: value for id_, value in now.items() if id_ in saved}))
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError) as exc:
        raise CheckpointError(f"cannot keep which files are ours in {path}: {type(exc).__name__}") from exc
    return frozenset(id_ for id_, value in known.items() if now.get(id_) == value)
