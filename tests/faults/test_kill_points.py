"""kill -9 at every named point, one after the other: no gap, the order kept, nothing repeated that was saved.

A reader of committed messages sees no repetition at all where the sink is exactly once.
"""

import random

import pytest

from deltaforge.observability.kill_points import POINTS
from tests.destinations import ExactlyOnceDestination, FileDestination, KafkaDestination, RedisDestination
from tests.fixtures.fix_trial import SEED

OF_THE_SINK = ("after_encode", "mid_produce", "between_ack_and_save")
OF_THE_PIPELINE = ("after_read", "between_save_and_confirm", "during_stop")
OF_TRANSACTIONS = ("inside_transaction_before_commit", "after_commit")
OF_SNAPSHOTS = {"after_chunk_read", "before_chunk_queued", "after_chunk_queued", "between_chunk_ack_and_save"}
OF_OTHERS = {"after_dead_letter", "during_spool_fsync", *OF_SNAPSHOTS}
"""Need rows that cannot be written, a sink that is away, or a table to copy: see ``test_exactly_once_dead_letters``,
``test_spool``, ``test_snapshot_kills``.
"""
MAKES_SENSE = {
    "file": OF_THE_SINK + OF_THE_PIPELINE,
    "kafka": OF_THE_SINK,
    "redis": OF_THE_SINK,
    "exactly_once": OF_THE_SINK + OF_THE_PIPELINE + OF_TRANSACTIONS,
}


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def destination_of(request, database, tmp_path):
    def make(name):
        if name == "file":
            return FileDestination(tmp_path)
        if name == "redis":
            return RedisDestination(request.getfixturevalue("redis_server"), database.name)
        kind = ExactlyOnceDestination if name == "exactly_once" else KafkaDestination
        return kind(request.getfixturevalue("kafka"), database.name)

    return make


def test_every_point_is_killed_at():
    assert set(POINTS) == {point for points in MAKES_SENSE.values() for point in points} | OF_OTHERS


@pytest.mark.parametrize("name", MAKES_SENSE)
def test_kills_at_the_named_points_lose_nothing_and_repeat_only_what_was_not_saved(trial, destination_of, name):
    rng = random.Random(SEED)
    trial = trial(destination_of(name), seed=5)
    trial.begin()
    trial.kill()
    for point in MAKES_SENSE[name]:
        trial.kill_at(point, 1 if point == "during_stop" else rng.randint(1, 2))
    trial.pipeline.start()
    verdict = trial.finish()
    assert verdict.event_count > 100
    if name == "exactly_once":
        assert verdict.repeated_count == 0
