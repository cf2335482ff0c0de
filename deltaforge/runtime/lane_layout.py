"""Into which lanes a pipeline was split when it last ran, and whether it may be split otherwise now.

An event goes to a lane by its key and the number of lanes, and what a lane has not delivered is in its own spool, what
it has in its own positions. So lanes can be cut anew only where all of them stand at one place with nothing left: then
the new ones begin at the position of their log, as new. The file says the cut; a pipeline that never had more than one
lane has none.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from deltaforge.checkpoint.durable import write_durably
from deltaforge.checkpoint.reader import read_delivery_states, read_source_states, source_key, stream_key
from deltaforge.checkpoint.state import DeliveryState, SourceState
from deltaforge.core.errors import CheckpointError
from deltaforge.runtime.outcome import Outcome
from deltaforge.runtime.paths import PipelinePaths, unwritable
from deltaforge.runtime.run_info import RunInfo


class LaneLayout(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cut into lanes. ``era`` counts the cuts of a pipeline: a state of another era says nothing."""

    mode: str = "none"
    count: int = 1
    key: str | None = None
    era: int = 0

    def __str__(self) -> str:
        by = f"{self.mode} {self.key}" if self.key is not None else self.mode
        return "one lane" if self.count == 1 else f"{self.count} lanes by {by}"


def era_of(paths: PipelinePaths) -> int:
    """Which cut this run has; 0 of a pipeline that never had lanes.

    Raises:
        CheckpointError: It cannot be read.
    """
    return _read(paths).era


def settle_layout(info: RunInfo, outcome: Outcome | None) -> None:
    """Note the lanes that the document asks for, before anything is delivered to them.

    Args:
        info: Of the run.
        outcome: Of the run before; None: it left none.

    Raises:
        CheckpointError: They are others than those of the run before, which left something to deliver.
        StorageError: The file cannot be written.
    """
    known, wanted = _read(info.paths), _wanted(info)
    if msgspec.structs.replace(wanted, era=known.era) == known:
        return
    reason = next(_left(info, was_clean=outcome is not None and outcome.is_clean), None)
    if reason is not None:
        raise CheckpointError(
            f"the lanes of pipeline {info.name} cannot be cut anew, from {known} to {wanted}: {reason}",
            hint="start it once with spec.sharding as it was, and stop it when its sinks have everything",
        )
    try:
        write_durably(info.paths.lanes, msgspec.json.encode(msgspec.structs.replace(wanted, era=known.era + 1)))
    except OSError as exc:
        raise unwritable(info.paths.root, exc) from exc


def _wanted(info: RunInfo) -> LaneLayout:
    sharding = info.spec.spec.sharding
    if sharding is None or sharding.lane_count() == 1:
        return LaneLayout()
    return LaneLayout(sharding.mode, sharding.lane_count(), sharding.key)


def _read(paths: PipelinePaths) -> LaneLayout:
    try:
        return msgspec.json.decode(paths.lanes.read_bytes(), type=LaneLayout)
    except FileNotFoundError:
        return LaneLayout()
    except (OSError, msgspec.MsgspecError) as exc:
        raise CheckpointError(f"{paths.lanes} cannot be read: {exc}") from exc


def _left(info: RunInfo, *, was_clean: bool) -> Iterator[str]:
    """What sinks of the document have not got, or nobody knows whether they have."""
    configs = {sink.config.id: sink.config for sink in info.spec.spec.sinks}
    states = read_delivery_states(info.paths.recovery)
    keeping = {sink_id for sink_id, config in configs.items() if config.keeps_progress}
    for state in states.values():
        for sink_id, mark in state.spools.items():
            if sink_id in configs and mark.is_detached:
                yield f"sink {sink_id} was given up when its spool was full, and has to be reset first"
            if sink_id in configs and mark.first < mark.end:
                yield f"events wait in the spool of sink {sink_id}"
        keeping |= {sink.sink_id for sink in state.sinks if sink.kept is not None and sink.sink_id in configs}
    has_run = bool(states) or any(info.paths.root.rglob(info.paths.first_delivery.name))
    if keeping and has_run and not was_clean:
        yield f"the run before did not end with a stop, and sink {min(keeping)} may have more than was saved"
    logs = read_source_states(info.paths.recovery)
    for key, state in states.items():
        log = next((log for shard_key, log in logs.items() if _is_of(key, shard_key)), None)
        ahead = [sink_id for sink_id in _ahead(state, log) if sink_id in keeping]
        if ahead:
            yield f"the log is read again for another sink, and sink {min(ahead)} has more of it"


def _is_of(lane_key: str, log_key: str) -> bool:
    stream = stream_key(log_key.removeprefix(source_key("")).removeprefix("@"))
    return lane_key == stream or lane_key.startswith(f"{stream}#")


def _ahead(state: DeliveryState, log: SourceState | None) -> Iterator[str]:
    """The sinks that have more than what the log continues with."""
    for sink in state.sinks:
        if log is not None and log.position.is_behind(sink.position):
            yield sink.sink_id


def in_era(state: DeliveryState | None, era: int) -> DeliveryState | None:
    """The state of a lane of this cut; None: it is of another one."""
    return state if state is not None and (0 if state.era is UNSET else state.era) == era else None
