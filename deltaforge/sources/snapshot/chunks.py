"""Chunks that were read, and the batches they become."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from deltaforge.core.batch import Batch, EventGroup
from deltaforge.core.positions import Position
from deltaforge.core.snapshot import ChunkMark, SnapshotJob
from deltaforge.sources.snapshot import states
from deltaforge.sources.snapshot.base import Chunk
from deltaforge.sources.snapshot.ledger import Ledger
from deltaforge.sources.snapshot.tasks import ReadChunk


@dataclass(frozen=True, eq=False)
class Ready:
    """A chunk that was read and waits for its place in the log."""

    task: ReadChunk
    chunk: Chunk

    def mark(self, number: int, job: SnapshotJob) -> ChunkMark:
        """What its batch says it is: what it was before a restart, or the chunk with the next number."""
        task, request = self.task, self.task.request
        if task.again is not None:
            return task.again
        reached = self.chunk.reached if self.chunk.reached is not None else request.end
        return ChunkMark(
            number,
            job.id,
            *task.table,
            stripe=task.stripe or 0,
            low=request.low,
            high=None if task.stripe is None else reached,
            reread=request.reread,
            sinks=job.sinks,
        )

    def batch(self, mark: ChunkMark, dropped: set[bytes], position: Position, now: float) -> Batch:
        """Its rows without those with these row ids, at a place of the log."""
        groups: list[EventGroup] = []
        for group in self.chunk.rows:
            rest: EventGroup | None = group.without(dropped) if dropped else group
            if rest is not None:
                groups.append(rest)
        return batch_of(groups, mark, self.chunk.byte_count, position, now)


def passed_over(mark: ChunkMark, ledger: Ledger, position: Position, now: float) -> Batch:
    """A chunk that a sink has cannot be read again: its table is gone, or is copied anew. Its number passes."""
    ledger.set(states.numbered(ledger.state, mark.number))
    return batch_of((), mark, 0, position, now)


def batch_of(groups: Sequence[EventGroup], mark: ChunkMark, byte_count: int, position: Position, now: float) -> Batch:
    """The batch of a chunk."""
    batch = Batch.of_groups(groups, position, byte_count=byte_count, received_at=now)
    batch.chunk, batch.now_ns = mark, time.time_ns()
    return batch
