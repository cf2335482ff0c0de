"""The metrics of one pipeline, under the names and labels of contract 06 section 2."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from deltaforge.observability.process import ProcessMetrics

# Times at which series began; Prometheus has no use for them.
disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_EVENT_BUCKETS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000)
MAX_TABLES, OTHER_TABLES = 1000, "(others)"
"""So many tables have series of their own in a process."""
BATCH_BYTE_BUCKETS = tuple(float(1 << n) for n in range(10, 28, 2))


M = TypeVar("M", Counter, Gauge, Histogram)


class PipelineMetrics:
    """Every metric of a pipeline process, in a registry of its own.

    Each attribute is the ``prometheus_client`` metric with ``pipeline`` already among its label
    names; callers use ``metrics.sink_events.labels(pipeline, sink)``.
    """

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self.registry = CollectorRegistry()
        source = ("pipeline", "source")
        self.source_events = self._counter("source_events", "Row changes read.", (*source, "table", "op"))
        self.source_bytes = self._counter("source_bytes", "Raw log bytes read.", source)
        self.source_reconnects = self._counter("source_reconnects", "Reconnections to the source.", source)
        self.source_identity_changes = self._counter(
            "source_identity_changes", "Connections to another server than before.", source
        )
        self.publication_changes = self._counter(
            "source_publication_changes", "Ways in which the publication left out changes.", (*source, "change")
        )
        self.source_errors = self._counter("source_errors", "Errors that a retry cannot mend.", (*source, "kind"))
        self.source_lag_seconds = self._gauge(
            "source_lag_seconds", "Now minus the time of the last event; of shards, the longest.", ("pipeline",)
        )
        self.source_idle_seconds = self._gauge("source_idle_seconds", "Seconds since the last event.", source)
        shard = ("pipeline", "shard")
        self.shard_up = self._gauge("source_shard_up", "1 while the shard is read.", shard)
        self.shard_lag_seconds = self._gauge("source_shard_lag_seconds", "As source_lag_seconds, of a shard.", shard)
        self.shard_lag_bytes = self._gauge("source_shard_lag_bytes", "Log of the shard behind its slowest sink.", shard)
        self.batch_events = self._histogram("batch_events", "Events per batch.", ("pipeline",), BATCH_EVENT_BUCKETS)
        self.batch_bytes = self._histogram("batch_bytes", "Log bytes per batch.", ("pipeline",), BATCH_BYTE_BUCKETS)
        self.bytes = self._counter("bytes", "Log bytes of delivered batches.", ("pipeline",))
        self.stage_latency = self._histogram(
            "stage_latency_seconds", "Seconds in a stage.", ("pipeline", "stage", "trigger"), LATENCY_BUCKETS
        )
        self.e2e_latency = self._histogram(
            "e2e_latency_seconds", "Receive time of the first event to delivery.", ("pipeline",), LATENCY_BUCKETS
        )
        self.channel_depth = self._gauge("pipeline_channel_depth", "Batches waiting for the dataflow.", ("pipeline",))
        self.schema_cache_hits = self._counter("source_schema_cache_hits", "Table definitions reused.", source)
        self.schema_cache_misses = self._counter("source_schema_cache_misses", "Table definitions built.", source)
        self.skipped_events = self._counter("source_skipped_events", "Events that an operator let pass unread.", source)
        self.taken_over = self._counter("source_definitions_taken_over", "Definitions out of the catalog.", source)
        self.null_dates = self._counter("source_null_dates", "Zero dates delivered as null.", (*source, "table"))
        self.notices = self._counter("source_notices", "Events that are about no row.", (*source, "notice"))
        self.python_rows = self._counter(
            "python_rows", "Rows that the Python decoders decoded instead of the kernel.", ("pipeline", "reason")
        )
        self.unmatched_patterns = self._gauge(
            "source_unmatched_patterns", "Table patterns that no table matches.", source
        )
        self.slot_retained_bytes = self._gauge("source_slot_retained_bytes", "WAL that the slot holds back.", source)
        self._add_tables()
        self._add_snapshots()
        self._add_sinks()
        self._add_kafka()
        self._add_schema_registries()
        self._add_readers()
        self._add_spools()
        self._add_shapes()
        self._add_dead_letters()
        self.registry.register(ProcessMetrics({"pipeline": pipeline}))

    def _add_tables(self) -> None:
        self.source_table_lag_seconds = self._gauge(
            "source_table_lag_seconds",
            "Now minus the time of the table's last event, on any shard.",
            ("pipeline", "table"),
        )
        self._tables: set[str] = set()
        self._fresh_tables: dict[str, set[str]] = {}
        self._table_times: dict[str, int] = {}

    def _add_snapshots(self) -> None:
        table = ("pipeline", "table")
        self.snapshot_rows = self._counter("snapshot_rows", "Rows copied.", table)
        self.snapshot_bytes = self._counter("snapshot_bytes", "Bytes of rows copied.", ("pipeline",))
        self.snapshot_chunks = self._counter(
            "snapshot_chunks", "Chunks, by what became of them: delivered, discarded, reread.", ("pipeline", "result")
        )
        self.snapshot_dropped_rows = self._counter(
            "snapshot_dropped_rows", "Rows left out because the log had a newer version.", table
        )
        self.snapshot_tables = self._gauge(
            "snapshot_tables",
            "Tables of snapshots that go on, and of the last one if it failed, by status.",
            ("pipeline", "status"),
        )
        self.snapshot_progress_ratio = self._gauge(
            "snapshot_progress_ratio", "Share of a table that is copied, on the shard that has least of it.", table
        )
        self.snapshot_waiting = self._gauge(
            "snapshot_waiting", "1 while a chunk waits for something on the server.", ("pipeline",)
        )
        self.snapshot_active = self._gauge("snapshot_active", "Jobs that run.", ("pipeline",))

    def _add_sinks(self) -> None:
        sink = ("pipeline", "sink")
        self.sink_events = self._counter("sink_events", "Events delivered.", sink)
        self.sink_batches = self._counter("sink_batch", "Batches delivered.", sink)
        self.sink_bytes = self._counter("sink_bytes", "Value bytes delivered.", sink)
        self.sink_latency = self._histogram("sink_latency_seconds", "Seconds per batch.", sink, LATENCY_BUCKETS)
        self.sink_up = self._gauge(
            "sink_up", "1 while the sink is open in every lane and nothing is wrong with it.", sink
        )
        self.sink_errors = self._counter("sink_errors", "Failed attempts.", sink)
        self.sink_routing_errors = self._counter(
            "sink_routing_errors", "Events without a destination.", (*sink, "kind")
        )
        self.sink_reconnects = self._counter("sink_reconnects", "Reconnections.", sink)
        self.sink_deadline_overruns = self._counter("coordinator_sink_timeout", "Sink calls over the deadline.", sink)
        self.checkpoints = self._counter("checkpoints", "Per-sink positions saved.", ("pipeline",))
        self.checkpoint_resets = self._counter("checkpoint_resets", "Resets carried out.", ("pipeline",))
        self.last_checkpoint_ts = self._gauge("last_checkpoint_ts", "When a position was last saved.", ("pipeline",))
        self.sink_checkpoint_status = self._gauge(
            "sink_checkpoint_status", "1 ok, 0 behind in a lane.", (*sink, "required")
        )
        self.sink_last_checkpoint_ts = self._gauge(
            "sink_last_checkpoint_ts", "When this sink last acked, in any lane.", sink
        )

    def _add_kafka(self) -> None:
        sink = ("pipeline", "sink")
        self.sink_txn_commits = self._counter("sink_txn_commits", "Kafka transactions committed.", sink)
        self.sink_txn_aborts = self._counter("sink_txn_aborts", "Kafka transactions given up.", sink)
        self.kafka_retries = self._counter("kafka_produce_retries", "Batches produced again.", sink)
        self.kafka_queue_messages = self._gauge("kafka_producer_queue_messages", "Messages in the producer.", sink)
        self.kafka_queue_bytes = self._gauge("kafka_producer_queue_bytes", "Bytes in the producer.", sink)

    def _add_schema_registries(self) -> None:
        sink = ("pipeline", "sink")
        self.avro_encoded = self._counter(
            "avro_encode", "Events encoded with a schema of a registry, by what it was made of.", (*sink, "path")
        )
        self.avro_failures = self._counter(
            "avro_encode_failure",
            "Events or batches without a schema, by reason.",
            (*sink, "reason"),
        )
        self.avro_registrations = self._counter("avro_schema_registrations", "Schemas registered or found.", sink)
        self.registry_requests = self._counter(
            "schema_registry_requests", "Requests to the registry, by result: ok, rejected, failed.", (*sink, "result")
        )
        self.registry_cached_ids = self._gauge(
            "schema_registry_cached_ids", "Ids of schemas that are known; each lane has its own.", sink
        )
        self.registry_changed_ids = self._counter(
            "schema_registry_changed_ids", "Schemas whose id is another one now: the registry was wiped.", sink
        )

    def _add_readers(self) -> None:
        self.tail_listeners = self._gauge("tail_listeners", "Readers of the events that pass.", ("pipeline",))
        self.tail_left_out = self._counter("tail_left_out_events", "Events not shown to such readers.", ("pipeline",))

    def _add_spools(self) -> None:
        sink = ("pipeline", "sink")
        self.spool_events = self._gauge("sink_spool_events", "Events that wait on disk for the sink.", sink)
        self.spool_size = self._gauge("sink_spool_size_bytes", "Bytes of the sink's spool on disk.", sink)
        self.spool_saturation_ratio = self._gauge(
            "sink_spool_saturation_ratio", "Size over max_bytes; of lanes, the fullest.", sink
        )
        self.spool_written = self._counter("sink_spool_written_events", "Events written to the spool.", sink)
        self.spool_detached = self._gauge(
            "sink_detached", "1 once the sink was given up in a lane over a full spool.", sink
        )

    def _add_shapes(self) -> None:
        table = ("pipeline", "table")
        self.schema_events = self._counter("schema_events", "Sensed values.", table)
        self.schema_sensing_cache_hits = self._counter("schema_sensing_cache_hits", "Known structures.", table)
        self.schema_sensing_cache_misses = self._counter("schema_sensing_cache_misses", "New structures.", table)
        self.schema_cache_hits_alias = self._counter("schema_cache_hits", "As schema_sensing_cache_hits.", table)
        self.schema_cache_misses_alias = self._counter("schema_cache_misses", "As schema_sensing_cache_misses.", table)
        self.schema_evolutions = self._counter("schema_evolutions", "Sensed schemas that changed.", table)
        self.pipeline_evolutions = self._counter("pipeline_evolutions", "Sensed schemas that changed.", ("pipeline",))
        self._sensed: dict[str, tuple[int, int]] = {}
        self.schema_tables = self._gauge("schema_tables_total", "Sensed schemas.", ("pipeline",))
        self.schema_dynamic_maps = self._gauge("schema_dynamic_maps_total", "Objects with dynamic keys.", ("pipeline",))
        self.schema_sensing_seconds = self._histogram(
            "schema_sensing_seconds", "Seconds per sample of a table.", table, LATENCY_BUCKETS
        )
        self.schema_drift = self._counter("schema_drift_detected", "Batches while drift exists.", ("pipeline",))

    def _add_dead_letters(self) -> None:
        self.dlq_events = self._counter(
            "dlq_events", "Events put aside as dead letters.", ("pipeline", "sink", "error_kind")
        )
        self.dlq_entries = self._gauge("dlq_entries", "Dead letters that wait.", ("pipeline",))
        self.dlq_saturation_ratio = self._gauge("dlq_saturation_ratio", "Entries over max_entries.", ("pipeline",))
        self.dlq_evicted = self._counter("dlq_evicted", "Oldest entries that gave way.", ("pipeline",))
        self.dlq_rejected = self._counter("dlq_rejected", "Events that found the queue full.", ("pipeline",))
        self.dlq_write_failures = self._counter("dlq_write_failures", "Entries not written.", ("pipeline",))

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return _remembering(Counter(f"deltaforge_{name}", text, labels, registry=self.registry))

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return _remembering(Gauge(f"deltaforge_{name}", text, labels, registry=self.registry))

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return _remembering(Histogram(f"deltaforge_{name}", text, labels, buckets=buckets, registry=self.registry))

    def count_rows(self, source_id: str, counts: Mapping[tuple[str, str], int]) -> None:
        """Count rows that were read, by table and operation. In the thread that reads this source."""
        fresh = self._fresh_tables.setdefault(source_id, set())
        for (name, op), count in counts.items():
            table = self.table_label(name)
            self.source_events.labels(self.pipeline, source_id, table, op).inc(count)
            fresh.add(table)

    def show_shard(self, shard: str, *, is_up: bool, lag_seconds: float | None, lag_bytes: int | None) -> None:
        """Bring the gauges of a shard up to date, as far as they are known."""
        labels = (self.pipeline, shard)
        self.shard_up.labels(*labels).set(is_up)
        if lag_seconds is not None:
            self.shard_lag_seconds.labels(*labels).set(lag_seconds)
        if lag_bytes is not None:
            self.shard_lag_bytes.labels(*labels).set(lag_bytes)

    def show_sensed(self, shard: str, schema_count: int, dynamic_count: int) -> None:
        """What is sensed of a log: the gauges have the sums over all of them."""
        self._sensed[shard] = (schema_count, dynamic_count)
        schemas, dynamic = map(sum, zip(*self._sensed.values(), strict=True))
        self.schema_tables.labels(self.pipeline).set(schemas)
        self.schema_dynamic_maps.labels(self.pipeline).set(dynamic)

    def count_python_rows(self, reason: str, count: int) -> None:
        """Count rows that the compiled kernel left to the Python decoders, by reason. In any thread."""
        self.python_rows.labels(self.pipeline, reason).inc(count)

    def python_row_counts(self) -> dict[str, int]:
        """How many that were so far, by reason."""
        samples = [sample for family in self.python_rows.collect() for sample in family.samples]
        return {sample.labels["reason"]: int(sample.value) for sample in samples if sample.name.endswith("_total")}

    def note_tables_at(self, source_id: str, ts_ms: int) -> None:
        """The time of the newest row in a batch: that of the tables whose rows were counted since the batch before.
        It costs nothing per row, and is wrong by a batch at most. In the thread that reads this source.
        """
        for table in self._fresh_tables.pop(source_id, ()):
            self._table_times[table] = max(ts_ms, self._table_times.get(table, 0))

    def show_table_lags(self, now_secs: float) -> None:
        """Bring the lag of each table of which something was read up to date."""
        for table, ts_ms in list(self._table_times.items()):
            self.source_table_lag_seconds.labels(self.pipeline, table).set(max(0.0, now_secs - ts_ms / 1000))

    def table_label(self, table: str) -> str:
        """The value of a label ``table``: of a database with very many tables the later ones share one, since every
        value is another series in the memory of this process and of Prometheus.
        """
        if table not in self._tables:
            if len(self._tables) >= MAX_TABLES:
                return OTHER_TABLES
            self._tables.add(table)
        return table

    def text(self) -> str:
        """Prometheus text exposition of all of them."""
        return generate_latest(self.registry).decode()


def _remembering(metric: M) -> M:
    """The metric, asked once for each of its series: they are looked up several times per batch."""
    metric.labels = functools.cache(metric.labels)  # type: ignore[method-assign]  # a faster way to the same answer
    return metric
