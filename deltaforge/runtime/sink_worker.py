"""One thread per sink: writes batches, retries, and knows what is acked."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.batch import Batch
from deltaforge.core.covered import Replay, advanced, is_behind
from deltaforge.core.errors import DeltaForgeError, RecordError, SinkError
from deltaforge.core.position import SinkProgress
from deltaforge.core.retry import Backoff, Retry, retry_of
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.threads import show_thread_name
from deltaforge.runtime.sink_filter import EventFilter
from deltaforge.sinks.base import PositionKeeper, Sink, SinkConfig

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
        acked: The position this sink had when the state was saved; rows up to it are dropped. A sink that
            keeps its progress itself is asked at its first opening: then what it says counts.
        max_queued: Batches that may wait, besides those that are being written.
    """

    def __init__(
        self,
        config: SinkConfig,
        sink: Sink,
        metrics: PipelineMetrics,
        *,
        acked: SinkCheckpoint | None,
        max_queued: int,
    ) -> None:
        self.id = config.id
        self.config = config
        self._sink = sink
        self._filter = EventFilter(config.filter)
        self._metrics = metrics
        self._labels = (metrics.pipeline, config.id)
        self._max_queued = max_queued
        self._keeper = sink if isinstance(sink, PositionKeeper) else None
        self._is_kept_known = self._keeper is None
        self._replay = Replay(SinkProgress(acked.position)) if acked else None
        self._progress: SinkProgress | None = None
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
                kept = self._acked.kept if self._acked else None
                self._acked = SinkCheckpoint(self.id, batch.position, datetime.now(UTC), kept)
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
            self._sink.open()
            self._is_open = True
            self._ask_keeper()
            for batch in self._unacked:
                self._write(batch)
        if not self._write_queued():
            return False
        if self._unacked:
            if self._keeper is not None and self._progress is not None:
                self._keeper.note_progress(self._progress)
            self._sink.flush()
            self._ack()
        return True

    def _ask_keeper(self) -> None:
        """Once per run: how far the sink is by what its destination says."""
        if self._keeper is None or self._is_kept_known:
            return
        self._is_kept_known = True
        kept, saved = self._keeper.kept_progress(), self._acked
        if kept is not None and (saved is None or not is_behind(kept.position, saved.position)):
            if saved is not None and kept != SinkProgress(saved.position):
                about = (self.id, kept.position.view(), kept.open_count, saved.position.view())
                log.info("sink %s is at %s and %d events, ahead of the saved %s", *about, extra={"sink": self.id})
            self._replay = Replay(kept)
        elif saved is not None and saved.kept is not None and (kept is None or is_behind(kept.position, saved.kept)):
            log.warning(
                "the destination of sink %s has lost its position (%s, expected %s): the saved one holds, "
                "and what was delivered after it comes again",
                self.id,
                kept.position.view() if kept else None,
                saved.kept.view(),
                extra={"sink": self.id},
            )

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
        if self._keeper is not None:
            self._progress = advanced(self._progress, batch)
        wanted = self._filter.apply(self._news(batch))
        if wanted is not batch:
            batch.release()
        return wanted

    def _news(self, batch: Batch) -> Batch:
        """Drop what this sink already had when the state was saved."""
        if self._replay is None:
            return batch
        news = self._replay.news(batch)
        if self._replay.is_over:
            self._replay = None
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
            kept = self._acked.kept if self._acked else None
            if self._keeper is not None and event_count:
                kept = done[-1].position
            self._acked = SinkCheckpoint(self.id, done[-1].position, now, kept)
            self.last_error = None
            self._changed.notify_all()

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
