"""Ids of schemas, as a registry gave them: what is known, how sure it is, and what was refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from deltaforge.core.errors import SinkError
from deltaforge.encodings.registry_meter import RegistryMeter
from deltaforge.encodings.schema_registry import RejectedSchemaError, SchemaRegistry, SchemaType
from deltaforge.observability.waiting import Waiting

log = logging.getLogger(__name__)

SURE_SECS = 60.0
"""How long an id counts as that of the registry. Then it is asked for again: a registry may have lost what it knew."""
UNSURE_SECS = 15.0
"""How long a known id is used when the registry could not be asked, until it is tried again."""
AGAIN_SECS = 2.0
"""How long is waited for an answer about an id that is known."""
REFUSED_SECS = 30.0
"""How long a refused schema is not offered again: somebody may have changed what is compatible."""


@dataclass
class KnownId:
    """An id, and until when nobody has to ask for it (``time.monotonic()``)."""

    id: int
    until: float


class SchemaIds:
    """The ids that one registry has, by subject and text of the schema. For one thread.

    Args:
        registry: Who is asked.
        schema_type: Of all schemas.
        meter: Is told of ids.
        now: Seconds that only grow.
        waiting: Is told that somebody waits for the registry.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        schema_type: SchemaType,
        meter: RegistryMeter,
        now: Callable[[], float] = time.monotonic,
        *,
        waiting: Waiting | None = None,
    ) -> None:
        self._waiting = waiting
        self._registry, self._schema_type, self._meter, self._now = registry, schema_type, meter, now
        self._known: dict[tuple[str, str], KnownId] = {}
        self._refused: dict[tuple[str, str], tuple[float, RejectedSchemaError]] = {}

    def doubt(self) -> None:
        """Ask for every id again before it is used next: the registry may be another one now."""
        for known in self._known.values():
            known.until = 0.0
        self._refused.clear()

    def of(self, subject: str, schema: str) -> KnownId:
        """The id of a schema, registered if need be. The same object as long as the id is the same.

        Raises:
            RejectedSchemaError: The registry does not take it.
            SinkError: The id is not known, and the registry does not say it.
        """
        key = subject, schema
        known = self._known.get(key)
        if known is not None and self._now() < known.until:
            return known
        self._raise_refusal(key)
        if known is None and self._waiting is not None:
            self._waiting.note(f"the schema registry for the id of a schema of {subject}")
        try:
            found = self._registry.register(
                subject, schema, self._schema_type, within_secs=None if known is None else AGAIN_SECS
            )
        except RejectedSchemaError as error:
            self._refused[key] = self._now() + REFUSED_SECS, error
            self._forget(key)
            raise
        except SinkError as error:
            if known is None:
                raise
            log.warning("schema ids that are known go on being used: %s", error)
            known.until = self._now() + UNSURE_SECS
            return known
        if known is None:
            self._meter.note_new_id()
        if known is None or known.id != found:
            if known is not None:
                self._note_change(subject, known.id, found)
            known = self._known[key] = KnownId(found, 0.0)
            self._meter.note_ids(len(self._known))
        known.until = self._now() + SURE_SECS
        return known

    def _raise_refusal(self, key: tuple[str, str]) -> None:
        until, error = self._refused.get(key, (0.0, None))
        if error is not None and self._now() < until:
            raise RejectedSchemaError(error.message, hint=error.hint)

    def _forget(self, key: tuple[str, str]) -> None:
        if self._known.pop(key, None) is not None:
            self._meter.note_ids(len(self._known))

    def _note_change(self, subject: str, old: int, new: int) -> None:
        self._meter.note_changed_id()
        log.warning(
            "the schema registry has id %d for a schema of %s that was %d: it was wiped or restored, and messages with "
            "%d may be read with another schema or not at all",
            new, subject, old, old,
        )  # fmt: skip
