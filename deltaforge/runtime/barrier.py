"""Which sinks the pipeline waits for: the commit policy, at hand-over and at the barrier."""

from __future__ import annotations

import time
from collections.abc import Callable

from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError, ProtocolError, SinkError
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sink_feed import WAIT_SECS, SinkFeed
from deltaforge.sinks.base import SinkConfig
from deltaforge.spec.model import CommitPolicy, QuorumPolicy

POLL_SECS = 0.002


def is_waited_for(policy: CommitPolicy, config: SinkConfig) -> bool:
    """Whether the pipeline waits for this very sink. Under a quorum it waits for none in particular, and for a sink
    that gathers never.
    """
    if config.is_gathering:
        return False
    return policy.mode == "all" or (policy.mode == "required" and config.required)


class Barrier:
    """Hands batches to all feeds and says when enough sinks have everything.

    Args:
        info: Of the run.
        feeds: Of all its sinks.
    """

    def __init__(self, info: RunInfo, feeds: list[SinkFeed]) -> None:
        self._info = info
        self._ending = info.ending
        self._feeds = feeds
        policy = info.spec.spec.commit_policy
        self._holding = [feed for feed in feeds if not feed.is_follower]
        self._quorum = policy.quorum if isinstance(policy, QuorumPolicy) else 0

    def hand_over(self, batch: Batch) -> None:
        """Give a batch to every sink, or to its spool.

        Raises:
            DeltaForgeError: Waiting for a sink has become pointless, or a spool cannot be written.
        """
        self._wait_for_quorum(SinkFeed.has_room)
        for feed in self._feeds:
            while not feed.take(batch, WAIT_SECS):
                self._check(feed)

    def wait(self) -> None:
        """Wait until the commit policy holds for everything that was handed over.

        Raises:
            DeltaForgeError: As :meth:`hand_over`.
        """
        for feed in self._feeds:
            feed.sync()  # the disk works while the others ack
        self._wait_for_quorum(SinkFeed.is_acked)
        for feed in self._feeds:
            if feed in self._holding:
                self._wait(feed)
            else:
                self._check_log(feed)
        if self._ending.is_stopping:
            for feed in self._feeds:
                self._give_time(feed)

    def failure(self) -> DeltaForgeError | None:
        """Why one of the sinks that everything waits for has ended."""
        return next((feed.ended for feed in self._holding if feed.ended is not None), None)

    def _wait_for_quorum(self, is_ready: Callable[[SinkFeed], bool]) -> None:
        began, is_late = time.monotonic(), False
        while sum(map(is_ready, self._feeds)) < self._quorum:
            self._check_quorum()
            time.sleep(POLL_SECS)
            is_late = is_late or self._note_if_late([feed for feed in self._feeds if not is_ready(feed)], began)

    def _wait(self, feed: SinkFeed) -> None:
        began, is_late = time.monotonic(), False
        while not (feed.is_live and feed.worker.wait_acked(WAIT_SECS)):
            self._check(feed)
            if not feed.is_live:
                time.sleep(POLL_SECS)
            is_late = is_late or self._note_if_late([feed], began)

    def _give_time(self, feed: SinkFeed) -> None:
        """At a stop a sink that keeps up gets what it is about to ack; the spool has it in any case."""
        is_soon = not feed.worker.config.is_gathering
        while is_soon and feed.is_live and feed.last_error is None and not self._ending.is_grace_over:
            if feed.worker.wait_acked(WAIT_SECS):
                return

    def _note_if_late(self, feeds: list[SinkFeed], began: float) -> bool:
        deadline_secs = self._info.spec.spec.sink_batch_deadline_secs
        if not deadline_secs or time.monotonic() - began <= deadline_secs:
            return False
        for feed in feeds:
            worker = feed.worker
            worker.last_error = worker.last_error or f"backpressure: no ack within {deadline_secs} s"
            self._info.metrics.sink_deadline_overruns.labels(self._info.name, feed.id).inc()
        return True

    def _check(self, feed: SinkFeed) -> None:
        """Raise if waiting for this sink has become pointless."""
        failure = feed.ended
        if failure is not None and feed.is_follower:
            raise SinkError(
                f"sink {feed.id} has ended and its spool is full: {failure}",
                kind=failure.kind,
                hint="mend the sink or raise spool.max_bytes, then resume the pipeline",
            )
        if failure is not None:
            raise failure
        self._check_grace(feed)

    def _check_quorum(self) -> None:
        """Raise if there will never be enough sinks."""
        failed = [feed for feed in self._feeds if feed.ended or feed.is_detached]
        if len(self._feeds) - len(failed) < self._quorum:
            reasons = "; ".join(f"{feed.id}: {feed.last_error}" for feed in failed)
            raise SinkError(f"{self._quorum} sinks have to ack, and {len(failed)} have ended: {reasons}", kind="fatal")
        for feed in self._feeds:
            self._check_log(feed)
        waiting = [feed for feed in self._feeds if not feed.is_acked()]
        if waiting:
            self._check_grace(waiting[0])

    def _check_grace(self, feed: SinkFeed) -> None:
        if self._ending.is_grace_over:
            raise SinkError(
                f"stopped before sink {feed.id} acked everything: {feed.last_error or 'it is slow'}",
                kind="cancelled",
                hint="nothing is lost: the next start delivers from the last saved position",
            )

    def _check_log(self, feed: SinkFeed) -> None:
        """Rows of the log that cannot be decoded stop the pipeline, also when nobody waits for the sink."""
        if isinstance(feed.ended, ProtocolError):
            raise feed.ended
