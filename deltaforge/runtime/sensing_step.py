"""The steps of the dataflow that learn the shape of the data. Batches pass them as they are.

What is known is saved with the epoch, so after a crash it stands exactly where the source begins again. It is saved
under several keys of one step, so that an epoch saves the tables that changed and no others: one key is the pipeline's,
under which the batches come, and one is of each shard of tables. A first step without a state says which shards a batch
changes. Bytewax hands a step all its saved states before the first item.

Only one thread may look at what is known, that of the pipeline's key. In a run with several workers the tables of a
shard that is placed with another one are saved under the pipeline's key.
"""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Hashable, Iterable, Iterator

from bytewax.operators import StatefulBatchLogic

from deltaforge.checkpoint.reader import sensing_shard_key
from deltaforge.core.batch import Batch, EventGroup
from deltaforge.core.errors import DeltaForgeError, unforeseen
from deltaforge.runtime.crossing import Arrivals, PackedBatch
from deltaforge.runtime.panics import told
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sensing import MAX_KNOWN_TABLES, BatchSensing
from deltaforge.sensing.state import NOTHING, SHARDS, SensingState, decode_sensing_state, merged, shard_of

log = logging.getLogger(__name__)

Keyed = tuple[str, Batch | PackedBatch | int]
"""A batch under the key of the pipeline, or the number of a shard under the key of that."""

_table_of = operator.attrgetter("table")


class TableShards:
    """Puts behind each batch the shards of its tables. Behind the first of a run come all, which moves what an older
    version saved in one piece.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self._is_first = True

    def __call__(self, items: list[tuple[str, Batch]]) -> Iterator[Keyed]:
        for key, batch in items:
            yield key, batch
            shards: Iterable[int] = range(SHARDS) if self._is_first else self._shards(batch)
            self._is_first = False
            for shard in shards:
                yield sensing_shard_key(shard), shard

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


class SensingStep:
    """What the keys of the step share in this process.

    Args:
        info: Of the run.
        arrivals: Of batches from other processes.
    """

    def __init__(self, info: RunInfo, arrivals: Arrivals) -> None:
        self.info = info
        self.arrivals = arrivals
        self.thread: int | None = None  # which looks at what is known, once a batch has come
        self._shards: dict[int, int] = {}  # and those of the shards
        self._saved: list[SensingState] = []
        self._sensing: BatchSensing | None = None

    def logic(self, state: bytes | None) -> SensingLogic:
        """Of one key."""
        if state is not None:
            self._saved.append(decode_sensing_state(state))
        return SensingLogic(self, state)

    def begin(self) -> BatchSensing:
        """What is known. Made with the first batch: then every saved state is there."""
        if self._sensing is None:
            self.thread = threading.get_ident()
            self._sensing = BatchSensing(self.info, merged(self._saved))
            self._saved.clear()
        return self._sensing

    def place(self, shard: int) -> None:
        """The key of a shard is on this thread."""
        self._shards[shard] = threading.get_ident()

    def shard_bytes(self, shard: int) -> bytes | None:
        """What a shard is to save; None if its tables are saved under the pipeline's key."""
        if self._sensing is None or self.thread != threading.get_ident():
            return None
        return self._sensing.shapes.shard_bytes(shard)

    def pipeline_bytes(self) -> bytes:
        """What the pipeline's key is to save."""
        sensing = self.begin()
        sensing.metrics.refresh()
        return sensing.shapes.pipeline_bytes({n for n, thread in self._shards.items() if thread == self.thread})


class SensingLogic(StatefulBatchLogic[Batch | PackedBatch | int, Batch, bytes]):
    """The pipeline's key, or that of a shard: what comes under it says which.

    Args:
        step: Of all keys.
        state: What was saved under this one; it stays saved until something comes.
    """

    def __init__(self, step: SensingStep, state: bytes | None) -> None:
        self._step = step
        self._info = step.info
        self._state = state or NOTHING
        self._shard: int | None = None
        self._has_begun = False  # it is the pipeline's

    @told
    def on_batch(self, values: list[Batch | PackedBatch | int]) -> tuple[Iterable[Batch], bool]:
        came = [value for value in values if not isinstance(value, int)]
        if not came:
            self._shard = next(value for value in values if isinstance(value, int))
            self._step.place(self._shard)
            return [], self.RETAIN
        began, self._has_begun = time.monotonic(), True
        sensing = self._step.begin()
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

    @told
    def snapshot(self) -> bytes:
        if self._has_begun:
            return self._step.pipeline_bytes()
        found = None if self._shard is None else self._step.shard_bytes(self._shard)
        return found or self._state
