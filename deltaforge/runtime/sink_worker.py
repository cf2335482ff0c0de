"""One thread per sink: writes batches, retries, and knows what is acked."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.batch import Batch
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import DeadLettersFullError, DeltaForgeError, RecordError, SinkError, unforeseen
from deltaforge.core.event import Asked
from deltaforge.core.lanes import ONE_LANE, Lane
from deltaforge.core.positions import Position
from deltaforge.core.resume import ResumeFilter, SinkProgress, advanced
from deltaforge.core.retry import Backoff, Retry, retry_of
from deltaforge.journal.queue import DeadLetters, Refused
from deltaforge.observability.kill_points import reached
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.threads import show_thread_name
from deltaforge.runtime.ending import THREADS_SECS
from deltaforge.runtime.flush_times import FlushTimes
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_filter import EventFilter
from deltaforge.runtime.sink_meter import SinkMeter
from deltaforge.runtime.sink_progress import before_replay, checkpoint_at, replay_by_destination
from deltaforge.runtime.sink_writer import SinkState, SinkWriter
from deltaforge.runtime.unacked_batches import Part
from deltaforge.sinks.base import Sink, SinkConfig

log = logging.getLogger(__name__)

QUEUE_BYTES = 32 << 20
"""Memory of the batches that wait in front of a sink: large ones, such as chunks of a snapshot, are fewer."""
KEPT_TOGETHER = 100
"""Dead letters that are written to the disk together: most of what one costs is waiting for the disk."""
ROOM_SECS = 0.5  # how often a full queue of dead letters is asked for room
RETRY = Backoff(initial_secs=0.1, max_secs=10.0)


class SinkWorker:
    """Owns one sink and its thread.

    It holds the queue in front of the sink, tries again after errors, and knows what is acked. The writing, and the
    search for events that the sink refuses, is :class:`SinkWriter`'s.

    Args:
        config: The sink's settings.
        sink: The sink, unopened. Closed by this worker.
        metrics: The pipeline's metrics.
        acked: The position this sink had when the state was saved; rows up to it are dropped. A store says it itself.
        max_queued: Batches that may wait, besides those that are being written.
        dead_letters: Where events go that fail alone; None: they end the sink.
        ahead: Is told what the sink's destination says, if it keeps the progress.
        lane: Which of the lanes it is the sink of.
        unwanted: Notices that other sinks asked for.
        check_owner: Called before the sink is opened, written to or flushed; raises if this process must not any more.

    Attributes:
        log_fields: Whose log lines are about it.
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
        ahead: ChunksAhead | None = None,
        lane: Lane = ONE_LANE,
        unwanted: AbstractSet[Asked] = frozenset(),
        check_owner: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = config.id
        self.config = config
        self.log_fields = {"sink": config.id, "lane": lane.name or None}
        self._filter = EventFilter(config.filter, unwanted) if config.filter is not None or unwanted else None
        self._meter = SinkMeter(metrics, config.id)
        self._max_queued = max_queued
        self._check_owner = check_owner
        self._flush_times = FlushTimes(config, sink)
        self._replay = ResumeFilter(SinkProgress(acked.position)) if acked else None
        self._progress: SinkProgress | None = None
        self._acked = acked
        self._queue: deque[Batch] = deque()
        self._queue_bytes = 0
        self._redeliveries: deque[Redelivery] = deque()
        self._ahead = ahead or ChunksAhead()
        self._lane = lane.number
        self._handed_count = self.acked_count = 0
        self._changed = threading.Condition()
        self._is_stored_known = self._is_closing = False
        keep = partial(self._keep, dead_letters) if dead_letters is not None else None
        self._writer = SinkWriter(sink, self._meter, check_owner, self._ack, keep)
        self.last_error: str | None = None
        self.failure: DeltaForgeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink-{config.id}", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the sink is connected."""
        return self._writer.is_open

    @property
    def keeps_progress(self) -> bool:
        """Whether its destination says itself how far it is."""
        return self._writer.store is not None

    @property
    def has_opened(self) -> bool:
        """Whether it ever was."""
        return self._writer.state is not SinkState.NEW

    def offer(self, batch: Batch, timeout_secs: float) -> bool:
        """Hand a batch over. False if the queue was full for ``timeout_secs``: offer it again."""
        with self._changed:
            if not batch.event_count and batch.chunk is None and self._has_acked_all():
                # Nothing is waiting and nothing has to be written: no need of the sink, which may be down.
                self._acked = self._checkpoint_at(batch.position)
                self._handed_count = self.acked_count = self._handed_count + 1
                return True
            if not self._changed.wait_for(lambda: self.has_room() or self.failure is not None, timeout_secs):
                return False
            if not self.has_room():
                return False
            self._queue.append(batch)
            self._queue_bytes += batch.held_bytes
            self._handed_count += 1
            self._changed.notify_all()
            return True

    def has_room(self) -> bool:
        """Whether :meth:`offer` would take a batch now."""
        return len(self._queue) < self._max_queued and self._queue_bytes < QUEUE_BYTES

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
                    self._writer.abandon()
                    if self._is_closing:
                        return
                except DeltaForgeError as error:
                    if self._is_final(error):
                        return
                    self._back_off(error, next(delays))
        except Exception as error:
            log.exception("sink crashed", extra=self.log_fields)
            self._fail(SinkError(f"sink {self.id} failed unexpectedly: {unforeseen(error)}", kind="other", crash=True))
        finally:
            self._writer.close()
            with self._changed:
                while self._redeliveries:
                    self._redeliveries.popleft().end(f"sink {self.id} has ended: {self.last_error or 'stopped'}")

    def _attempt(self) -> bool:
        """One step; an event that cannot be written is looked for and put aside. False when closing."""
        try:
            return self._step()
        except RecordError as error:
            self._writer.put_aside(error)
            return True

    def _step(self) -> bool:
        """Open if needed, write what waits, flush, ack. False when closing."""
        writer, unacked = self._writer, self._writer.unacked
        if not writer.is_open:
            writer.open()
            self.last_error = self.last_error if unacked else None  # what is in doubt has to be acked first
            if writer.store is not None and not self._is_stored_known:  # once per run: what its destination says
                self._is_stored_known = True
                stored = writer.store.stored_progress()
                self._replay = replay_by_destination(self.log_fields, stored, self._acked) or self._replay
                self._progress = before_replay(stored)
                self._ahead.note(self.id, stored, self._lane)
        if writer.state is SinkState.OPEN:
            self._write_redeliveries()
        if unacked.unwritten:  # nothing new comes to what is written again: a sink may know it as a whole
            writer.write_unacked()
        elif not self._write_queued():
            return False
        if unacked and (self._redeliveries or self._flush_times.is_due(unacked.held_bytes)):
            writer.flush(len(unacked))
        return True

    def _keep(self, letters: DeadLetters, refused: Sequence[Refused]) -> Iterator[int]:
        """Make events dead letters, in order; waits while there is no room. Yields how many are, so that the caller
        knows it also after an error.
        """
        self._check_owner()
        kept_count = 0
        while kept_count < len(refused):
            count = letters.keep(refused[kept_count : kept_count + KEPT_TOGETHER], self.id)
            if not count:
                self._wait_for_dead_letters()
                continue
            self.last_error = None
            for _ in range(count):
                reached("after_dead_letter")
            kept_count += count
            yield kept_count

    def _wait_for_dead_letters(self) -> None:
        """Wait a little for room among them."""
        if self._writer.unacked.written_count:
            self._writer.abandon()  # an open transaction would hold up its readers for as long
        with self._changed:
            if self.last_error is None:
                log.error("sink %s waits: the dead letter queue is full", self.id, extra=self.log_fields)
            self.last_error = "backpressure: the dead letter queue is full; ack, purge or retry its entries"
            self._changed.wait_for(lambda: self._is_closing or self._redeliveries, ROOM_SECS)
            if self._is_closing or self._redeliveries:
                raise DeadLettersFullError(self.last_error)

    def _write_redeliveries(self) -> None:
        """Write the events that were asked for, one by one."""
        while self._redeliveries:
            redelivery = self._redeliveries.popleft()
            if not redelivery.take():
                continue
            try:
                self._writer.write_alone(redelivery)
            except DeltaForgeError as error:
                if self._writer.store is not None and retry_of(error) is Retry.BACKOFF:
                    self._redeliveries.appendleft(redelivery)  # the next opening knows whether it is there
                else:
                    redelivery.end(str(error))
                    self._writer.abandon()
                raise

    def _write_queued(self) -> bool:
        size = 0
        while size < self._flush_times.write_bytes:
            batch = self._take(self._flush_times.wait_secs(self._writer.unacked.held_bytes))
            if batch is None:
                return not self._is_closing
            size += batch.held_bytes
            self._writer.unacked.add(batch, self._progress)
            self._writer.write_unacked()
        return True

    def _take(self, wait_secs: float | None) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing or self._redeliveries, wait_secs)
            if self._is_closing or not self._queue:
                return None
            batch = self._queue.popleft()
            self._queue_bytes -= batch.held_bytes
            self._changed.notify_all()
        if self._writer.store is not None:
            self._progress = advanced(self._progress, batch, self._ahead.saved)
        wanted = batch
        if self._replay is not None:  # without what the sink already had when the state was saved
            wanted = self._replay.unseen(wanted)
        if self._filter is not None:
            wanted = self._filter.apply(wanted)
        if wanted is not batch:
            batch.release()
        return wanted

    def _ack(self, done: list[Part]) -> None:
        last = [part.batch for part in done if part.is_last]
        self._meter.acked(last, sum(part.batch.event_count for part in done))
        with self._changed:
            if last:
                is_kept = self._writer.store is not None and any(part.batch.event_count for part in done)
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
        self._writer.suspend()  # it connects anew, and then gets again what is in doubt
        self._meter.reconnected()

    def _fail(self, error: DeltaForgeError) -> None:
        log.error("sink %s has ended: %s", self.id, error, extra={**self.log_fields, "kind": error.kind})
        error.context.setdefault("sink", self.id)
        with self._changed:
            self.failure, self.last_error = error, str(error)
            self._changed.notify_all()
