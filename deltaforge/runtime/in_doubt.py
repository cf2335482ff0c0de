"""What a sink was handed and has not acked, in order; and how one event is taken out of it."""

from __future__ import annotations

from typing import NamedTuple

from deltaforge.core.batch import Batch
from deltaforge.core.event import ChangeEvent
from deltaforge.core.resume import SinkProgress

CAREFUL_EVENTS = 2000
"""Events that are written together while a bad one is looked for; fewer once a sink has blamed the wrong one."""


class Part(NamedTuple):
    """A batch, or a piece of one; only the ack of the last piece is the ack of the batch.

    ``is_suspect``: one event that is written alone, because it may be bad.
    ``progress``: how far the source is after the batch, as it was read; with the last piece, if the sink keeps it.
    """

    batch: Batch
    is_last: bool
    is_suspect: bool = False
    progress: SinkProgress | None = None


class InDoubt:
    """Parts in the order of the log.

    Attributes:
        is_careful: A bad event is somewhere among them: the sink has to take each part before it gets the next one.
        written_count: How many of the first parts the sink has been handed since it was opened.
    """

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self.is_careful = False
        self.written_count = 0
        self._piece = CAREFUL_EVENTS

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def unwritten(self) -> Part | None:
        """What is to be written next."""
        return self._parts[self.written_count] if self.written_count < len(self._parts) else None

    def add(self, batch: Batch, progress: SinkProgress | None = None) -> None:
        """One more batch."""
        self._parts.append(Part(batch, is_last=True, progress=progress))

    def rewind(self) -> None:
        """The sink has forgotten what it was handed."""
        self.written_count = 0

    def progress(self, count: int) -> SinkProgress | None:
        """How far the source is after the first ``count`` parts."""
        return self._parts[count - 1].progress

    def acquit(self) -> None:
        """The destination has taken everything written, so nothing of it is bad by itself."""
        done = self._parts[: self.written_count]
        if any(part.is_suspect for part in done):  # it was not its size or destination, but that of all together
            self._piece = max(1, self._piece // 4)
            rest = [piece for part in self._parts[self.written_count :] for piece in _pieces(part, self._piece)]
            self._parts = [*(part._replace(is_suspect=False) for part in done), *rest]

    def take(self, count: int) -> list[Part]:
        """Remove the first ``count`` parts: they are acked."""
        self.acquit()
        taken, self._parts = self._parts[:count], self._parts[count:]
        self.written_count -= count
        if not self._parts:
            self.is_careful = False
        return taken

    def place_of(self, batch: object) -> int:
        """Which part a batch is."""
        return next(place for place, part in enumerate(self._parts) if part.batch is batch)

    def is_alone(self, place: int) -> bool:
        """Whether a part that was refused is one event, and was the only thing that the destination had to take."""
        return self.is_careful and self._parts[place].batch.event_count == 1

    def isolate(self, place: int, index: int) -> int:
        """Have the event at ``index`` of a part written alone, after what is before it; its place from now on."""
        part = self._parts[place]
        before, after = part.batch.between(0, index), part.batch.between(index + 1, part.batch.event_count)
        pieces = _pieces(Part(before, is_last=False), self._piece)
        suspect = Part(part.batch.between(index, index + 1), is_last=False, is_suspect=True)
        rest = part._replace(batch=after, is_suspect=False)
        self._parts[place : place + 1] = [*pieces, suspect, *_pieces(rest, self._piece)]
        self.is_careful = True
        return place + len(pieces)

    def drop_written(self, count: int) -> None:
        """The first ``count`` events of the first part are acked."""
        part = self._parts[0]
        self._parts[0] = part._replace(batch=part.batch.between(count, part.batch.event_count))

    def event(self, place: int, index: int = 0) -> ChangeEvent:
        """An event of a part."""
        return self._parts[place].batch.between(index, index + 1).events()[0]

    def remove(self, place: int, index: int = 0) -> None:
        """Take an event out of a part: it is kept elsewhere. What is left is cut, so that the next one costs less."""
        part = self._parts[place]
        rest = part._replace(batch=part.batch.without(index), is_suspect=False)
        self._parts[place : place + 1] = _pieces(rest, self._piece)
        self.is_careful = self.is_careful and bool(self._parts)


def _pieces(part: Part, size: int) -> list[Part]:
    """A part in pieces of at most ``size`` events; nothing, if it is empty and not the last of its batch."""
    batch, count = part.batch, part.batch.event_count
    if count <= size:
        return [part] if count or part.is_last else []
    pieces = [Part(batch.between(start, start + size), is_last=False) for start in range(0, count, size)]
    pieces[-1] = part._replace(batch=pieces[-1].batch)
    return pieces
