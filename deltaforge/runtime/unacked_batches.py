"""What a sink was handed and has not acked, in order; and how one event is taken out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from deltaforge.core.batch import Batch
from deltaforge.core.delivery import DeliveryReport
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.resume import SinkProgress
from deltaforge.journal.queue import Refused

Keep = Callable[[Sequence[Refused]], Iterator[int]]
"""Makes events dead letters, in order. Yields how many are, whenever there are more of them."""
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


class UnackedBatches:
    """Parts in the order of the log.

    Attributes:
        is_careful: A bad event is somewhere among them: the sink has to take each part before it gets the next one.
        written_count: How many of the first parts the sink has been handed since it was opened.
        held_bytes: Memory of the batches that were added since there were none; 0 if there are none.
    """

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self.is_careful = False
        self.written_count = self.held_bytes = 0
        self._piece = CAREFUL_EVENTS

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def unwritten(self) -> Part | None:
        """What is to be written next."""
        return self._parts[self.written_count] if self.written_count < len(self._parts) else None

    def add(self, batch: Batch, progress: SinkProgress | None = None) -> None:
        """One more batch, behind all others; ``progress``: how far the source is after it, as it was read."""
        self._parts.append(Part(batch, is_last=True, progress=progress))
        self.held_bytes += batch.held_bytes + 1

    def rewind(self) -> None:
        """The sink has forgotten what it was handed."""
        self.written_count = 0

    def progress(self, count: int) -> SinkProgress | None:
        """How far the source is after the first ``count`` parts."""
        return self._parts[count - 1].progress

    def acquit(self, count: int) -> None:
        """The destination has taken the first ``count`` parts, so nothing of them is bad by itself."""
        done = self._parts[:count]
        if any(part.is_suspect for part in done):  # it was not its size or destination, but that of all together
            self._piece = max(1, self._piece // 4)
            rest = [piece for part in self._parts[count:] for piece in _pieces(part, self._piece)]
            self._parts = [*(part._replace(is_suspect=False) for part in done), *rest]

    def take(self, count: int) -> list[Part]:
        """Remove the first ``count`` parts: they are acked."""
        self.acquit(count)
        taken, self._parts = self._parts[:count], self._parts[count:]
        self.written_count = max(0, self.written_count - count)  # none, if the sink had to forget them meanwhile
        if not self._parts:
            self.is_careful, self.held_bytes = False, 0
        return taken

    def apply(self, report: DeliveryReport, count: int, keep: Keep) -> list[Part]:
        """Go by the report of a flush behind the first ``count`` parts: give ``keep`` the refused events and take them
        out, then remove the parts that are acked, and return these.
        """
        acked_count = self._count_of(report.acked_count, count)
        for place, errors in self._by_place(report.refused).items():
            part, kept_count = self._parts[place], 0
            events = part.batch.events()
            errors.sort(key=lambda error: error.index)
            try:
                for count_by_now in keep([(events[error.index], error) for error in errors]):
                    kept_count = count_by_now
            finally:
                if kept_count:
                    gone = {error.index for error in errors[:kept_count]}
                    rest = [event for at, event in enumerate(events) if at not in gone]
                    self._parts[place] = part._replace(batch=part.batch.with_events(rest), is_suspect=False)
        taken = self.take(acked_count)
        if report.is_in_doubt:
            self.rewind()
        return taken

    def _count_of(self, acked_count: int | None, count: int) -> int:
        """How many parts so many acked batches are, of the first ``count``; a sink gets none without events."""
        if acked_count is None:
            return count
        written = [place for place, part in enumerate(self._parts[:count]) if part.batch.event_count]
        return written[acked_count] if acked_count < len(written) else count

    def _by_place(self, refused: Sequence[RecordError]) -> dict[int, list[RecordError]]:
        """Errors by the place of their parts, in the order of the parts."""
        found: dict[int, list[RecordError]] = {}
        if refused:
            places: dict[object, int] = {part.batch: place for place, part in enumerate(self._parts)}
            for error in sorted(refused, key=lambda error: places[error.batch]):
                found.setdefault(places[error.batch], []).append(error)
        return found

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
