"""What is said of sinks that have several lanes is true of all of them, or says which."""

import logging

import pytest
from bytewax.errors import BytewaxRuntimeError
from prometheus_client.parser import text_string_to_metric_families

from deltaforge.core.errors import SinkError
from deltaforge.encodings.registry_meter import PipelineRegistryMeter
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.lane_status import lanes_text, places
from deltaforge.runtime.status import metrics_text, say_what_was_delivered
from deltaforge.spec.model import ShardingSpec
from deltaforge.testing.fakes import RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run

LANES = 3


def refuses(call, _):
    if call == "write":
        raise SinkError("it is full", kind="auth")


def lines_of(caplog):
    return [record for record in caplog.records if record.name.startswith("deltaforge.runtime")]


def pipeline_of(tmp_path, make):
    return FakePipeline(tmp_path, ScriptedStream(300), {"a": make}, sharding=ShardingSpec(mode="key", count=LANES))


def test_the_last_line_of_a_sink_names_the_lanes_and_has_their_sum(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    sinks = {}
    pipeline = pipeline_of(tmp_path, lambda context: sinks.setdefault(context.lane, RecordingSink()))
    run(pipeline, until=lambda: sum(len(sink.durable) for sink in sinks.values()) >= 300)
    say_what_was_delivered(pipeline.running)
    said = lines_of(caplog)[-1].getMessage()
    assert said.startswith("sink a: 300 events delivered in lanes 0, 1, 2, stands at ")


def test_lanes_that_stand_elsewhere_are_named(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    sinks = {}

    def make(context):
        return sinks.setdefault(context.lane, RecordingSink(refuses) if context.lane == "1" else RecordingSink())

    pipeline = pipeline_of(tmp_path, make)
    with pytest.raises((SinkError, BytewaxRuntimeError)):
        run(pipeline, until=lambda: False)
    said = places(pipeline.running.deliveries)["a"]
    assert "lane 1 " in said
    assert "None" not in said
    assert {record.lane for record in lines_of(caplog) if "has ended" in record.getMessage()} == {"1"}
    families = {family.name: family for family in text_string_to_metric_families(metrics_text(pipeline.running))}
    (status,) = families["deltaforge_sink_checkpoint_status"].samples
    assert status.value == 0


def test_a_pipeline_with_one_lane_names_none():
    assert lanes_text([""]) == ""
    assert lanes_text(["2"]) == "lane 2"
    assert lanes_text(["eu1#0", "eu1#1"]) == "lanes eu1#0, eu1#1"


def test_ids_that_lanes_know_are_counted_together():
    metrics = PipelineMetrics("p")
    one, other = (PipelineRegistryMeter(metrics, "p", "k") for _ in range(2))
    one.note_ids(3)
    other.note_ids(2)
    one.note_ids(1)
    assert 'deltaforge_schema_registry_cached_ids{pipeline="p",sink="k"} 3.0' in metrics.text()


def test_the_time_of_a_table_is_that_of_the_shard_that_has_it():
    metrics = PipelineMetrics("p")
    metrics.count_rows("src@eu1", {("d.t", "c"): 1})
    metrics.note_tables_at("src@eu2", 9000)
    metrics.note_tables_at("src@eu1", 4000)
    metrics.count_rows("src@eu2", {("d.t", "c"): 1})
    metrics.note_tables_at("src@eu2", 2000)
    metrics.show_table_lags(10.0)
    assert 'deltaforge_source_table_lag_seconds{pipeline="p",table="d.t"} 6.0' in metrics.text()
