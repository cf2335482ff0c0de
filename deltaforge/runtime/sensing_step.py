"""The steps of the dataflow that learn the shape of the data. Batches pass them as they are.

What is known is saved with the epoch, so after a crash it stands exactly where the source begins again. It is saved
under several keys of one step, so that an epoch saves the tables that changed and no others: one key is the log's,
under which its batches come, and one is of each shard of its tables. A first step without a state says which shards a
batch changes. Bytewax hands a step all its saved states before the first item.

Only one thread may look at what is known, that of the log's key. In a run with several workers the tables of a
shard that is placed with another one are saved under the log's key. With several processes the log's key is one that
Bytewax places where the log is read, so that no batch has to leave its process to be looked at; what was saved under
other keys, elsewhere, is read from the recovery store.
"""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

from bytewax.operators import StatefulBatchLogic

from deltaforge.checkpoint.reader import read_sensing_states, sensing_shard_key, source_key, stream_key
from deltaforge.core.batch import Batch, EventGroup
from deltaforge.core.errors import DeltaForgeError, unforeseen
from deltaforge.core.lanes import ONE_LOG, shard_suffix
from deltaforge.runtime.crossing import Arrivals, PackedBatch
from deltaforge.runtime.panics import told
from deltaforge.runtime.placement import key_at, worker_of_part
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sensing import MAX_KNOWN_TABLES, BatchSensing
from deltaforge.sensing.state import NOTHING, SHARDS, SensingState, decode_sensing_state, merged, shard_of

log = logging.getLogger(__name__)

WHOLE_LOG = -1
"""Instead of the number of a shard of tables."""

_table_of = operator.attrgetter("table")


class TableShard(NamedTuple):
    """Which tables of which log are saved under a key; :data:`WHOLE_LOG` where all batches of a log come under it."""

    log: str
    number: int


Keyed = tuple[str, Batch | PackedBatch | TableShard]
"""A batch under the key of its log, or a shard of tables under the key of that."""


class TableShards:
    """Puts behind each batch the shards of its tables. Behind the first of a run come all, which moves what an older
    version saved in one piece. Before it comes whose log it is, if there are several.

    Args:
        logs: The shards of the source.
        keys: Of the logs in this step, see :func:`log_keys`.
    """

    def __init__(self, logs: Iterable[str] = (ONE_LOG,), keys: Mapping[str, str] | None = None) -> None:
        self._logs = {stream_key(log): log for log in logs}
        self._keys = keys or {key: key for key in self._logs}
        self._known: dict[Hashable, int] = {}
        self._begun: set[str] = set()

    def __call__(self, items: list[tuple[str, Batch]]) -> Iterator[Keyed]:
        for key, batch in items:
            log, is_first = self._logs[key], key not in self._begun
            if is_first and log:
                yield self._keys[key], TableShard(log, WHOLE_LOG)
            yield self._keys[key], batch
            shards: Iterable[int] = range(SHARDS) if is_first else self._shards(batch)
            self._begun.add(key)
            for shard in shards:
                yield sensing_shard_key(shard) + shard_suffix(log), TableShard(log, shard)

    def _shards(self, batch: Batch) -> set[int]:
        found, known = set[int](), self._known
        for group in batch.groups:
            table = group.table
            if table is None:
                found.update(shard_of(event.source.table) for event in group.events())
            elif table in known:
                found.add(known[table])
            else:
                found.add(self._learned(table, group))
        return found

    def _learned(self, table: Hashable, group: EventGroup) -> int:
        if len(self._known) >= MAX_KNOWN_TABLES:
            self._known.clear()
        shard = self._known[table] = shard_of(group.head().source.table)
        return shard


def log_keys(info: RunInfo) -> dict[str, str]:
    """The key of each log in the step of sensing, by its :func:`~deltaforge.checkpoint.reader.stream_key`: the same,
    but where that would be placed in another process than the log.
    """
    cluster, logs = info.cluster, info.spec.shards()
    keys = {stream_key(log): stream_key(log) for log in logs}
    if not has_whole_store(info):
        return keys
    count, sources = cluster.processes * cluster.workers, [source_key(log) for log in logs]
    return {
        stream_key(log): key_at(stream_key(log), worker_of_part(source_key(log), sources, count), count)
        for log in logs
    }  # fmt: skip


