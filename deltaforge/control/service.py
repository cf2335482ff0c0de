"""Everything that can be done with pipelines, without HTTP."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from deltaforge.checkpoint.reader import read_checkpoints
from deltaforge.config.merge import merge_patch_indexed, merge_patch_rfc7386
from deltaforge.control import child
from deltaforge.control.checkpoints import checkpoint_views, pending_reset, reset_checkpoints
from deltaforge.control.dead_letters import DeadLetterService
from deltaforge.control.options import ServeOptions
from deltaforge.control.pipeline import Pipeline
from deltaforge.control.schemas import SourceSchemas
from deltaforge.control.shapes import DriftView, SensingView, read_shapes
from deltaforge.control.skips import add_skip, skip_views, skips_in_ops
from deltaforge.control.streams import PipelineStreams
from deltaforge.control.supervisor import Supervisor
from deltaforge.core.errors import (
    CheckpointError,
    ControlError,
    PipelineAlreadyExistsError,
    PipelineNameMismatchError,
    PipelineNotFoundError,
    SpecError,
)
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec import ParsedDocument, check_supported, document_files, load_file, parse_document, restore_secrets
from deltaforge.spec.remote import marks_of
from deltaforge.storage.base import Storage

log = logging.getLogger(__name__)

NAMESPACE = "pipelines"
HEALTH_ANSWER_SECS = 0.5
"""What a health check waits for details of a process: it must not wait for one that hangs."""


class PipelineService:
    """The registry of pipelines and their supervisors. All methods run in one event loop.

    Args:
        storage: Where documents and desired states survive restarts.
        options: Of this control plane.
        make_supervisor: For tests that run something else than a pipeline.
    """

    def __init__(
        self,
        storage: Storage,
        options: ServeOptions,
        *,
        make_supervisor: Callable[[str, ServeOptions], Supervisor] = Supervisor,
    ) -> None:
        self._storage = storage
        self._options = options
        self._make_supervisor = make_supervisor
        self._pipelines: dict[str, Pipeline] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.schemas = SourceSchemas(storage, options, self.get)
        self.dead_letters = DeadLetterService(storage, options, self.get)
        self.streams = PipelineStreams(self.get)
        self.pause_counts: defaultdict[str, int] = defaultdict(int)
        self.resume_counts: defaultdict[str, int] = defaultdict(int)

    async def open(self) -> None:
        """Bring back what was registered, adopt what still runs, end what belongs to nobody, load ``--config``."""
        for name, value in self._storage.kv.list(NAMESPACE):
            stored = msgspec.json.decode(value, type=dict[str, Any])
            parsed = parse_document(stored["document"])
            supervisor, former = self._make_supervisor(name, self._options), stored.get("former_sources", [])
            marks = stored.get("given")  # absent from what an earlier version stored, when everything was allowed
            given = None if marks is None else frozenset(marks)
            self._pipelines[name] = Pipeline(parsed, stored["desired"], supervisor, former, given)
            self._set_rules(self._pipelines[name], given)
        await self._end_orphans()
        await asyncio.gather(*(self._bring_back(pipeline) for pipeline in self._pipelines.values()))
        if self._options.config is not None:
            for path in document_files(self._options.config):
                await self._apply_file(load_file(path, dict(os.environ)))

    async def close(self) -> None:
        """Stop every pipeline in good order. What is wanted stays stored: the next start runs them again."""
        await asyncio.gather(*(pipeline.supervisor.stop() for pipeline in self._pipelines.values()))

    def list(self, labels: builtins.list[str]) -> builtins.list[Pipeline]:
        """Pipelines that have every label: ``key:value``, or ``key`` with any value."""
        wanted = [label.partition(":") for label in labels]
        return [
            pipeline
            for pipeline in self._pipelines.values()
            if all(
                key in pipeline.parsed.spec.metadata.labels
                and (not colon or pipeline.parsed.spec.metadata.labels[key] == value)
                for key, colon, value in wanted
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

    def validate(self, document: Any, *, given: frozenset[str] = frozenset()) -> ParsedDocument:
        """Check a document that came over the network. Connects to nothing, changes nothing.

        Args:
            document: JSON values.
            given: Marks of what an operator's file has named before.

        Raises:
            SpecError: It is wrong, asks for something that this version cannot do, or names what it must not.
        """
        parsed = parse_document(document)
        check_supported(parsed.spec)
        self._options.rules(given).check(parsed.spec)
        if not self._options.allow_code and any(p.type == "python" for p in parsed.spec.spec.processors):
            raise SpecError("python code over REST is not allowed on this server", path="spec.processors")
        return parsed

    async def create(self, document: Any) -> Pipeline:
        """Register a pipeline from a document that came over the network, and start it."""
        return await self._create(self.validate(document), frozenset())

    async def _create(self, parsed: ParsedDocument, given: frozenset[str] | None) -> Pipeline:
        name = parsed.spec.metadata.name
        async with self._locks[name]:
            if name in self._pipelines:
                raise PipelineAlreadyExistsError(name)
            self._check_source(parsed, name)
            pipeline = Pipeline(parsed, "running", self._make_supervisor(name, self._options), given=given)
            self._set_rules(pipeline, given)
            self._pipelines[name] = pipeline
            self._save(pipeline)
            await pipeline.supervisor.start(pipeline.raw)
            return pipeline

    async def patch(self, name: str, patch: Any, *, replaces_arrays: bool = False) -> Pipeline:
        """Merge, validate, and restart from the checkpoint. What cannot start is rolled back.

        Raises:
            SpecError: The result is wrong, or failed to start; the old pipeline runs again.
        """
        async with self._locks[name]:
            pipeline = self.get(name)
            given = marks_of(pipeline.parsed.spec) if pipeline.given is None else pipeline.given
            parsed = self._patched(pipeline, patch, given, replaces_arrays=replaces_arrays)
            before, was_active = pipeline.parsed, pipeline.supervisor.status in ("running", "paused")
            self._set_rules(pipeline, given)
            await pipeline.supervisor.start(parsed.raw)
            if pipeline.supervisor.status == "failed" and was_active:
                reason = pipeline.supervisor.reason
                await pipeline.supervisor.start(before.raw, is_paused=pipeline.desired == "paused")
                raise SpecError(f"the patched pipeline did not start, the old one runs again: {reason}")
            pipeline.desired = "running"
            pipeline.given = given & marks_of(parsed.spec)
            self._set_rules(pipeline, pipeline.given)
            pipeline.replace(parsed)
            await self._forget_former(pipeline)
            self._save(pipeline)
            return pipeline

    async def pause(self, name: str) -> Pipeline:
        """Stop reading, keep the connection. Does nothing to a paused pipeline."""
        async with self._locks[name]:
            pipeline = self.get(name)
            if pipeline.supervisor.status == "running":
                await pipeline.supervisor.pause()
                self.pause_counts[name] += 1
                self._want(pipeline, "paused")
            elif pipeline.supervisor.status != "paused":
                raise ControlError(f"pipeline {name} is {pipeline.supervisor.status}: only a running one can be paused")
            return pipeline

    async def resume(self, name: str) -> Pipeline:
        """Go on: at once from paused, from the checkpoint when stopped or failed."""
        async with self._locks[name]:
            pipeline = self.get(name)
            status = pipeline.supervisor.status
            if status == "paused":
                await pipeline.supervisor.resume()
            elif status != "running":
                await pipeline.supervisor.start(pipeline.raw)
                await self._forget_former(pipeline)
            if status != "running":
                self.resume_counts[name] += 1
                self._want(pipeline, "running")
            return pipeline

    async def stop(self, name: str) -> Pipeline:
        """Drain, save, disconnect; the pipeline stays registered."""
        async with self._locks[name]:
            pipeline = self.get(name)
            await pipeline.supervisor.stop()
            self._want(pipeline, "stopped")
            return pipeline

    async def delete(self, name: str) -> None:
        """Stop, and forget everything: document, positions, definitions, dead letters, logs. The slot stays."""
        async with self._locks[name]:
            pipeline = self.get(name)
            await pipeline.supervisor.stop()
            self._storage.kv.delete(NAMESPACE, name)
            del self._pipelines[name]
            await self.schemas.forget(pipeline)
            await self.schemas.forget_sources(pipeline, self._left_sources(pipeline))
            await self.dead_letters.forget(pipeline)
            await asyncio.to_thread(shutil.rmtree, pipeline.supervisor.paths.root, ignore_errors=True)

    async def checkpoints(self, name: str) -> builtins.list[dict[str, Any]]:
        """The saved position of each sink, from the recovery store: also when nothing runs."""
        supervisor = self.get(name).supervisor
        live = await supervisor.live()
        return checkpoint_views(await asyncio.to_thread(read_checkpoints, supervisor.paths.recovery), live)

    async def reset_checkpoints(self, name: str, body: Any) -> dict[str, Any]:
        """Have the next start of a stopped pipeline begin somewhere else.

        Raises:
            ControlError: It is not stopped.
            SpecError: The body is not a reset of this pipeline.
        """
        async with self._locks[name]:
            return await reset_checkpoints(self.get(name), body)

    async def skips(self, name: str) -> dict[str, Any]:
        """The event that holds a pipeline up, and those that were let pass."""
        return await skip_views(self.get(name).supervisor.paths)

    async def add_skip(self, name: str, body: Any) -> dict[str, Any]:
        """Let the event pass that holds a pipeline up.

        Raises:
            SpecError: The body is wrong.
            ControlError: The pipeline does not stand at that event.
        """
        async with self._locks[name]:
            return await add_skip(self.get(name).supervisor.paths, body)

    async def sensing(self, name: str) -> SensingView:
        """What schema sensing knows, from the recovery store: also when nothing runs.

        Raises:
            ControlError: Sensing is off, or its results are not to be shown.
        """
        pipeline = self.get(name)
        state = await asyncio.to_thread(read_shapes, pipeline.supervisor.paths.recovery)
        return SensingView(name, pipeline.parsed.spec.spec.schema_sensing, state)

    async def drift(self, name: str) -> DriftView:
        """What drift detection counted, from the recovery store."""
        pipeline = self.get(name)
        return DriftView(name, await asyncio.to_thread(read_shapes, pipeline.supervisor.paths.recovery))

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
            **pending_reset(pipeline.supervisor.paths),
            **skips_in_ops(pipeline.supervisor.paths),
        }
        source = live.get("source") or {}
        source_error = source.get("last_error")
        if source.get("unmatched_patterns"):
            ops["unmatched_patterns"] = source["unmatched_patterns"]
        if source_error or pipeline.supervisor.reason:
            ops["error"] = pipeline.supervisor.reason or source_error
        return ops

    async def unmatched_patterns(self) -> dict[str, dict[str, str]]:
        """Table patterns that no table matches, by pipeline, of those that run and answer at once."""
        pipelines = list(self._pipelines.values())
        answers = (pipeline.supervisor.live(answer_secs=HEALTH_ANSWER_SECS) for pipeline in pipelines)
        found = await asyncio.gather(*answers)
        sources = [(live or {}).get("source") or {} for live in found]
        unmatched = [source.get("unmatched_patterns") or {} for source in sources]
        return {pipeline.name: part for pipeline, part in zip(pipelines, unmatched, strict=True) if part}

    def failed(self) -> dict[str, str]:
        """Failed pipelines and why."""
        return {p.name: p.supervisor.reason for p in self._pipelines.values() if p.supervisor.status == "failed"}

    def _set_rules(self, pipeline: Pipeline, given: frozenset[str] | None) -> None:
        """What the pipeline may do from its next start on."""
        pipeline.supervisor.rules = None if given is None else self._options.rules(given)

    def _patched(
        self, pipeline: Pipeline, patch: Any, given: frozenset[str], *, replaces_arrays: bool
    ) -> ParsedDocument:
        if not isinstance(patch, dict):
            raise SpecError("a patch must be a JSON object")
        found = (patch.get("metadata") or {}).get("name") if isinstance(patch.get("metadata"), dict) else None
        if found is not None and found != pipeline.name:
            raise PipelineNameMismatchError(pipeline.name, str(found))
        merge = merge_patch_rfc7386 if replaces_arrays else merge_patch_indexed
        parsed = self.validate(restore_secrets(merge(pipeline.raw, patch), pipeline.raw), given=given)
        if parsed.spec.metadata.name != pipeline.name:
            raise PipelineNameMismatchError(pipeline.name, parsed.spec.metadata.name)
        self._check_source(parsed, pipeline.name)
        return parsed

    async def _forget_former(self, pipeline: Pipeline) -> None:
        """Forget what is registered for sources that the pipeline had before, once it has a position of its own in
        the present one. A patch back to the old id finds everything until then.
        """
        if not pipeline.former_sources or not await asyncio.to_thread(pipeline.has_own_position):
            return
        await self.schemas.forget_sources(pipeline, self._left_sources(pipeline))
        pipeline.former_sources = []
        self._save(pipeline)

    def _left_sources(self, pipeline: Pipeline) -> set[str]:
        """The former sources that no other pipeline reads by now."""
        return set(pipeline.former_sources) - {other.source_id for other in self._pipelines.values()}

    def _check_source(self, parsed: ParsedDocument, name: str) -> None:
        source_id = parsed.spec.spec.source.config.id
        for other in self._pipelines.values():
            if other.name != name and other.source_id == source_id:
                raise SpecError(
                    f"source id {source_id!r} is used by pipeline {other.name}", path="spec.source.config.id"
                )

    def _want(self, pipeline: Pipeline, desired: str) -> None:
        pipeline.desired = desired
        self._save(pipeline)

    def _save(self, pipeline: Pipeline) -> None:
        kept = {"document": pipeline.raw, "desired": pipeline.desired, "former_sources": pipeline.former_sources}
        if pipeline.given is not None:
            kept["given"] = sorted(pipeline.given)
        value = msgspec.json.encode(kept)
        self._storage.kv.put(NAMESPACE, pipeline.name, value)

    async def _bring_back(self, pipeline: Pipeline) -> None:
        if pipeline.desired == "stopped":
            await pipeline.supervisor.stop()
            return
        is_paused = pipeline.desired == "paused"
        if not await pipeline.supervisor.adopt(pipeline.raw, is_paused=is_paused):
            await pipeline.supervisor.start(pipeline.raw, is_paused=is_paused)
        await self._forget_former(pipeline)

    async def _end_orphans(self) -> None:
        folder = self._options.state_dir.resolve() / "pipelines"
        names = [unquote(path.name) for path in folder.iterdir()] if folder.is_dir() else []
        for name in names:
            paths = PipelinePaths(self._options.state_dir, name)
            if name not in self._pipelines and child.is_alive(paths):
                log.warning("ending pipeline %s, which runs but is not registered", name)
                await child.stop(paths, self._options.stop_grace_secs)

    async def _apply_file(self, parsed: ParsedDocument) -> None:
        name = parsed.spec.metadata.name
        check_supported(parsed.spec)
        known = self._pipelines.get(name)
        if known is None:
            await self._create(parsed, None)
            return
        known.given = None
        self._set_rules(known, None)
        if known.raw == parsed.raw:
            self._save(known)
        else:
            self._check_source(parsed, name)
            known.replace(parsed)
            self._save(known)
            if known.desired != "stopped":
                await known.supervisor.start(known.raw, is_paused=known.desired == "paused")
