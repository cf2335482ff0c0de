"""Opens the dead letters of a running pipeline, and brings entries back to their sinks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from deltaforge.core.errors import StorageError
from deltaforge.core.event import ChangeEvent
from deltaforge.journal.entries import Entry, event_of
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.journal.reading import DeadLetterQueue, find_entries
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.runtime.stored_schemas import storage_path_of
from deltaforge.storage.sqlite import SqliteStorage

RETRY_SECS = 30.0
"""How long a retry waits for a sink that has something else to do."""


WorkerOf = Callable[[str, ChangeEvent], SinkWorker | None]
"""Who writes an event to the sink of an id; None: there is no such sink."""


class RetryRequest(msgspec.Struct):
    """Which entries to deliver again: those of ``seqs``, else the oldest ``limit`` that fulfil the conditions."""

    seqs: list[int] | None = None
    limit: int = 100
    sink_id: str | None = None
    error_kind: str | None = None


class PipelineDeadLetters:
    """The opened storage with its queue.

    Raises:
        StorageError: It cannot be opened or read.
    """

    def __init__(self, info: RunInfo, limits: DeadLetterLimits) -> None:
        self._storage = SqliteStorage(storage_path_of(info.paths, info.storage_path))
        self._pipeline = info.name
        sinks = info.spec.spec.sinks if info.cluster.processes > 1 else []
        self._elsewhere = {sink.config.id for sink in sinks}  # what has no lane here has one in another process
        try:
            self.letters = DeadLetters(self._storage.queue, limits, info.metrics)
        except StorageError:
            self._storage.close()
            raise
        self._queue = DeadLetterQueue(self._storage.queue, info.name)

    def retry(self, request: RetryRequest, worker_of: WorkerOf) -> list[dict[str, Any]]:
        """Deliver entries again, oldest first; what its sink acked is removed.

        Args:
            request: Which.
            worker_of: Whose thread writes an event to a sink.

        Returns:
            ``{"seq", "event_id", "sink_id", "status", "error"}`` of each: ``delivered``, ``truncated``, ``failed``, or
            ``elsewhere``: another process of the pipeline delivers its lane.

        Raises:
            StorageError: The queue cannot be read, or holds no such entry.
        """
        outcomes = []
        for seq, entry in self._asked(request):
            status, error = self._retried(seq, entry, worker_of)
            told = {"seq": seq, "event_id": entry.event_id, "sink_id": entry.meta.sink_id}
            outcomes.append({**told, "status": status, "error": error})
        self.letters.refresh()
        return outcomes

    def close(self) -> None:
        """End the clean-up and close the storage."""
        self.letters.close()
        self._storage.close()

    def _asked(self, request: RetryRequest) -> list[tuple[int, Entry]]:
        if request.seqs is not None:
            return self._queue.picked(request.seqs)
        terms = {"sink_id": request.sink_id, "error_kind": request.error_kind}
        return find_entries(self._storage.queue, self._pipeline, limit=request.limit, **terms)

    def _retried(self, seq: int, entry: Entry, worker_of: WorkerOf) -> tuple[str, str | None]:
        try:
            event = event_of(entry)
        except StorageError as error:
            return "truncated" if entry.payload_truncated else "failed", str(error)
        worker = worker_of(entry.meta.sink_id, event)
        if worker is None and entry.meta.sink_id in self._elsewhere:
            return "elsewhere", None
        if worker is None:
            return "failed", f"the pipeline has no sink {entry.meta.sink_id} any more"
        # Somebody else may have asked for it at the same time.
        redelivery = Redelivery(event, lambda: self._queue.remove(seq), lambda: self._queue.picked([seq]))
        worker.redeliver(redelivery)
        redelivery.wait(RETRY_SECS, lambda: f"sink {worker.id} is busy: {worker.last_error or 'it is slow'}")
        return ("failed" if redelivery.error else "delivered"), redelivery.error


class SharedDeadLetters:
    """The dead letters of all lanes in this process: opened for the first of them, closed with the last.

    Args:
        info: Of the run.
    """

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._lock = threading.Lock()
        self._user_count = 0
        self._opened: PipelineDeadLetters | None = None

    def open(self) -> PipelineDeadLetters | None:
        """For one lane, which closes them once; None if the document wants none.

        Raises:
            StorageError: They cannot be opened or read.
        """
        journal = self._info.spec.spec.journal
        if journal is None or not journal.enabled:
            return None
        dlq = journal.dlq
        limits = DeadLetterLimits(dlq.max_entries, dlq.max_age_secs, journal.max_event_bytes, dlq.overflow_policy)
        with self._lock:
            if self._opened is None:
                self._opened = PipelineDeadLetters(self._info, limits)
            self._user_count += 1
            return self._opened

    def close(self) -> None:
        """A lane does not need them any more."""
        with self._lock:
            self._user_count -= 1
            if self._user_count or self._opened is None:
                return
            opened, self._opened = self._opened, None
        opened.close()
