"""Batches: the events that are delivered as a unit, and the position that is safe once they are."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol, Self

from deltaforge.core.encoded import EncodedValues
from deltaforge.core.event import ChangeEvent, EventIds, SnapshotMark, mark_events, number_events
from deltaforge.core.key_changes import split_key_change
from deltaforge.core.positions import Position
from deltaforge.core.row_ids import TouchedRows, touched_rows, without_rows
from deltaforge.core.snapshot import ChunkMark, SnapshotState

GROUP_BYTES = 700
"""What the objects around the bytes of a small group take."""


class EventGroup(Protocol):
    """Events that came of one piece of the log, decoded when somebody asks for them.

    Attributes:
        tx_end: Whether the last event is the last of its transaction.
    """

    tx_end: bool

    @property
    def event_count(self) -> int:
        """Number of events, at least 1."""

    @property
    def ts_ms(self) -> int:
        """The source's commit time."""

    @property
    def table(self) -> Hashable | None:
        """Equal for groups whose events differ at most in op, images, id, row, time and transaction; None if
        the events of this group may differ from each other in more than images, id and row.
        """

    @property
    def op(self) -> str:
        """That of all events; meaningless where ``table`` is None."""

    def head(self) -> ChangeEvent:
        """The first event; its images may be missing."""

    def events(self) -> Sequence[ChangeEvent]:
        """The events as objects. Not to be changed.

        Raises:
            ProtocolError: The bytes of the log break their format.
        """

    def where(self, wants: Callable[[ChangeEvent], bool]) -> EventGroup | None:
        """The group with the events that ``wants`` accepts; None if it accepts none.

        ``wants`` may look at what is equal in all rows of a message of the log: everything but the
        images, the id and the number of the row.
        """

    def number(self, total: int, table: int) -> None:
        """Give the events, all of one table, their numbers in the transaction and among those of the table: the first
        has these, from 1.
        """

    def keeps_keys(self) -> bool:
        """Whether all events surely leave the keys of their rows as they are; False where only :meth:`events` tell."""

    def mark(self, every: SnapshotMark | None, first: SnapshotMark | None, last: SnapshotMark | None) -> None:
        """Say what copied rows are among those of their copy: all of them, the first, the last."""

    def touched_rows(self, ids: EventIds) -> TouchedRows:
        """Which rows of a table that is copied under these ids the events are about. Raises as :meth:`events`."""

    def without(self, row_ids: AbstractSet[bytes]) -> EventGroup | None:
        """Of copied rows, the group of those that have other ids; itself if that is all, None if it is none. Raises as
        :meth:`events`.
        """


class HeldEvents:
    """What all groups have in common whose events are objects already."""

    __slots__ = ("_events",)

    def __init__(self, events: Sequence[ChangeEvent]) -> None:
        self._events = events

    @property
    def event_count(self) -> int:
        return len(self._events)

    def head(self) -> ChangeEvent:
        return self._events[0]

    @property
    def tx_end(self) -> bool:
        return self._events[-1].tx_end

    @tx_end.setter
    def tx_end(self, value: bool) -> None:
        self._events[-1].tx_end = value

    def events(self) -> Sequence[ChangeEvent]:
        return self._events

    def mark(self, every: SnapshotMark | None, first: SnapshotMark | None, last: SnapshotMark | None) -> None:
        """Say what copied rows are among those of their copy: all of them, the first, the last."""
        mark_events(self._events, every, first, last)

    def number(self, total: int, table: int) -> None:
        number_events(self._events, total, table)

    def keeps_keys(self) -> bool:
        return all(split_key_change(event) is None for event in self._events)

    def touched_rows(self, ids: EventIds) -> TouchedRows:
        return touched_rows(self._events, ids)

    def without(self, row_ids: AbstractSet[bytes]) -> Self | DecodedGroup | None:
        rest = without_rows(self._events, row_ids)
        if rest is self._events:
            return self
        return DecodedGroup(rest) if rest else None


