"""The dead letter queue of one pipeline, as people read and empty it, whatever process they ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deltaforge.core.errors import StorageError
from deltaforge.journal.entries import Entry, EntryView, decode_entry, view_of
from deltaforge.storage.base import Queue

NAMESPACE = "journal"
MAX_LISTED = 1000
_PAGE = 100


def queue_key(pipeline: str) -> str:
    """The key of a pipeline's queue."""
    return f"{pipeline}:dlq"


def all_entries(queue: Queue, pipeline: str) -> Iterator[tuple[int, Entry]]:
    """Every entry with its sequence, oldest first; few of them in memory at a time."""
    after = 0
    while page := queue.peek(NAMESPACE, queue_key(pipeline), _PAGE, after=after):
        for stored in page:
            yield stored.id, decode_entry(stored)
        after = page[-1].id


def find_entries(
    queue: Queue, pipeline: str, *, limit: int, sink_id: str | None = None, error_kind: str | None = None
) -> list[tuple[int, Entry]]:
    """The oldest ``limit`` entries of those that fulfil every condition given.

    Args:
        queue: Of the storage.
        pipeline: Its name.
        limit: How many at most.
        sink_id: Where they failed.
        error_kind: Why, such as ``serialization``; ``serialization error`` is the same.
    """
    kind = error_kind.removesuffix(" error") if error_kind is not None else None
    found: list[tuple[int, Entry]] = []
    for seq, entry in all_entries(queue, pipeline):
        if len(found) >= limit:
            break
        if sink_id in (None, entry.meta.sink_id) and kind in (None, entry.meta.error_kind):
            found.append((seq, entry))
    return found


class DeadLetterQueue:
    """What can be done with a queue without the pipeline.

    Args:
        queue: Of the storage that the pipeline writes to.
        pipeline: Its name.
    """

    def __init__(self, queue: Queue, pipeline: str) -> None:
        self._queue = queue
        self._pipeline = pipeline
        self._place = (NAMESPACE, queue_key(pipeline))

    def entries(
        self, *, limit: int = 50, sink_id: str | None = None, error_kind: str | None = None
    ) -> list[EntryView]:  # fmt: skip
        """Entries to show, oldest first; see :func:`find_entries`."""
        found = find_entries(self._queue, self._pipeline, limit=limit, sink_id=sink_id, error_kind=error_kind)
        return [view_of(seq, entry) for seq, entry in found]

    def picked(self, seqs: Sequence[int]) -> list[tuple[int, Entry]]:
        """The entries of these sequences.

        Raises:
            StorageError: One of them is not there.
        """
        found = [(stored.id, decode_entry(stored)) for stored in self._queue.find(*self._place, seqs)]
        missing = sorted(set(seqs) - {seq for seq, _ in found})
        if missing:
            raise StorageError(f"there is no dead letter {missing[0]}")
        return found

    def count(self) -> int:
        """Number of entries."""
        return self._queue.count(*self._place)

    def ack(self, up_to_seq: int) -> int:
        """Remove the entries up to and including a sequence; returns how many there were."""
        return self._queue.ack(*self._place, up_to_seq)

    def remove(self, seq: int) -> bool:
        """Remove one entry."""
        return self._queue.remove(*self._place, seq)

    def purge(self) -> int:
        """Remove all entries; returns how many there were."""
        return self._queue.purge(*self._place)
