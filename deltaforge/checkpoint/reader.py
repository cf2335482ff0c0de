"""Read saved positions from a Bytewax recovery store, also while a dataflow is writing it.

A store is a directory of SQLite files ``part-*.sqlite3`` (Bytewax 0.21): ``snaps`` holds pickled
states by step, key and epoch; ``exs`` the executions and ``fronts`` how far each of their workers
got. A state counts only below the resume epoch, the smallest frontier of the newest execution.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from msgspec import UNSET

from deltaforge.checkpoint.state import (
    DeliveryState,
    SinkCheckpoint,
    SourceState,
    decode_delivery_state,
    decode_source_state,
)
from deltaforge.core.errors import CheckpointError
from deltaforge.core.lanes import ONE_LANE, Lane, lane_suffix, shard_suffix

FLOW_ID = "deltaforge"
SOURCE_STEP = "source"
DELIVERY_STEP = "delivery"
SENSING_STEP = "sensing"
SHARDS_STEP = "shards"
ROUTE_STEP = "route"
SOURCE_KEY = "log"
DELIVERY_KEY = "delivery"
SENSING_KEY = DELIVERY_KEY
"""What a log brings keeps one key on the way from the source to its lanes; what is known of tables is under others."""


def source_key(shard: str) -> str:
    """The key of a log, in the source's step."""
    return SOURCE_KEY + shard_suffix(shard)


def stream_key(shard: str) -> str:
    """The key of what a log brings, before it is split into lanes."""
    return DELIVERY_KEY + shard_suffix(shard)


def delivery_key(lane: Lane) -> str:
    """The key of a lane, in the delivery's step. That of the only lane of a log is the log's stream key."""
    return DELIVERY_KEY + lane_suffix(lane)


def sensing_shard_key(shard: int) -> str:
    """The key of the sensing step under which the tables of a shard are saved."""
    return f"tables-{shard:02}"


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles plain values only: states are bytes, so no class is ever needed."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise CheckpointError(f"saved state holds an object of {module}.{name}; only plain data is read")


def read_checkpoints(recovery_dir: Path) -> list[SinkCheckpoint]:
    """The saved position of each sink of a pipeline with one lane; empty when nothing was saved yet.

    Raises:
        CheckpointError: The store cannot be read.
    """
    return [found for _, found in read_lane_checkpoints(recovery_dir, (ONE_LANE,))]


def read_lane_checkpoints(recovery_dir: Path, lanes: Sequence[Lane]) -> list[tuple[Lane, SinkCheckpoint]]:
    """The saved position of each sink of each of the lanes. Raises as :func:`read_checkpoints`."""
    states = read_delivery_states(recovery_dir)
    found = ((lane, states.get(delivery_key(lane))) for lane in lanes)
    return [(lane, sink) for lane, state in found if state is not None for sink in state.sinks]


def read_source_state(recovery_dir: Path) -> SourceState | None:
    """Where the source would continue; None when nothing was saved yet."""
    return read_source_states(recovery_dir).get(SOURCE_KEY)


def read_source_states(recovery_dir: Path) -> dict[str, SourceState]:
    """Where each log would continue, by :func:`source_key`. Raises as :func:`read_checkpoints`."""
    return {key: decode_source_state(data) for key, data in _states(recovery_dir, SOURCE_STEP).items()}


def read_delivery_state(recovery_dir: Path) -> DeliveryState | None:
    """What the sinks have; None when nothing was saved yet."""
    return read_delivery_states(recovery_dir).get(DELIVERY_KEY)


def read_delivery_states(recovery_dir: Path) -> dict[str, DeliveryState]:
    """What the sinks of each lane have, by :func:`delivery_key`, for the last cut into lanes that has saved anything.
    Raises as :func:`read_checkpoints`.
    """
    states = {key: decode_delivery_state(data) for key, data in _states(recovery_dir, DELIVERY_STEP).items()}
    eras = {key: 0 if state.era is UNSET else state.era for key, state in states.items()}
    return {key: state for key, state in states.items() if eras[key] == max(eras.values())}


def saved_keys(recovery_dir: Path, step: str) -> set[str]:
    """Every key of a step that the store knows, whatever is saved under it. Raises as :func:`read_checkpoints`."""
    try:
        with _parts(recovery_dir) as parts:
            query = "select distinct state_key from snaps where step_id = ?"
            return {key for (key,) in _rows(parts, query, f"{FLOW_ID}.{step}")}
    except sqlite3.Error as exc:
        raise CheckpointError(f"recovery store {recovery_dir.name} cannot be read: {exc}") from exc


def read_sensing_states(recovery_dir: Path) -> list[bytes]:
    """What sensing and drift detection know, by key, still encoded; empty when nothing was saved yet."""
    return [*_states(recovery_dir, SENSING_STEP).values()]


def _states(recovery_dir: Path, step: str) -> dict[str, bytes]:
    """The newest state of each key of a step."""
    try:
        with _parts(recovery_dir) as parts:
            epoch = _resume_epoch(parts)
            if epoch is None:
                return {}
            found = _newest(parts, f"{FLOW_ID}.{step}", epoch)
    except sqlite3.Error as exc:
        raise CheckpointError(f"recovery store {recovery_dir.name} cannot be read: {exc}") from exc
    values = {key: _PlainUnpickler(io.BytesIO(data)).load() for key, data in found.items()}
    for value in values.values():
        if not isinstance(value, bytes | None):
            raise CheckpointError(f"saved state of step {step} is a {type(value).__name__}, expected bytes")
    # None: an epoch that ended before the source was connected for the first time.
    return {key: value for key, value in values.items() if value is not None}


class _parts:  # noqa: N801 - used like a function
    """Read-only connections to every file of a store, each inside one read transaction."""

    def __init__(self, recovery_dir: Path) -> None:
        self._dir = recovery_dir
        self._open: list[sqlite3.Connection] = []

    def __enter__(self) -> list[sqlite3.Connection]:
        for path in sorted(self._dir.glob("part-*.sqlite3")):
            # as a URI proper: the folder of a pipeline may hold % and ?, which SQLite would decode
            uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)
            self._open.append(connection)
            connection.execute("begin")
        return self._open

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            connection.close()


def _rows(parts: list[sqlite3.Connection], query: str, *args: Any) -> Iterator[tuple[Any, ...]]:
    for part in parts:
        with closing(part.execute(query, args)) as cursor:
            yield from cursor


def _resume_epoch(parts: list[sqlite3.Connection]) -> int | None:
    executions = list(_rows(parts, "select ex_num, worker_count, resume_epoch from exs"))
    if not executions:
        return None
    newest, worker_count, resume_epoch = max(executions)
    workers: dict[int, int] = {}
    for worker, frontier in _rows(parts, "select worker_index, worker_frontier from fronts where ex_num = ?", newest):
        workers[worker] = max(frontier, workers.get(worker, 0))
    if len(workers) < worker_count:  # an execution that ended before all its workers finished an epoch
        return int(resume_epoch)
    return min(workers.values())


def _newest(parts: list[sqlite3.Connection], step: str, epoch: int) -> dict[str, bytes]:
    query = "select state_key, ser_change from snaps where step_id = ? and snap_epoch < ? order by snap_epoch"
    return {key: data for key, data in _rows(parts, query, step, epoch) if data is not None}
