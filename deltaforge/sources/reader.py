"""The reader thread: drives a :class:`LogStream`, reconnects it, and queues its batches."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from deltaforge.core.batch import Batch
from deltaforge.core.errors import ControlError, DeltaForgeError, SourceError, unforeseen
from deltaforge.core.json_text import encode_json
from deltaforge.core.positions import LogEdge, Position, Start
from deltaforge.core.resume import transaction_of, without_first
from deltaforge.core.retry import SOURCE_RECONNECT, Backoff, Retry, retry_of
from deltaforge.observability.kill_points import reached
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.observability.threads import show_thread_name
from deltaforge.schema.registry import TableName
from deltaforge.sources.base import BatchLimits, LogStream
from deltaforge.sources.loader import TableReload
from deltaforge.sources.reader_status import ReaderStatus
from deltaforge.sources.snapshot.base import copyable
from deltaforge.sources.snapshot.snapshots import Snapshots

log = logging.getLogger(__name__)

POLL_SECS = 0.2
KEEP_ALIVE_SECS = 0.2
RELOAD_SECS = 60.0
CHUNK_ROOM_BYTES = 512 << 10
"""A chunk of a snapshot is queued behind so much at most: what the log has next has to wait for it."""


class LogReader:
    """Owns the thread that reads a source, and the bounded queue between it and the dataflow.

    Invariant: batches leave :meth:`get` in log order, each event once; after a reconnection reading goes on
    exactly behind the last batch that was queued, also in the middle of a transaction.

    Args:
        source_id: For log lines and metrics.
        build: Makes a new, unopened stream; called for every connection.
        metrics: The pipeline's metrics.
        limits: Of a batch that is put together of small ones; None: none is.
        max_queue_bytes: Memory of the batches that may wait; at least one batch always may.
        backoff: Delays between connection attempts.
        snapshots: What is copied besides; closed with the reader. None: nothing ever is.
        changed: Shared with the readers that :meth:`get` waits for, too.
    """

    def __init__(  # noqa: PLR0913 - two bounds, a policy and what is copied
        self,
        source_id: str,
        build: Callable[[], LogStream],
        metrics: PipelineMetrics,
        *,
        limits: BatchLimits | None = None,
        max_queue_bytes: int = 8 << 20,
        backoff: Backoff = SOURCE_RECONNECT,
        snapshots: Snapshots | None = None,
        changed: threading.Condition | None = None,
    ) -> None:
        self._source_id = source_id
        self._build = build
        self._metrics = metrics
        self._limits = limits
        self._max_queue_bytes = max_queue_bytes
        self._backoff = backoff
        self._snapshots = snapshots
        self._queue: deque[Batch] = deque()
        self._queue_bytes = 0
        self._changed = changed or threading.Condition()
        self._is_stopping = False
        self._is_paused = False
        self._is_tx_open = False
        self._is_tx_handed_out = False
        self._open_count = 0  # events of the open transaction that were queued
        self._open_tx = ""
        self._repeat_count = 0  # how many of them the present connection has yet to read again
        self._is_connected = False
        self._failure: DeltaForgeError | None = None
        self._confirmed: Position | None = None
        self._position: Position | None = None
        self._start: Start | None = None
        self._announces_start = False
        self._last_error: str | None = None
        self._stream: LogStream | None = None
        self._reconnects = 0
        self._events_read = 0
        self._last_event_ts_ms: int | None = None
        self._reloads: deque[tuple[Sequence[TableName] | None, Future[list[TableReload]]]] = deque()
        self._thread = self._new_thread()

    def start(self, position: Start | None, *, is_new: bool = False) -> None:
        """Begin to read after ``position``; None means the first start of this source.

        Args:
            position: Where.
            is_new: Nothing of this source is saved there yet. Like on a first start, the first batch then has no
                events, only the place where reading begins.
        """
        self._start = position
        self._announces_start = is_new or position is None
        if not is_new and not isinstance(position, LogEdge):
            self._position = self._confirmed = position
        self._thread.start()

    def get(self, timeout_secs: float, others: Sequence[LogReader] = ()) -> Batch | None:
        """The next batch, or None if there is none within ``timeout_secs``, or one of the others has one.

        Raises:
            DeltaForgeError: Reading ended for good. Everything read before was handed out.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self.has_ready() or self._failure is not None or any(each.has_ready() for each in others),
                timeout_secs,
            )
            if self.has_ready():
                batch = self._queue.popleft()
                if self._queue:
                    batch = self._joined(batch)
                self._queue_bytes -= batch.held_bytes
                self._is_tx_handed_out = not batch.is_tx_end
                self._changed.notify_all()
                return batch
            if self._failure is not None and not self._queue:
                raise self._failure
            return None

    def _joined(self, first: Batch) -> Batch:
        """A batch together with those that wait behind it, if they were cut small."""
        limits, found = self._limits, [first]
        if limits is None or self._is_paused or not (first.is_tx_end and _is_plain(first)):
            return first
        event_count, byte_count = first.event_count, first.byte_count
        while self._queue:
            batch = self._queue[0]
            event_count, byte_count = event_count + batch.event_count, byte_count + batch.byte_count
            is_small = event_count <= limits.max_events and byte_count <= limits.max_bytes
            if not (is_small and batch.is_tx_end and _is_plain(batch)):
                break
            found.append(self._queue.popleft())
        return Batch.joined(found)

    def has_ready(self) -> bool:
        """Whether :meth:`get` has a batch. Under the shared condition."""
        # A poll that was under way when the pause came may still queue rows: they wait here, so that
        # nothing but the rest of a transaction already begun leaves after pause() returned.
        if not self._queue:
            return False
        return not self._is_paused or self._is_tx_handed_out or not self._queue[0].event_count

    @property
    def failure(self) -> DeltaForgeError | None:
        """Why reading ended for good; None: it has not."""
        return self._failure

    def confirm(self, position: Position) -> None:
        """``position`` is saved: the source server may forget what lies before it."""
        self._confirmed = position

    def pause(self) -> None:
        """Hand out and read nothing after the present transaction; the connection stays."""
        with self._changed:
            self._is_paused = True

    def resume(self) -> None:
        """Go on reading."""
        with self._changed:
            self._is_paused = False
            self._changed.notify_all()

    def retry(self) -> None:
        """Read again, if reading ended for good: from exactly behind the last batch that was queued."""
        if self._failure is None or self._is_stopping:
            return
        self._thread.join()
        self._failure, self._thread = None, self._new_thread()
        self._thread.start()

    def reload(self, tables: Sequence[TableName] | None, timeout_secs: float = RELOAD_SECS) -> list[TableReload]:
        """Read table definitions from the source's catalog again, also while paused; see :meth:`LogStream.reload`.

        Raises:
            ControlError: The source is not connected, or did not answer in time.
            DeltaForgeError: The catalog cannot be read, or what it says not be registered.
        """
        answer: Future[list[TableReload]] = Future()
        with self._changed:
            if not self._is_connected:
                raise ControlError("the source is not connected", hint="try again when it is")
            self._reloads.append((tables, answer))
            self._changed.notify_all()
        try:
            return answer.result(timeout_secs)
        except TimeoutError:
            raise ControlError(f"the source has read no table definitions within {timeout_secs:.0f} s") from None

    def status(self) -> ReaderStatus:
        """A consistent picture of now."""
        with self._changed:
            return ReaderStatus(
                connected=self._is_connected,
                paused=self._is_paused,
                position=self._position,
                last_error=self._last_error,
                reconnects=self._reconnects,
                events_read=self._events_read,
                last_event_ts_ms=self._last_event_ts_ms,
                queued_batches=len(self._queue),
                log_end=self._stream.log_end() if self._stream else None,
                unmatched_patterns=self._stream.unmatched_patterns() if self._stream else {},
            )

    def close(self, timeout_secs: float = 10.0) -> None:
        """End the thread and the connection. Never raises."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_secs
        if self._snapshots is not None:
            self._snapshots.stop()
        if self._thread.is_alive():
            self._thread.join(timeout_secs)
        if self._snapshots is not None:
            self._snapshots.close(max(0.0, deadline - time.monotonic()))

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=f"reader-{self._source_id}", daemon=True)

    def _run(self) -> None:
        show_thread_name()
        delays = self._delays()
        while not self._is_stopping:
            stream: LogStream | None = None
            events_before = self._events_read
            try:
                stream = self._build()
                self._read(stream)
            except DeltaForgeError as error:
                if self._events_read > events_before:
                    delays = self._delays()
                if retry_of(error) is not Retry.BACKOFF:
                    self._fail(error)
                    return
                self._wait_to_reconnect(error, next(delays))
            except Exception as error:
                self._note_place(error, stream)
                log.exception("reader crashed", extra={"source_id": self._source_id})
                self._fail(SourceError(f"reading failed unexpectedly: {unforeseen(error)}", kind="other", crash=True))
                return
            finally:
                self._disconnected()
                if stream is not None:
                    stream.close()

    def _delays(self) -> Iterator[float]:
        return self._backoff.delays(random.Random())

    def _read(self, stream: LogStream) -> None:
        start = stream.open(self._position or self._start)
        with self._changed:
            is_first, self._announces_start = self._announces_start, False
            self._is_tx_open = False
            self._repeat_count = self._open_count
            self._is_connected, self._last_error, self._position = True, None, start
            self._stream = stream
        log.info("source connected", extra={"source_id": self._source_id, "position": start.view()})
        if is_first:
            self._put(Batch([], start, received_at=time.monotonic()), stream)
        if self._snapshots is not None:
            self._snapshots.connected(copyable(stream))
        while not self._is_stopping:
            self._serve(stream)
            if self._is_paused and not self._is_tx_open:
                with self._changed:
                    self._changed.wait(POLL_SECS)
                continue
            snapshots = self._snapshots
            if snapshots is None or not snapshots.is_active:
                for batch in stream.poll(POLL_SECS):
                    self._put(batch, stream)
            else:
                self._read_and_copy(stream, snapshots)

    def _read_and_copy(self, stream: LogStream, snapshots: Snapshots) -> None:
        """Chunks leave between two polls, where no transaction is open; the log goes first."""
        snapshots.awaits_rest = bool(self._repeat_count)
        while not (self._is_tx_open or self._repeat_count or self._is_stopping or self._position is None):
            has_room = self._queue_bytes <= min(CHUNK_ROOM_BYTES, self._max_queue_bytes // 2)
            batch = snapshots.next_batch(copyable(stream), self._position, has_room=has_room)
            if batch is None:
                break
            if batch.chunk is not None:
                reached("before_chunk_queued")
            self._put(batch, stream)
            if batch.chunk is not None:
                reached("after_chunk_queued")
        for batch in stream.poll(snapshots.poll_secs):
            self._put(batch, stream)

    def _put(self, batch: Batch, stream: LogStream) -> None:
        """Queue a batch as soon as there is room for it; meanwhile what else is to be done is done."""
        if self._repeat_count:
            batch, self._repeat_count = without_first(batch, self._repeat_count, self._open_tx)
            if self._repeat_count:
                return  # nor may the position move before all that was queued has been read again
        if self._snapshots is not None and self._snapshots.is_active and batch.chunk is None:
            self._snapshots.note(batch)
        size = batch.held_bytes
        while not self._is_stopping:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._has_room(size) or self._is_stopping or self._reloads, KEEP_ALIVE_SECS
                )
                if self._has_room(size):
                    self._append(batch)
                    return
            self._serve(stream)

    def _has_room(self, byte_count: int) -> bool:
        return not self._queue or self._queue_bytes + byte_count <= self._max_queue_bytes

    def _append(self, batch: Batch) -> None:
        """Queue a batch: reading goes on behind it."""
        self._queue.append(batch)
        self._queue_bytes += batch.held_bytes
        self._position = batch.position
        self._is_tx_open = not batch.is_tx_end
        if batch.is_tx_end:
            self._open_count = 0
        elif batch.event_count:
            open_tx = transaction_of(batch.groups[0])
            self._open_count = batch.event_count + (self._open_count if open_tx == self._open_tx else 0)
            self._open_tx = open_tx
        self._events_read += batch.event_count
        if batch.event_count and batch.chunk is None:
            self._last_event_ts_ms = batch.groups[-1].ts_ms
            self._metrics.note_tables_at(self._source_id, self._last_event_ts_ms)
        self._changed.notify_all()

    def _serve(self, stream: LogStream) -> None:
        """What is to be done whether or not something is read."""
        stream.keep_alive(self._confirmed)
        while self._reloads:
            tables, answer = self._reloads.popleft()
            try:
                answer.set_result(stream.reload(tables))
            except Exception as error:
                answer.set_exception(error)
                if not isinstance(error, DeltaForgeError):
                    raise

    def _disconnected(self) -> None:
        if self._snapshots is not None:
            self._snapshots.disconnected()
        with self._changed:
            self._is_connected, self._stream = False, None
            while self._reloads:
                self._reloads.popleft()[1].set_exception(ControlError("the source was disconnected"))

    def _wait_to_reconnect(self, error: DeltaForgeError, delay_secs: float) -> None:
        log.warning(
            "source disconnected, reconnecting in %.1f s: %s",
            delay_secs,
            error,
            extra={"source_id": self._source_id, "kind": error.kind},
        )
        self._metrics.source_reconnects.labels(self._metrics.pipeline, self._source_id).inc()
        with self._changed:
            self._is_connected, self._last_error = False, str(error)
            self._reconnects += 1
            self._changed.wait_for(lambda: self._is_stopping, timeout=delay_secs)

    def _note_place(self, error: Exception, stream: LogStream | None) -> None:
        """Where in the log the reading was. The events of a stream move its end; batches alone move the position."""
        ends = {"behind": self._position, "log read or known up to": stream.log_end() if stream else None}
        places = (f"{name} {encode_json(end.view()).decode()}" for name, end in ends.items() if end is not None)
        error.add_note(", ".join(places) or "before the first position")

    def _fail(self, error: DeltaForgeError) -> None:
        self._metrics.source_errors.labels(self._metrics.pipeline, self._source_id, error.kind).inc()
        with self._changed:
            self._is_connected, self._last_error, self._failure = False, str(error), error
            self._changed.notify_all()


def _is_plain(batch: Batch) -> bool:
    """Whether it may leave together with others. One that only moves the position may not: the first of all must be
    saved before rows.
    """
    return bool(batch.event_count) and batch.chunk is None and batch.snapshot is None
