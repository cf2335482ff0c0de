"""Snapshots of a pipeline: asked for, listed, paused, resumed and cancelled, whether its process runs or not."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import Field, ValidationError

from deltaforge.checkpoint.reader import read_source_states, source_key
from deltaforge.checkpoint.snapshot_changes import new_change, read_snapshot_changes, write_snapshot_change
from deltaforge.checkpoint.snapshot_requests import SnapshotRequest, read_snapshot_requests, write_snapshot_request
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.config.steps import path_text
from deltaforge.control import child
from deltaforge.control.options import ServeOptions
from deltaforge.control.shards import said_of, shard_asked, shards_of
from deltaforge.core.errors import BusyError, ControlError, NotFoundError, SpecError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.core.snapshot import JobChange, JobStatus, SnapshotState
from deltaforge.core.snapshot_view import state_views
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.snapshot_control import STATUS_AFTER, SnapshotChange
from deltaforge.sources.snapshot import states
from deltaforge.spec import PipelineSpec
from deltaforge.spec.faults import Fault, error_of, split_unknown

if TYPE_CHECKING:
    from deltaforge.control.pipeline import Pipeline

log = logging.getLogger(__name__)

ANSWER_SECS = 30.0
"""How long a process may take for a request: it looks into the catalog, and has the server explain the condition."""
MAX_TABLES = 1000
MAX_WHERE_CHARS = 16_384
MAX_RATE = 1_000_000_000
IS_OVER = frozenset(get_args(JobStatus)) - {"running", "paused"}


class SnapshotBody(StrictModel):
    """What a snapshot is asked for with, over REST and by the command line."""

    tables: list[TablePattern] = Field(min_length=1, max_length=MAX_TABLES)
    where: str | None = Field(None, min_length=1, max_length=MAX_WHERE_CHARS)
    sinks: list[str] | None = Field(None, min_length=1, max_length=MAX_TABLES)
    max_rows_per_second: int | None = Field(None, ge=1, le=MAX_RATE)
    truncate_first: bool = False
    shard: str | None = None


class SnapshotService:
    """The snapshots of registered pipelines.

    Args:
        options: Of the control plane.
        get: Finds a pipeline by its name, or raises :class:`PipelineNotFoundError`.
        change: Does something with a pipeline while nothing else does.
    """

    def __init__(
        self,
        options: ServeOptions,
        get: Callable[[str], Pipeline],
        change: Callable[[str, Callable[[Pipeline], Awaitable[dict[str, Any]]]], Awaitable[dict[str, Any]]],
    ) -> None:
        self._options = options
        self._get = get
        self._change = change

    async def list(self, name: str) -> list[dict[str, Any]]:
        """All jobs of a pipeline; see :func:`snapshot_views`."""
        pipeline = self._get(name)
        return await snapshot_views(pipeline.supervisor.paths, shards_of(pipeline))

    async def find(self, name: str, job_id: str) -> dict[str, Any]:
        """One of them; see :func:`snapshot_view`."""
        pipeline = self._get(name)
        return await snapshot_view(pipeline.supervisor.paths, job_id, shards_of(pipeline))

    async def request(self, name: str, body: Any) -> dict[str, Any]:
        """Copy tables; see :func:`request_snapshot`.

        Raises:
            SpecError: The body is wrong, or has SQL and this server takes none over REST.
        """
        if isinstance(body, dict) and body.get("where") is not None and not self._options.allow_code:
            raise SpecError(
                "SQL over REST is not allowed on this server",
                path="where",
                hint="start it with --allow-code, or use deltaforge snapshot with the file of the document",
            )

        async def run(pipeline: Pipeline) -> dict[str, Any]:
            return await request_snapshot(pipeline.parsed.spec, pipeline.supervisor.paths, body)

        return await self._change(name, run)

    async def change(self, name: str, job_id: str, change: SnapshotChange) -> dict[str, Any]:
        """Pause, resume or cancel one; see :func:`change_snapshot`."""

        async def run(pipeline: Pipeline) -> dict[str, Any]:
            return await change_snapshot(pipeline.supervisor.paths, job_id, change, shards_of(pipeline))

        return await self._change(name, run)


async def snapshot_views(paths: PipelinePaths, shards: Sequence[str] = (ONE_LOG,)) -> list[dict[str, Any]]:
    """The jobs of a pipeline: those that are not over in their order, then the others, the newest first. From its
    process; if none runs, as they were saved and changed since, and what waits for the next start. Shard by shard.

    Raises:
        BusyError: Its process does not answer.
        CheckpointError: What is saved cannot be read.
    """
    jobs = await _live_views(paths)
    asked = {shard: await asyncio.to_thread(_asked, paths.of_log(shard)) for shard in shards}
    if jobs is None:
        saved = await asyncio.to_thread(read_source_states, paths.recovery)
        of_shards = {shard: state.snapshot for shard in shards if (state := saved.get(source_key(shard))) is not None}
        jobs = [
            {**job, **said_of(shard)}
            for shard, state in of_shards.items()
            for job in state_views(state and _changed(state, asked[shard][1].values()))
        ]
    known = {job["id"] for job in jobs}
    waiting = [
        {**request.view(changes.get(request.id)), **said_of(shard)}
        for shard, (requests, changes) in asked.items()
        for request in requests
        if request.id not in known
    ]
    going_on = [job for job in [*jobs, *waiting] if job["status"] not in IS_OVER]
    return going_on + [job for job in [*waiting, *jobs] if job["status"] in IS_OVER]


def _asked(paths: PipelinePaths) -> tuple[list[SnapshotRequest], dict[str, JobChange]]:
    """What waits for the next start of a log."""
    return read_snapshot_requests(paths.snapshot_requests), read_snapshot_changes(paths.snapshot_changes)


def _changed(state: SnapshotState, changes: Iterable[JobChange]) -> SnapshotState:
    for change in changes:
        state = states.changed(state, change)
    return state


async def snapshot_view(paths: PipelinePaths, job_id: str, shards: Sequence[str] = (ONE_LOG,)) -> dict[str, Any]:
    """One job.

    Raises:
        NotFoundError: There is none of that id.
        BusyError: See :func:`snapshot_views`.
    """
    for job in await snapshot_views(paths, shards):
        if job["id"] == job_id:
            return job
    raise NotFoundError(f"pipeline {paths.name} has no snapshot {job_id[:64]!r}")


async def request_snapshot(document: PipelineSpec, paths: PipelinePaths, body: Any) -> dict[str, Any]:
    """Have tables copied: by the process of the pipeline, or by its next one. On disk when this returns.

    Args:
        document: Of the pipeline.
        paths: Of the pipeline.
        body: As over REST, see :class:`SnapshotBody`.

    Raises:
        SpecError: The body is wrong, or what it asks for is not there.
        ControlError: Nothing can be copied now.
        BusyError: The process does not answer; it may have taken the request all the same.
    """
    request = request_from_body(body, document)
    shard = shard_asked(document, body.get("shard"))
    if not child.is_alive(paths):
        paths.create()
        of_log = paths.of_log(shard)
        of_log.make_log_root()
        await asyncio.to_thread(write_snapshot_request, of_log.snapshot_requests, request)
        log.info("snapshot %s of pipeline %s waits for its next start", request.id, paths.name)
        if not child.is_alive(paths):
            return {**request.view(), **said_of(shard)}
    # also of a process that began just now: it may have looked for requests before there was this one
    job: dict[str, Any] = (await _ask(paths, "snapshot", request=request, shard=shard))["job"]
    return job


async def change_snapshot(
    paths: PipelinePaths, job_id: str, change: SnapshotChange, shards: Sequence[str] = (ONE_LOG,)
) -> dict[str, Any]:
    """Pause, resume or cancel a job: by the process of the pipeline, or by its next one. On disk when this returns.

    Raises:
        NotFoundError: There is none of that id.
        ControlError: It is over, or its process would not know it after a restart.
        BusyError: The process does not answer; it may have done it all the same.
        CheckpointError: The change cannot be written, or what is saved cannot be read.
    """
    if not child.is_alive(paths):
        job = await snapshot_view(paths, job_id, shards)
        wanted = STATUS_AFTER[change]
        if job["status"] == wanted:
            return job
        if job["status"] in IS_OVER:
            raise ControlError(f"snapshot {job_id} is {job['status']}")
        folder = paths.of_log(job.get("shard", ONE_LOG)).snapshot_changes
        await asyncio.to_thread(write_snapshot_change, folder, new_change(job_id, wanted))
        log.info("snapshot %s of pipeline %s will be %s at its next start", job_id, paths.name, wanted)
        if not child.is_alive(paths):
            return await snapshot_view(paths, job_id, shards)
    # also of a process that began just now: it may have looked for changes before there was this one
    changed: dict[str, Any] = (await _ask(paths, f"snapshot_{change}", id=job_id))["job"]
    return changed


def request_from_body(body: Any, document: PipelineSpec) -> SnapshotRequest:
    """The request in a body.

    Raises:
        SpecError: It is wrong; with every place.
    """
    try:
        asked = SnapshotBody.model_validate(body)
    except ValidationError as error:
        faults, unknown = split_unknown(error, body)
        raise error_of(faults + [Fault(path_text(steps), "unknown field") for steps in unknown]) from None
    known = [sink.config.id for sink in document.spec.sinks]
    faults = [
        Fault(path_text(("sinks", number)), f"the pipeline has no sink {sink[:64]!r}; it has {', '.join(known)}")
        for number, sink in enumerate(asked.sinks or ())
        if sink not in known
    ]
    if asked.where is not None and (not asked.where.strip() or "\0" in asked.where):
        faults.append(Fault("where", "must be a condition in SQL"))
    if faults:
        raise error_of(faults)
    return SnapshotRequest(
        id=uuid.uuid4().hex,
        tables=tuple(dict.fromkeys(asked.tables)),
        where=asked.where,
        sinks=None if asked.sinks is None else tuple(dict.fromkeys(asked.sinks)),
        max_rows_per_second=asked.max_rows_per_second,
        truncate_first=asked.truncate_first,
        requested_ms=time.time_ns() // 1_000_000,
    )


async def _live_views(paths: PipelinePaths) -> list[dict[str, Any]] | None:
    """What the process says; None if there is none, or it has not come so far."""
    if not child.is_alive(paths):
        return None
    try:
        jobs: list[dict[str, Any]] = (await _ask(paths, "snapshots", answer_secs=child.ANSWER_SECS))["jobs"]
    except BusyError:
        if child.is_alive(paths):
            raise
        return None
    except ControlError:
        return None
    return jobs


async def _ask(
    paths: PipelinePaths, command: str, *, answer_secs: float = ANSWER_SECS, **arguments: Any
) -> dict[str, Any]:
    """Ask the process.

    Raises:
        BusyError: It does not answer.
        DeltaForgeError: It refuses, for the reason that it says.
    """
    try:
        return await child.ask(paths, command, answer_secs=answer_secs, is_awaited=True, **arguments)
    except ControlError as error:
        if error.kind == "gone":
            raise BusyError(error.message, hint="ask again in a moment") from error
        refusals = {"spec": SpecError, "not_found": NotFoundError}
        said = str(error.context.get("said") or error.message)
        raise refusals.get(error.kind, ControlError)(said) from error
