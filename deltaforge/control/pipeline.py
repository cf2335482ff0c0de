"""A registered pipeline of the control plane."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import msgspec

from deltaforge.checkpoint.reader import read_source_states
from deltaforge.control.supervisor import Supervisor
from deltaforge.core.errors import CheckpointError, ControlError
from deltaforge.core.lanes import ONE_LOG, shard_suffix
from deltaforge.spec import ParsedDocument, PipelineSpec
from deltaforge.spec.references import with_secret_files


class RefusedDocument:
    """A stored document that this version or this server does not accept: it can be patched, or deleted.

    Args:
        name: Of the pipeline.
        raw: As stored; secrets included.
        fault: What is wrong with it.
    """

    def __init__(self, name: str, raw: dict[str, Any], fault: str) -> None:
        self.raw = raw
        self.fault = fault
        self.warnings: list[str] = []
        self._name = name

    @property
    def spec(self) -> NoReturn:
        """There is none.

        Raises:
            ControlError: Always.
        """
        raise ControlError(
            f"the stored document of pipeline {self._name} is not accepted: {self.fault}",
            kind="spec",
            hint="patch what is wrong with it, or delete the pipeline",
        )


class Pipeline(msgspec.Struct):
    """A registered pipeline: its document as given, its parsed form, what is wanted, and its process.

    ``desired`` is ``running``, ``paused``, ``stopped`` or ``deleted``; the last from the moment a deletion begins.
    ``former_sources`` are the source ids that it had before: what is registered for them is needed until its saved
    position is one of the present source, and is then forgotten. ``given`` are the marks of what an operator's file
    named (:class:`~deltaforge.spec.remote.RemoteRules`); None: all of the document is the operator's.
    """

    parsed: ParsedDocument | RefusedDocument
    desired: str
    supervisor: Supervisor
    former_sources: list[str] = []
    given: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.supervisor.paths.name

    def used(self) -> tuple[PipelineSpec, list[str]]:
        """The document with what it refers to, as the pipeline's process has it; and what was put in.

        Raises:
            SpecError: It must not refer to something, or that is not there.
            ControlError: It is refused.
        """
        spec, rules, folder = self.parsed.spec, self.supervisor.rules, self.supervisor.secrets_dir
        if rules is not None:
            return rules.used(spec, os.environ)
        return with_secret_files(spec, folder) if folder is not None else (spec, [])

    @property
    def fault(self) -> str:
        """Why its document is not accepted; empty if it is."""
        return self.parsed.fault if isinstance(self.parsed, RefusedDocument) else ""

    @property
    def source_id(self) -> str:
        """``spec.source.config.id``; empty if a refused document has none."""
        return _text_at(self.raw, "spec", "source", "config", "id")

    @property
    def source_ids(self) -> list[str]:
        """Those of its logs: of its source, or of the shards of that."""
        config = _value_at(self.raw, "spec", "source", "config", "shards")
        shards = [_text_at(shard, "id") for shard in config] if isinstance(config, list) else []
        return [f"{self.source_id}{shard_suffix(shard)}" for shard in shards or [ONE_LOG]]

    def saved_source_ids(self) -> set[str]:
        """Those of the logs of which a position is saved; also of shards that it does not have any more.

        Raises:
            CheckpointError: It cannot be read.
        """
        return {state.source_id for state in read_source_states(self.supervisor.paths.recovery).values()}

    @property
    def tenant(self) -> str:
        """``metadata.tenant``."""
        return _text_at(self.raw, "metadata", "tenant")

    @property
    def labels(self) -> dict[str, str]:
        """``metadata.labels``."""
        return {} if isinstance(self.parsed, RefusedDocument) else self.parsed.spec.metadata.labels

    @property
    def raw(self) -> dict[str, Any]:
        """The document as given, secrets included. Never shown."""
        return self.parsed.raw

    def echo(self) -> dict[str, Any]:
        """The document as it is shown; of a refused one only who it is, as nobody knows where its secrets are."""
        if isinstance(self.parsed, RefusedDocument):
            return {"metadata": {"name": self.name, "tenant": self.tenant}, "spec": None}
        return self.parsed.echo

    def replace(self, parsed: ParsedDocument) -> None:
        """Have another document from now on."""
        before, before_ids, self.parsed = self.source_id, self.source_ids, parsed
        if before and before != self.source_id:
            self.former_sources = [*self.former_sources, *before_ids]

    def has_own_position(self) -> bool:
        """Whether the saved position is one of the present source."""
        try:
            return not self.saved_source_ids().isdisjoint(self.source_ids)
        except CheckpointError:
            return False  # its process says so


def _value_at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text_at(value: Any, *keys: str) -> str:
    found = _value_at(value, *keys)
    return found if isinstance(found, str) else ""
