"""How fast rows are read: a bound, and what is seen of it."""

from __future__ import annotations

from collections import deque

SEEN_SECS = 30.0
BURST_SECS = 1.0


class Pace:
    """Holds reading back to a number of rows per second. What was read is only known afterwards, so it is paid back.

    Args:
        rows_per_second: None: no bound.
    """

    def __init__(self, rows_per_second: int | None) -> None:
        self.rows_per_second = rows_per_second
        self._paid_at = 0.0

    def wait_secs(self, now: float) -> float:
        """How long not to read."""
        return 0.0 if self.rows_per_second is None else max(0.0, self._paid_at - now)

    def note(self, row_count: int, now: float) -> None:
        """Rows were read."""
        if self.rows_per_second is not None:
            self._paid_at = max(self._paid_at, now - BURST_SECS) + row_count / self.rows_per_second


class Rate:
    """Rows per second over the last half minute."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()
        self._began_at = 0.0

    def begin(self, now: float) -> None:
        """Nothing was read before."""
        self._counts.clear()
        self._began_at = now

    def note(self, row_count: int, now: float) -> None:
        """Rows were delivered."""
        self._counts.append((now, row_count))
        self._forget(now)

    def rows_per_second(self, now: float) -> float:
        """Of the time since the beginning, half a minute at most."""
        self._forget(now)
        secs = min(SEEN_SECS, now - self._began_at)
        return sum(count for _, count in self._counts) / secs if secs > 0 else 0.0

    def _forget(self, now: float) -> None:
        while self._counts and self._counts[0][0] < now - SEEN_SECS:
            self._counts.popleft()