class DecodedGroup(HeldEvents):
    """Any events: they may differ in everything."""

    __slots__ = ()

    @property
    def ts_ms(self) -> int:
        return self._events[-1].ts_ms

    @property
    def table(self) -> None:
        return None

    @property
    def op(self) -> str:
        return self._events[0].op

    def where(self, wants: Callable[[ChangeEvent], bool]) -> DecodedGroup | None:
        wanted = [event for event in self._events if wants(event)]
        if len(wanted) == len(self._events):
            return self
        return DecodedGroup(wanted) if wanted else None


class EventEncoder(Protocol):
    """Makes bytes of events. Equal ``identity`` means equal bytes, so sinks can share the result."""

    @property
    def identity(self) -> Hashable:
        """What makes two encoders interchangeable, e.g. ``("native", "json")``."""

    @property
    def content_type(self) -> str:
        """Of the values, as in HTTP."""

    def encode(self, event: ChangeEvent) -> bytes:
        """The value bytes of one event.

        Raises:
            RecordError: The event cannot be encoded; ``index`` is 0.
        """

    def encode_groups(self, groups: Sequence[EventGroup], now_ns: int = 0) -> EncodedValues:
        """The messages of all events of ``groups``; the value of one is what :meth:`encode` gives.

        Args:
            groups: Those of a batch.
            now_ns: Its :attr:`Batch.now_ns`, for documents that say when they were made.

        Raises:
            RecordError: An event cannot be encoded; ``index`` is its place.
        """


