"""Learns the shape of the data from batches: samples rows out of their log bytes, and hands the samples to sensing and
drift detection.
"""

from __future__ import annotations

import itertools
import logging
import operator
import time
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.event import ChangeEvent
from deltaforge.core.resume import ResumeFilter, SinkProgress, advanced
from deltaforge.core.table import TableSchema
from deltaforge.kernel import backend
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.sensing_metrics import SensingMetrics
from deltaforge.sensing.declared import is_json_type
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import Sample, sample_of_events
from deltaforge.sensing.state import SensingState

log = logging.getLogger(__name__)

MAX_KNOWN_TABLES = 10_000

_table_of = operator.attrgetter("table")


class _Table(NamedTuple):
    """What is sensed of one table definition. ``schema`` is None for logical messages."""

    name: str
    columns: Sequence[str]
    schema: TableSchema | None


class BatchSensing:
    """Observes every event of the log once.

    Args:
        info: Of the run.
        state: What was saved, under all keys.
    """

    def __init__(self, info: RunInfo, state: SensingState) -> None:
        settings = info.spec.spec.schema_sensing
        self._terms: dict[str, Any] = {
            "warmup": settings.sampling.warmup_events,
            "rate": settings.sampling.sample_rate,
            "max_depth": settings.deep_inspect.max_depth,
        }
        self.shapes = PipelineSensing(settings, state)
        self.metrics = SensingMetrics(info.metrics, self.shapes, state.log)
        self._tables: dict[Hashable, _Table] = {}
        self._replay = ResumeFilter(state.progress) if state.progress else None
        self._read: SinkProgress | None = None  # how far the log is read; behind what is counted in a replay

    def observe(self, batch: Batch) -> None:
        """Take in a batch. It stays as it is, but for the version of events without a registered definition."""
        replay, now = self._replay, datetime.now(UTC)
        news = replay.unseen(batch) if replay else batch
        for key, groups in _by_table(news.groups).items():
            self._observe_table(key, groups, now)
        self._read = advanced(self._read, batch)
        if news.event_count or replay is None or replay.is_over:
            self.shapes.progress = self._read
        if batch.event_count:
            self.metrics.note_batch()

    def _observe_table(self, key: Hashable, groups: list[EventGroup], now: datetime) -> None:
        began = time.monotonic()
        shapes, table = self.shapes, self._table(key, groups[0])
        sample = self._sample(table, groups)
        evolutions = shapes.observe(table.name, table.columns, sample, now)
        for evolution in evolutions:
            log.log(
                logging.DEBUG if evolution.is_learning else logging.INFO,
                "schema of %s evolved from %s to %s",
                evolution.key,
                evolution.old_fingerprint,
                evolution.new_fingerprint,
                extra={"table": table.name, "sequence": evolution.sequence},
            )
        if table.schema is not None:
            for drift in shapes.drift.observe(table.name, table.schema, sample, evolutions):
                log.warning(
                    "drift detected in %s.%s: %s, expected %s, observed %s",
                    *(drift.table, drift.column, drift.kind, drift.expected_type, drift.observed_type),
                    extra={"table": table.name},
                )
        else:
            _label(groups, shapes.version(table.name))
        self.metrics.note_sample(table.name, sum(sample.totals), len(evolutions), time.monotonic() - began)

    def _sample(self, table: _Table, groups: list[EventGroup]) -> Sample:
        seen = self.shapes.seen(table.name)
        found = backend.row_sample(groups, table.columns, seen=seen, **self._terms)
        if found is not None:
            return found
        events = [event for group in groups for event in group.events()]
        return sample_of_events(events, table.columns, seen=seen, **self._terms)

    def _table(self, key: Hashable, group: EventGroup) -> _Table:
        known = self._tables.get(key)
        if known is None:
            if len(self._tables) >= MAX_KNOWN_TABLES:
                self._tables.clear()
            known = self._tables[key] = self._described(group.head())
        return known

    def _described(self, event: ChangeEvent) -> _Table:
        source, schema = event.source, event.schema
        qualifier = source.schema or source.db
        json_columns = None if schema is None else [c.name for c in schema.columns if is_json_type(c.type)]
        columns = self.shapes.asked(source.table, json_columns, qualifier=qualifier)
        return _Table(self.shapes.name_of(qualifier, source.table), columns, schema)


def _by_table(groups: Sequence[EventGroup]) -> dict[Hashable, list[EventGroup]]:
    """Groups with rows by their table definition; events that may differ in it are taken apart."""
    found: dict[Hashable, list[EventGroup]] = {}
    for table, run in itertools.groupby(groups, _table_of):
        if table is not None:
            found.setdefault(table, []).extend(run)
            continue
        for event in (event for group in run for event in group.events()):
            if isinstance(event.after, dict):  # a logical message may be any JSON value
                found.setdefault((event.source.qualified_table, event.schema), []).append(DecodedGroup([event]))
    return found


def _label(groups: Sequence[EventGroup], version: tuple[str, int] | None) -> None:
    """Rows without a registered definition carry the version of their sensed one."""
    if version is None:
        return
    for group in groups:
        for event in group.events():
            event.schema_version, event.schema_sequence = version
