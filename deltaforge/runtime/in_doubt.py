"""What a sink was handed and has not acked, in order; and how one event is taken out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from deltaforge.core.batch import Batch
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent

CAREFUL_EVENTS = 2000
"""Events that are written together while a bad one is looked for."""


class Part(NamedTuple):
    """A batch, or a piece of one; only the ack of the last piece is the ack of the batch."""

    batch: Batch
    is_last: bool


class InDoubt:
    """Parts in the order of the log.

    Attributes:
        is_careful: A bad event is somewhere among them: each part is flushed before the next one is written.
    """

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self.is_careful = False

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(list(self._parts))

    def add(self, batch: Batch) -> None:
        """One more batch."""
        self._parts.append(Part(batch, is_last=True))

    def take(self, count: int) -> list[Part]:
        """Remove the first ``count`` parts: they are acked."""
        taken, self._parts = self._parts[:count], self._parts[count:]
        if not self._parts:
            self.is_careful = False
        return taken

    def place_of(self, batch: object) -> int:
        """Which part a batch is."""
        return next(place for place, part in enumerate(self._parts) if part.batch is batch)

    def is_alone(self, error: RecordError) -> bool:
        """Whether the event of an error in doubt was the only one since the last flush."""
        return self.is_careful and self._parts[0].batch.event_count == 1 and error.index == 0

    def isolate(self, place: int, index: int) -> None:
        """Have the event at ``index`` of a part written alone, after what is before it."""
        batch, is_last = self._parts[place]
        cuts = [0, index, index + 1, *range(index + 1 + CAREFUL_EVENTS, batch.event_count, CAREFUL_EVENTS)]
        ends = [*cuts[1:], batch.event_count]
        pieces = [batch.between(start, stop) for start, stop in zip(cuts, ends, strict=True) if start < stop]
        parts = [Part(piece, is_last=False) for piece in pieces]
        parts[-1] = Part(parts[-1].batch, is_last=is_last)
        self._parts[place : place + 1] = parts
        self.is_careful = True

    def drop_written(self, count: int) -> None:
        """The first ``count`` events of the first part are acked."""
        batch, is_last = self._parts[0]
        self._parts[0] = Part(batch.between(count, batch.event_count), is_last)

    def event(self, index: int) -> ChangeEvent:
        """An event of the first part."""
        return self._parts[0].batch.between(index, index + 1).events()[0]

    def remove(self, index: int) -> None:
        """Take an event out of the first part: it is kept elsewhere."""
        batch, is_last = self._parts[0]
        rest = batch.without(index)
        self._parts[:1] = [Part(rest, is_last)] if rest.event_count or is_last else []
