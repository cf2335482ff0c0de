"""One thread per sink: writes batches, retries, and knows what is acked."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.batch import Batch
from deltaforge.core.covered import CoveredBy
from deltaforge.core.errors import DeltaForgeError, RecordError, SinkError
from deltaforge.core.position import Position, is_behind
from deltaforge.core.retry import Backoff, Retry, retry_of
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.threads import show_thread_name
from deltaforge.runtime.sink_filter import EventFilter
from deltaforge.sinks.base import Sink, SinkConfig

log = logging.getLogger(__name__)

FLUSH_BYTES = 16 << 20
"""Memory of the batches that are written again together when a flush fails."""
RETRY = Backoff(initial_secs=0.1, max_secs=10.0)


class SinkWorker:
    """Owns one sink and its thread.

    Invariant: batches are written in the order they were handed over. ``unacked`` holds every batch
    since the last successful flush; after an error all of them are written again, in order.

    Args:
        config: The sink's settings.
        sink: The sink, unopened. Closed by this worker.
        metrics: The pipeline's metrics.
        acked: The position this sink had when the state was saved; rows up to it are dropped.
        max_queued: Batches that may wait, besides those that are being written.
        check_owner: Called before the sink is opened, written to or flushed; raises if this process must not any more.
    """

    def __init__(  # noqa: PLR0913 - what a sink is, where it stands, and whose it is
        self,
        config: SinkConfig,
        sink: Sink,
        metrics: PipelineMetrics,
        *,
        acked: SinkCheckpoint | None,
        max_queued: int,
        check_owner: Callable[[], None] = lambda: None,
    ) -> None:
        self.id = config.id
        self.config = config
        self._sink = sink
        self._filter = EventFilter(config.filter)
        self._metrics = metrics
        self._labels = (metrics.pipeline, config.id)
        self._max_queued = max_queued
        self._check_owner = check_owner
        self._covered = CoveredBy(acked.position) if acked else None
        self._acked = acked
        self._queue: deque[Batch] = deque()
        self._unacked: list[Batch] = []
        self._handed_count = 0
        self._acked_count = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_open = False
        self.last_error: str | None = None
        self.failure: DeltaForgeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink-{config.id}", daemon=True)
        self._thread.start()

    def offer(self, batch: Batch, timeout_secs: float) -> bool:
        """Hand a batch over. False if the queue was full for ``timeout_secs``: offer it again."""
        with self._changed:
            if not batch.event_count and self._acked_count == self._handed_count:
                # Nothing is waiting and nothing has to be written: no need of the sink, which may be down.
                self._acked = self._checkpoint_at(batch.position)
                return True
            if len(self._queue) >= self._max_queued and self.failure is None:
                self._changed.wait(timeout_secs)
            if len(self._queue) >= self._max_queued:
                return False
            self._queue.append(batch)
            self._handed_count += 1
            self._changed.notify_all()
            return True

    def wait_acked(self, timeout_secs: float) -> bool:
        """Whether everything handed over is acked; waits at most ``timeout_secs`` for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._acked_count == self._handed_count or self.failure is not None, timeout_secs
            )
            return self._acked_count == self._handed_count

    def checkpoint(self) -> SinkCheckpoint | None:
        """The newest acked position; None if this sink never acked anything."""
        return self._acked

    def close(self) -> None:
        """End the thread and close the sink. What is not acked is not saved. Never raises."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        show_thread_name()
        delays = self._delays()
        try:
            while True:
                try:
                    if not self._step():
                        return
                    if self.last_error is None:
                        delays = self._delays()
                except DeltaForgeError as error:
                    if self._is_final(error):
                        return
                    self._back_off(error, next(delays))
        except Exception as error:
            log.exception("sink crashed", extra={"sink": self.id})
            self._fail(SinkError(f"sink {self.id} failed unexpectedly: {type(error).__name__}: {error}", kind="other"))
        finally:
            self._sink.close()

    def _step(self) -> bool:
        """Open if needed, write what waits, flush, ack. False when closing."""
        if not self._is_open:
            self._check_owner()  # opening alone may fence another process off
            self._sink.open()
            self._is_open = True
            for batch in self._unacked:
                self._write(batch)
        if not self._write_queued():
            return False
        if self._unacked:
            self._check_owner()
            self._sink.flush()
            self._ack()
        return True

    def _write_queued(self) -> bool:
        size = 0
        while size < FLUSH_BYTES:
            batch = self._take(wait=not self._unacked)
            if batch is None:
                return not self._is_closing
            self._unacked.append(batch)
            size += batch.held_bytes
            self._write(batch)
        return True

    def _write(self, batch: Batch) -> None:
        if not batch.event_count:
            return
        self._check_owner()
        began = time.monotonic()
        self._sink.write(batch)
        batch.release()
        self._metrics.sink_latency.labels(*self._labels).observe(time.monotonic() - began)

    def _take(self, *, wait: bool) -> Batch | None:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._queue or self._is_closing)
            if self._is_closing or not self._queue:
                return None
            batch = self._queue.popleft()
            self._changed.notify_all()
        wanted = self._filter.apply(self._without_covered(batch))
        if wanted is not batch:
            batch.release()
        return wanted

    def _without_covered(self, batch: Batch) -> Batch:
        """Drop what this sink already had when the state was saved; ends at the first batch with news."""
        if self._covered is None or not batch.event_count:
            return batch
        covered = self._covered
        news = batch.where(lambda event: not covered.covers(event.source))
        if news is batch:
            self._covered = None
        return news

    def _ack(self) -> None:
        now, done = datetime.now(UTC), self._unacked
        event_count = sum(batch.event_count for batch in done)
        metrics, pipeline = self._metrics, self._metrics.pipeline
        metrics.sink_events.labels(*self._labels).inc(event_count)
        metrics.sink_batches.labels(*self._labels).inc(len(done))
        metrics.sink_last_checkpoint_ts.labels(*self._labels).set(now.timestamp())
        for batch in done:
            if batch.event_count:
                metrics.e2e_latency.labels(pipeline).observe(time.monotonic() - batch.received_at)
        with self._changed:
            self._unacked = []
            self._acked_count += len(done)
            self._acked = self._checkpoint_at(done[-1].position)
            self.last_error = None
            self._changed.notify_all()

    def _checkpoint_at(self, position: Position) -> SinkCheckpoint:
        """The acked position, which stays while the log is read again that this sink has already."""
        if self._covered is not None and self._acked is not None and is_behind(position, self._acked.position):
            position = self._acked.position
        return SinkCheckpoint(self.id, position, datetime.now(UTC))

    def _is_final(self, error: DeltaForgeError) -> bool:
        """Count and log an error; note it as the sink's end if no retry can help."""
        self._metrics.sink_errors.labels(*self._labels).inc()
        if error.kind == "routing":
            self._metrics.sink_routing_errors.labels(*self._labels, error.kind).inc()
        if isinstance(error, RecordError) or retry_of(error) is not Retry.BACKOFF:
            self._fail(error)
            return True
        return self._is_closing

    def _back_off(self, error: DeltaForgeError, delay_secs: float) -> None:
        log.warning(
            "sink %s failed, retrying in %.1f s: %s",
            self.id,
            delay_secs,
            error,
            extra={"sink": self.id, "kind": error.kind},
        )
        with self._changed:
            self.last_error = str(error)
            self._changed.wait_for(lambda: self._is_closing, timeout=delay_secs)
        # Whatever the reason, what was handed to the client is in doubt: begin again with a new one.
        self._sink.close()
        self._is_open = False
        self._metrics.sink_reconnects.labels(*self._labels).inc()

    def _fail(self, error: DeltaForgeError) -> None:
        with self._changed:
            self.failure, self.last_error = error, str(error)
            self._changed.notify_all()

    def _delays(self) -> Iterator[float]:
        return RETRY.delays(random.Random())
