"""The Bytewax source: one partition that hands the reader's batches to the dataflow."""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from deltaforge.checkpoint.durable import sync_folder
from deltaforge.checkpoint.reader import SOURCE_STEP, source_key, stream_key
from deltaforge.checkpoint.reset import ResetRequest, readable, remove_reset
from deltaforge.checkpoint.state import SourceState, decode_source_state, encode_state
from deltaforge.core.batch import Batch
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import CheckpointError, DeltaForgeError
from deltaforge.core.positions import Position
from deltaforge.core.snapshot import SnapshotState
from deltaforge.observability.kill_points import reached
from deltaforge.runtime.barrier_requests import BarrierRequests
from deltaforge.runtime.first_start import (
    check_first_start,
    check_goes_on,
    first_position,
    keep_first_position,
    note_started,
)
from deltaforge.runtime.log_reading import copies_at_start, reading_of
from deltaforge.runtime.panics import told
from deltaforge.runtime.resting import RestingSource, resting_keys
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.stored_schemas import StoredSchemas, storage_path_of
from deltaforge.runtime.turns import LogTurns

log = logging.getLogger(__name__)

WAIT_SECS = 0.02
IDLE_WAIT_SECS = 0.1
"""How long Bytewax waits for its thread at most. A batch ends the wait; the end of an epoch and a request to stop do
not, so on a source that was quiet for :data:`IDLE_AFTER_SECS` they come so much later.
"""
IDLE_AFTER_SECS = 1.0
OTHERS_SECS = 1.0
"""How long lanes in other processes go without a barrier: they cannot ask for one."""
NO_SNAPSHOTS = SnapshotState()

KeyedBatch = tuple[str, Batch]
"""A batch under the key of its log, see :func:`~deltaforge.checkpoint.reader.stream_key`."""


class StartState(enum.Enum):
    """Of the position that a run starts from. It is durable before anything is delivered, or a crash in the first epoch
    would start again from a later "now": that of a first start in a file, that of a reset in the recovery store.
    """

    UNKNOWN = "unknown"
    EMITTED = "emitted"
    KEPT = "kept"
    SAVED = "saved"


