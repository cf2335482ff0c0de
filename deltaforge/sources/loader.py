"""Table definitions from the catalog of a source, taken into the schema registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.schema.versions import Definition, LogPoint

log = logging.getLogger(__name__)

SLOW_LOAD_MS = 200


class Loaded(msgspec.Struct, frozen=True):
    """The captured tables as the catalog has them.

    Attributes:
        definitions: By database (PostgreSQL: schema) and table.
        errors: Why others could not be read.
        point: Where in the log they are valid; everything that was read lies before it.
    """

    definitions: dict[TableName, Definition]
    errors: dict[TableName, str]
    point: LogPoint


class TableReload(msgspec.Struct, frozen=True):
    """What a reload did to one table. ``status``: ``ok``, ``missing`` or ``error``; contract 01 section 2.4."""

    database: str
    table: str
    status: str
    changed: bool
    error: str | None = None


def reload(registry: SchemaRegistry, loaded: Loaded, wanted: Sequence[TableName] | None) -> list[TableReload]:
    """Register what the catalog says now.

    Args:
        registry: Of the source.
        loaded: All captured tables.
        wanted: The tables to register; None: all that were loaded or are registered.
    """
    names = sorted({*loaded.definitions, *loaded.errors, *registry.tables}) if wanted is None else list(wanted)
    found = [loaded.definitions[name] for name in names if name in loaded.definitions]
    changed = registry.record(found, loaded.point, is_sure=True)
    return [_reloaded(name, loaded, is_changed=name in changed) for name in names]


def _reloaded(name: TableName, loaded: Loaded, *, is_changed: bool) -> TableReload:
    if name in loaded.definitions:
        return TableReload(*name, "ok", is_changed)
    if name in loaded.errors:
        return TableReload(*name, "error", changed=False, error=loaded.errors[name])
    return TableReload(*name, "missing", changed=False, error="the source has no such table that is captured")


@contextmanager
def slow_load_warning(what: str) -> Iterator[None]:
    """Log a load of definitions that takes longer than :data:`SLOW_LOAD_MS`."""
    began = time.monotonic()
    yield
    ms = (time.monotonic() - began) * 1000
    if ms > SLOW_LOAD_MS:
        log.warning("reading table definitions took %.0f ms (%s)", ms, what)
