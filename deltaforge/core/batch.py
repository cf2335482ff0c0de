"""Batches: the events that are delivered as a unit, and the position that is safe once they are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.position import Position


class EventEncoder(Protocol):
    """Makes bytes of events. Equal ``identity`` means equal bytes, so sinks can share the result."""

    @property
    def identity(self) -> Hashable:
        """What makes two encoders interchangeable, e.g. ``("native", "json")``."""

    def encode(self, event: ChangeEvent) -> bytes:
        """The value bytes of one event.

        Raises:
            RecordError: The event cannot be encoded; ``index`` is 0.
        """


class Batch:
    """Changes in log order, whole transactions wherever possible.

    Sinks ask for :meth:`encoded` values, processors for :meth:`events`; neither knows which form the
    batch is in. A batch is not changed after it was made; ``with_events`` makes another.

    Attributes:
        position: Where reading continues once this batch and all before it are safe: the end of the
            last transaction that is complete. A batch from the middle of a very large transaction
            carries the position *before* that transaction.
        is_tx_end: Whether the batch ends where a transaction ends.
        event_count: Number of events; 0 for a batch that only moves the position.
        byte_count: Log bytes it came from, for limits and metrics.
        received_at: ``time.monotonic()`` of its first byte, in seconds.
    """

    __slots__ = ("_encoded", "_events", "byte_count", "event_count", "is_tx_end", "position", "received_at")

    def __init__(
        self,
        events: Sequence[ChangeEvent],
        position: Position,
        *,
        is_tx_end: bool = True,
        byte_count: int = 0,
        received_at: float = 0.0,
    ) -> None:
        self._events = events
        self._encoded: dict[Hashable, list[bytes]] = {}
        self.position = position
        self.is_tx_end = is_tx_end
        self.event_count = len(events)
        self.byte_count = byte_count
        self.received_at = received_at

    def events(self) -> Sequence[ChangeEvent]:
        """The events as objects, in log order. Not to be changed."""
        return self._events

    def encoded(self, encoder: EventEncoder) -> list[bytes]:
        """One value per event, shared by all sinks with the same encoder identity.

        Raises:
            RecordError: An event cannot be encoded; ``index`` is its place in this batch.
        """
        values = self._encoded.get(encoder.identity)
        if values is None:
            encode, values = encoder.encode, []
            try:
                for event in self._events:
                    values.append(encode(event))
            except RecordError as error:
                error.index = len(values)
                raise
            self._encoded[encoder.identity] = values
        return values

    def with_events(self, events: Sequence[ChangeEvent]) -> Batch:
        """The same stretch of the log with other events: filtered, transformed or added to."""
        return Batch(
            events,
            self.position,
            is_tx_end=self.is_tx_end,
            byte_count=self.byte_count,
            received_at=self.received_at,
        )

    def __reduce__(self) -> tuple[object, ...]:
        args = (list(self._events), self.position, self.is_tx_end, self.byte_count, self.received_at)
        return _restored, args


def _restored(
    events: list[ChangeEvent],
    position: Position,
    is_tx_end: bool,  # noqa: FBT001 - pickle calls with positions only
    byte_count: int,
    received_at: float,
) -> Batch:
    return Batch(events, position, is_tx_end=is_tx_end, byte_count=byte_count, received_at=received_at)
