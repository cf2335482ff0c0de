"""The Bytewax source: one partition that hands the reader's batches to the dataflow."""

from __future__ import annotations

import logging
import time
from typing import Any, NoReturn

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from deltaforge.checkpoint.reader import SOURCE_KEY
from deltaforge.checkpoint.reset import ResetRequest, readable, remove_reset
from deltaforge.checkpoint.state import SourceState, decode_source_state, encode_state
from deltaforge.core.batch import Batch
from deltaforge.core.errors import CheckpointError, DeltaForgeError
from deltaforge.observability.kill_points import reached
from deltaforge.runtime.context import PipelineContext
from deltaforge.runtime.first_start import check_first_start, note_started
from deltaforge.runtime.learned import Learned, learned_path
from deltaforge.runtime.panics import told
from deltaforge.sources.base import SourceContext
from deltaforge.sources.reader import LogReader

log = logging.getLogger(__name__)

WAIT_SECS = 0.02
IDLE_WAIT_SECS = 0.1
"""How long Bytewax waits for its thread at most. A batch ends the wait; the end of an epoch and a request to stop do
not, so on a source that was quiet for :data:`IDLE_AFTER_SECS` they come so much later.
"""
IDLE_AFTER_SECS = 1.0


class LogPartition(StatefulSourcePartition[Batch, bytes | None]):
    """Emits batches, and confirms to the server what Bytewax has saved.

    Bytewax starts epoch N+1 only when N is completely in the recovery store. So on the first
    ``next_batch`` after a ``snapshot`` that snapshot is saved, and may be confirmed.
    """

    def __init__(
        self,
        context: PipelineContext,
        state: SourceState | None,
        *,
        reset: ResetRequest | None = None,
        state_before_reset: bytes | None = None,
    ) -> None:
        self._context = context
        self._source_id = context.spec.spec.source.config.id
        self._position = state.position if state else None
        self._unsaved: SourceState | None = None
        # A first start: nothing may be delivered before the position it starts from is saved, or a
        # crash in the first epoch would start again from a later "now".
        self._is_first_start = state is None
        self._reset = reset
        self._reset_id = reset.id if reset else state.reset_id if state else ""
        self._state_before_reset = state_before_reset
        self._is_start_emitted = False
        self._is_tx_open = False
        self._active_at = time.monotonic()
        self._run_start = self._position  # where reading begins; of a first start or a reset, once it is connected
        self._learned = Learned(
            learned_path(context.paths, context.storage_path),
            context.spec.metadata.tenant,
            self._source_id,
            goes_on=state is not None or reset is not None,
        )
        self._reader = context.reader = _reader(context, self._learned)
        if context.starts_paused:
            self._reader.pause()
        if reset is not None:
            log.warning("the checkpoint is reset", extra={"source_id": self._source_id, "reset": reset.view()})
            self._reader.start(reset.start, is_new=True)
        else:
            self._reader.start(state.position if state else None)
        if state is not None:
            context.start_saved.set()

    @told
    def next_batch(self) -> list[Batch]:
        self._check_owner()
        self._confirm_saved()
        if self._must_stop():
            batch = None if self._context.failure else self._barrier_batch()
            if batch is not None:
                return [batch]
            reached("during_stop")
            raise StopIteration
        if self._is_first_start and self._is_start_emitted:
            time.sleep(WAIT_SECS)
            return []
        try:
            batch = self._reader.get(self._wait_secs())
        except DeltaForgeError as error:
            log.error("source failed: %s", error, extra={"source_id": self._source_id, "kind": error.kind})  # noqa: TRY400 - the message says it all
            self._end(error)
        if batch is None:
            self._check_sinks()
            batch = self._barrier_batch()
            return [] if batch is None else [batch]
        self._note(batch)
        if batch.event_count:
            reached("after_read")
        return [batch]

    @told
    def snapshot(self) -> bytes | None:
        if self._position is None:
            return self._state_before_reset
        state = SourceState(source_id=self._source_id, position=self._position, reset_id=self._reset_id)
        self._unsaved = state
        return encode_state(state)

    def close(self) -> None:
        self._reader.close(self._context.threads_secs())
        self._learned.close()

    def _check_owner(self) -> None:
        try:
            self._context.check_owner()
        except DeltaForgeError as error:
            self._context.fail(error)
            raise

    def _check_sinks(self) -> None:
        """End also where nothing comes that would have to wait for a sink that has failed for good."""
        delivery = self._context.delivery
        error = delivery.failure() if delivery is not None else None
        if error is not None:
            self._end(error)

    def _end(self, error: DeltaForgeError) -> NoReturn:
        """End the flow with what is delivered saved."""
        self._context.fail(error)
        if self._context.is_embedded:
            raise error
        raise StopIteration

    def _confirm_saved(self) -> None:
        if self._unsaved is None:
            return
        reached("between_save_and_confirm")
        self._reader.confirm(self._unsaved.position)
        if not self._context.start_saved.is_set():
            note_started(self._context)
        self._context.start_saved.set()
        self._is_first_start = False
        self._unsaved = None
        if self._reset is not None:
            self._note_reset_saved(self._reset)

    def _note_reset_saved(self, reset: ResetRequest) -> None:
        remove_reset(self._context.paths.reset, reset)
        self._context.metrics.checkpoint_resets.labels(self._context.name).inc()
        log.warning(
            "the checkpoint was reset: reading begins again",
            extra={"source_id": self._source_id, "reset": reset.view(), "position": self._start_view()},
        )
        self._reset = None

    def _start_view(self) -> dict[str, Any] | None:
        return self._run_start.view() if self._run_start else None

    def _must_stop(self) -> bool:
        context = self._context
        if context.failure is not None:
            return True
        return context.stopping.is_set() and (not self._is_tx_open or context.is_grace_over())

    def _barrier_batch(self) -> Batch | None:
        """A batch without events, if the delivery has something to save although nothing comes."""
        delivery, position = self._context.delivery, self._position
        if delivery is None or position is None or self._is_tx_open or not delivery.wants_barrier():
            return None
        return Batch((), position)

    def _wait_secs(self) -> float:
        return IDLE_WAIT_SECS if time.monotonic() - self._active_at >= IDLE_AFTER_SECS else WAIT_SECS

    def _note(self, batch: Batch) -> None:
        self._active_at = time.monotonic()
        self._position = batch.position
        if self._run_start is None:
            self._run_start = batch.position
        self._is_tx_open = not batch.is_tx_end
        self._is_start_emitted = True
        if batch.event_count:
            batch.taken_at = self._active_at
            metrics, pipeline = self._context.metrics, self._context.name
            metrics.batch_events.labels(pipeline).observe(batch.event_count)
            metrics.batch_bytes.labels(pipeline).observe(batch.byte_count)


