"""How far a sink is, and what of a log that is read again it has already."""

from __future__ import annotations

import msgspec

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.event import TX_ID_LENGTH
from deltaforge.core.notices import notice_of, row_count, skipped
from deltaforge.core.positions import Position
from deltaforge.core.snapshot import ChunkMark


class SinkProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a sink is, also inside a transaction that was delivered in several batches.

    ``open_count`` is the number of events of the transaction ``open_tx`` behind ``position`` that are
    delivered already, notices not counted, before any filter of the sink. The log always gives them in the same order.
    ``open_tx`` is what the ids of its events have in common, empty where nothing is open.

    ``chunk`` is the number of the last chunk of a snapshot that is delivered, 0 before the first. ``chunks`` are the
    last ones up to it, without a gap: all that no saved state may know of.
    """

    position: Position
    open_count: int = 0
    open_tx: str = ""
    chunk: int = 0
    chunks: tuple[ChunkMark, ...] = ()


class ResumeFilter:
    """Takes out of a repeated stretch of the log what a sink has already, and the chunks of a snapshot.

    A chunk is told by its number alone: its rows come from no place in the log.

    Args:
        progress: How far the sink is.
    """

    def __init__(self, progress: SinkProgress) -> None:
        self._position: Position | None = progress.position
        self._open_count, self._open_tx = progress.open_count, progress.open_tx
        self._chunk = progress.chunk

    @property
    def is_over(self) -> bool:
        """Whether the sink has nothing of the log that comes from here on."""
        return self._position is None and not self._open_count

    def unseen(self, batch: Batch) -> Batch:
        """The batch without what the sink has; itself if that is nothing."""
        if not batch.event_count:
            return batch
        if batch.chunk is not None:
            return batch if batch.chunk.number > self._chunk else batch.with_groups([])
        position = self._position
        if position is not None:
            # A heartbeat stands nowhere: it does not say whether the log has passed the position.
            unseen = batch.where(lambda event: not position.covers(event.source) and notice_of(event) != "heartbeat")
            if unseen is batch:
                self._position = None  # the log has passed it
            batch = unseen
        if self._open_count and batch.event_count:
            batch, self._open_count = without_first(batch, self._open_count, self._open_tx)
        return batch


def advanced(before: SinkProgress | None, batch: Batch, saved_chunk: int = 0) -> SinkProgress | None:
    """How far the log is after a batch.

    Args:
        before: After the batches before it.
        batch: As it was read: nothing is taken out of it.
        saved_chunk: Number of a chunk that a saved state knows, and so all before it.
    """
    chunk, chunks = (before.chunk, before.chunks) if before else (0, ())
    if chunks:
        chunks = tuple(mark for mark in chunks if mark.number > saved_chunk)
    if batch.chunk is not None:
        if before is not None and batch.chunk.number <= chunk:
            return before  # it was delivered, and comes again for another sink
        return SinkProgress(batch.position, chunk=batch.chunk.number, chunks=(*chunks, batch.chunk))
    if batch.is_tx_end:
        return SinkProgress(batch.position, chunk=chunk, chunks=chunks)
    if not batch.event_count:
        return before
    open_tx = transaction_of(batch.groups[0])
    open_count = before.open_count if before and before.open_tx == open_tx else 0
    return SinkProgress(batch.position, open_count + row_count(batch.groups), open_tx, chunk, chunks)


def transaction_of(group: EventGroup) -> str:
    """What the ids of all events of the group's transaction begin with."""
    return (group.head().event_id or "")[:TX_ID_LENGTH]


def without_first(batch: Batch, count: int, transaction: str) -> tuple[Batch, int]:
    """The batch without its first ``count`` events, and the notices among them, as far as they are of that transaction.

    Returns:
        What is left, and how many events are still to come. None are once another transaction has
        begun: it is not repeated, whatever became of the one before. Events without ids are never left out, nor
        is anything of a snapshot.
    """
    if batch.chunk is not None:
        return batch, count
    kept: list[EventGroup] = []
    for group in batch.groups:
        if count and not (transaction and transaction_of(group) == transaction):
            count = 0
        length, rows = skipped(group, count)
        if length < group.event_count:
            kept.append(DecodedGroup(group.events()[length:]) if length else group)
        count -= rows
    return batch.with_groups(kept), count
