"""Chunks of a snapshot that a sink has, and no saved state knows of."""

from __future__ import annotations

from collections.abc import Iterable

from deltaforge.core.resume import SinkProgress
from deltaforge.core.snapshot import ChunkMark


class ChunksAhead:
    """What the sinks say at a start that keep their progress themselves, in one transaction with the rows.

    Such a sink may be ahead of what was saved. The ranges of its chunks are read first then, under the same numbers:
    it passes over them, and the others get their rows. No other chunk may be handed out before all of them have
    spoken. Called from any thread.

    Attributes:
        saved: Number of the last chunk that a saved state knows; set by whoever saves.
    """

    def __init__(self) -> None:
        self.saved = 0
        self._expected: frozenset[str] | None = None
        self._heard: set[str] = set()
        self._marks: dict[int, ChunkMark] = {}

    def expect(self, sink_ids: Iterable[str]) -> None:
        """The sinks that will speak, or have spoken. Before this call nobody knows of any."""
        self._expected = frozenset(sink_ids)

    def note(self, sink_id: str, progress: SinkProgress | None) -> None:
        """What the destination of a sink says; None: it knows nothing of this pipeline."""
        if progress is not None:
            self._marks.update({mark.number: mark for mark in progress.chunks})
        self._heard.add(sink_id)

    def waiting_for(self) -> str | None:
        """What has to be waited for, in words; None: all of them have spoken."""
        if self._expected is None:
            return "the sinks of this pipeline to be there"
        silent = self._expected.difference(self._heard)
        return f"sink {min(silent)} to say which rows it has" if silent else None

    def marks(self, after: int) -> tuple[ChunkMark, ...]:
        """The chunks behind a number that a sink has, in the order of their numbers."""
        return tuple(self._marks[number] for number in sorted(self._marks) if number > after)
