"""The registered pipelines as they are read: nothing here changes one."""

from __future__ import annotations

import asyncio
import builtins
import logging
from collections import defaultdict
from typing import Any

from deltaforge.checkpoint.reader import read_lane_checkpoints
from deltaforge.control.checkpoints import checkpoint_views, pending_reset
from deltaforge.control.dead_letters import DeadLetterService
from deltaforge.control.options import ServeOptions
from deltaforge.control.pipeline import Pipeline
from deltaforge.control.schemas import SourceSchemas
from deltaforge.control.shapes import DriftView, SensingView, read_shapes
from deltaforge.control.shards import lanes_of, shards_asked, shards_of
from deltaforge.control.skips import skip_views, skips_in_ops
from deltaforge.control.streams import PipelineStreams
from deltaforge.core.errors import CheckpointError, PipelineNotFoundError
from deltaforge.sensing.state import SensingState
from deltaforge.storage.base import Storage

log = logging.getLogger(__name__)

WAITING_SECS = 60.0
"""A snapshot that waits so long for something on the server needs somebody to look."""
HEALTH_ANSWER_SECS = 0.5
"""What a health check waits for details of a process: it must not wait for one that hangs."""


class RegisteredPipelines:
    """What is registered, what runs of it, and what that has saved.

    Args:
        storage: Where documents and desired states survive restarts.
        options: Of this control plane.
    """

    def __init__(self, storage: Storage, options: ServeOptions) -> None:
        self._pipelines: dict[str, Pipeline] = {}
        self.schemas = SourceSchemas(storage, options, self.get)
        self.dead_letters = DeadLetterService(storage, options, self.get)
        self.streams = PipelineStreams(self.get)
        self.pause_counts: defaultdict[str, int] = defaultdict(int)
        self.resume_counts: defaultdict[str, int] = defaultdict(int)
        self._deleted_start_count = 0
        self.crash_count = 0  # of requests, and of pipelines that were deleted

    def list(self, labels: builtins.list[str]) -> builtins.list[Pipeline]:
        """Pipelines that have every label: ``key:value``, or ``key`` with any value."""
        wanted = [label.partition(":") for label in labels]
        return [
            pipeline
            for pipeline in self._pipelines.values()
            if all(
                key in pipeline.labels and (not colon or pipeline.labels[key] == value) for key, colon, value in wanted
            )
        ]

    def get(self, name: str) -> Pipeline:
        """One pipeline.

        Raises:
            PipelineNotFoundError: There is none of that name.
        """
        try:
            return self._pipelines[name]
        except KeyError:
            raise PipelineNotFoundError(name) from None

    def start_count(self) -> int:
        """Processes that were made, those of deleted pipelines among them: a counter must not fall."""
        return self._deleted_start_count + sum(p.supervisor.start_count for p in self._pipelines.values())

    async def checkpoints(self, name: str) -> builtins.list[dict[str, Any]]:
        """The saved position of each sink, from the recovery store: also when nothing runs."""
        pipeline = self.get(name)
        live, lanes = await pipeline.supervisor.live(), lanes_of(pipeline)
        recovery_dir = pipeline.supervisor.paths.recovery
        return checkpoint_views(await asyncio.to_thread(read_lane_checkpoints, recovery_dir, lanes), live)

    async def skips(self, name: str) -> dict[str, Any]:
        """The event that holds a pipeline up, and those that were let pass."""
        pipeline = self.get(name)
        return await skip_views(pipeline.supervisor.paths, shards_of(pipeline))

    async def sensing(self, name: str, shard: str | None = None) -> SensingView:
        """What schema sensing knows, from the recovery store: also when nothing runs.

        Raises:
            ControlError: Sensing is off, or its results are not to be shown.
        """
        pipeline = self.get(name)
        state = await self._shapes(pipeline, shard)
        return SensingView(name, pipeline.parsed.spec.spec.schema_sensing, state)

    async def drift(self, name: str, shard: str | None = None) -> DriftView:
        """What drift detection counted, from the recovery store."""
        return DriftView(name, await self._shapes(self.get(name), shard))

    async def _shapes(self, pipeline: Pipeline, shard: str | None) -> SensingState:
        """What is saved of all shards as one, or of one of them."""
        shards = shards_of(pipeline) if shard is None else shards_asked(pipeline.parsed.spec, shard)
        return await asyncio.to_thread(read_shapes, pipeline.supervisor.paths.recovery, shards)

    async def ops(self, name: str) -> dict[str, Any]:
        """The operational part of a single pipeline's view."""
        pipeline = self.get(name)
        live = await pipeline.supervisor.live() or {}
        try:
            checkpoints = await self.checkpoints(name)
        except CheckpointError as error:
            log.warning("checkpoints of %s cannot be read: %s", name, error)
            checkpoints = []
        ops = {
            "uptime_seconds": live.get("uptime_seconds"),
            "dlq_entries": await self.dead_letters.size(pipeline),
            "sink_errors": live.get("sink_errors", {}),
            "checkpoints": checkpoints,
            "lag_seconds": live.get("lag_seconds"),
            **{key: live[key] for key in ("lag_bytes",) if key in live},
            **pending_reset(pipeline.supervisor.paths, shards_of(pipeline)),
            **skips_in_ops(pipeline.supervisor.paths, shards_of(pipeline)),
        }
        source = live.get("source") or {}
        source_error = source.get("last_error")
        if source.get("unmatched_patterns"):
            ops["unmatched_patterns"] = source["unmatched_patterns"]
        if source.get("shards"):
            ops["shards"] = source["shards"]
        if live.get("python_rows"):
            ops["python_rows"] = live["python_rows"]
        if live.get("snapshots"):
            ops["snapshots"] = live["snapshots"]
        if troubles := troubles_of(live):
            ops["degraded"] = troubles
        if source_error or pipeline.supervisor.reason:
            ops["error"] = pipeline.supervisor.reason or source_error
        if pipeline.supervisor.kind:
            ops["error_code"] = pipeline.supervisor.kind
        if pipeline.supervisor.next_try_secs is not None:
            ops["next_try_seconds"] = pipeline.supervisor.next_try_secs
        return ops

    async def lives(self) -> dict[str, dict[str, Any]]:
        """What the processes say of themselves, by pipeline, of those that run and answer at once."""
        pipelines = list(self._pipelines.values())
        answers = (pipeline.supervisor.live(answer_secs=HEALTH_ANSWER_SECS) for pipeline in pipelines)
        found = zip(pipelines, await asyncio.gather(*answers), strict=True)
        return {pipeline.name: live for pipeline, live in found if live is not None}

    def failed(self) -> dict[str, str]:
        """Failed pipelines and why."""
        return {p.name: p.supervisor.reason for p in self._pipelines.values() if p.supervisor.status == "failed"}

    def restarting(self) -> dict[str, str]:
        """Pipelines whose process ended by itself a while ago, and is restarted; with the code of the reason."""
        found = (p for p in self._pipelines.values() if p.supervisor.status in ("running", "paused"))
        return {p.name: p.supervisor.kind for p in found if p.supervisor.kind}


