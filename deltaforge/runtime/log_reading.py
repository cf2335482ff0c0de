"""What reads a log in a run, and what copies tables into it, out of the document and the saved state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from deltaforge.checkpoint.reset import ResetRequest
from deltaforge.checkpoint.state import SourceState
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.snapshot import SnapshotState
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.snapshot_jobs import SnapshotJobs, new_job
from deltaforge.runtime.snapshot_start import snapshots_at_start
from deltaforge.runtime.stored_schemas import StoredSchemas
from deltaforge.runtime.turns import LogTurns
from deltaforge.sinks.base import asked_by
from deltaforge.sources.base import SnapshotConfig, SourceContext
from deltaforge.sources.reader import LogReader
from deltaforge.sources.snapshot.base import ChunkReader, CopyableSource
from deltaforge.sources.snapshot.snapshots import Snapshots


def copies_at_start(
    info: RunInfo, before: SourceState | None, new_sinks: Sequence[str], reset: ResetRequest | None
) -> SnapshotState:
    """What is copied by a run. A reset keeps what was: it says what of the log is read again, or not at all."""
    config = info.spec.spec.source.config.snapshot
    is_asked = reset is not None and reset.snapshot
    if reset is not None and reset.snapshot and reset.sink_id is not None:
        new_sinks, is_asked = [*new_sinks, reset.sink_id], False
    return snapshots_at_start(
        before.snapshot if before else None,
        config.mode if config else "never",
        new_job,
        new_sinks=new_sinks,
        is_asked=is_asked,
    )


def reading_of(
    info: RunInfo, schemas: StoredSchemas, copied: SnapshotState, ahead: ChunksAhead, turns: LogTurns
) -> tuple[LogReader, SnapshotJobs]:
    """What reads the log, and what copies tables into it."""
    spec = info.spec.spec
    source_context = SourceContext(
        pipeline=info.name,
        tenant=info.tenant,
        state_dir=info.paths.log_root,
        limits=spec.batch.limits(),
        metrics=info.metrics,
        registry=schemas.registry,
        failover=schemas.failover,
        shard=info.lane.shard,
        asked=asked_by(sink.config for sink in spec.sinks),
    )

    def build_chunk_reader() -> ChunkReader:
        return cast("CopyableSource", spec.source).chunk_reader(source_context)

    snapshots = Snapshots(
        info.source_id,
        spec.source.config.snapshot or SnapshotConfig(mode="never"),
        build_chunk_reader,
        info.metrics,
        state=copied,
        ahead=ahead,
    )
    reader = LogReader(
        info.source_id,
        lambda: spec.source.build(source_context),
        info.metrics,
        limits=source_context.limits,
        snapshots=snapshots,
        changed=turns.changed,
    )
    return reader, SnapshotJobs(info, snapshots, ahead, build_chunk_reader)
