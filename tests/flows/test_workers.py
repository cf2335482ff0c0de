"""Lanes over the workers of one process."""

import threading

import pytest

from deltaforge.checkpoint.reader import read_delivery_states
from deltaforge.spec.model import ShardingSpec
from deltaforge.testing.fakes import RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run

LANES = 4


class CountingSink(RecordingSink):
    """Knows which worker has placed its lane."""

    def __init__(self, threads, lane):
        super().__init__()
        threads[lane] = threading.get_ident()


@pytest.mark.parametrize("workers", [2, 4])
def test_every_worker_has_its_share_of_the_lanes_and_each_gets_batches(tmp_path, workers):
    threads, sinks = {}, {}

    def make(context):
        return sinks.setdefault(context.lane, CountingSink(threads, context.lane))

    sharding = ShardingSpec(mode="key", count=LANES)
    pipeline = FakePipeline(tmp_path, ScriptedStream(200), {"a": make}, sharding=sharding)
    run(pipeline, until=lambda: sum(len(sink.durable) for sink in sinks.values()) >= 200, workers=workers)
    rows = {lane: list(sink.durable) for lane, sink in sinks.items()}
    assert sorted(row for part in rows.values() for row in part) == list(range(1, 201))
    assert all(part == sorted(part) for part in rows.values())
    delivered = {
        thread: sum(len(rows[lane]) for lane in rows if threads[lane] == thread) for thread in threads.values()
    }
    assert len(delivered) == workers
    assert min(delivered.values()) > 20
    assert len(read_delivery_states(pipeline.paths.recovery)) == LANES
