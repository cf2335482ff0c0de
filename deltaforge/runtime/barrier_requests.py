"""Barriers where nothing comes: the delivery has something to save, and only a batch of the source holds a barrier."""

from __future__ import annotations

from collections.abc import Callable


class BarrierRequests:
    """Between the lanes of a log and its source, as far as they are in this process: Bytewax holds no barrier where
    nothing was written.

    Args:
        lane_count: Of the log.
    """

    def __init__(self, lane_count: int = 1) -> None:
        self._lane_count = lane_count
        self._are_wanted: dict[int, Callable[[], bool]] = {}
        self._is_answered = False

    def ask_while(self, is_wanted: Callable[[], bool], lane: int = 0) -> None:
        """A lane wants a barrier for as long as this is true. It raises what has ended a sink for good."""
        self._are_wanted[lane] = is_wanted

    def has_others(self) -> bool:
        """Whether lanes are in other processes: those cannot ask."""
        return len(self._are_wanted) < self._lane_count

    def is_open(self) -> bool:
        """Whether the source should send a batch without events.

        Raises:
            DeltaForgeError: Why a sink that the pipeline waits for has ended.
        """
        is_wanted = [is_wanted() for is_wanted in list(self._are_wanted.values())]
        return any(is_wanted) and not self._is_answered

    def answered(self) -> None:
        """The batch is sent: nothing more is asked for until it has brought its barrier."""
        self._is_answered = True

    def held(self) -> None:
        """A barrier was held."""
        self._is_answered = False
