"""The one Bytewax sink of a pipeline: gives every batch to every sink, and is the barrier.

Three verbs, always in this order: *ack* (a sink holds the batch durably), *save* (Bytewax stores the
epoch), *confirm* (the source server may forget). ``snapshot`` returns only when the commit policy
holds for everything handed over so far, so what is saved was always acked before.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import NoReturn

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from deltaforge.checkpoint.reader import DELIVERY_KEY
from deltaforge.checkpoint.state import DeliveryState, SinkCheckpoint, decode_delivery_state, encode_state
from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError, ProtocolError, SinkError
from deltaforge.core.position import Position, log_order
from deltaforge.observability.kill_points import reached
from deltaforge.runtime.context import PipelineContext
from deltaforge.runtime.dead_letters import open_dead_letters
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.base import SinkConfig, SinkContext

log = logging.getLogger(__name__)

WAIT_SECS = 0.1
OPTIONAL_QUEUE = 64
"""Batches that wait for an optional sink which fails, before it is left behind."""


class Delivery(StatefulSinkPartition[Batch, bytes | None]):
    """Owns the sink workers of a pipeline.

    A required sink (every sink under ``commit_policy: all``) holds the barrier for as long as it
    takes. An optional one does not: it keeps its own acked position, the source keeps the log from
    there on, and a restart replays it to that sink alone. When it fails and its queue is full the sink
    is left behind for the rest of this run, which is logged and shown as its error.
    """

    def __init__(self, context: PipelineContext, state: DeliveryState | None) -> None:
        self._context = context
        spec = context.spec.spec
        holds_all = spec.commit_policy.mode == "all"

        def holds(config: SinkConfig) -> bool:
            return holds_all or config.required

        saved = {sink.sink_id: sink for sink in state.sinks} if state else {}
        self._incarnation = state.incarnation if state else uuid.uuid4().hex
        sink_context = SinkContext(context.name, context.spec.metadata.tenant, context.metrics, self._incarnation)
        self.dead_letters = open_dead_letters(context)
        self.workers = [
            SinkWorker(
                sink.config,
                sink.build(sink_context),
                context.metrics,
                acked=saved.get(sink.config.id),
                max_queued=spec.batch.max_inflight if holds(sink.config) else OPTIONAL_QUEUE,
                dead_letters=self.dead_letters.letters if self.dead_letters else None,
            )
            for sink in spec.sinks
        ]
        self._holding = [worker for worker in self.workers if holds(worker.config)]
        self._optional = [worker for worker in self.workers if worker not in self._holding]
        self._left_behind: set[str] = set()
        self._has_saved = False
        context.delivery = self

    def write_batch(self, items: list[Batch]) -> None:
        for batch in items:
            batch.reader_count = len(self.workers)
            for worker in self.workers:
                self._hand_over(worker, batch)
            self._context.metrics.bytes.labels(self._context.name).inc(batch.byte_count)

    def snapshot(self) -> bytes | None:
        began = time.monotonic()
        self._count_saved()
        for worker in self._barrier():
            self._wait(worker)
        self._context.metrics.stage_latency.labels(self._context.name, "commit", "timer").observe(
            time.monotonic() - began
        )
        reached("between_ack_and_save")
        sinks = self.checkpoints()
        self._has_saved = bool(sinks)
        if not sinks:
            return None
        source_id = self._context.spec.spec.source.config.id
        return encode_state(DeliveryState(source_id=source_id, sinks=sinks, incarnation=self._incarnation))

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        if self.dead_letters is not None:
            self.dead_letters.close()

    def checkpoints(self) -> list[SinkCheckpoint]:
        """The acked position of every sink that has one."""
        return [checkpoint for worker in self.workers if (checkpoint := worker.checkpoint()) is not None]

    def lagging_position(self, emitted: Position) -> Position | None:
        """Where reading would have to start again for the optional sink that is farthest behind.

        Args:
            emitted: The position of the newest batch that left the source.

        Returns:
            None when every optional sink has acked everything up to ``emitted``.
        """
        known = [worker.checkpoint() for worker in self._optional]
        positions = [checkpoint.position if checkpoint else self._context.run_start for checkpoint in known]
        behind = [position for position in positions if position is not None and position != emitted]
        return min(behind, key=log_order) if behind else None

    def errors(self) -> dict[str, str]:
        """The last error of each sink that is not healthy now."""
        return {worker.id: worker.last_error for worker in self.workers if worker.last_error}

    def _barrier(self) -> list[SinkWorker]:
        # Without the source in this process nobody can keep the log for an optional sink; and a stop
        # waits for all of them, so that the next run begins where this one ended.
        if self._context.reader is None or self._context.stopping.is_set():
            return [worker for worker in self.workers if worker.id not in self._left_behind]
        return self._holding

    def _hand_over(self, worker: SinkWorker, batch: Batch) -> None:
        if worker.id in self._left_behind:
            return
        while not worker.offer(batch, WAIT_SECS):
            if worker in self._holding:
                self._check(worker)
                continue
            self._check_log(worker)
            if worker.last_error is not None:
                self._leave_behind(worker)
                return

    def _leave_behind(self, worker: SinkWorker) -> None:
        self._left_behind.add(worker.id)
        log.error(
            "optional sink %s is left behind until the next start, which replays from its position: %s",
            worker.id,
            worker.last_error,
            extra={"sink": worker.id},
        )

    def _wait(self, worker: SinkWorker) -> None:
        deadline_secs = self._context.spec.spec.sink_batch_deadline_secs
        began, is_late = time.monotonic(), False
        while not worker.wait_acked(WAIT_SECS):
            if worker in self._holding or self._context.reader is None:
                self._check(worker)
            else:
                self._check_log(worker)
                if worker.failure is not None or self._context.is_grace_over():
                    return
            if deadline_secs and not is_late and time.monotonic() - began > deadline_secs:
                is_late = True
                self._note_overrun(worker, deadline_secs)

    def _note_overrun(self, worker: SinkWorker, deadline_secs: int) -> None:
        worker.last_error = worker.last_error or f"backpressure: no ack within {deadline_secs} s"
        self._context.metrics.sink_deadline_overruns.labels(self._context.name, worker.id).inc()

    def _check(self, worker: SinkWorker) -> None:
        """Raise if waiting for this sink has become pointless."""
        if worker.failure is not None:
            self._abort(worker.failure)
        if self._context.is_grace_over():
            self._abort(
                SinkError(
                    f"stopped before sink {worker.id} acked everything: {worker.last_error or 'it is slow'}",
                    kind="cancelled",
                    hint="nothing is lost: the next start delivers from the last saved position",
                )
            )

    def _check_log(self, worker: SinkWorker) -> None:
        """Rows of the log that cannot be decoded stop the pipeline, also when an optional sink found them."""
        if isinstance(worker.failure, ProtocolError):
            self._abort(worker.failure)

    def _abort(self, error: DeltaForgeError) -> NoReturn:
        # Raising is the only way to keep Bytewax from saving this epoch.
        self._context.fail(error)
        raise error

    def _count_saved(self) -> None:
        """A new epoch means that the one before is saved."""
        if not self._has_saved:
            return
        metrics, pipeline = self._context.metrics, self._context.name
        metrics.checkpoints.labels(pipeline).inc(len(self.workers))
        metrics.last_checkpoint_ts.labels(pipeline).set(time.time())
        for worker in self.workers:
            is_ok = worker.last_error is None
            metrics.sink_checkpoint_status.labels(pipeline, worker.id, str(worker.config.required).lower()).set(is_ok)


class DeliverySink(FixedPartitionedSink[Batch, bytes | None]):
    """One partition with a constant key: the key is on disk."""

    def __init__(self, context: PipelineContext) -> None:
        self._context = context

    def list_parts(self) -> list[str]:
        return [DELIVERY_KEY]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> Delivery:
        del step_id, for_part
        return Delivery(self._context, decode_delivery_state(resume_state) if resume_state else None)