def has_whole_store(info: RunInfo) -> bool:
    """Whether there are several processes, each of which can read what all of them save."""
    return info.cluster.processes > 1 and not info.is_embedded


class LogSensing:
    """What the keys of one log share in this process.

    Args:
        info: Of the run.
        log: Which one.
    """

    def __init__(self, info: RunInfo, log: str) -> None:
        self._info = info
        self._log = log
        self.thread: int | None = None  # which looks at what is known, once a batch has come
        self._shards: dict[int, int] = {}  # and those of the shards
        self.saved: list[SensingState] = []
        self._sensing: BatchSensing | None = None

    def begin(self) -> BatchSensing:
        """What is known. Made with the first batch: then every saved state is there."""
        if self._sensing is None:
            self.thread = threading.get_ident()
            state = merged(self.saved)
            state.log = self._log
            self._sensing = BatchSensing(self._info, state)
            self.saved.clear()
        return self._sensing

    def place(self, shard: int) -> None:
        """The key of a shard is on this thread."""
        self._shards[shard] = threading.get_ident()

    def shard_bytes(self, shard: int) -> bytes | None:
        """What a shard is to save; None if its tables are saved under the log's key."""
        if self._sensing is None or self.thread != threading.get_ident():
            return None
        return self._sensing.shapes.shard_bytes(shard)

    def log_bytes(self) -> bytes:
        """What the log's key is to save."""
        sensing = self.begin()
        sensing.metrics.refresh()
        return sensing.shapes.pipeline_bytes({n for n, thread in self._shards.items() if thread == self.thread})


class SensingStep:
    """What the keys of the step share in this process.

    Args:
        info: Of the run.
        arrivals: Of batches from other processes.
    """

    def __init__(self, info: RunInfo, arrivals: Arrivals) -> None:
        self.info = info
        self.arrivals = arrivals
        self._logs: dict[str, LogSensing] = {}
        self._is_read = has_whole_store(info)
        for data in read_sensing_states(info.paths.recovery) if self._is_read else ():
            self._found(data)

    def logic(self, state: bytes | None) -> SensingLogic:
        """Of one key."""
        if state is not None and not self._is_read:
            self._found(state)
        return SensingLogic(self, state)

    def _found(self, data: bytes) -> None:
        saved = decode_sensing_state(data)
        self.of_log(saved.log).saved.append(saved)

    def of_log(self, log: str) -> LogSensing:
        """What is known of one log."""
        found = self._logs.get(log)
        return found or self._logs.setdefault(log, LogSensing(self.info, log))


class SensingLogic(StatefulBatchLogic[Batch | PackedBatch | TableShard, Batch, bytes]):
    """The key of a log, or that of a shard of tables: what comes under it says which.

    Args:
        step: Of all keys.
        state: What was saved under this one; it stays saved until something comes.
    """

    def __init__(self, step: SensingStep, state: bytes | None) -> None:
        self._step = step
        self._info = step.info
        self._state = state or NOTHING
        self._log = step.of_log(ONE_LOG)
        self._shard: int | None = None
        self._has_begun = False  # it is the log's

    @told
    def on_batch(self, values: list[Batch | PackedBatch | TableShard]) -> tuple[Iterable[Batch], bool]:
        came: list[Batch | PackedBatch] = []
        for value in values:
            if isinstance(value, TableShard):
                self._placed(value)
            else:
                came.append(value)
        if not came:
            return [], self.RETAIN
        began, self._has_begun = time.monotonic(), True
        sensing = self._log.begin()
        try:
            batches = [self._step.arrivals.arrived(batch) for batch in came]
            for batch in batches:
                sensing.observe(batch)
        except DeltaForgeError as error:
            self._info.ending.fail(error)
            raise
        except Exception as error:
            log.exception("sensing crashed")
            self._info.ending.fail(DeltaForgeError(f"sensing failed unexpectedly: {unforeseen(error)}", crash=True))
            raise
        sensing.metrics.note_stage(time.monotonic() - began)
        return batches, self.RETAIN

    def _placed(self, tables: TableShard) -> None:
        self._log = self._step.of_log(tables.log)
        if tables.number != WHOLE_LOG:
            self._shard = tables.number
            self._log.place(tables.number)

    @told
    def snapshot(self) -> bytes:
        if self._has_begun:
            return self._log.log_bytes()
        found = None if self._shard is None else self._log.shard_bytes(self._shard)
        return found or self._state
