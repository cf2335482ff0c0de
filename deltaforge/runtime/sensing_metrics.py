"""Metrics of sensing and drift detection. Contract 06 section 2."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from deltaforge.core.lanes import ONE_LOG
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sensing.pipeline import PipelineSensing


class SensingMetrics:
    """Counts what the sensing step does.

    Args:
        metrics: Of the pipeline.
        sensing: Whose caches and keys are reported.
        log: Of which shard.
    """

    def __init__(self, metrics: PipelineMetrics, sensing: PipelineSensing, log: str = ONE_LOG) -> None:
        self._log = log
        self._metrics = metrics
        self._sensing = sensing
        self._stage = metrics.stage_latency.labels(metrics.pipeline, "schema_sensing", "limits")
        self._tables: dict[str, tuple[Counter, Histogram]] = {}
        # The state counts since the pipeline was created, a counter since its process began, as all others do.
        self._cache_counts = {table: sensing.cache_counts(table) for table in sensing.tables()}
        self._observed: set[str] = set()
        self._drifting: set[str] = set()
        self.refresh()

    def note_stage(self, seconds: float) -> None:
        """The step was busy for so long with what it was handed."""
        self._stage.observe(seconds)

    def note_batch(self) -> None:
        """A batch passed."""
        if self._drifting:
            self._metrics.schema_drift.labels(self._metrics.pipeline).inc()

    def note_sample(self, table: str, value_count: int, evolution_count: int, seconds: float) -> None:
        """A table was observed: so many values, so many changed shapes."""
        metrics = self._metrics
        if table not in self._tables:
            labels = (metrics.pipeline, metrics.table_label(table))
            self._tables[table] = (
                metrics.schema_events.labels(*labels),
                metrics.schema_sensing_seconds.labels(*labels),
            )
        values, latency = self._tables[table]
        values.inc(value_count)
        latency.observe(seconds)
        if evolution_count:
            metrics.schema_evolutions.labels(metrics.pipeline, metrics.table_label(table)).inc(evolution_count)
            metrics.pipeline_evolutions.labels(metrics.pipeline).inc(evolution_count)
        self._observed.add(table)
        if self._sensing.drift.has_drift(table):
            self._drifting.add(table)

    def refresh(self) -> None:
        """Bring the gauges and the counters of the caches up to date: once per epoch."""
        for table in self._observed:
            self._note_cache(table)
        self._observed.clear()
        keys = [key for key in self._sensing.keys() if key.sequence]  # noqa: SIM118 - not a mapping
        dynamic = sum(path.judgement.has_dynamic_fields for key in keys for path in key.judged_paths().values())
        self._metrics.show_sensed(self._log, len(keys), dynamic)

    def _note_cache(self, table: str) -> None:
        metrics, labels = self._metrics, (self._metrics.pipeline, self._metrics.table_label(table))
        now, before = self._sensing.cache_counts(table), self._cache_counts.get(table, (0, 0))
        self._cache_counts[table] = now
        for counter, alias, count in (
            (metrics.schema_sensing_cache_hits, metrics.schema_cache_hits_alias, now[0] - before[0]),
            (metrics.schema_sensing_cache_misses, metrics.schema_cache_misses_alias, now[1] - before[1]),
        ):
            if count:
                counter.labels(*labels).inc(count)
                alias.labels(*labels).inc(count)
