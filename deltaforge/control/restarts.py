"""How often the process of a pipeline may end before that is a crash loop."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator

from deltaforge.core.retry import Backoff

RESTART = Backoff()
STABLE_SECS = 60.0
"""A process that lived so long ended for a reason of its own: the delays begin anew."""

OUTSIDE = frozenset({"connect", "timeout"})
"""Kinds of ends that are no fault of the process: a server that cannot be reached is waited for as long as it takes."""


class Restarts:
    """The delays between tries, and the ends that count as crashes.

    Args:
        limit: So many ends within the window are a crash loop.
        window_secs: Seconds that an end counts.
    """

    def __init__(self, limit: int, window_secs: float) -> None:
        self._limit = limit
        self._window_secs = window_secs
        self._ends: deque[float] = deque()
        self._delays = _new_delays()

    def next_delay(self) -> float:
        """Seconds to wait before the next try."""
        return next(self._delays)

    def is_loop(self, kind: str, lived_secs: float) -> bool:
        """Count the end of a process that lived so long; whether that is a crash loop now."""
        if lived_secs > STABLE_SECS:
            self._delays = _new_delays()
        if kind in OUTSIDE:
            return False
        now = time.monotonic()
        self._ends.append(now)
        while self._ends[0] < now - self._window_secs:
            self._ends.popleft()
        return len(self._ends) >= self._limit

    @property
    def what(self) -> str:
        """The loop in words."""
        return f"its process ended {len(self._ends)} times within {self._window_secs:g} s"


def _new_delays() -> Iterator[float]:
    return RESTART.delays(random.Random())