class LogSource(FixedPartitionedSource[Batch, bytes | None]):
    """The one source of a pipeline. One partition with a constant key: the key is on disk."""

    def __init__(self, context: PipelineContext) -> None:
        self._context = context

    def list_parts(self) -> list[str]:
        return [SOURCE_KEY]

    @told
    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> LogPartition:
        del step_id, for_part
        reset = self._context.reset
        if reset is not None:
            before = readable(decode_source_state, resume_state)
            if before is None or before.reset_id != reset.id:
                return LogPartition(self._context, None, reset=reset, state_before_reset=resume_state)
            remove_reset(self._context.paths.reset, reset)  # saved, and then killed before the file was removed
        state = decode_source_state(resume_state) if resume_state else None
        if state is None:
            check_first_start(self._context)
        else:
            note_started(self._context)
        source_id = self._context.spec.spec.source.config.id
        if state is not None and state.source_id != source_id:
            raise CheckpointError(
                f"the saved position belongs to source {state.source_id!r}, the document names {source_id!r}",
                hint="give the source its old id, or create a pipeline with a new name",
            )
        return LogPartition(self._context, state)


def _reader(context: PipelineContext, learned: Learned) -> LogReader:
    spec = context.spec.spec
    source_context = SourceContext(
        pipeline=context.name,
        tenant=context.spec.metadata.tenant,
        state_dir=context.paths.root,
        limits=spec.batch.limits(),
        metrics=context.metrics,
        registry=learned.registry,
        failover=learned.failover,
    )
    return LogReader(
        spec.source.config.id,
        lambda: spec.source.build(source_context),
        context.metrics,
        limits=source_context.limits,
    )
