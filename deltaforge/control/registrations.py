"""What is registered, as it is stored: for each pipeline its document and what is wanted of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from deltaforge.control.pipeline import Pipeline, RefusedDocument
from deltaforge.control.supervisor import Supervisor
from deltaforge.core.errors import DeltaForgeError, SpecError
from deltaforge.spec import ParsedDocument, check_supported, parse_document
from deltaforge.storage.base import Storage

NAMESPACE = "pipelines"
DESIRED = ("running", "paused", "stopped", "deleted")


class Registrations:
    """Reads and writes them. Writing blocks no event loop.

    Args:
        storage: Of the control plane.
        make_supervisor: For a pipeline of that name.
    """

    def __init__(
        self,
        storage: Storage,
        make_supervisor: Callable[[str], Supervisor],
    ) -> None:
        self._kv = storage.kv
        self._make_supervisor = make_supervisor

    def load(self) -> dict[str, Pipeline]:
        """All of them by name. One that cannot be read, or is not accepted, is there as a refused one.

        Raises:
            StorageError: The storage cannot be read.
        """
        return {name: self._pipeline(name, value) for name, value in self._kv.list(NAMESPACE)}

    async def save(self, pipeline: Pipeline) -> None:
        """Write one.

        Raises:
            StorageError: It could not be written; what was stored before still is.
        """
        kept = {"document": pipeline.raw, "desired": pipeline.desired, "former_sources": pipeline.former_sources}
        if pipeline.given is not None:
            kept["given"] = sorted(pipeline.given)
        await asyncio.to_thread(self._kv.put, NAMESPACE, pipeline.name, msgspec.json.encode(kept))

    async def remove(self, name: str) -> None:
        """Forget one.

        Raises:
            StorageError: It is still there.
        """
        await asyncio.to_thread(self._kv.delete, NAMESPACE, name)

    def _pipeline(self, name: str, value: bytes) -> Pipeline:
        stored: dict[str, Any] = {}
        try:
            stored = msgspec.json.decode(value, type=dict[str, Any])
            document: ParsedDocument | RefusedDocument = accepted(stored.get("document"), is_stored=True)
            if isinstance(document, ParsedDocument) and document.spec.metadata.name != name:
                document = RefusedDocument(name, document.raw, f"its metadata.name is {document.spec.metadata.name}")
        except (msgspec.MsgspecError, DeltaForgeError) as error:
            raw = stored.get("document")
            document = RefusedDocument(name, raw if isinstance(raw, dict) else {}, str(error))
        desired = stored.get("desired")
        marks = stored.get("given")  # absent from what an earlier version stored, when everything was allowed
        return Pipeline(
            document,
            desired if desired in DESIRED else "stopped",
            self._make_supervisor(name),
            _texts(stored.get("former_sources")),
            None if marks is None else frozenset(_texts(marks)),
        )


class SourceIds:
    """Keeps two pipelines from having one source id, also while one of them is only about to have it.

    Args:
        pipelines: Those that are registered, by name.
    """

    def __init__(self, pipelines: Mapping[str, Pipeline]) -> None:
        self._pipelines = pipelines
        self._kept: dict[str, str] = {}

    @contextmanager
    def kept(self, parsed: ParsedDocument) -> Iterator[None]:
        """Keep the source id of a document, and those of its shards, for its pipeline, until it is registered.

        Raises:
            SpecError: Another pipeline has it.
        """
        name, source_id = parsed.spec.metadata.name, parsed.spec.spec.source.config.id
        ids = {source_id, *(parsed.spec.of_shard(shard).spec.source.config.id for shard in parsed.spec.shards())}
        others = [other for other in self._pipelines.values() if other.name != name]
        users = {known: other.name for other in others for known in (other.source_id, *other.source_ids)} | self._kept
        for found in sorted(ids & users.keys()):
            raise SpecError(f"source id {found!r} is used by pipeline {users[found]}", path="spec.source.config.id")
        self._kept |= dict.fromkeys(ids, name)
        try:
            yield
        finally:
            for found in ids:
                del self._kept[found]


def accepted(document: Any, *, is_stored: bool = False) -> ParsedDocument:
    """A document that is right and that this version can run; how it is shown is made, which takes time if it is long.

    Args:
        document: JSON values.
        is_stored: It was accepted before, maybe by an earlier version.
    """
    parsed = parse_document(document, is_stored=is_stored)
    check_supported(parsed.spec)
    parsed.echo  # noqa: B018 - kept from here on
    return parsed


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
