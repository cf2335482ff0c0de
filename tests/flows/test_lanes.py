"""Lanes: a log is split into deliveries of their own, and each keeps its order and its position."""

from deltaforge.checkpoint.reader import read_delivery_states, read_source_state
from deltaforge.spec.model import ShardingSpec
from deltaforge.testing.fakes import RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run

LANES = 3


def lanes_pipeline(tmp_path, sinks, last=300):
    def make(context):
        return sinks.setdefault(context.lane, RecordingSink())

    return FakePipeline(tmp_path, ScriptedStream(last), {"a": make}, sharding=ShardingSpec(mode="key", count=LANES))


def rows(sink):
    return list(sink.durable)


def test_every_lane_gets_its_rows_in_order_and_all_stand_at_the_same_place(tmp_path):
    sinks = {}
    pipeline = lanes_pipeline(tmp_path, sinks)
    run(pipeline, until=lambda: sum(len(rows(sink)) for sink in sinks.values()) >= 300)
    found = [rows(sink) for sink in sinks.values()]
    assert sorted(sinks) == ["0", "1", "2"]
    assert all(len(part) > 50 and part == sorted(part) for part in found)
    assert sorted(row for part in found for row in part) == list(range(1, 301))
    states = read_delivery_states(pipeline.paths.recovery)
    end = read_source_state(pipeline.paths.recovery).position
    assert sorted(states) == ["delivery#0", "delivery#1", "delivery#2"]
    assert {sink.position for state in states.values() for sink in state.sinks} == {end}