def unmatched_in(lives: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Table patterns that no table matches, by pipeline."""
    unmatched = {name: (live.get("source") or {}).get("unmatched_patterns") for name, live in lives.items()}
    return {name: found for name, found in unmatched.items() if found}


def troubles_of(live: dict[str, Any]) -> dict[str, str]:
    """What keeps a running pipeline from delivering, by the part of it: ``source``, or ``shard``, ``sink`` or
    ``snapshot`` and its id.
    """
    source_error = (live.get("source") or {}).get("last_error")
    shards = (live.get("source") or {}).get("shards")
    source = {} if live.get("connected") or not source_error or shards else {"source": source_error}
    source |= {f"shard {shard['id']}": shard["last_error"] for shard in shards or () if shard["last_error"]}
    sinks = {f"sink {sink_id}": error for sink_id, error in live.get("sink_errors", {}).items()}
    snapshots = {f"snapshot {job['id']}": trouble for job in live.get("snapshots", ()) if (trouble := _trouble(job))}
    return {**source, **sinks, **snapshots}


def _trouble(job: dict[str, Any]) -> str | None:
    """What is wrong with a snapshot."""
    if job["status"] == "failed":
        return f"failed: {job['error'] or 'see its tables'}"
    waited = job.get("waiting_seconds") or 0
    return f"waits for {job['waiting_for']} for {waited:.0f} s" if waited >= WAITING_SECS else None