class LogPartition(StatefulSourcePartition[KeyedBatch, bytes | None]):
    """Emits batches, and confirms to the server what Bytewax has saved.

    Bytewax starts epoch N+1 only when N is completely in the recovery store. So on the first
    ``next_batch`` after a ``snapshot`` that snapshot is saved, and may be confirmed.

    Args:
        info: Of the run.
        requests: Of the delivery, for barriers while nothing comes.
        ahead: What its sinks have of snapshots.
        new_sinks: Ids of those that get a snapshot of their own.
        turns: Of the logs of this process.
        state: What was saved; None at a first start or a reset.
        reset: What is carried out, unless it was before.
        state_before_reset: What stays saved until reading has begun at the place of the reset.
    """

    def __init__(  # noqa: PLR0913 - a run, what it goes on from, and whom it talks to
        self,
        info: RunInfo,
        requests: BarrierRequests,
        ahead: ChunksAhead,
        new_sinks: Sequence[str],
        turns: LogTurns,
        *,
        state: SourceState | None,
        reset: ResetRequest | None = None,
        state_before_reset: bytes | None = None,
    ) -> None:
        self._info = info
        self._key = stream_key(info.lane.shard)
        self._turns = turns
        self._lost: DeltaForgeError | None = None
        self._ending = info.ending
        self._requests = requests
        self._position = state.position if state else None
        self._unconfirmed: SourceState | None = None
        self.start = StartState.UNKNOWN
        if state is not None:
            self.start = StartState.KEPT if info.paths.first_position.exists() else StartState.SAVED
        self._reset = reset
        self._reset_id = reset.id if reset else state.reset_id if state else ""
        self._state_before_reset = state_before_reset
        self._is_tx_open = False
        self._active_at = self._sent_at = time.monotonic()
        self._is_last_sent = False
        self._run_start = self._position  # where reading begins; of a first start or a reset, once it is connected
        self._schemas = StoredSchemas(
            storage_path_of(info.paths, info.storage_path),
            info.tenant,
            info.source_id,
            goes_on=state is not None or reset is not None,
        )
        before = state or readable(decode_source_state, state_before_reset)
        self._copied = copies_at_start(info, before, new_sinks, reset)
        self.reader, self.snapshots = reading_of(info, self._schemas, self._copied, ahead, turns)
        turns.join(self.reader)
        self.snapshots.saved(before.snapshot if before else None)
        if info.starts_paused or self.is_paused_alone:
            self.reader.pause()
        if reset is not None:
            log.warning("the checkpoint is reset", extra={"source_id": info.source_id, "reset": reset.view()})
            self.reader.start(reset.start, is_new=True)
        else:
            self.reader.start(self._position)

    @told
    def next_batch(self) -> list[KeyedBatch]:
        self._check_owner()
        self._confirm_saved()
        if self._ending.failure is not None:
            raise StopIteration
        if self._ending.is_stopping and (not self._is_tx_open or self._ending.is_grace_over):
            return self._last_batch()
        if self.start is StartState.EMITTED:
            time.sleep(WAIT_SECS)
            return []
        try:
            batch = self.reader.get(self._wait_secs(), self._turns.others(self.reader))
        except DeltaForgeError as error:
            self._stand(error)
            batch = None
        if batch is None:
            return self._asked_batch()
        self._note(batch)
        if batch.event_count:
            reached("after_read")
        return [(self._key, batch)]

    @told
    def snapshot(self) -> bytes | None:
        if self._position is None:
            return self._state_before_reset
        self._unconfirmed = state = self._state(self._position)
        return encode_state(state)

    @property
    def has_begun(self) -> bool:
        """Whether what is read is delivered."""
        return self.start in (StartState.KEPT, StartState.SAVED)

    @property
    def source_id(self) -> str:
        """Of the log."""
        return self._info.source_id

    def set_paused(self, *, is_paused: bool) -> None:
        """Read nothing more for now, or go on; also where reading had ended for good."""
        if is_paused:
            self.reader.pause()
        else:
            self.reader.resume()
            self.reader.retry()

    @property
    def is_paused_alone(self) -> bool:
        """Whether this log is to be paused, whatever the others do."""
        return self._info.paths.paused.exists()

    def note_paused_alone(self, *, is_paused: bool) -> None:
        """Have it be so, or not, also after a restart. Durable when this returns."""
        paused = self._info.paths.paused
        if is_paused:
            paused.touch(mode=0o600)
        else:
            paused.unlink(missing_ok=True)
        sync_folder(paused.parent)

    def close(self) -> None:
        self.snapshots.close(self._ending.threads_secs())
        self.reader.close(self._ending.threads_secs())
        self._schemas.close()

    def _check_owner(self) -> None:
        try:
            self._info.ownership.check()
        except DeltaForgeError as error:
            self._ending.fail(error)
            raise

    def _end(self, error: DeltaForgeError) -> NoReturn:
        """End the flow with what is delivered saved."""
        self._ending.fail(error)
        if self._info.is_embedded:
            raise error
        raise StopIteration

    def _stand(self, error: DeltaForgeError) -> None:
        """This log cannot be read any more: the run ends, or goes on with the others."""
        config, shard = self._info.spec.spec.source.config, self._info.lane.shard
        if error is not self._lost:
            about = {"source_id": self._info.source_id, "kind": error.kind}
            log.error("source failed: %s", error, extra=about)
        if not shard or config.shard_failure == "halt":
            error.message = f"shard {shard}: {error.message}" if shard else error.message
            self._end(error)
        self._lost = error
        self._turns.wait(self.reader, self._wait_secs())

    def _confirm_saved(self) -> None:
        if self._unconfirmed is None:
            return
        reached("between_save_and_confirm")
        self.reader.confirm(self._unconfirmed.position)
        self.snapshots.saved(self._unconfirmed.snapshot)
        self._unconfirmed = None
        if self.start is not StartState.SAVED:
            note_started(self._info.paths)
            self.start = StartState.SAVED
        if self._reset is not None:
            self._note_reset_saved(self._reset)

    def _note_reset_saved(self, reset: ResetRequest) -> None:
        remove_reset(self._info.paths.reset, reset)
        self._info.metrics.checkpoint_resets.labels(self._info.name).inc()
        log.warning(
            "the checkpoint was reset: reading begins again",
            extra={"source_id": self._info.source_id, "reset": reset.view(), "position": self._start_view()},
        )
        self._reset = None

    def _start_view(self) -> dict[str, Any] | None:
        return self._run_start.view() if self._run_start else None

    def _state(self, position: Position) -> SourceState:
        return SourceState(
            source_id=self._info.source_id,
            position=position,
            reset_id=self._reset_id,
            snapshot=None if self._copied == NO_SNAPSHOTS else self._copied,
        )

    def _asked_batch(self, *, is_last: bool = False) -> list[KeyedBatch]:
        """A batch without events, if a lane has something to save although nothing comes, or may have."""
        try:
            is_asked = self._requests.is_open()
        except DeltaForgeError as error:  # nothing comes that would have to wait for the sink that has ended
            self._end(error)
        is_due = is_last or time.monotonic() - self._sent_at > OTHERS_SECS
        if not is_asked and not (is_due and self._requests.has_others()):
            return []
        if self._position is None or self._is_tx_open:
            return []
        self._requests.answered()
        self._sent_at = time.monotonic()
        return [(self._key, Batch((), self._position))]

    def _last_batch(self) -> list[KeyedBatch]:
        is_last, self._is_last_sent = not self._is_last_sent, True
        batches = self._asked_batch(is_last=is_last)
        if batches:
            return batches
        reached("during_stop")
        raise StopIteration

    def _wait_secs(self) -> float:
        secs = IDLE_WAIT_SECS if time.monotonic() - self._active_at >= IDLE_AFTER_SECS else WAIT_SECS
        return secs / (1 + len(self._turns.others(self.reader)))

    def _note(self, batch: Batch) -> None:
        self._active_at = self._sent_at = time.monotonic()
        self._position = batch.position
        if self._run_start is None:
            self._run_start = batch.position
        self._is_tx_open = not batch.is_tx_end
        self._copied = batch.snapshot or self._copied
        if self.start is StartState.UNKNOWN:
            self._begin(batch.position)
        if batch.event_count:
            batch.taken_at = self._active_at
            metrics, pipeline = self._info.metrics, self._info.name
            metrics.batch_events.labels(pipeline).observe(batch.event_count)
            metrics.batch_bytes.labels(pipeline).observe(batch.byte_count)

    def _begin(self, position: Position) -> None:
        """Reading has begun at ``position``, and nothing is delivered so far."""
        if self._reset is not None:  # a file would hide what stays saved until the delivery has begun there as well
            self.start = StartState.EMITTED
            return
        state = self._state(position)
        try:
            keep_first_position(self._info.paths, state)
        except DeltaForgeError as error:
            self._end(error)
        self.snapshots.saved(state.snapshot)
        self.start = StartState.KEPT


