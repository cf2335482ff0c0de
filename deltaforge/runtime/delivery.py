"""The Bytewax sink of a pipeline: each of its lanes gives every batch to every sink, and is the barrier.

Three verbs, always in this order: *ack* (a sink holds the batch durably), *save* (Bytewax stores the
epoch), *confirm* (the source server may forget). ``snapshot`` returns only when the commit policy
holds for everything handed over so far, so what is saved was always acked before.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from msgspec import UNSET
from prometheus_client import Histogram

from deltaforge.checkpoint.reader import DELIVERY_STEP, delivery_key
from deltaforge.checkpoint.reset import ResetRequest, readable
from deltaforge.checkpoint.state import DeliveryState, SinkCheckpoint, decode_delivery_state, encode_state
from deltaforge.core.batch import Batch
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import DeltaForgeError
from deltaforge.observability.kill_points import reached
from deltaforge.observability.waiting import Waiting
from deltaforge.runtime.barrier import Barrier, is_waited_for
from deltaforge.runtime.barrier_requests import BarrierRequests
from deltaforge.runtime.crossing import Arrivals, PackedBatch
from deltaforge.runtime.dead_letters import SharedDeadLetters
from deltaforge.runtime.first_start import first_delivery, note_delivery_saved
from deltaforge.runtime.lane_layout import era_of, in_era
from deltaforge.runtime.panics import told
from deltaforge.runtime.resting import RestingSink, resting_keys
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sink_feed import SinkFeed
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.runtime.spools import Spools
from deltaforge.runtime.tap import Tap
from deltaforge.runtime.unmarked import unmarked_files
from deltaforge.sinks.base import SinkConfig, SinkContext, SinkSpec, asked_by

SLOW_OPENING_SECS = 2.0
"""A sink that is not open by then is shown as an error: no answer at all is what a wrong address often looks like."""
FOLLOWER_QUEUE = 16
"""Batches in memory for a sink that is not waited for, before they wait in its spool."""


class Delivery(StatefulSinkPartition[Batch | PackedBatch, bytes | None]):
    """Owns the sinks of a lane, each behind its feed, and holds the barrier by the commit policy.

    A sink that the policy waits for holds the barrier for as long as it takes. What any other has not acked at the
    barrier is in its spool by then.

    Args:
        info: Of the run.
        requests: To the source, for barriers while nothing comes.
        spools: Of the sinks.
        tap: Is shown what passes.
        arrivals: Of batches from other processes.
        letters: Dead letters of all lanes.
        ahead: Is told what the sinks have that keep their progress.
        state: What was saved; None at a first start.
        state_before_reset: What stays saved until the source says where a reset begins.
    """

    def __init__(  # noqa: PLR0913 - a run, what it goes on from, and whom it talks to
        self,
        info: RunInfo,
        requests: BarrierRequests,
        spools: Spools,
        tap: Tap,
        arrivals: Arrivals,
        letters: SharedDeadLetters,
        *,
        ahead: ChunksAhead,
        state: DeliveryState | None,
        state_before_reset: bytes | None,
    ) -> None:
        self._info = info
        self._requests = requests
        self._spools = spools
        self._tap = tap
        self._arrivals = arrivals
        self._letters = letters
        self._ahead = ahead
        self._state_before_reset = state_before_reset
        ids = [sink.config.id for sink in info.spec.spec.sinks]
        era = era_of(info.paths) or UNSET
        fresh = DeliveryState(source_id="", sinks=[], generation=uuid.uuid4().hex, members=ids, era=era)
        if state is None:
            fresh = first_delivery(info.paths, fresh)
        known = (state or fresh).with_members(ids, lambda: uuid.uuid4().hex)
        self._state = msgspec.structs.replace(known, era=era)
        self._unmarked = unmarked_files(info, [sink_id for sink_id in ids if state and state.knows(sink_id)])
        acked = {sink.sink_id: sink for sink in self._state.sinks}
        self.dead_letters = letters.open()
        self._limits = info.spec.spec.batch.limits()
        self._waiting = {sink_id: Waiting() for sink_id in ids}
        self._began = time.monotonic()
        self.feeds: list[SinkFeed] = []
        try:
            for sink in info.spec.spec.sinks:
                self.feeds.append(self._feed(sink, acked.get(sink.config.id)))
        except BaseException:
            self.close()  # nobody else knows of the threads that run already
            raise
        ahead.expect((worker.id for worker in self.workers if worker.keeps_progress), info.lane.number)
        self._barrier = Barrier(info, self.feeds)
        self._has_saved = False
        self._chunk = self._known_chunk = 0  # the newest of this epoch, and of those before
        self._is_first = info.paths.first_delivery.exists()
        requests.ask_while(self._wants_barrier, info.lane.number)

    @property
    def workers(self) -> list[SinkWorker]:
        """The thread of each sink."""
        return [feed.worker for feed in self.feeds]

    def _feed(self, sink: SinkSpec, acked: SinkCheckpoint | None) -> SinkFeed:
        info, config = self._info, sink.config
        spec = info.spec.spec
        is_follower = not is_waited_for(spec.commit_policy, config)
        worker = SinkWorker(
            config,
            sink.build(self._sink_context(config)),
            info.metrics,
            acked=acked,
            max_queued=FOLLOWER_QUEUE if is_follower else spec.batch.max_inflight,
            dead_letters=self.dead_letters.letters if self.dead_letters else None,
            ahead=self._ahead,
            lane=info.lane,
            unwanted=asked_by(other.config for other in spec.sinks) - {"query", "truncate"} - config.asks,
            check_owner=info.ownership.check,
        )
        try:
            return self._spools.feed(worker, self._state.spools.get(config.id), is_follower=is_follower)
        except BaseException:
            worker.close()
            raise

    def _sink_context(self, config: SinkConfig) -> SinkContext:
        info = self._info
        return SinkContext(
            info.name,
            info.tenant,
            info.metrics,
            self._state.generation_of(config.id),
            output_dir=info.rules.output_of(config) if info.rules else None,
            adopts=config.id in self._unmarked and not info.lane.name,
            waiting=self._waiting[config.id],
            lane=info.lane.name,
            shard=info.lane.shard,
        )

    @told
    def write_batch(self, items: list[Batch | PackedBatch]) -> None:
        self._state_before_reset = None
        for item in items:
            with self._aborting():
                batch = self._arrivals.arrived(item)
                batch.reader_count = len(self.feeds)
                self._chunk = batch.chunk.number if batch.chunk is not None else self._chunk
                self._barrier.hand_over(batch)
            if self._tap.is_listened:
                self._tap.offer(batch)
            self._info.metrics.bytes.labels(self._info.name).inc(batch.byte_count)
            if batch.taken_at:
                self._process_latency(batch).observe(time.monotonic() - batch.taken_at)

    @told
    def snapshot(self) -> bytes | None:
        if self._state_before_reset is not None:
            return self._state_before_reset
        began = time.monotonic()
        self._requests.held()
        self._ahead.saved = max(self._ahead.saved, self._known_chunk)  # the epochs before are saved: see the source
        self._count_saved()
        with self._aborting():
            self._barrier.wait()
            spools = {feed.id: mark for feed in self.feeds if (mark := feed.spool_unacked()) is not None}
            self._info.ownership.check()  # keep an epoch from being saved that belongs to somebody else by now
        self._info.metrics.stage_latency.labels(self._info.name, "commit", "timer").observe(time.monotonic() - began)
        reached("between_ack_and_save")
        if self._chunk > self._known_chunk:
            reached("between_chunk_ack_and_save")
        self._known_chunk = max(self._known_chunk, self._chunk)
        sinks = self.checkpoints()
        self._has_saved = bool(sinks or spools)
        if not self._has_saved:
            return None
        source_id = self._info.source_id
        return encode_state(msgspec.structs.replace(self._state, source_id=source_id, sinks=sinks, spools=spools))

    def close(self) -> None:
        """End everything, all sinks at a time; may be called again."""
        self.begin_close()
        for feed in self.feeds:
            feed.close(self._info.ending.threads_secs())
        dead_letters, self.dead_letters = self.dead_letters, None
        if dead_letters is not None:
            self._letters.close()

    def begin_close(self) -> None:
        """Have the threads of all sinks end."""
        for feed in self.feeds:
            feed.begin_close()

    def checkpoints(self) -> list[SinkCheckpoint]:
        """The acked position of every sink that has one."""
        return [checkpoint for worker in self.workers if (checkpoint := worker.checkpoint()) is not None]

    def errors(self) -> dict[str, str]:
        """The last error of each sink that is not healthy now."""
        return {feed.id: error for feed in self.feeds if (error := self._error_of(feed))}

    def _error_of(self, feed: SinkFeed) -> str | None:
        if (error := feed.last_error or self._waiting[feed.id].reason) or feed.worker.has_opened:
            return error
        waited = time.monotonic() - self._began
        return f"no answer for {waited:.0f} s to its first opening" if waited > SLOW_OPENING_SECS else None

    def ended(self) -> list[str]:
        """The sinks that deliver nothing more in this run, whatever comes."""
        return [feed.id for feed in self.feeds if feed.ended is not None]

    def is_known(self) -> bool:
        """Whether it is known of each sink that it works or what is wrong with it."""
        errors = self.errors()
        return self._barrier.failure() is None and all(feed.worker.is_open or feed.id in errors for feed in self.feeds)

    def _wants_barrier(self) -> bool:
        """Whether there is something to be saved although no batch comes.

        Raises:
            DeltaForgeError: Why a sink that the pipeline waits for has ended.
        """
        if (failure := self._barrier.failure()) is not None:
            raise failure
        return (self._has_saved or bool(self._state.spools)) and (
            self._is_first or self._spools.has_others or any(feed.wants_barrier() for feed in self.feeds)
        )

    def _process_latency(self, batch: Batch) -> Histogram:
        """From the reader through the dataflow to the sinks, by what ended the batch."""
        limits = self._limits
        is_full = batch.event_count >= limits.max_events or batch.byte_count >= limits.max_bytes
        metrics = self._info.metrics
        return metrics.stage_latency.labels(self._info.name, "process", "limits" if is_full else "timer")

    @contextmanager
    def _aborting(self) -> Iterator[None]:
        """Raising is the only way to keep Bytewax from saving this epoch."""
        try:
            yield
        except DeltaForgeError as error:
            self._info.ending.fail(error)
            raise

    def _count_saved(self) -> None:
        """A new epoch means that the one before is saved."""
        if not self._has_saved:
            return
        with self._aborting():
            self._spools.remove_others()
            if self._is_first:
                note_delivery_saved(self._info.paths)
                self._is_first = False
        metrics, pipeline = self._info.metrics, self._info.name
        metrics.checkpoints.labels(pipeline).inc(len(self.feeds))
        metrics.last_checkpoint_ts.labels(pipeline).set(time.time())


OpenDelivery = Callable[[RunInfo, DeliveryState | None, bytes | None], Delivery]
"""Makes the partition of a lane from its facts, ``state`` and ``state_before_reset``."""


class DeliverySink(FixedPartitionedSink[Batch | PackedBatch, bytes | None]):
    """A partition for each lane. Their keys are on disk.

    Args:
        info: Of the run.
        resets: What this start has to carry out, by shard; a state that holds its id has carried it out already.
        deliver: Called where Bytewax places the partition.
    """

    def __init__(self, info: RunInfo, resets: Mapping[str, ResetRequest], deliver: OpenDelivery) -> None:
        self._info = info
        self._resets = resets
        self._deliver = deliver
        self._infos = {delivery_key(lane): info.of_lane(lane) for lane in info.spec.lanes()}
        self._resting = resting_keys(info.paths.recovery, DELIVERY_STEP, self._infos)
        self._places = {key: place for place, key in enumerate(sorted(self.list_parts()))}

    def list_parts(self) -> list[str]:
        return [*self._infos, *self._resting]

    def part_fn(self, item_key: str) -> int:
        """Bytewax counts partitions in the order of their keys."""
        return self._places[item_key]

    @told
    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> Delivery | RestingSink:
        del step_id
        if for_part not in self._infos:
            return RestingSink(resume_state)
        info = self._infos[for_part]
        info.paths.make_log_root()
        reset, era = self._resets.get(info.lane.shard), era_of(info.paths)
        if reset is None:
            state = in_era(decode_delivery_state(resume_state) if resume_state else None, era)
            return self._deliver(info, state, None)
        state = in_era(readable(decode_delivery_state, resume_state), era)
        if state is not None and state.reset_id == reset.id:
            return self._deliver(info, state, None)
        if state is None:  # none, or nobody can read it: no sink has a position
            after = DeliveryState(source_id=info.source_id, sinks=[]).after_reset(reset.id, None)
        else:
            after = state.after_reset(reset.id, reset.sink_id, reset.position)
        return self._deliver(info, after, resume_state)
