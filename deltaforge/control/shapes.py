"""Views of what a pipeline's sensing and drift detection have saved. Contract 01 sections 2.5 and 2.6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltaforge.checkpoint.reader import read_sensing_states
from deltaforge.core.errors import ControlError, NotFoundError
from deltaforge.core.lanes import ONE_LOG
from deltaforge.sensing.drift_state import TableDrift
from deltaforge.sensing.field_list import add_statistics, field_rows
from deltaforge.sensing.json_schema import json_schema
from deltaforge.sensing.sensor import KeyState, is_stabilized, key_name
from deltaforge.sensing.sensor import Path as KeyPath
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.shape import Shape
from deltaforge.sensing.state import SensingState, decode_sensing_state, merged
from deltaforge.sensing.united import united


def read_shapes(recovery_dir: Path, shards: Sequence[str] = (ONE_LOG,)) -> SensingState:
    """The saved state of these shards as one; an empty one when nothing was saved yet.

    Raises:
        CheckpointError: It cannot be read.
    """
    states = list(map(decode_sensing_state, read_sensing_states(recovery_dir)))
    return united(merged(state for state in states if state.log == shard) for shard in shards)


class SensingView:
    """Sensed schemas of one pipeline, as response bodies.

    Args:
        pipeline: Its name, for messages.
        settings: Of its document.
        state: What was saved.

    Raises:
        ControlError: Sensing is off, or its results are not to be shown.
    """

    def __init__(self, pipeline: str, settings: SchemaSensing, state: SensingState) -> None:
        if not settings.enabled:
            raise ControlError(f"schema sensing not enabled for pipeline '{pipeline}'")
        if not settings.output.expose_api:
            raise ControlError(f"schema sensing of pipeline '{pipeline}' is not exposed: output.expose_api is false")
        self._pipeline = pipeline
        self._settings = settings
        self._keys = {
            key_name(table, column): key
            for table, known in sorted(state.tables.items())
            for column, key in sorted(known.keys.items())
            if key.sequence
        }

    def schemas(self) -> list[dict[str, Any]]:
        """One short entry per key."""
        return [self._summary(name, key) for name, key in self._keys.items()]

    def schema(self, table: str, *, depth: int = 1, shows_statistics: bool = False) -> dict[str, Any]:
        """One key with its fields.

        Args:
            table: ``table`` or ``table:column``.
            depth: Levels of field names.
            shows_statistics: Whether null rates, enum values and statistics are added to the fields.

        Raises:
            NotFoundError: Nothing was sensed under that name.
        """
        key = self._key(table)
        rows = field_rows(_shape(key), depth)
        if shows_statistics:
            add_statistics(rows, key)
        summary = self._summary(table, key)
        seen = {name: summary.pop(name) for name in ("first_seen", "last_seen")}
        return {**summary, "fields": rows, **seen}

    def json_schema(self, table: str) -> dict[str, Any]:
        """The JSON Schema of one key.

        Raises:
            ControlError: The document of the pipeline turns the export off.
            NotFoundError: Nothing was sensed under that name.
        """
        if not self._settings.output.export_json_schema:
            reason = "output.export_json_schema is false"
            raise ControlError(f"pipeline '{self._pipeline}' does not export JSON Schema: {reason}")
        return json_schema(table, _shape(self._key(table)))

    def classifications(self, table: str, *, shows_examples: bool = False) -> dict[str, Any]:
        """Which keys of which objects are names and which are data.

        Raises:
            NotFoundError: Nothing was sensed under that name.
        """
        paths = self._key(table).judged_paths()
        return {"table": table, "paths": {name: _path(found, shows_examples) for name, found in paths.items()}}

    def stats(self) -> dict[str, Any]:
        """How well the structure caches work."""
        limit = self._settings.sampling.structure_cache_size
        tables = [
            {
                "table": name,
                "cached_structures": len(key.structures),
                "max_cache_size": limit,
                "cache_hits": key.cache_hits,
                "cache_misses": key.cache_misses,
            }
            for name, key in self._keys.items()
        ]
        hits = sum(key.cache_hits for key in self._keys.values())
        total = hits + sum(key.cache_misses for key in self._keys.values())
        return {
            "tables": tables,
            "total_cache_hits": hits,
            "total_cache_misses": total - hits,
            "hit_rate": round(hits / total, 4) if total else 0.0,
        }

    def _key(self, table: str) -> KeyState:
        try:
            return self._keys[table]
        except KeyError:
            raise NotFoundError(f"no schema was sensed for {table} in pipeline {self._pipeline}") from None

    def _summary(self, name: str, key: KeyState) -> dict[str, Any]:
        return {
            "table": name,
            "fingerprint": key.fingerprint,
            "sequence": key.sequence,
            "event_count": key.event_count,
            "stabilized": is_stabilized(key, self._settings),
            "first_seen": _timestamp(key.first_seen),
            "last_seen": _timestamp(key.last_seen),
        }


class DriftView:
    """Drift of one pipeline, as response bodies."""

    def __init__(self, pipeline: str, state: SensingState) -> None:
        self._pipeline = pipeline
        self._tables = dict(sorted(state.drift.items()))

    def tables(self, *, shows_kinds: bool = False) -> list[dict[str, Any]]:
        """Every table that was compared with its declaration, with drift or without."""
        return [_drift(table, found, shows_kinds) for table, found in self._tables.items()]

    def table(self, table: str, *, shows_kinds: bool = False) -> dict[str, Any]:
        """One table.

        Args:
            table: Its name.
            shows_kinds: Whether the kind of drift and the null rates of NOT NULL columns are added.

        Raises:
            NotFoundError: It is not known, or no row of it was compared.
        """
        found = self._tables.get(table)
        if found is None:
            raise NotFoundError(f"no drift data for table {table} in pipeline {self._pipeline}")
        return _drift(table, found, shows_kinds)


def _drift(table: str, found: TableDrift, shows_kinds: bool) -> dict[str, Any]:  # noqa: FBT001 - handed on
    view = {
        "table": table,
        "has_drift": bool(found.records),
        "columns": list(_drift_rows(found, shows_kinds)),
        "events_analyzed": found.events_analyzed,
        "events_with_drift": found.events_with_drift,
    }
    if shows_kinds:
        view["high_null_rates"] = found.null_rates()
    return view


def _drift_rows(found: TableDrift, shows_kinds: bool) -> Iterator[dict[str, Any]]:  # noqa: FBT001 - handed on
    for column, kinds in found.records.items():
        for kind, record in kinds.items():
            row: dict[str, Any] = {"column": column}
            if shows_kinds:
                row["kind"] = kind
            row["expected_type"] = record.expected_type
            row["observed_types"] = record.observed_types
            row["mismatch_count"] = record.count
            if record.examples:
                row["examples"] = record.examples
            yield row


def _path(found: KeyPath, shows_examples: bool) -> dict[str, Any]:  # noqa: FBT001 - handed on
    judgement = found.judgement
    view: dict[str, Any] = {
        "stable_fields": [field.name for field in judgement.stable_fields],
        "has_dynamic_fields": judgement.has_dynamic_fields,
    }
    if judgement.has_dynamic_fields:
        view["unique_keys"] = judgement.unique_keys
        if shows_examples:
            view["examples"] = found.examples
    return view


def _shape(key: KeyState) -> Shape:
    return 0 if key.shape is None else key.shape


def _timestamp(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
