"""What several processes say, made what one would say."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deltaforge.core.positions import PostgresPosition, encode_position
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.merging import LEAST, MOST, SUMMED, merged_metrics, merged_status


def part(**values):
    """The status of a process that has no part of the pipeline."""
    source = {"id": "src", "position": None, "log_end": None, "last_error": None, "reconnects": 0}
    return {
        "name": "p", "pid": 1, "state": "starting", "connected": False, "source": {**source, "unmatched_patterns": {}},
        "sink_errors": {}, "ended_sinks": [], "sinks_settled": False, "lag_seconds": None, "events_read": 0,
        "python_rows": {}, "checkpoints": [], "snapshots": [], "log_count": 0, "lane_count": 0, **values,
    }  # fmt: skip


def reading(state="running", *, lsn=100, **values):
    source = {
        **part()["source"],
        "position": {"lsn": "0/50"},
        "log_end": encode_position(PostgresPosition(lsn)).decode(),
    }
    return part(log_count=1, state=state, connected=True, **{"source": source, **values})


def checkpoint(lane, lsn, sink="k"):
    return {"sink_id": sink, "lane": lane, "position": PostgresPosition(lsn).view(), "age_seconds": 1.0}


@pytest.mark.parametrize(
    ("states", "merged"),
    [
        (["running", None], "running"),
        (["paused", "running"], "running"),
        (["paused", "paused"], "paused"),
        (["starting", "running"], "running"),
        (["starting", None], "starting"),
        (["running", "stopping"], "stopping"),
    ],
)
def test_state_is_that_of_the_logs_wherever_they_are(states, merged):
    parts = [part() if state is None else reading(state) for state in states]
    assert merged_status(parts, ("",))["state"] == merged


def test_a_process_that_is_not_there_yet_holds_up_the_start():
    merged = merged_status([reading(lane_count=1, sinks_settled=True), None], ("",))
    assert (merged["state"], merged["connected"], merged["sinks_settled"]) == ("starting", False, False)
    assert merged["processes"] == [1, None]


def test_counts_are_summed_lists_joined_and_the_lag_is_behind_the_slowest_lane():
    here = reading(lag_seconds=2.0, events_read=7, lane_count=1, sinks_settled=True, python_rows={"json": 2},
                   checkpoints=[checkpoint("10", 90)], sink_errors={"k": "lane 10: down"})  # fmt: skip
    there = part(pid=2, lane_count=1, sinks_settled=True, python_rows={"json": 1, "set": 1}, ended_sinks=["k"],
                 checkpoints=[checkpoint("2", 60)], sink_errors={"k": "lane 2: down"})  # fmt: skip
    merged = merged_status([here, there], ("",))
    assert (merged["events_read"], merged["lag_seconds"], merged["lag_bytes"]) == (7, 2.0, 40)
    assert merged["python_rows"] == {"json": 3, "set": 1}
    assert [view["lane"] for view in merged["checkpoints"]] == ["2", "10"]
    assert merged["sink_errors"] == {"k": "lane 10: down; lane 2: down"}
    assert (merged["ended_sinks"], merged["sinks_settled"]) == (["k"], True)
    assert merged["source"]["position"] == {"lsn": "0/50"}


def test_asked_where_no_log_is_the_source_is_that_of_the_other():
    assert merged_status([part(), reading()], ("",))["source"]["position"] == {"lsn": "0/50"}


def test_shards_stand_in_the_order_of_the_document_each_with_its_lag():
    def shard(name, lsn, error=None):
        view = {"id": name, "log_end": encode_position(PostgresPosition(lsn)).decode(), "reconnects": 1}
        source = {**part()["source"], "reconnects": 1, "last_error": error, "shards": [view]}
        return reading(source=source)

    parts = [
        shard("b", 100, "shard b: away"),
        {**shard("a", 50), "checkpoints": [checkpoint("a", 40), checkpoint("b", 70)]},
    ]
    merged = merged_status(parts, ("a", "b"))
    assert [(each["id"], each["lag_bytes"]) for each in merged["source"]["shards"]] == [("a", 10), ("b", 30)]
    assert (merged["lag_bytes"], merged["source"]["reconnects"]) == (40, 2)
    assert merged["source"]["last_error"] == "shard b: away"


def test_every_gauge_has_one_rule():
    gauges = {family.name for family in PipelineMetrics("p").registry.collect() if family.type == "gauge"}
    ruled = [*SUMMED, *LEAST, *MOST]
    assert sorted(ruled) == sorted(gauges)


def test_metrics_are_summed_or_the_worst():
    one, other = PipelineMetrics("p"), PipelineMetrics("p")
    for metrics, count, is_up, lag in ((one, 3, True, 5), (other, 4, False, 1)):
        metrics.sink_events.labels("p", "k").inc(count)
        metrics.sink_up.labels("p", "k").set(is_up)
        metrics.source_table_lag_seconds.labels("p", "t").set(lag)
        metrics.spool_events.labels("p", "k").set(count)
        metrics.batch_events.labels("p").observe(count)
    one.source_lag_seconds.labels("p").set(9)
    families = {
        family.name: family for family in text_string_to_metric_families(merged_metrics([one.text(), other.text()]))
    }

    def value(name, sample=None):
        found = [each.value for each in families[name].samples if each.name == (sample or name)]
        assert len(found) == 1
        return found[0]

    assert value("deltaforge_sink_events", "deltaforge_sink_events_total") == 7
    assert value("deltaforge_sink_up") == 0
    assert value("deltaforge_source_table_lag_seconds") == 1
    assert value("deltaforge_source_lag_seconds") == 9
    assert value("deltaforge_sink_spool_events") == 7
    assert value("deltaforge_batch_events", "deltaforge_batch_events_sum") == 7
    assert [each.value for each in families["deltaforge_batch_events"].samples if each.labels.get("le") == "+Inf"] == [
        2
    ]
