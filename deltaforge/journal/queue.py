"""The dead letter queue of one pipeline, as the process that runs it writes it.

Exactly one process writes (it holds the pipeline's lock); others may read and remove. An entry is on disk before
:meth:`DeadLetters.keep` returns, and only then the event counts as done, so a crash in between makes the event fail
once more: it is recognized by its sink and its id and not kept twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from deltaforge.config.secret import redacted
from deltaforge.core.errors import RecordError, StorageError
from deltaforge.core.event import ChangeEvent
from deltaforge.journal.entries import Entry, Meta, entry_of
from deltaforge.journal.reading import NAMESPACE, all_entries, queue_key
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.storage.base import Queue

log = logging.getLogger(__name__)

CLEAN_SECS = 60.0
_LEVELS = ((0.95, logging.ERROR), (0.8, logging.WARNING))

Refused = tuple[ChangeEvent, RecordError]
"""An event and why its sink cannot take it."""


@dataclass(frozen=True)
class DeadLetterLimits:
    """How much is kept, how long, and what gives way; ``max_age_secs`` 0: no limit."""

    max_entries: int
    max_age_secs: int
    max_event_bytes: int
    overflow_policy: Literal["drop_oldest", "reject", "block"]


class DeadLetters:
    """Keeps events that failed alone. Used by any thread.

    Args:
        queue: Of the storage; closed by the caller after :meth:`close`.
        limits: Of the document.
        metrics: Of the pipeline.
        clock: Unix seconds.

    Raises:
        StorageError: What is there cannot be read.
    """

    def __init__(
        self,
        queue: Queue,
        limits: DeadLetterLimits,
        metrics: PipelineMetrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._pipeline = metrics.pipeline
        self._place = (NAMESPACE, queue_key(metrics.pipeline))
        self._lock = threading.Lock()
        self._level = 0
        self._kept: dict[tuple[str, str], None] = {}
        for _, entry in all_entries(queue, metrics.pipeline):
            self._note(entry)
        for counter in (metrics.dlq_evicted, metrics.dlq_rejected, metrics.dlq_write_failures):
            counter.labels(self._pipeline)
        self._closing = threading.Event()
        self._cleaner = threading.Thread(target=self._clean_up, name="dead-letters", daemon=True)
        self._cleaner.start()

    def keep(self, refused: Sequence[Refused], sink_id: str) -> int:
        """Store events, in one write to the disk; returns how many of the first are done. If not all, the queue is full
        and blocks: ask again for the others when somebody made room.

        Raises:
            StorageError: None could be written. They must not be passed over.
        """
        now, entries = int(self._clock()), list[Entry]()
        for event, error in refused:
            meta = Meta(sink_id, error.kind, redacted(error.message))
            entries.append(
                entry_of(event, meta, pipeline=self._pipeline, max_bytes=self._limits.max_event_bytes, now=now)
            )
        with self._lock:
            try:
                return self._store(entries)
            except StorageError as exc:
                self._metrics.dlq_write_failures.labels(self._pipeline).inc()
                log.error("a dead letter of sink %s cannot be written: %s", sink_id, exc)  # noqa: TRY400
                raise

    def refresh(self) -> int:
        """Bring the gauges up to date, and log when the queue fills up; returns the number of entries.

        Raises:
            StorageError: It cannot be read.
        """
        count = self._queue.count(*self._place)
        ratio = count / self._limits.max_entries
        self._metrics.dlq_entries.labels(self._pipeline).set(count)
        self._metrics.dlq_saturation_ratio.labels(self._pipeline).set(min(ratio, 1.0))
        level = next((level for threshold, level in _LEVELS if ratio >= threshold), 0)
        if level > self._level:
            text = "dead letter queue of pipeline %s is %.0f %% full: %d of %d entries"
            log.log(level, text, self._pipeline, ratio * 100, count, self._limits.max_entries)
        self._level = level
        return count

    def clean(self) -> int:
        """Remove entries that are too old; returns how many.

        Raises:
            StorageError: They cannot be removed.
        """
        removed = 0
        if self._limits.max_age_secs:
            removed = self._queue.expire(*self._place, self._clock() - self._limits.max_age_secs)
        if removed:
            log.info("%d dead letters older than %d s are removed", removed, self._limits.max_age_secs)
        self.refresh()
        return removed

    def close(self) -> None:
        """End the clean-up."""
        self._closing.set()
        self._cleaner.join()

    def _store(self, entries: Sequence[Entry]) -> int:
        policy, max_entries = self._limits.overflow_policy, self._limits.max_entries
        places = self._places_of_new(entries)
        if not places:
            return len(entries)
        room = len(places)
        if policy != "drop_oldest":
            room = max(0, max_entries - self._queue.count(*self._place))
        fitting, rest = places[:room], places[room:]
        if fitting:
            self._push([entries[place] for place in fitting])
        count = self.refresh()
        if policy == "drop_oldest":
            self._evict(count - max_entries)
        elif policy == "block" and rest:
            return rest[0]
        for place in rest:
            self._reject(entries[place])
        return len(entries)

    def _places_of_new(self, entries: Sequence[Entry]) -> list[int]:
        """Where the entries are that were not kept before."""
        new: dict[object, int] = {}
        for place, entry in enumerate(entries):
            if entry.identity not in self._kept:
                new.setdefault(entry.identity or place, place)
        return list(new.values())

    def _push(self, entries: Sequence[Entry]) -> None:
        self._queue.push(*self._place, [msgspec.json.encode(entry) for entry in entries])
        for entry in entries:
            meta = entry.meta
            self._note(entry)
            self._metrics.dlq_events.labels(self._pipeline, meta.sink_id, meta.error_kind).inc()
            text = "event %s is put aside as a dead letter of sink %s: %s"
            log.warning(text, entry.event_id, meta.sink_id, meta.error_message, extra={"sink": meta.sink_id})

    def _reject(self, entry: Entry) -> None:
        self._metrics.dlq_rejected.labels(self._pipeline).inc()
        text = "dead letter queue is full: event %s of sink %s is not kept (%s)"
        log.error(text, entry.event_id, entry.meta.sink_id, entry.meta.error_message)

    def _evict(self, excess: int) -> None:
        if excess <= 0:
            return
        evicted = self._queue.drop_oldest(*self._place, excess)
        self._metrics.dlq_evicted.labels(self._pipeline).inc(evicted)
        log.error("dead letter queue is full: its %d oldest entries are dropped", evicted)
        self.refresh()

    def _note(self, entry: Entry) -> None:
        if entry.identity is None:
            return
        self._kept[entry.identity] = None
        if len(self._kept) > self._limits.max_entries:
            del self._kept[next(iter(self._kept))]

    def _clean_up(self) -> None:
        while True:
            try:
                self.clean()
            except StorageError as exc:
                log.warning("old dead letters cannot be removed: %s", exc)
            if self._closing.wait(CLEAN_SECS):
                return
