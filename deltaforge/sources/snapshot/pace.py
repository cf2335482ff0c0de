"""How fast rows are read: a bound, and what is seen of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

SEEN_SECS = 30.0
BURST_SECS = 1.0
TURN_SECS = 0.03
"""So long a chunk may keep the sinks busy while the log has changes for them, too."""
LOG_IS_BUSY_SECS = 1.0
LEAST_ROWS = 500
"""Fewer rows at a time cost the server more than they help."""
FIRST_ROWS = 2000
"""Of a chunk on a busy log while nobody knows how fast the sinks are."""
LEAST_ROW_SECS = 1e-7
MAX_LEAVING = 2
"""So many chunks are on their way to the sinks while the log is busy, if they are not very small."""
PATIENCE_SECS = 1.0
"""Another one leaves after so long in any case: what keeps a chunk may be no sink that writes it."""


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
    """How much of a copy is on its way to the sinks while the log is busy, whose changes wait for the chunks that left
    before them: one that is being written and one that waits, or more that are small.

    Args:
        clock: Seconds, only ever growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._log_at = -LOG_IS_BUSY_SECS
        self._row_secs = TURN_SECS / FIRST_ROWS
        self._chunk_count = self._row_count = 0
        self._written: deque[_Written] = deque()
        self._left_at = self._written_at = -PATIENCE_SECS

    def note_log(self, now: float) -> None:
        """Changes have come."""
        self._log_at = now

    def begin(self, row_count: int) -> object:
        """A chunk with rows leaves. Whoever has it keeps what is returned until the sinks have written it."""
        self._chunk_count += 1
        self._row_count += row_count
        self._left_at = self._clock()
        return _Leaving(row_count, self._left_at, self._clock, self._written)

    def is_next(self, now: float) -> bool:
        """Whether another chunk may leave."""
        while self._written:
            self._note(self._written.popleft())
        max_rows = self.max_rows(now)
        if max_rows is None or now - self._left_at >= PATIENCE_SECS:
            return True
        return self._chunk_count < MAX_LEAVING or self._row_count < max_rows

    def max_rows(self, now: float) -> int | None:
        """Of a chunk; None: no bound."""
        if now - self._log_at >= LOG_IS_BUSY_SECS:
            return None
        return max(LEAST_ROWS, int(TURN_SECS / self._row_secs))

    def _note(self, chunk: _Written) -> None:
        """It took the sinks the time since it left, or since they had written the one before it."""
        self._chunk_count -= 1
        self._row_count -= chunk.row_count
        secs = max(0.0, chunk.at - max(chunk.left_at, self._written_at))
        self._row_secs = max((self._row_secs + secs / chunk.row_count) / 2, LEAST_ROW_SECS)
        self._written_at = chunk.at


class _Written(NamedTuple):
    """A chunk that the sinks have written, and when."""

    row_count: int
    left_at: float
    at: float


class _Leaving:
    """A chunk that the sinks have not written; its end may come in any thread, also in one that holds locks."""

    __slots__ = ("_clock", "_left_at", "_row_count", "_written")

    def __init__(self, row_count: int, left_at: float, clock: Callable[[], float], written: deque[_Written]) -> None:
        self._row_count, self._left_at, self._clock, self._written = row_count, left_at, clock, written

    def __del__(self) -> None:
        self._written.append(_Written(self._row_count, self._left_at, self._clock()))


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