ReadLog = Callable[[RunInfo, SourceState | None, ResetRequest | None, bytes | None], LogPartition]
"""Makes the partition of a log from its facts, ``state``, ``reset`` and ``state_before_reset``."""


class LogSource(FixedPartitionedSource[KeyedBatch, bytes | None]):
    """The source of a pipeline: a partition for each log. Their keys are on disk.

    Args:
        info: Of the run.
        resets: What this start has to carry out, by shard; a state that holds its id has carried it out already.
        read_log: Called where Bytewax places the partition.
    """

    def __init__(self, info: RunInfo, resets: Mapping[str, ResetRequest], read_log: ReadLog) -> None:
        self._info = info
        self._resets = resets
        self._read_log = read_log
        self._infos = {source_key(shard): of_log for shard, of_log in info.logs().items()}
        self._resting = resting_keys(info.paths.recovery, SOURCE_STEP, self._infos)
        if self._resting and not resets:
            check_goes_on(info.paths, self._infos)

    def list_parts(self) -> list[str]:
        return [*self._infos, *self._resting]

    @told
    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> LogPartition | RestingSource:
        del step_id
        if for_part not in self._infos:
            return RestingSource(resume_state)
        info = self._infos[for_part]
        paths, reset = info.paths, self._resets.get(info.lane.shard)
        paths.make_log_root()
        if reset is not None:
            before = readable(decode_source_state, resume_state)
            if before is None or before.reset_id != reset.id:
                return self._read_log(info, None, reset, resume_state)
            remove_reset(paths.reset, reset)  # saved, and then killed before the file was removed
        if resume_state:
            note_started(paths)
            state: SourceState | None = decode_source_state(resume_state)
        else:
            check_first_start(paths)
            state = first_position(paths)
        named = info.source_id
        if state is not None and state.source_id != named:
            raise CheckpointError(
                f"the saved position belongs to source {state.source_id!r}, the document names {named!r}",
                hint="give the source its old id, or create a pipeline with a new name",
            )
        return self._read_log(info, state, None, None)
