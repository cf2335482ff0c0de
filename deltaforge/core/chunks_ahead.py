"""Chunks of a snapshot that a sink has, and no saved state knows of."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from deltaforge.core.resume import SinkProgress
from deltaforge.core.snapshot import ChunkMark


class LaneSays(msgspec.Struct, frozen=True):
    """What is known of a lane in its own process: its sinks that will speak, those that have, and what they said."""

    lane: int
    expected: tuple[str, ...]
    heard: tuple[str, ...]
    marks: tuple[ChunkMark, ...]


class ChunksAhead:
    """What the sinks of a log's lanes say at a start that keep their progress themselves, in one transaction with the
    rows.

    Such a sink may be ahead of what was saved. The ranges of its chunks are read first then, under the same numbers:
    it passes over them, and the others get their rows. No other chunk may be handed out before all of them have
    spoken. Called from any thread.

    Args:
        lane_count: How many lanes of the log have to be there before anything is known.

    Attributes:
        saved: Number of the last chunk that a saved state knows; set by whoever saves.
    """

    def __init__(self, lane_count: int = 1) -> None:
        self.saved = 0
        self._lane_count = lane_count
        self._expected: dict[int, frozenset[str]] = {}
        self._heard: set[tuple[int, str]] = set()
        self._marks: dict[int, ChunkMark] = {}

    def expect(self, sink_ids: Iterable[str], lane: int = 0) -> None:
        """The sinks of a lane that will speak, or have spoken. Before this call nobody knows of any."""
        self._expected[lane] = frozenset(sink_ids)

    def note(self, sink_id: str, progress: SinkProgress | None, lane: int = 0) -> None:
        """What the destination of a sink says; None: it knows nothing of this pipeline."""
        if progress is not None:
            self._marks.update({mark.number: mark for mark in progress.chunks})
        self._heard.add((lane, sink_id))

    def of_lanes(self) -> list[LaneSays]:
        """What the lanes of this process say, for the process that reads the log."""
        expected, heard = list(self._expected.items()), list(self._heard)
        marks = self.marks(0)  # read last: whoever was heard has put its own there before
        return [
            LaneSays(lane, tuple(sinks), tuple(sink_id for number, sink_id in heard if number == lane), marks)
            for lane, sinks in expected
        ]

    def take(self, says: LaneSays) -> None:
        """What a lane of another process says."""
        self._marks.update({mark.number: mark for mark in says.marks})
        self._heard.update((says.lane, sink_id) for sink_id in says.heard)
        self._expected[says.lane] = frozenset(says.expected)

    def waiting_for(self) -> str | None:
        """What has to be waited for, in words; None: all of them have spoken."""
        if len(self._expected) < self._lane_count:
            return "the sinks of this pipeline to be there"
        expected = {(lane, sink_id) for lane, sink_ids in list(self._expected.items()) for sink_id in sink_ids}
        silent = expected.difference(self._heard)
        return f"sink {min(silent)[1]} to say which rows it has" if silent else None

    def marks(self, after: int) -> tuple[ChunkMark, ...]:
        """The chunks behind a number that a sink has, in the order of their numbers."""
        marks = dict(self._marks)
        return tuple(marks[number] for number in sorted(marks) if number > after)
