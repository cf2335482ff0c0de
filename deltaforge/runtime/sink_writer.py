"""Writes to one sink what it has not acked, and finds the events that it refuses."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator, Sequence

from deltaforge.core.batch import Batch
from deltaforge.core.errors import RecordError
from deltaforge.journal.queue import Refused
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_meter import SinkMeter
from deltaforge.runtime.unacked_batches import Keep, Part, UnackedBatches
from deltaforge.sinks.base import ProgressStore, Sink


class SinkState(enum.Enum):
    """Of a sink, as its writer left it."""

    NEW = "was never open"
    CLOSED = "holds nothing that comes later"
    SUSPENDED = "may hold what is not acked"
    OPEN = "is open and holds nothing that is not acked"
    WRITTEN = "is open and holds what is not acked"


_REOPENED = {SinkState.SUSPENDED: SinkState.WRITTEN}
_SUSPENDED = {SinkState.WRITTEN: SinkState.SUSPENDED, SinkState.OPEN: SinkState.CLOSED}


class SinkWriter:
    """Owns a sink. Used by the sink's thread alone.

    Invariant: batches are written in the order in which they were added to ``unacked``; after an error everything that
    is not acked is written again. A sink that stores its progress is flushed behind whole batches only: what the
    progress counts is delivered or was kept.

    Args:
        sink: Unopened.
        meter: Its metrics.
        check_owner: Called before the sink is opened, written to or flushed; raises if this process must not any more.
        ack: Gets the parts that are acked, in order.
        keep: Makes events that the sink refuses dead letters, or raises; see :data:`Keep`. None: there are none.

    Attributes:
        store: The sink, if it stores its progress.
        unacked: What was added and is not acked.
    """

    def __init__(
        self,
        sink: Sink,
        meter: SinkMeter,
        check_owner: Callable[[], None],
        ack: Callable[[list[Part]], None],
        keep: Keep | None,
    ) -> None:
        self.store = sink if isinstance(sink, ProgressStore) else None
        self.unacked = UnackedBatches()
        self.state = SinkState.NEW
        self._sink = sink
        self._meter = meter
        self._check_owner = check_owner
        self._ack = ack
        self._keep = keep
        self._writing: Batch | None = None

    @property
    def is_open(self) -> bool:
        """Whether the sink is connected."""
        return self.state in (SinkState.OPEN, SinkState.WRITTEN)

    def open(self) -> None:
        """Open the sink; everything that is not acked is to be written to it."""
        self._check_owner()  # opening alone may fence another process off
        self._sink.open()
        self.state = _REOPENED.get(self.state, SinkState.OPEN)
        self.unacked.rewind()

    def suspend(self) -> None:
        """Give up the connection: the same batches come again."""
        self._sink.suspend()
        self.state = _SUSPENDED.get(self.state, self.state)

    def abandon(self) -> None:
        """Have the sink forget everything that is not acked."""
        self._sink.close()
        self.state = SinkState.CLOSED
        self.unacked.rewind()

    def close(self) -> None:
        """The end."""
        self._sink.close()

    def write_unacked(self) -> None:
        """Hand the sink what it does not have; one part after the other if one of them is bad."""
        while (part := self.unacked.unwritten) is not None:
            self._write(part.batch)
            self.unacked.written_count += 1
            if not self.unacked.is_careful:
                continue
            count = self.unacked.written_count
            if self.store is None or part.is_last or self.store.drain().is_in_doubt:
                self.flush(count)
            else:
                self.unacked.acquit(count)

    def flush(self, count: int) -> None:
        """Flush behind the first ``count`` parts, and go by the sink's report."""
        progress = self.unacked.progress(count)
        if self.store is not None and progress is not None:
            self.store.note_progress(progress)
        self._check_owner()
        self._acked(self.unacked.apply(self._sink.flush(), count, self._keep_refused))

    def put_aside(self, error: RecordError) -> None:
        """Take the event of an error out of what is not acked, or have it written alone first.

        Raises:
            RecordError: There are no dead letters.
            DeltaForgeError: The event could not be kept, or what is before it not be flushed.
        """
        self._meter.failed(error)
        unacked, index = self.unacked, error.index
        place = unacked.place_of(error.batch or self._writing)
        if error.written_count is None:
            is_known = unacked.is_alone(place) or (error.is_certain and self._keep is not None)
            self.abandon()
            place = unacked.isolate(place, index)
            if is_known:
                self._take_out(place, 0, error)
            return
        if self.store is None and (place or error.written_count):
            self._check_owner()
            try:
                report = self._sink.flush()
                self._acked(unacked.apply(report, place, self._keep_refused))
            except RecordError as other:  # one before it is bad too
                self.put_aside(other)
                return
            gone = sum(other.batch is self._writing for other in report.refused)  # out of what it has taken
            self._meter.delivered(error.written_count - gone)
            unacked.drop_written(error.written_count - gone)
            place, index = 0, index - error.written_count
        # To a store, what is before the event waits with it for the rest of its batch.
        self._take_out(place, index, error)

    def write_alone(self, redelivery: Redelivery) -> None:
        """Deliver a dead letter again, while the sink holds nothing else.

        Raises:
            DeltaForgeError: Whether it is delivered is not known.
        """
        self._check_owner()
        try:
            self._sink.write(redelivery.batch)
            for error in self._sink.flush().refused:
                raise error
        except RecordError as error:
            self._meter.failed(error)
            redelivery.end(str(error))
            if error.written_count is None:
                self.abandon()
                self.open()
            return
        redelivery.end(None)
        self._meter.delivered(1)

    def _write(self, batch: Batch) -> None:
        if not batch.event_count:
            batch.release()
            return
        self._check_owner()
        began = time.monotonic()
        self._writing, self.state = batch, SinkState.WRITTEN
        self._sink.write(batch)
        batch.release()
        self._meter.written(time.monotonic() - began)

    def _acked(self, done: list[Part]) -> None:
        if not self.unacked and self.state is SinkState.WRITTEN:
            self.state = SinkState.OPEN
        self._ack(done)

    def _take_out(self, place: int, index: int, error: RecordError) -> None:
        if self._keep is None:
            raise error
        for _ in self._keep([(self.unacked.event(place, index), error)]):
            self.unacked.remove(place, index)

    def _keep_refused(self, refused: Sequence[Refused]) -> Iterator[int]:
        for _, error in refused:
            self._meter.failed(error)
            if self._keep is None:
                raise error
        if self._keep is not None:
            yield from self._keep(refused)
