"""What becomes of the requests to a schema registry, counted."""

from __future__ import annotations

from typing import Protocol


class RegistryMeter(Protocol):
    """Counts what becomes of requests, ids and events."""

    def note_request(self, result: str) -> None:
        """One request: ``ok``, ``rejected`` or ``failed``."""

    def note_ids(self, count: int) -> None:
        """So many ids are known."""

    def note_changed_id(self) -> None:
        """The registry has another id for a schema than it had."""


class _NoMeter:
    def note_request(self, result: str) -> None:
        pass

    def note_ids(self, count: int) -> None:
        pass

    def note_changed_id(self) -> None:
        pass


NO_METER: RegistryMeter = _NoMeter()
