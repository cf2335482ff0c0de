"""Dead letters of pipelines, for people: from the storage, also when nothing runs. Contract 01, 2.7."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from deltaforge.control.learned import learned_storage
from deltaforge.control.options import ServeOptions
from deltaforge.core.errors import ControlError, StorageError
from deltaforge.journal.entries import EntryView
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.storage.base import Storage

if TYPE_CHECKING:
    from deltaforge.control.pipeline import Pipeline

log = logging.getLogger(__name__)

T = TypeVar("T")


class RetryOutcome(NamedTuple):
    """What became of the entries of a retry. ``error``: why the request as a whole could not be fulfilled."""

    entries: list[dict[str, Any]]
    error: str | None

    @property
    def counts(self) -> dict[str, int]:
        """Entries that were delivered, and that were not."""
        delivered = sum(entry["status"] == "delivered" for entry in self.entries)
        return {"delivered": delivered, "failed": len(self.entries) - delivered}


class DeadLetterService:
    """Shows and empties the queues, and has running pipelines deliver entries again.

    Args:
        storage: Of the control plane.
        options: Of the control plane.
        get: Finds a pipeline by its name, or raises :class:`PipelineNotFoundError`.
    """

    def __init__(self, storage: Storage, options: ServeOptions, get: Callable[[str], Pipeline]) -> None:
        self._storage = storage
        self._options = options
        self._get = get

    async def entries(self, name: str, *, limit: int, sink_id: str | None, error_kind: str | None) -> list[EntryView]:
        """The oldest entries of those that fulfil the conditions; see :meth:`DeadLetterQueue.entries`."""
        terms = {"sink_id": sink_id, "error_kind": error_kind}
        return await self._with(name, lambda queue: queue.entries(limit=limit, **terms))

    async def count(self, name: str) -> int:
        """Number of entries."""
        return await self._with(name, DeadLetterQueue.count)

    async def ack(self, name: str, up_to_seq: int) -> int:
        """Remove the entries up to and including a sequence; returns how many there were."""
        return await self._with(name, lambda queue: queue.ack(up_to_seq))

    async def purge(self, name: str) -> int:
        """Remove all entries; returns how many there were."""
        return await self._with(name, DeadLetterQueue.purge)

    async def retry(self, name: str, request: dict[str, Any]) -> RetryOutcome:
        """Have the pipeline deliver entries again; those that are acked are gone.

        Raises:
            ControlError: It has no journal, or does not run.
        """
        pipeline = self._journaled(name)
        supervisor = pipeline.supervisor
        if supervisor.status not in ("running", "paused"):
            raise ControlError(f"pipeline {name} is {supervisor.status}: only a running one can deliver entries again")
        entries = await supervisor.retry_dead_letters(request)
        cut = [str(entry["seq"]) for entry in entries if entry["status"] == "truncated"]
        error = f"truncated entries cannot be delivered again: seq {', '.join(cut)}" if cut else None
        return RetryOutcome(entries, error)

    async def size(self, pipeline: Pipeline) -> int:
        """Number of entries; 0 without a journal, or when they cannot be counted."""
        if not _has_journal(pipeline):
            return 0
        try:
            return await self._with(pipeline.name, DeadLetterQueue.count)
        except StorageError as error:
            log.warning("dead letters of %s cannot be counted: %s", pipeline.name, error)
            return 0

    async def blocked(self, pipelines: Iterable[Pipeline]) -> list[str]:
        """The pipelines that wait for room in their queue as soon as one more event fails, or do so already."""
        found = []
        for pipeline in pipelines:
            journal = None if pipeline.fault else pipeline.parsed.spec.spec.journal
            if not _has_journal(pipeline) or journal is None or journal.dlq.overflow_policy != "block":
                continue
            if pipeline.supervisor.status in ("running", "paused"):
                is_full = await self.size(pipeline) >= journal.dlq.max_entries
                found += [pipeline.name] if is_full else []
        return sorted(found)

    async def forget(self, pipeline: Pipeline) -> None:
        """Delete the queue of a pipeline that is being deleted; it must have ended."""
        await self._run(pipeline, DeadLetterQueue.purge)

    async def _with(self, name: str, action: Callable[[DeadLetterQueue], T]) -> T:
        return await self._run(self._journaled(name), action)

    async def _run(self, pipeline: Pipeline, action: Callable[[DeadLetterQueue], T]) -> T:
        def run() -> T:
            with learned_storage(self._storage, self._options, pipeline) as storage:
                return action(DeadLetterQueue(storage.queue, pipeline.name))

        return await asyncio.to_thread(run)

    def _journaled(self, name: str) -> Pipeline:
        pipeline = self._get(name)
        if not _has_journal(pipeline):
            raise ControlError(f"DLQ not enabled for pipeline '{name}'", hint="set spec.journal.enabled to true")
        return pipeline


def _has_journal(pipeline: Pipeline) -> bool:
    journal = None if pipeline.fault else pipeline.parsed.spec.spec.journal
    return journal is not None and journal.enabled
