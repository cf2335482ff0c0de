"""Counters of sensing begin with their process, whatever was counted before it."""

from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.sensing_metrics import SensingMetrics
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.state import decode_sensing_state
from tests.unit.sensing.test_pipeline import feed, sensing

COUNTERS = ("schema_events", "schema_sensing_cache_hits", "schema_sensing_cache_misses", "schema_cache_hits",
            "schema_cache_misses")  # fmt: skip
ROWS = [{"doc": {"a": n}} for n in range(20)]


def counted(metrics):
    """The counters of the table, 0 before their first."""
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    known = {sample.name: sample.value for sample in samples if sample.labels.get("table") == "orders"}
    return {name: known.get(f"deltaforge_{name}_total", 0) for name in COUNTERS}


def observe(pipeline, metrics):
    feed(pipeline, ROWS)
    metrics.note_sample("orders", len(ROWS), 0, 0.0)
    metrics.refresh()


def test_after_a_restart_all_counters_begin_at_zero():
    pipeline, before = sensing(), PipelineMetrics("p")
    counting = SensingMetrics(before, pipeline)
    observe(pipeline, counting)
    observe(pipeline, counting)
    first = counted(before)
    assert first["schema_events"] == first["schema_sensing_cache_hits"] + first["schema_sensing_cache_misses"] == 40

    after = PipelineMetrics("p")
    again = PipelineSensing(pipeline.settings, decode_sensing_state(pipeline.pipeline_bytes()))
    counting = SensingMetrics(after, again)
    assert counted(after) == dict.fromkeys(COUNTERS, 0)
    assert after.registry.get_sample_value("deltaforge_schema_tables_total", {"pipeline": "p"}) == 1
    observe(again, counting)
    assert counted(after) == {"schema_events": 20, "schema_sensing_cache_hits": 20, "schema_sensing_cache_misses": 0,
                              "schema_cache_hits": 20, "schema_cache_misses": 0}  # fmt: skip
    assert sum(again.cache_counts("orders")) == 60