class Batch:
    """Changes in log order, whole transactions wherever possible.

    Sinks ask for :meth:`encoded` values, processors for :meth:`events`; neither knows which form the
    batch is in. A batch is not changed after it was made; ``with_events`` and ``where`` make others.

    Attributes:
        groups: The events, decoded or not.
        position: Where reading continues once this batch and all before it are safe: the end of the
            last transaction that is complete. A batch from the middle of a very large transaction
            carries the position *before* that transaction.
        is_tx_end: Whether the batch ends where a transaction ends.
        event_count: Number of events; 0 for a batch that only moves the position.
        byte_count: Log bytes it came from, for limits and metrics.
        held_bytes: About how much memory it takes while nothing of it is decoded or encoded.
        received_at: ``time.monotonic()`` of its first byte, in seconds.
        now_ns: About the same on the wall clock, in nanoseconds since 1970; 0 where nobody says. It stays as it is, so
            that encoding again gives the same bytes.
        taken_at: The same when the dataflow took it from the reader; 0 before that.
        reader_count: How many sinks have yet to call :meth:`release`; the encoded values stay until then.
        chunk: Which part of a snapshot its rows are; None: changes of the log. A chunk is never cut or joined.
        snapshot: The snapshots of the source once this batch and all before it are safe; None: as they were.
        turn: Ends when nobody holds it any more: the batch, and what was made of it, until sinks have written them.
        packed: What it becomes on the way to another process, once that was asked for; see ``runtime/crossing.py``.
    """

    __slots__ = (
        "_encoded", "_events", "byte_count", "chunk", "event_count", "groups", "held_bytes", "is_tx_end", "now_ns",
        "packed", "position", "reader_count", "received_at", "snapshot", "taken_at", "turn",
    )  # fmt: skip

    def __init__(
        self,
        events: Sequence[ChangeEvent],
        position: Position,
        *,
        is_tx_end: bool = True,
        byte_count: int = 0,
        received_at: float = 0.0,
    ) -> None:
        self.groups: Sequence[EventGroup] = [DecodedGroup(events)] if events else []
        self._events: Sequence[ChangeEvent] | None = events
        self._encoded: dict[Hashable, EncodedValues] = {}
        self.position = position
        self.is_tx_end = is_tx_end
        self.event_count = len(events)
        self.byte_count = byte_count
        self.held_bytes = byte_count + GROUP_BYTES * len(self.groups)
        self.received_at = received_at
        self.now_ns = 0
        self.taken_at = 0.0
        self.reader_count = 1
        self.chunk: ChunkMark | None = None
        self.snapshot: SnapshotState | None = None
        self.turn: object | None = None
        self.packed: object | None = None

    @classmethod
    def of_groups(
        cls,
        groups: Sequence[EventGroup],
        position: Position,
        *,
        is_tx_end: bool = True,
        byte_count: int = 0,
        received_at: float = 0.0,
    ) -> Batch:
        """A batch whose events are decoded when they are asked for."""
        batch = cls((), position, is_tx_end=is_tx_end, byte_count=byte_count, received_at=received_at)
        batch.groups, batch._events = groups, None
        batch.event_count = sum(group.event_count for group in groups)
        batch.held_bytes = byte_count + GROUP_BYTES * len(groups)
        return batch

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """Batches that follow each other and end with transactions, as one."""
        if len(batches) == 1:
            return batches[0]
        joined = cls.of_groups(
            [group for batch in batches for group in batch.groups],
            batches[-1].position,
            byte_count=sum(batch.byte_count for batch in batches),
            received_at=batches[0].received_at,
        )
        joined.now_ns = batches[0].now_ns
        return joined

    def events(self) -> Sequence[ChangeEvent]:
        """The events as objects, in log order. Not to be changed.

        Raises:
            ProtocolError: The bytes of the log break their format.
        """
        if self._events is None:
            self._events = [event for group in self.groups for event in group.events()]
        return self._events

    def encoded(self, encoder: EventEncoder) -> EncodedValues:
        """The messages of the events, shared by all sinks with the same encoder identity.

        Raises:
            RecordError: An event cannot be encoded; ``index`` is its place in this batch.
        """
        values = self._encoded.get(encoder.identity)
        if values is None:
            values = self._encoded[encoder.identity] = encoder.encode_groups(self.groups, self.now_ns)
        return values

    def release(self) -> None:
        """A sink has written the batch: the last one to say so ends its turn and frees the encoded values, which are
        several times as large as the log bytes. Who asks for them again gets them encoded again. Two sinks that release
        in the same moment may be counted as one: then both stay as long as the batch.
        """
        self.reader_count -= 1
        if self.reader_count <= 0:
            self._encoded, self.turn = {}, None

    def with_events(self, events: Sequence[ChangeEvent]) -> Batch:
        """The same stretch of the log with other events: transformed or added to."""
        return self.with_groups([DecodedGroup(events)] if events else [])

    def with_groups(self, groups: Sequence[EventGroup]) -> Batch:
        """The same stretch of the log with other groups."""
        batch = Batch.of_groups(
            groups,
            self.position,
            is_tx_end=self.is_tx_end,
            byte_count=self.byte_count,
            received_at=self.received_at,
        )
        batch.chunk, batch.snapshot, batch.now_ns, batch.turn = self.chunk, self.snapshot, self.now_ns, self.turn
        return batch

    def where(self, wants: Callable[[ChangeEvent], bool]) -> Batch:
        """The batch with the events that ``wants`` accepts, see :meth:`EventGroup.where`; itself if that is all."""
        groups = [wanted for group in self.groups if (wanted := group.where(wants)) is not None]
        if len(groups) == len(self.groups) and all(map(operator.is_, groups, self.groups)):
            return self
        return self.with_groups(groups)

    def between(self, start: int, stop: int) -> Batch:
        """The batch with the events from ``start`` up to ``stop``. Only groups that are cut are decoded.

        Raises:
            ProtocolError: As :meth:`events`.
        """
        groups: list[EventGroup] = []
        at = 0
        for group in self.groups:
            first, last = max(start - at, 0), min(stop - at, group.event_count)
            if (first, last) == (0, group.event_count):
                groups.append(group)
            elif first < last:
                groups.append(DecodedGroup(group.events()[first:last]))
            at += group.event_count
        return self.with_groups(groups)

    def without(self, index: int) -> Batch:
        """The batch without one event.

        Raises:
            ProtocolError: As :meth:`events`.
        """
        rest = (self.between(0, index), self.between(index + 1, self.event_count))
        return self.with_groups([group for part in rest for group in part.groups])
