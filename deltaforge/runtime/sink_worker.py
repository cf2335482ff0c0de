"""One thread per sink: writes batches, retries, and knows what is acked."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeadLettersFullError, DeltaForgeError, RecordError, SinkError, unforeseen
from deltaforge.core.event import ChangeEvent
from deltaforge.core.positions import Position
from deltaforge.core.resume import ResumeFilter, SinkProgress, advanced
from deltaforge.core.retry import Backoff, Retry, retry_of
from deltaforge.journal.queue import DeadLetters
from deltaforge.observability.kill_points import reached
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.threads import show_thread_name
from deltaforge.runtime.ending import THREADS_SECS
from deltaforge.runtime.flush_times import FlushTimes
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_filter import EventFilter
from deltaforge.runtime.sink_meter import SinkMeter
from deltaforge.runtime.sink_progress import checkpoint_at, replay_by_destination
from deltaforge.runtime.unacked_batches import Part, UnackedBatches
from deltaforge.sinks.base import ProgressStore, Sink, SinkConfig

log = logging.getLogger(__name__)

ROOM_SECS = 0.5  # how often a full queue of dead letters is asked for room
RETRY = Backoff(initial_secs=0.1, max_secs=10.0)


class SinkWorker:
    """Owns one sink and its thread.

    Invariant: batches are written in the order they were handed over. What is not acked stays known;
    after an error all of it is written again, in order. An event that the sink refuses goes to the dead letters, if
    there are any, and is then taken out. A sink that stores its progress is flushed behind whole batches only: what
    the progress counts is delivered or on disk as a dead letter.

    Args:
        config: The sink's settings.
        sink: The sink, unopened. Closed by this worker.
        metrics: The pipeline's metrics.
        acked: The position this sink had when the state was saved; rows up to it are dropped. A store says it itself.
        max_queued: Batches that may wait, besides those that are being written.
        dead_letters: Where events go that fail alone; None: they end the sink.
        check_owner: Called before the sink is opened, written to or flushed; raises if this process must not any more.

    Attributes:
        acked_count: How many of the batches that were handed over are acked: always the oldest.
    """

    def __init__(  # noqa: PLR0913 - what a sink is, where it stands, whose it is, and where its bad events go
        self,
        config: SinkConfig,
        sink: Sink,
        metrics: PipelineMetrics,
        *,
        acked: SinkCheckpoint | None,
        max_queued: int,
        dead_letters: DeadLetters | None = None,
        check_owner: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = config.id
        self.config = config
        self._sink = sink
        self._filter = EventFilter(config.filter)
        self._meter = SinkMeter(metrics, config.id)
        self._max_queued = max_queued
        self._check_owner = check_owner
        self._store = sink if isinstance(sink, ProgressStore) else None
        self._flush_times = FlushTimes(config, sink)
        self._replay = ResumeFilter(SinkProgress(acked.position)) if acked else None
        self._progress: SinkProgress | None = None
        self._acked = acked
        self._queue: deque[Batch] = deque()
        self._unacked = UnackedBatches()
        self._redeliveries: deque[Redelivery] = deque()
        self._dead_letters = dead_letters
        self._handed_count = self.acked_count = 0
        self._changed = threading.Condition()
        self._is_stored_known = self._is_closing = self.is_open = self.has_opened = False
        self._is_clean = True  # nothing in doubt can still be under way in the sink
        self._writing: Batch | None = None
        self.last_error: str | None = None
        self.failure: DeltaForgeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink-{config.id}", daemon=True)
        self._thread.start()

    def offer(self, batch: Batch, timeout_secs: float) -> bool:
        """Hand a batch over. False if the queue was full for ``timeout_secs``: offer it again."""
        with self._changed:
            if not batch.event_count and self._has_acked_all():
                # Nothing is waiting and nothing has to be written: no need of the sink, which may be down.
                self._acked = self._checkpoint_at(batch.position)
                self._handed_count = self.acked_count = self._handed_count + 1
                return True
            if not self._changed.wait_for(lambda: self.has_room() or self.failure is not None, timeout_secs):
                return False
            if not self.has_room():
                return False
            self._queue.append(batch)
            self._handed_count += 1
            self._changed.notify_all()
            return True

    def has_room(self) -> bool:
        """Whether :meth:`offer` would take a batch now."""
        return len(self._queue) < self._max_queued

    def wait_acked(self, timeout_secs: float) -> bool:
        """Whether everything handed over is acked; waits at most ``timeout_secs`` for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_acked_all() or self.failure is not None, timeout_secs)
            return self._has_acked_all()

    def _has_acked_all(self) -> bool:
        return self.acked_count == self._handed_count

    def redeliver(self, redelivery: Redelivery) -> None:
        """Have an event written as soon as nothing is in doubt."""
        with self._changed:
            if self.failure is not None or self._is_closing:
                redelivery.end(f"sink {self.id} has ended: {self.last_error}")
                return
            self._redeliveries.append(redelivery)
            self._changed.notify_all()

    def checkpoint(self) -> SinkCheckpoint | None:
        """The newest acked position; None if this sink never acked anything."""
        return self._acked

    def begin_close(self) -> None:
        """Have the thread end after the call of the sink that is under way."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def close(self, timeout_secs: float = THREADS_SECS) -> None:
        """End the thread and close the sink. What is not acked is not saved. Never raises."""
        self.begin_close()
        self._thread.join(timeout_secs)

    def _run(self) -> None:
        show_thread_name()
        luck = random.Random()  # seeding one takes longer than a small batch
        delays = RETRY.delays(luck)
        try:
            while True:
                try:
                    if not self._attempt():
                        return
                    if self.last_error is None:
                        delays = RETRY.delays(luck)
                except DeadLettersFullError:
                    self._abandon()
                    if self._is_closing:
                        return
                except DeltaForgeError as error:
                    if self._is_final(error):
                        return
                    self._back_off(error, next(delays))
        except Exception as error:
            log.exception("sink crashed", extra={"sink": self.id})
            self._fail(SinkError(f"sink {self.id} failed unexpectedly: {unforeseen(error)}", kind="other", crash=True))
        finally:
            self._sink.close()
            with self._changed:
                while self._redeliveries:
                    self._redeliveries.popleft().end(f"sink {self.id} has ended: {self.last_error or 'stopped'}")

    def _attempt(self) -> bool:
        """One step; an event that cannot be written is looked for and put aside. False when closing."""
        try:
            return self._step()
        except RecordError as error:
            self._meter.failed(error)
            self._put_aside(error)
            return True

    def _step(self) -> bool:
        """Open if needed, write what waits, flush, ack. False when closing."""
        if not self.is_open:
            self._check_owner()  # opening alone may fence another process off
            self._sink.open()
            self.is_open = self.has_opened = True
            self.last_error = self.last_error if self._unacked else None  # what is in doubt has to be acked first
            self._unacked.rewind()
            if self._store is not None and not self._is_stored_known:  # once per run: what its destination says
                self._is_stored_known = True
                stored = self._store.stored_progress()
                self._replay = replay_by_destination(self.id, stored, self._acked) or self._replay
            if self._is_clean:
                self._write_redeliveries()
        elif not self._unacked:
            self._write_redeliveries()
        if self._unacked.unwritten:  # nothing new comes to what is written again: a sink may know it as a whole
            self._write_unacked()
        elif not self._write_queued():
            return False
        if self._unacked and (self._redeliveries or self._flush_times.is_due(self._unacked.held_bytes)):
            self._flush(len(self._unacked))
        return True

    def _write_unacked(self) -> None:
        """Hand the sink what it does not have of what is in doubt; one part after the other if one of them is bad."""
        while (part := self._unacked.unwritten) is not None:
            self._write(part.batch)
            self._unacked.written_count += 1
            if not self._unacked.is_careful:
                continue
            if self._store is not None and not part.is_last:
                if self._store.drain().is_in_doubt:
                    self._flush(self._unacked.written_count)
                else:
                    self._unacked.acquit(self._unacked.written_count)
            else:
                self._flush(self._unacked.written_count)

    def _flush(self, count: int) -> None:
        progress = self._unacked.progress(count)
        if self._store is not None and progress is not None:
            self._store.note_progress(progress)
        self._check_owner()
        self._ack(self._unacked.apply(self._sink.flush(), count, self._keep_refused))

    def _keep_refused(self, event: ChangeEvent, error: RecordError) -> None:
        self._meter.failed(error)
        self._keep(event, error)

    def _put_aside(self, error: RecordError) -> None:
        """Take the event of an error out of what is in doubt, or have it written alone first.

        Raises:
            RecordError: There are no dead letters.
            DeltaForgeError: The event could not be kept, or what is before it not be flushed.
        """
        unacked, index = self._unacked, error.index
        place = unacked.place_of(error.batch or self._writing)
        if error.written_count is None:
            is_known = unacked.is_alone(place) or (error.is_certain and self._dead_letters is not None)
            self._abandon()
            place = unacked.isolate(place, index)
            if is_known:
                self._keep(unacked.event(place), error)
                unacked.remove(place)
            return
        if self._store is None and (place or error.written_count):
            self._check_owner()
            try:
                report = self._sink.flush()
                self._ack(unacked.apply(report, place, self._keep_refused))
            except RecordError as other:  # one before it is bad too
                self._meter.failed(other)
                self._put_aside(other)
                return
            gone = sum(other.batch is self._writing for other in report.refused)  # out of what it has taken
            self._meter.delivered(error.written_count - gone)
            unacked.drop_written(error.written_count - gone)
            place, index = 0, index - error.written_count
        # To a store, what is before the event waits with it for the rest of its batch.
        self._keep(unacked.event(place, index), error)
        unacked.remove(place, index)

    def _keep(self, event: ChangeEvent, error: RecordError) -> None:
        """Make the event a dead letter; waits while there is no room."""
        if self._dead_letters is None:
            raise error
        self._check_owner()
        while not self._dead_letters.keep(event, error, self.id):
            if self._unacked.written_count:
                self._abandon()  # an open transaction would hold up its readers for as long
            with self._changed:
                if self.last_error is None:
                    log.error("sink %s waits: the dead letter queue is full", self.id, extra={"sink": self.id})
                self.last_error = "backpressure: the dead letter queue is full; ack, purge or retry its entries"
                self._changed.wait_for(lambda: self._is_closing or self._redeliveries, ROOM_SECS)
                if self._is_closing or self._redeliveries:
                    raise DeadLettersFullError(self.last_error)
        self.last_error = None
        reached("after_dead_letter")

    def _write_redeliveries(self) -> None:
        """Write the events that were asked for, one by one."""
        while self._redeliveries:
            self._check_owner()
            redelivery = self._redeliveries.popleft()
            if not redelivery.take():
                continue
            try:
                self._sink.write(redelivery.batch)
                report = self._sink.flush()
                for error in report.refused:
                    raise error
                redelivery.end(None)
                self._meter.delivered(1)
            except RecordError as error:
                self._meter.failed(error)
                redelivery.end(str(error))
                if error.written_count is None:
                    self._abandon()
                    self._sink.open()
                    self.is_open = True
            except DeltaForgeError as error:
                if self._store is not None and retry_of(error) is Retry.BACKOFF:
                    self._redeliveries.appendleft(redelivery)  # the next opening knows whether it is there
                    self._is_clean = True
                else:
                    redelivery.end(str(error))
                    self._abandon()
                raise

    def _abandon(self) -> None:
        """Have the sink forget all that is in doubt."""
        self._sink.close()
        self.is_open, self._is_clean = False, True
        self._unacked.rewind()

    def _write_queued(self) -> bool:
        size = 0
        while size < self._flush_times.write_bytes:
            batch = self._take(self._flush_times.wait_secs(self._unacked.held_bytes))
            if batch is None:
                return not self._is_closing
            self._unacked.add(batch, self._progress)
            size += batch.held_bytes
            self._write_unacked()
        return True

    def _write(self, batch: Batch) -> None:
        if not batch.event_count:
            return
        self._check_owner()
        began = time.monotonic()
        self._writing, self._is_clean = batch, False
        self._sink.write(batch)
        batch.release()
        self._meter.written(time.monotonic() - began)

    def _take(self, wait_secs: float | None) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing or self._redeliveries, wait_secs)
            if self._is_closing or not self._queue:
                return None
            batch = self._queue.popleft()
            self._changed.notify_all()
        if self._store is not None:
            self._progress = advanced(self._progress, batch)
        # Without what the sink already had when the state was saved.
        wanted = self._filter.apply(self._replay.unseen(batch) if self._replay is not None else batch)
        if wanted is not batch:
            batch.release()
        return wanted

    def _ack(self, done: list[Part]) -> None:
        last = [part.batch for part in done if part.is_last]
        self._meter.acked(last, sum(part.batch.event_count for part in done))
        with self._changed:
            if last:
                is_kept = self._store is not None and any(part.batch.event_count for part in done)
                self.acked_count += len(last)
                self._acked = self._checkpoint_at(last[-1].position, is_kept=is_kept)
            self.last_error = None
            self._changed.notify_all()

    def _checkpoint_at(self, position: Position, *, is_kept: bool = False) -> SinkCheckpoint:
        is_replay = self._replay is not None and not self._replay.is_over
        return checkpoint_at(self.id, position, self._acked, is_kept=is_kept, is_replay=is_replay)

    def _is_final(self, error: DeltaForgeError) -> bool:
        """Count an error; note it as the sink's end if no retry can help."""
        if not isinstance(error, RecordError):  # those are counted where they are caught
            self._meter.failed(error)
        if isinstance(error, RecordError) or retry_of(error) is not Retry.BACKOFF:
            self._fail(error)
            return True
        return self._is_closing

    def _back_off(self, error: DeltaForgeError, delay_secs: float) -> None:
        fields = {"sink": self.id, "kind": error.kind}
        log.warning("sink %s failed, retrying in %.1f s: %s", self.id, delay_secs, error, extra=fields)
        with self._changed:
            self.last_error = str(error)
            self._changed.wait_for(lambda: self._is_closing, timeout=delay_secs)
        self._sink.suspend()  # it connects anew, and then gets again what is in doubt
        self.is_open = False
        self._meter.reconnected()

    def _fail(self, error: DeltaForgeError) -> None:
        log.error("sink %s has ended: %s", self.id, error, extra={"sink": self.id, "kind": error.kind})
        error.context.setdefault("sink", self.id)
        with self._changed:
            self.failure, self.last_error = error, str(error)
            self._changed.notify_all()
