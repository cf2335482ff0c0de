"""A registered pipeline of the control plane."""

from __future__ import annotations

from typing import Any

import msgspec

from deltaforge.checkpoint.reader import read_source_state
from deltaforge.control.supervisor import Supervisor
from deltaforge.core.errors import CheckpointError
from deltaforge.spec import ParsedDocument


class Pipeline(msgspec.Struct):
    """A registered pipeline: its document as given, its parsed form, what is wanted, and its process.

    ``former_sources`` are the source ids that it had before: what is registered for them is needed until its saved
    position is one of the present source, and is then forgotten. ``given`` are the marks of what an operator's file
    named (:class:`~deltaforge.spec.remote.RemoteRules`); None: all of the document is the operator's.
    """

    parsed: ParsedDocument
    desired: str
    supervisor: Supervisor
    former_sources: list[str] = []
    given: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.parsed.spec.metadata.name

    @property
    def source_id(self) -> str:
        """``spec.source.config.id``."""
        return self.parsed.spec.spec.source.config.id

    @property
    def raw(self) -> dict[str, Any]:
        """The document as given, secrets included. Never shown."""
        return self.parsed.raw

    def replace(self, parsed: ParsedDocument) -> None:
        """Have another document from now on."""
        before, self.parsed = self.source_id, parsed
        if before != self.source_id:
            self.former_sources = [*self.former_sources, before]

    def has_own_position(self) -> bool:
        """Whether the saved position is one of the present source."""
        try:
            state = read_source_state(self.supervisor.paths.recovery)
        except CheckpointError:
            return False  # its process says so
        return state is not None and state.source_id == self.source_id
