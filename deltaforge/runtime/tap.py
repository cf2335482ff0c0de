"""What passes through a pipeline, shown to whoever listens, at no cost to the pipeline.

The dataflow only offers references to batches. A listener's thread picks from them what it can encode in its share of
a core; what it cannot show is counted and left out, never waited for. Nobody's position moves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec

from deltaforge.config.patterns import TablePatterns, pattern_fault
from deltaforge.core.batch import Batch, EventEncoder, EventGroup
from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.core.event import ChangeEvent
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.envelopes.native import NativeEnvelopeSpec
from deltaforge.observability.metrics import PipelineMetrics

log = logging.getLogger(__name__)

MAX_LISTENERS = 4
MAX_SECS = 3600
MAX_QUEUED_BATCHES = 64
MAX_QUEUED_BYTES = 1 << 20
MAX_EVENT_BYTES = 4 << 20
"""A larger event is counted as left out: nobody reads it on a screen."""
TICK_SECS = 0.5
"""How often a listener to whom nothing comes looks whether its reader is still there."""
SHARE = 20
"""A listener takes at most one part in so many of a core; it rests for the others."""
CLOSE_SECS = 0.5


class TailRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody wants to see.

    Attributes:
        limit: End after so many events; None: no limit.
        seconds: End after so long.
        table: A pattern as in the document, such as ``shop.orders`` or ``shop.*``; empty: every table.
    """

    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_SECS)] = MAX_SECS
    table: str = ""

    def __post_init__(self) -> None:
        fault = pattern_fault(self.table) if self.table else None
        if fault:
            raise ValueError(fault)


class Tap:
    """The listeners of one pipeline process.

    Attributes:
        is_listened: Whether there is one: all that the dataflow looks at while there is none.
    """

    def __init__(self, metrics: PipelineMetrics) -> None:
        self.is_listened = False
        self._metrics = metrics
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def offer(self, batch: Batch) -> None:
        """Show a batch to the listeners. Never waits."""
        if batch.event_count:
            for listener in tuple(self._listeners):
                listener.offer(batch)

    def open(self, request: TailRequest) -> Listener:
        """A listener from now on; to be closed.

        Raises:
            ControlError: There are enough of them.
        """
        with self._lock:
            if len(self._listeners) >= MAX_LISTENERS:
                raise ControlError(f"{MAX_LISTENERS} readers follow the events already", hint="end one of them first")
            listener = Listener(request, self._remove)
            self._listeners = [*self._listeners, listener]
            self._show()
        return listener

    def close(self) -> None:
        """The pipeline ends: so do its listeners, who get a moment to say so."""
        listeners, until = self._listeners, time.monotonic() + CLOSE_SECS
        for listener in listeners:
            listener.end("pipeline")
        for listener in listeners:
            listener.is_closed.wait(max(0.0, until - time.monotonic()))

    def _remove(self, listener: Listener) -> None:
        self._metrics.tail_left_out.labels(self._metrics.pipeline).inc(listener.left_out)
        with self._lock:
            self._listeners = [other for other in self._listeners if other is not listener]
            self._show()

    def _show(self) -> None:
        self.is_listened = bool(self._listeners)
        self._metrics.tail_listeners.labels(self._metrics.pipeline).set(len(self._listeners))


class Listener:
    """One reader of the events that pass. ``lines`` runs in the reader's thread, everything else in any.

    Attributes:
        left_out: Events that passed and were not shown.
        is_closed: Set once it is forgotten.
    """

    def __init__(self, request: TailRequest, forget: Callable[[Listener], None]) -> None:
        self.left_out = 0
        self.is_closed = threading.Event()
        self._request = request
        self._forget = forget
        self._wants = _wants(request.table) if request.table else None
        self._encoder: EventEncoder = JsonEncodingSpec().build(NativeEnvelopeSpec().build())
        self._queue: deque[Batch] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._ended = ""
        self._shown = 0
        self._until = time.monotonic() + request.seconds

    def offer(self, batch: Batch) -> None:
        """Take a batch if there is room for it."""
        with self._changed:
            is_full = len(self._queue) >= MAX_QUEUED_BATCHES or self._queued_bytes + batch.held_bytes > MAX_QUEUED_BYTES
            if self._ended or (self._queue and is_full):
                self.left_out += batch.event_count
                return
            self._queue.append(batch)
            self._queued_bytes += batch.held_bytes
            self._changed.notify()

    def end(self, reason: str) -> None:
        """Have ``lines`` end. The first reason stays."""
        with self._changed:
            self._ended = self._ended or reason
            self._changed.notify()

    def close(self) -> None:
        """Forget it. May be called again."""
        if not self.is_closed.is_set():
            self.end("reader")
            self._forget(self)
            self.is_closed.set()
            log.info("a reader of the events has left: %d shown, %d left out", self._shown, self.left_out)

    def lines(self) -> Iterator[bytes]:
        """Events as JSON lines; an empty text now and then while there are none.

        A line ``{"tail": {…}}`` says how many were left out so far, where some were, and at the end why it ends.
        """
        said = 0
        while (batch := self._next()) is not None or not self._ended:
            if batch is None:
                yield b""
                continue
            for group in batch.groups:
                began = time.thread_time()
                values = self._values(group)
                if self.left_out > said:
                    said = self.left_out
                    yield self._note()
                yield from values
                if self._is_over():
                    break
                self._rest((time.thread_time() - began) * (SHARE - 1))
        yield self._note(ended=self._ended)

    def _next(self) -> Batch | None:
        with self._changed:
            if not self._queue and not self._ended:
                self._changed.wait(min(TICK_SECS, max(0.0, self._until - time.monotonic())))
            if time.monotonic() >= self._until:
                self._ended = self._ended or "seconds"
            if not self._queue or self._is_over():
                return None
            batch = self._queue.popleft()
            self._queued_bytes -= batch.held_bytes
            return batch

    def _is_over(self) -> bool:
        """Whether nothing more is wanted. When the pipeline ends, what it delivered is still shown."""
        return self._ended not in ("", "pipeline")

    def _values(self, group: EventGroup) -> list[bytes]:
        """The lines of a group, as many as are still wanted."""
        wanted = group if self._wants is None else group.where(self._wants)
        if wanted is None:
            return []
        try:
            values = [value for value in self._encoder.encode_groups([wanted]) if value is not None]
        except DeltaForgeError as error:  # the sinks will say so, too
            log.debug("events cannot be shown: %s", error)
            self.left_out += wanted.event_count
            return []
        lines = [value + b"\n" for value in values if len(value) <= MAX_EVENT_BYTES]
        self.left_out += len(values) - len(lines)
        limit = self._request.limit
        if limit is not None and self._shown + len(lines) >= limit:
            lines = lines[: limit - self._shown]
            self.end("limit")
        self._shown += len(lines)
        return lines

    def _rest(self, secs: float) -> None:
        """Leave the core to the pipeline."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._ended), min(secs, max(0.0, self._until - time.monotonic())))

    def _note(self, **more: str) -> bytes:
        return msgspec.json.encode({"tail": {**more, "shown": self._shown, "left_out": self.left_out}}) + b"\n"


def _wants(pattern: str) -> Callable[[ChangeEvent], bool]:
    patterns = TablePatterns([pattern])
    return lambda event: patterns.matches(event.source.schema or event.source.db, event.source.table)
