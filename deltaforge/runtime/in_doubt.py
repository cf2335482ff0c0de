"""What a sink was handed and has not acked, in order; and how one event is taken out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from deltaforge.core.batch import Batch
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent

CAREFUL_EVENTS = 2000
"""Events that are written together while a bad one is looked for; fewer once a sink has blamed the wrong one."""


class Part(NamedTuple):
    """A batch, or a piece of one; only the ack of the last piece is the ack of the batch.

    ``is_suspect``: one event that is written alone, because it may be bad.
    """

    batch: Batch
    is_last: bool
    is_suspect: bool = False


class InDoubt:
    """Parts in the order of the log.

    Attributes:
        is_careful: A bad event is somewhere among them: each part is flushed before the next one is written.
    """

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self.is_careful = False
        self._piece = CAREFUL_EVENTS

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(list(self._parts))

    @property
    def first(self) -> Batch:
        """What is to be written next while careful."""
        return self._parts[0].batch

    def add(self, batch: Batch) -> None:
        """One more batch."""
        self._parts.append(Part(batch, is_last=True))

    def take(self, count: int) -> list[Part]:
        """Remove the first ``count`` parts: they are acked."""
        taken, self._parts = self._parts[:count], self._parts[count:]
        if any(part.is_suspect for part in taken):  # it was not its size or destination, but that of all together
            self._piece = max(1, self._piece // 4)
            self._parts = [piece for part in self._parts for piece in _pieces(part, self._piece)]
        if not self._parts:
            self.is_careful = False
        return taken

    def place_of(self, batch: object) -> int:
        """Which part a batch is."""
        return next(place for place, part in enumerate(self._parts) if part.batch is batch)

    def is_alone(self, error: RecordError) -> bool:
        """Whether the event of an error in doubt was the only one since the last flush."""
        return self.is_careful and self.first.event_count == 1 and error.index == 0

    def isolate(self, place: int, index: int) -> int:
        """Have the event at ``index`` of a part written alone, after what is before it; its place from now on."""
        batch, is_last, _ = self._parts[place]
        before, after = batch.between(0, index), batch.between(index + 1, batch.event_count)
        pieces = _pieces(Part(before, is_last=False), self._piece)
        suspect = Part(batch.between(index, index + 1), is_last=False, is_suspect=True)
        self._parts[place : place + 1] = [*pieces, suspect, *_pieces(Part(after, is_last), self._piece)]
        self.is_careful = True
        return place + len(pieces)

    def drop_written(self, count: int) -> None:
        """The first ``count`` events of the first part are acked."""
        batch, is_last, _ = self._parts[0]
        self._parts[0] = Part(batch.between(count, batch.event_count), is_last)

    def event(self, place: int, index: int = 0) -> ChangeEvent:
        """An event of a part."""
        return self._parts[place].batch.between(index, index + 1).events()[0]

    def remove(self, place: int, index: int = 0) -> None:
        """Take an event out of a part: it is kept elsewhere. What is left is cut, so that the next one costs less."""
        batch, is_last, _ = self._parts[place]
        rest = batch.without(index)
        self._parts[place : place + 1] = _pieces(Part(rest, is_last), self._piece)
        self.is_careful = self.is_careful and bool(self._parts)


def _pieces(part: Part, size: int) -> list[Part]:
    """A part in pieces of at most ``size`` events; nothing, if it is empty and not the last of its batch."""
    batch, count = part.batch, part.batch.event_count
    if 0 < count <= size or (part.is_last and not count):
        return [part]
    starts = range(0, count, size)
    return [
        Part(batch.between(start, start + size), part.is_last and start == starts[-1]) for start in starts
    ]  # fmt: skip
