"""Brings batches to one sink: straight to its thread, or by way of its spool while it cannot take them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import NamedTuple

from deltaforge.checkpoint.spool import Spool
from deltaforge.checkpoint.state import SpoolMark, SpoolPlace
from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError, StorageError, unforeseen
from deltaforge.core.json_text import encode_json
from deltaforge.core.resume import ResumeFilter, SinkProgress
from deltaforge.observability.threads import show_thread_name
from deltaforge.runtime.ending import THREADS_SECS
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.runtime.spool_meter import SpoolMeter, SpoolStock
from deltaforge.sinks.base import SpoolConfig

log = logging.getLogger(__name__)

WAIT_SECS = 0.1


class _Handed(NamedTuple):
    """A batch that the sink's thread has and has not acked.

    ``start`` is where its record begins, or that of the first batch of its transaction; None while ``batch`` is not
    written.
    """

    batch: Batch | None
    event_count: int
    start: SpoolPlace | None = None


class SinkFeed:
    """What stands between the dataflow and a sink's thread.

    The feed of a follower, which the pipeline does not wait for, takes every batch at once. While the thread keeps up,
    batches go to it directly, and what it has not acked at the barrier is written down. Once its queue is full, batches
    are only written, and a second thread feeds the queue from the disk until it has caught up.

    Invariants: the spool is in the order of the log. A transaction that comes in several batches is written whole
    or not at all, so that what is delivered after a restart begins where a transaction begins.

    Args:
        worker: Of the sink. Closed here.
        spool: Opened at ``mark``.
        config: Its bounds.
        meter: Its metrics.
        mark: What was saved of it: everything up to its position is acked or in the spool. None without a spool.
        is_follower: Whether the pipeline does not wait for it, and the spool takes what the worker does not; otherwise
            only what is left in it is delivered.
    """

    def __init__(  # noqa: PLR0913 - a sink, its spool, and how far it is
        self,
        worker: SinkWorker,
        spool: Spool,
        config: SpoolConfig,
        meter: SpoolMeter,
        *,
        mark: SpoolMark | None,
        is_follower: bool,
    ) -> None:
        self.id = worker.id
        self.worker = worker
        self._spool = spool
        self._config = config
        self.meter = meter
        self.is_follower = is_follower
        self._position = mark.position if mark else None
        self._replay = ResumeFilter(SinkProgress(mark.position)) if mark else None
        self._asked: tuple[Batch, Batch] | None = None
        self._handed: deque[_Handed] = deque()
        self._removed_count = 0
        self._waiting_count = 0  # events that are written and not acked
        self._tx_start: SpoolPlace | None = None  # of a transaction of which a part is written
        self._fed_tx_start: SpoolPlace | None = None  # of one of which a part was fed
        self._end = spool.end  # behind the last whole transaction in the spool
        self._changed = threading.Condition()
        self._feeder: threading.Thread | None = None
        self._next = spool.end
        self._is_closing = False
        self.is_detached = mark is not None and mark.is_detached
        self.failure: DeltaForgeError | None = None
        self._waits_for: str | None = None
        self._saved = mark
        self._unneeded: SpoolPlace | None = None  # what is before it, once the newest mark is saved
        if mark is not None and mark.first < mark.end:
            self._next, self._end = mark.first, mark.end
            self._waiting_count = spool.waiting_count
            self._start_feeder()

    @property
    def is_live(self) -> bool:
        """Whether nothing waits in the spool that the worker has not been given."""
        return self._feeder is None

    @property
    def ended(self) -> DeltaForgeError | None:
        """Why nothing more is delivered in this run; None while it is."""
        return self.failure or self.worker.failure

    @property
    def last_error(self) -> str | None:
        """What is wrong with the sink or its spool; None if nothing is."""
        if self.failure is not None:
            return str(self.failure)
        if self.is_detached:
            place = encode_json(self._position.view()).decode() if self._position else None
            return (
                f"detached: its spool was full (max_bytes {self._config.max_bytes}), so nothing behind {place} is "
                "delivered; raise max_bytes, stop the pipeline and reset the checkpoint of this sink to that position"
            )
        return self._waits_for or self.worker.last_error

    def take(self, batch: Batch, timeout_secs: float) -> bool:
        """Accept a batch, less what the sink is not to get. False if there was no room for ``timeout_secs``: offer it
        again.

        Raises:
            StorageError: The spool cannot be written.
        """
        news: Batch | None = batch
        if self.is_detached:
            news = None
        elif batch.chunk is not None:
            news = batch if batch.chunk.is_for(self.id) else batch.with_groups([])
        elif self._replay is not None:
            news = self._unseen(batch, self._replay)
        if news is None:
            batch.release()
            return True
        with self._changed:
            if self.is_follower:
                is_taken = self._spool_or_hand_over(news, timeout_secs)
            elif self.is_live:
                is_taken = self.worker.offer(news, timeout_secs)
            else:  # what waits in the spool is in front of it
                is_taken = False
                self._changed.wait(timeout_secs)
            if is_taken and not self.is_detached:
                self._position, self._waits_for = news.position, None
        if not is_taken:
            return False
        if news is not batch:
            batch.release()
        self._forget_replay()
        return True

    def has_room(self) -> bool:
        """Whether the sink's thread would take a batch now."""
        return self.is_live and self.worker.has_room()

    def is_acked(self) -> bool:
        """Whether the sink has everything."""
        return self.is_live and self.worker.wait_acked(0)

    def sync(self) -> None:
        """Have durable what is written by now, so that :meth:`spool_unacked` has less to wait for.

        Raises:
            StorageError: The spool cannot be written.
        """
        self._spool.sync()

    def spool_unacked(self) -> SpoolMark | None:
        """At the barrier: have durable what the sink has not acked. None while there is nothing to be saved of it.

        Raises:
            StorageError: The spool cannot be written.
        """
        with self._changed:
            self._remove_acked()
            if self.is_follower and self.is_live:
                self._write_handed()
            self._spool.sync()
            mark = self._mark()
        if self._unneeded is not None:  # an epoch ends only after the one before is saved
            self._spool.trim(self._unneeded)
        self._unneeded = mark.first if mark else self._spool.end
        self._saved = mark
        return mark

    def wants_barrier(self) -> bool:
        """Whether there is something to be saved although no batch comes: the sink has acked what is in the spool."""
        with self._changed:
            self._remove_acked()
            saved = self._saved
            if saved is None or saved.first == saved.end:
                return self._unneeded is not None and self._spool.byte_count > 0
            has_all = self.is_live and not self._handed
            return has_all or self._first() > saved.first

    def stock(self) -> SpoolStock:
        """What waits in the spool. From any thread."""
        with self._changed:
            self._remove_acked()
            return SpoolStock(self._waiting_count, self._spool.byte_count, self.is_detached)

    def begin_close(self) -> None:
        """Have the threads end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self.worker.begin_close()

    def close(self, timeout_secs: float = THREADS_SECS) -> None:
        """End the threads, and close sink and spool. Never raises."""
        self.begin_close()
        until = time.monotonic() + timeout_secs
        self.worker.close(timeout_secs)
        feeder = self._feeder
        if feeder is not None:
            feeder.join(max(0.0, until - time.monotonic()))
        self._spool.close()

    def _unseen(self, batch: Batch, replay: ResumeFilter) -> Batch | None:
        """What was not handed over before this run, None if that is nothing: the log may be read again for another
        sink. Asked again for the same batch, it answers the same.
        """
        if self._asked is None or self._asked[0] is not batch:
            self._asked = batch, replay.unseen(batch)
        unseen = self._asked[1]
        if unseen.event_count:
            return unseen
        is_behind = self._position is not None and batch.position.is_behind(self._position) is True
        return None if batch.event_count or is_behind else unseen

    def _forget_replay(self) -> None:
        self._asked = None
        if self._replay is not None and self._replay.is_over:
            self._replay = None

    def _spool_or_hand_over(self, batch: Batch, timeout_secs: float) -> bool:
        self._remove_acked()
        is_in_parts = self._tx_start is not None or not batch.is_tx_end
        if not is_in_parts and self.is_live and self.worker.offer(batch, 0):
            self._handed.append(_Handed(batch, batch.event_count))
            return True
        if not batch.event_count and batch.chunk is None and not is_in_parts:
            return True  # it only moves the position, which the next batch does as well
        if self._waiting_bytes() >= self._config.max_bytes:
            return self._give_way(timeout_secs)
        if self.is_live:
            for handed in self._handed:
                if handed.batch is not None:
                    handed.batch.release()  # its turn comes late: encoded again then
            self._write_handed()
            self._next = self._spool.end
        self._write(batch)
        batch.release()
        if self.is_live:
            self._start_feeder()
        return True

    def _give_way(self, timeout_secs: float) -> bool:
        """The spool is full."""
        size = self._config.max_bytes
        if self._config.on_full == "detach":
            self.is_detached = True
            log.error("sink %s is given up: %s", self.id, self.last_error, extra=self.worker.log_fields)
            return True
        if self._waits_for is None:
            reason = f": {self.worker.last_error}" if self.worker.last_error else ""
            self._waits_for = f"backpressure: its spool is full (max_bytes {size}) and holds the pipeline{reason}"
            log.error("the pipeline waits for sink %s: %s", self.id, self._waits_for, extra=self.worker.log_fields)
        self._changed.wait(timeout_secs)
        return False

    def _write_handed(self) -> None:
        """Write what the sink's thread has and has not acked."""
        for place, handed in enumerate(self._handed):
            if handed.batch is not None:
                start = self._write(handed.batch) if handed.event_count else self._spool.end
                self._handed[place] = _Handed(None, handed.event_count, start)

    def _write(self, batch: Batch) -> SpoolPlace:
        """Append a batch; where the record of its transaction begins."""
        start = self._tx_start or self._spool.end
        self._spool.append(batch)
        self._waiting_count += batch.event_count
        self.meter.written(batch.event_count)
        self._tx_start = None if batch.is_tx_end else start
        if batch.is_tx_end:
            self._end = self._spool.end
        return start

    def _remove_acked(self) -> None:
        while self._handed and self._removed_count < self.worker.acked_count:
            handed = self._handed.popleft()
            self._removed_count += 1
            if handed.start is not None:
                self._waiting_count -= handed.event_count

    def _first(self) -> SpoolPlace:
        """Where what the sink has not acked begins, with its whole transaction."""
        start = self._handed[0].start if self._handed else None
        return min(start or self._fed_tx_start or self._next, self._end)

    def _waiting_bytes(self) -> int:
        return 0 if self.is_live else self._spool.bytes_behind(self._first())

    def _mark(self) -> SpoolMark | None:
        if self.is_live and not self.is_follower:
            self._handed.clear()  # the barrier has waited for all of it
            self._next = self._spool.begin_again()
            return None
        if self._position is None:
            return None
        if self.is_live and not self._handed and self._tx_start is None:
            self._end = self._next = self._spool.begin_again()
        return SpoolMark(self._first(), self._end, self._position, self.is_detached)

    def _start_feeder(self) -> None:
        self._feeder = threading.Thread(target=self._feed, name=f"spool-{self.id}", daemon=True)
        self._feeder.start()

    def _feed(self) -> None:
        """Hand over what is in the spool, until the end of it is reached."""
        show_thread_name()
        try:
            while self._feed_one():
                pass
        except DeltaForgeError as error:
            log.error("what waits for sink %s cannot be read: %s", self.id, error, extra=self.worker.log_fields)  # noqa: TRY400 - the message says it all
            self.failure = error
        except Exception as error:
            log.exception("the spool of sink %s crashed", self.id, extra=self.worker.log_fields)
            self.failure = StorageError(
                f"the spool of sink {self.id} failed unexpectedly: {unforeseen(error)}", crash=True
            )

    def _feed_one(self) -> bool:
        with self._changed:
            if self._is_closing:
                return False
            if not self._spool.has_more(self._next):
                self._feeder = None
                self._changed.notify_all()
                return False
            start = self._next
        batch, after = self._spool.read(start)
        with self._changed:
            self._fed_tx_start = self._fed_tx_start or start
            self._handed.append(_Handed(None, batch.event_count, self._fed_tx_start))
        while not self.worker.offer(batch, WAIT_SECS):
            with self._changed:
                if self._is_closing:
                    return False
                if self.worker.failure is not None:
                    self._changed.wait(WAIT_SECS)
        with self._changed:
            self._next = after
            if batch.is_tx_end:
                self._fed_tx_start = None
        return True
