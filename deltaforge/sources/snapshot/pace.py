"""How fast rows are read: a bound, and what is seen of it."""

from __future__ import annotations

from collections import deque

SEEN_SECS = 30.0
BURST_SECS = 1.0
TURN_SECS = 0.03
"""So long a chunk may keep the sinks busy while the log has changes for them, too."""
LOG_IS_BUSY_SECS = 1.0
LEAST_ROWS = 500
"""Fewer rows at a time cost the server more than they help."""


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


class Turns:
    """How large a chunk may be while the log is busy: its changes wait for the chunks that left before them."""

    def __init__(self) -> None:
        self._log_at = self._left_at = -LOG_IS_BUSY_SECS
        self._left_count = 0
        self._row_secs = 0.0

    def note_log(self, now: float) -> None:
        """Changes have come."""
        self._log_at = now

    def note_chunk(self, row_count: int, now: float) -> None:
        """A chunk leaves."""
        self._left_count, self._left_at = row_count, now

    def note_room(self, now: float) -> None:
        """There is room for another one."""
        if self._left_count:
            secs = (now - self._left_at) / self._left_count
            self._row_secs = (self._row_secs + secs) / 2 if self._row_secs else secs
            self._left_count = 0

    def max_rows(self, now: float) -> int | None:
        """Of a chunk; None: no bound."""
        if now - self._log_at >= LOG_IS_BUSY_SECS or not self._row_secs:
            return None
        return max(LEAST_ROWS, int(TURN_SECS / self._row_secs))


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
