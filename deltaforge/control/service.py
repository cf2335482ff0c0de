"""Everything that can be done with pipelines, without HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import msgspec

from deltaforge.config.merge import merge_patch_indexed, merge_patch_rfc7386
from deltaforge.control.background import Background
from deltaforge.control.changes import Changes
from deltaforge.control.checkpoints import reset_checkpoints
from deltaforge.control.config_files import ConfigFiles
from deltaforge.control.deletion import drop_slots, left_slots, remove_files
from deltaforge.control.options import ServeOptions
from deltaforge.control.orphans import end_orphan, folders_of
from deltaforge.control.pipeline import Pipeline
from deltaforge.control.reading import RegisteredPipelines
from deltaforge.control.registrations import Registrations, SourceIds, accepted
from deltaforge.control.shards import ShardService, shards_of
from deltaforge.control.skips import add_skip
from deltaforge.control.snapshots import SnapshotService
from deltaforge.control.supervisor import Supervisor
from deltaforge.core.errors import (
    ControlError,
    PipelineAlreadyExistsError,
    PipelineNameMismatchError,
    SpecError,
    StorageError,
)
from deltaforge.sources.base import LeftSlot
from deltaforge.spec import ParsedDocument, check_new_names, restore_secrets
from deltaforge.spec.remote import marks_of
from deltaforge.storage.base import Storage

log = logging.getLogger(__name__)

T = TypeVar("T")


class PipelineService(RegisteredPipelines):
    """The registry of pipelines and their supervisors. All methods run in one event loop.

    Changes of one pipeline happen one after the other, each to its end, also if who asked for it is gone. Storage,
    memory and process agree after each of them, whether it succeeded or not: what is wanted is stored first.

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
        super().__init__(storage, options)
        self._options = options
        self._make_supervisor = make_supervisor
        self._registrations = Registrations(storage, lambda name: make_supervisor(name, options))
        self._source_ids = SourceIds(self._pipelines)
        self._changes = Changes()
        self.background = Background()
        self.snapshots = SnapshotService(options, self.get, self._change)
        self.shards = ShardService(self._change)
        self.config_files = ConfigFiles(self._apply, options.environment, options.secrets_dir)

    async def open(self) -> None:
        """Bring back what was registered, adopt what still runs, end what belongs to nobody, load ``--config``.

        Raises:
            StorageError: What was registered cannot be read.
            SpecError: ``--config`` is one file, and it is wrong.
        """
        self._pipelines |= self._registrations.load()
        for pipeline in self._pipelines.values():
            self._set_rules(pipeline, pipeline.given)
        for name in folders_of(self._options.state_dir) - self._pipelines.keys():
            await self._changes.alone(name, partial(end_orphan, self._options, name, self._pipelines))
        known = list(self._pipelines.values())
        done = await asyncio.gather(
            *(self._changes.alone(pipeline.name, partial(self._bring_back, pipeline)) for pipeline in known),
            return_exceptions=True,
        )
        for pipeline, error in zip(known, done, strict=True):
            if isinstance(error, Exception):
                log.error("pipeline %s could not be brought back: %s", pipeline.name, error, exc_info=error)
        if self._options.config is not None and not self._changes.is_closed:
            await self.config_files.load(self._options.config)

    async def close(self) -> None:
        """Stop every pipeline in good order. What is wanted stays stored: the next start runs them again."""
        await self._changes.close()
        self.background.close()
        pipelines = list(self._pipelines.values())
        ended = await asyncio.gather(*(p.supervisor.stop() for p in pipelines), return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                log.error("a pipeline was left running: %s", error)

    def validate(self, document: Any, *, given: frozenset[str] = frozenset()) -> ParsedDocument:
        """Check a document that came over the network. Connects to nothing, changes nothing.

        Args:
            document: JSON values.
            given: Marks of what an operator's file has named before.

        Raises:
            SpecError: It is wrong, asks for something that this version cannot do, or names what it must not.
        """
        parsed = accepted(document)
        self._check_names(parsed)
        self._options.rules(given).check_sent(parsed.spec)
        if not self._options.allow_code and any(p.type == "python" for p in parsed.spec.spec.processors):
            raise SpecError("python code over REST is not allowed on this server", path="spec.processors")
        return parsed

    async def create(self, document: Any) -> Pipeline:
        """Register a pipeline from a document that came over the network, and start it. One that cannot be stored
        leaves nothing behind.
        """
        parsed = await self.background.run(self.validate, document)
        return await self._changes.alone(parsed.spec.metadata.name, partial(self._create, parsed, frozenset()))

    async def patch(self, name: str, patch: Any, *, replaces_arrays: bool = False) -> Pipeline:
        """Merge, validate, and restart from the checkpoint. What cannot start is rolled back.

        Raises:
            SpecError: The result is wrong, or failed to start; the old pipeline runs again.
        """
        return await self._change(name, partial(self._patch, patch=patch, replaces_arrays=replaces_arrays))

    async def pause(self, name: str) -> Pipeline:
        """Stop reading, keep the connection. Does nothing to a paused pipeline."""
        return await self._change(name, self._pause)

    async def resume(self, name: str) -> Pipeline:
        """Go on: at once from paused, from the checkpoint when stopped or failed."""
        return await self._change(name, self._resume)

    async def stop(self, name: str) -> Pipeline:
        """Drain, save, disconnect; the pipeline stays registered."""
        return await self._change(name, self._stop)

    async def delete(self, name: str, *, drops_slot: bool = False) -> list[LeftSlot]:
        """Stop, and forget everything: document, positions, definitions, dead letters, logs; the slot if asked.

        Returns:
            The replication slots that are left on the server.

        Raises:
            ControlError: The process does not end, or the slot cannot be dropped: the pipeline is there still.
        """
        return await self._change(name, partial(self._delete, drops_slot=drops_slot))

    async def reset_checkpoints(self, name: str, body: Any) -> dict[str, Any]:
        """Have the next start of a stopped pipeline begin somewhere else; see :func:`reset_checkpoints`."""
        return await self._change(name, lambda pipeline: reset_checkpoints(pipeline, body))

    async def add_skip(self, name: str, body: Any) -> dict[str, Any]:
        """Let the event pass that holds a pipeline up.

        Raises:
            SpecError: The body is wrong.
            ControlError: The pipeline does not stand at that event.
        """
        return await self._change(name, lambda p: add_skip(p.supervisor.paths, body, shards_of(p)))

    async def _change(self, name: str, action: Callable[[Pipeline], Awaitable[T]]) -> T:
        """Change one that is registered; see :meth:`Changes.alone`.

        Raises:
            PipelineNotFoundError: There is none of that name, now or when it is its turn.
        """
        self.get(name)

        async def run() -> T:
            return await action(self.get(name))

        return await self._changes.alone(name, run)

    async def _create(self, parsed: ParsedDocument, given: frozenset[str] | None) -> Pipeline:
        name = parsed.spec.metadata.name
        if name in self._pipelines:
            raise PipelineAlreadyExistsError(name)
        with self._source_ids.kept(parsed):
            pipeline = Pipeline(parsed, "running", self._make_supervisor(name, self._options), given=given)
            self._set_rules(pipeline, given)
            await self._registrations.save(pipeline)
            self._pipelines[name] = pipeline
        await pipeline.supervisor.start(pipeline.raw)
        return pipeline

    async def _patch(self, pipeline: Pipeline, patch: Any, *, replaces_arrays: bool) -> Pipeline:
        given = self._given(pipeline)
        parsed = await self.background.run(self._patched, pipeline, patch, given, replaces_arrays=replaces_arrays)
        supervisor, before = pipeline.supervisor, msgspec.structs.replace(pipeline)
        was_active, ended_before = supervisor.status in ("running", "paused"), await supervisor.ended_sinks()
        with self._source_ids.kept(parsed):
            self._set_rules(pipeline, given)
            await supervisor.start(parsed.raw)
            broken = {sink: why for sink, why in (await supervisor.ended_sinks()).items() if sink not in ended_before}
            if was_active and (supervisor.status == "failed" or broken):
                reason = supervisor.reason or "; ".join(f"sink {sink}: {why}" for sink, why in broken.items())
                await self._undo(pipeline, before)
                raise SpecError(f"the patched pipeline did not start, the old one runs again: {reason}")
            pipeline.replace(parsed)
            pipeline.desired, pipeline.given = "running", given & marks_of(parsed.spec)
            try:
                await self._registrations.save(pipeline)
            except StorageError:
                await self._undo(pipeline, before)
                raise
        self._set_rules(pipeline, pipeline.given)
        await self._forget_former(pipeline)
        return pipeline

    async def _undo(self, pipeline: Pipeline, before: Pipeline) -> None:
        """Have a pipeline be and run what it was and ran before."""
        pipeline.parsed, pipeline.desired, pipeline.given = before.parsed, before.desired, before.given
        pipeline.former_sources = before.former_sources
        self._set_rules(pipeline, before.given)
        await self._as_desired(pipeline)

    async def _pause(self, pipeline: Pipeline) -> Pipeline:
        supervisor = pipeline.supervisor
        if supervisor.status == "running":
            async with self._wanted(pipeline, "paused"):
                await supervisor.pause()
            self.pause_counts[pipeline.name] += 1
        elif supervisor.status != "paused":
            raise ControlError(f"pipeline {pipeline.name} is {supervisor.status}: only a running one can be paused")
        return pipeline

    async def _resume(self, pipeline: Pipeline) -> Pipeline:
        supervisor = pipeline.supervisor
        status = supervisor.status
        if status == "running" and supervisor.next_try_secs is None:
            return pipeline
        pipeline.parsed.spec  # noqa: B018 - raises when there is none that can run
        async with self._wanted(pipeline, "running"):
            if status == "paused":
                await supervisor.resume()
            else:
                await supervisor.start(pipeline.raw)
        await self._forget_former(pipeline)
        if status != "running":
            self.resume_counts[pipeline.name] += 1
        return pipeline

    async def _stop(self, pipeline: Pipeline) -> Pipeline:
        async with self._wanted(pipeline, "stopped"):
            await pipeline.supervisor.stop()
        if pipeline.fault:
            await pipeline.supervisor.refuse("spec", pipeline.fault)
        return pipeline

    async def _delete(self, pipeline: Pipeline, *, drops_slot: bool) -> list[LeftSlot]:
        """Noted first: a deletion that was interrupted is finished by the next start."""
        if drops_slot:
            await self._stop(pipeline)
            await drop_slots(pipeline)
        async with self._wanted(pipeline, "deleted"):
            await pipeline.supervisor.stop()
        left = [] if drops_slot else await left_slots(pipeline)
        await self._forget(pipeline)
        return left

    async def _forget(self, pipeline: Pipeline) -> None:
        await self.schemas.forget(pipeline)
        await self.schemas.forget_sources(pipeline, self._left_sources(pipeline))
        await self.dead_letters.forget(pipeline)
        await asyncio.to_thread(remove_files, pipeline)
        await self._registrations.remove(pipeline.name)
        self.pause_counts.pop(pipeline.name, None)
        self.resume_counts.pop(pipeline.name, None)
        self._deleted_start_count += pipeline.supervisor.start_count
        self.crash_count += pipeline.supervisor.crash_count
        self._pipelines.pop(pipeline.name, None)

    @asynccontextmanager
    async def _wanted(self, pipeline: Pipeline, desired: str) -> AsyncIterator[None]:
        """Store what is wanted, and do it inside; what cannot be done is not wanted any more."""
        before, pipeline.desired = pipeline.desired, desired
        try:
            await self._registrations.save(pipeline)
        except StorageError:
            pipeline.desired = before
            raise
        try:
            yield
        except Exception:
            pipeline.desired = before
            try:
                await self._registrations.save(pipeline)
            except StorageError as error:
                log.warning("pipeline %s stays stored as %s: %s", pipeline.name, desired, error)
            raise

    async def _as_desired(self, pipeline: Pipeline) -> None:
        """Bring the process to what is wanted of it."""
        if pipeline.desired in ("running", "paused"):
            await pipeline.supervisor.start(pipeline.raw, is_paused=pipeline.desired == "paused")
        else:
            await pipeline.supervisor.stop()

    def _set_rules(self, pipeline: Pipeline, given: frozenset[str] | None) -> None:
        """What the pipeline may do from its next start on."""
        pipeline.supervisor.rules = None if given is None else self._options.rules(given)

    def _given(self, pipeline: Pipeline) -> frozenset[str]:
        """What a patch may leave as it is, though it could not say it."""
        if pipeline.given is not None:
            return pipeline.given
        return frozenset() if pipeline.fault else marks_of(pipeline.parsed.spec)

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
        return parsed

    async def _forget_former(self, pipeline: Pipeline) -> None:
        """Forget what is registered for sources that the pipeline had before, once it has a position of its own in
        the present one. A patch back to the old id finds everything until then.
        """
        if not pipeline.former_sources or not await asyncio.to_thread(pipeline.has_own_position):
            return
        former = pipeline.former_sources
        try:
            await self.schemas.forget_sources(pipeline, self._left_sources(pipeline))
            pipeline.former_sources = []
            await self._registrations.save(pipeline)
        except StorageError as error:
            pipeline.former_sources = former
            log.warning("what pipeline %s had registered before is forgotten later: %s", pipeline.name, error)

    def _left_sources(self, pipeline: Pipeline) -> set[str]:
        """The former sources that no other pipeline reads by now."""
        return set(pipeline.former_sources) - {
            known for other in self._pipelines.values() for known in other.source_ids
        }

    def _check_names(self, parsed: ParsedDocument) -> None:
        """Names that exist already may be as they are."""
        known = self._pipelines.get(parsed.spec.metadata.name)
        sinks = known.parsed.spec.spec.sinks if known and not known.fault else []
        check_new_names(parsed.spec, is_known=known is not None, known_sinks={sink.config.id for sink in sinks})

    async def _bring_back(self, pipeline: Pipeline) -> None:
        if pipeline.desired == "deleted":
            await pipeline.supervisor.stop()
            await self._forget(pipeline)
        elif pipeline.fault:
            await pipeline.supervisor.refuse("spec", pipeline.fault)
        else:
            is_paused = pipeline.desired == "paused"
            if pipeline.desired == "stopped" or not await pipeline.supervisor.adopt(pipeline.raw, is_paused=is_paused):
                await self._as_desired(pipeline)
            await self._forget_former(pipeline)

    async def _apply(self, parsed: ParsedDocument) -> None:
        """What a file of ``--config`` says: create it, or let it replace what is registered."""
        self._check_names(parsed)
        await self._changes.alone(parsed.spec.metadata.name, partial(self._apply_alone, parsed))

    async def _apply_alone(self, parsed: ParsedDocument) -> None:
        known = self._pipelines.get(parsed.spec.metadata.name)
        if known is None:
            await self._create(parsed, None)
            return
        before, is_changed = msgspec.structs.replace(known), known.raw != parsed.raw
        with self._source_ids.kept(parsed):
            known.given = None
            known.replace(parsed)
            try:
                await self._registrations.save(known)
            except StorageError:
                known.parsed, known.former_sources, known.given = before.parsed, before.former_sources, before.given
                raise
        self._set_rules(known, None)
        if is_changed or before.fault:
            await self._as_desired(known)
