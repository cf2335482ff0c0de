"""Lanes, processes, workers and shards over kills of one process or all: nothing is lost, keys keep their order.

Three of the many layouts; ``make chaos LAYOUTS=pairs`` has the others, and more faults.
"""

import random
from contextlib import ExitStack

import pytest

from benchmarks.chaos_layouts import layout_of
from tests.destinations import ExactlyOnceDestination, LaneFiles, RedisDestination
from tests.fixtures.fix_trial import SEED
from tests.pipelines import wait_for
from tests.trial import pause, source_of_shards

CASES = [
    ("postgres", "exactly_once", "key3-2x1"),
    ("mysql", "redis", "table2-1x2-s2"),
    ("mariadb", "file", "key4-2x2"),
]


@pytest.fixture
def databases(request):
    with ExitStack() as opened:
        yield lambda kind, count: [
            opened.enter_context(request.getfixturevalue(kind).fresh_database()) for _ in range(count)
        ]


@pytest.fixture
def destination_of(request, tmp_path):
    def make(name, title, lanes):
        if name == "file":
            return LaneFiles(tmp_path, lanes)
        if name == "redis":
            return RedisDestination(request.getfixturevalue("redis_server"), title)
        return ExactlyOnceDestination(request.getfixturevalue("kafka"), title)

    return make


@pytest.fixture
def database(databases, request):
    """The first one, for ``trial``."""
    return databases(request.node.callspec.params["kind"], 1)[0]


@pytest.mark.parametrize(("kind", "sink", "name"), CASES)
def test_kills_of_one_process_and_of_all_lose_nothing(trial, databases, database, destination_of, kind, sink, name):
    layout, rng = layout_of(name), random.Random(SEED)
    shards, source = None, None
    if layout.shard_ids:
        shards = dict(zip(layout.shard_ids, [database, *databases(kind, layout.shards - 1)], strict=True))
        source = source_of_shards(shards)
    destination = destination_of(sink, database.name, layout.lanes)
    trial = trial(destination, source=source, shards=shards, strands=layout.strands(), **layout.spec())
    trial.begin(count=4000)  # the slower a machine starts processes, the more they would have to read
    pause(rng.uniform(0.3, 1.0))
    trial.kill_one(rng.choice(trial.pipeline.pids()))
    trial.pipeline.start()
    pause(rng.uniform(0.3, 1.0))
    trial.kill()
    trial.pipeline.start()
    wait_for(lambda: trial.committed_count > 200)
    verdict = trial.finish()
    assert verdict.event_count > 100
    if sink == "exactly_once":
        assert verdict.repeated_count == 0
