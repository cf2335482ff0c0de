"""Cutting a stream of event groups into batches that respect transactions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from deltaforge.core.batch import Batch, EventGroup
from deltaforge.core.event import Asked
from deltaforge.core.positions import Position
from deltaforge.sources.base import BatchLimits
from deltaforge.sources.transactions import numbers_for

QUIET_SECS = 0.006
"""While there is nothing more to read, batches leave no closer together than this; one that comes alone leaves at once.
"""
TRICKLE_BYTES_PER_SEC = 2_000_000
"""Below this, what comes may gather for :data:`QUIET_SECS` before it is read: a small socket buffer holds as much."""


class TransactionBatcher:
    """Collects groups and cuts batches at transaction ends.

    Invariant: events of a transaction whose end has not been seen leave only when the transaction is
    larger than ``max_tx_bytes`` (or ``respect_source_tx`` is off), and then in a batch whose position
    is still the one before that transaction.

    Attributes:
        has_split_transaction: Whether a part of the open transaction has left already.

    Args:
        limits: When a batch is full.
        position: Where reading would continue after the last *ended* transaction. Called when a batch
            is cut, so its answer may change only together with :meth:`end_transaction`.
        asked: What sinks want beside rows, such as the numbers of rows in their transactions.
    """

    def __init__(
        self, limits: BatchLimits, position: Callable[[], Position], asked: frozenset[Asked] = frozenset()
    ) -> None:
        self._limits = limits
        self._position = position
        self._numbers = numbers_for(asked)
        self._max_open_bytes = limits.max_tx_bytes if limits.respect_source_tx else limits.max_bytes
        self._quiet_secs = min(limits.max_ms / 1000, QUIET_SECS)
        self._max_open_events = None if limits.respect_source_tx else limits.max_events
        self._closed: list[EventGroup] = []
        self._closed_bytes = self._closed_events = 0
        self._open: list[EventGroup] = []
        self._open_bytes = self._open_events = 0
        self._has_moved = False
        self._first_at = self._cut_at = self._read_at = 0.0
        self._is_trickle = False
        self._due: list[Batch] = []
        self.has_split_transaction = False

    def add(self, group: EventGroup, byte_count: int, now: float) -> None:
        """One more group of the open transaction, made of ``byte_count`` log bytes, at ``now``."""
        if not self._open and not self._closed and not self._has_moved:
            self._first_at = now
        if self._open and self._is_open_full():
            self._cut_open(now)
        self._open.append(group)
        self._open_bytes += byte_count
        self._open_events += group.event_count

    def end_transaction(self, now: float) -> None:
        """The open transaction (which may have no events) is complete; its position is known."""
        if self._open:
            self._open[-1].tx_end = True
        self.add_ended(self._open, self._open_bytes, self._open_events, now)
        self._open, self._open_bytes, self._open_events = [], 0, 0
        self.has_split_transaction = False

    @property
    def room(self) -> tuple[int, int]:
        """Events and bytes that still fit into the batch of ended transactions."""
        return self._limits.max_events - self._closed_events, self._limits.max_bytes - self._closed_bytes

    @property
    def open_room(self) -> tuple[int, int]:
        """Events and bytes of a transaction that is never cut: one that has as many may be, before its next group."""
        return sys.maxsize if self._max_open_events is None else self._max_open_events, self._max_open_bytes

    def add_ended(self, groups: list[EventGroup], byte_count: int, event_count: int, now: float) -> None:
        """Whole transactions at once; the position is that of the last of them, and no other one is open."""
        if not self._open and not self._closed and not self._has_moved:
            self._first_at = now
        self._closed += groups
        self._closed_bytes += byte_count
        self._closed_events += event_count
        self._has_moved = True
        if self._closed_events >= self._limits.max_events or self._closed_bytes >= self._limits.max_bytes:
            self._cut_closed(now)

    @property
    def open_count(self) -> int:
        """Groups of the open transaction that have not left yet."""
        return len(self._open)

    def discard_open(self, keep_count: int = 0) -> None:
        """Forget the groups of the open transaction behind the first ``keep_count``: they were rolled back."""
        del self._open[keep_count:]
        self._open_events = sum(group.event_count for group in self._open)
        if not self._open:
            self._open_bytes = 0

    def due(self, now: float, *, is_quiet: bool = False) -> list[Batch]:
        """Batches that are full or old enough, in order. ``is_quiet``: all that had arrived has been read, so that
        there is no use in waiting for more.
        """
        if self._has_moved and now >= self._due_at(is_quiet=is_quiet):
            self._cut_closed(now)
        due, self._due = self._due, []
        return due

    def wait_secs(self, now: float, at_most: float) -> float:
        """How long to wait for bytes before :meth:`due` is to be asked again."""
        if not self._has_moved:
            return at_most
        return max(0.0, min(at_most, self._due_at(is_quiet=True) - now))

    def note_read(self, byte_count: int, now: float) -> None:
        """So many log bytes, captured or not, were read since this was called last."""
        self._is_trickle = byte_count < TRICKLE_BYTES_PER_SEC * (now - self._read_at)
        self._read_at = now

    def rest_secs(self, now: float) -> float:
        """How long to leave what comes unread. At a trickle every transaction arrives by itself, and waking up for it
        costs more than all that is done with it.
        """
        return max(0.0, self._cut_at + self._quiet_secs - now) if self._is_trickle else 0.0

    def _due_at(self, *, is_quiet: bool) -> float:
        if is_quiet and self._closed:
            return self._cut_at + self._quiet_secs
        return self._first_at + self._limits.max_ms / 1000

    def _is_open_full(self) -> bool:
        if self._open_bytes >= self._max_open_bytes:
            return True
        return self._max_open_events is not None and self._open_events >= self._max_open_events

    def _cut_closed(self, now: float) -> None:
        if not self._has_moved:
            return
        self._cut_at = now
        batch = Batch.of_groups(
            self._closed if self._numbers is None else self._numbers.of(self._closed),
            self._position(),
            byte_count=self._closed_bytes,
            received_at=self._first_at,
        )
        batch.now_ns = time.time_ns()
        self._due.append(batch)
        self._closed, self._closed_bytes, self._closed_events, self._has_moved = [], 0, 0, False

    def _cut_open(self, now: float) -> None:
        self._cut_closed(now)
        batch = Batch.of_groups(
            self._open if self._numbers is None else self._numbers.of(self._open),
            self._position(),
            is_tx_end=False,
            byte_count=self._open_bytes,
            received_at=self._first_at,
        )
        batch.now_ns = time.time_ns()
        self._due.append(batch)
        self._open, self._open_bytes, self._open_events = [], 0, 0
        self.has_split_transaction = True
