"""Lanes over kill -9: nothing is lost, and what has one key stays in its order."""

import json
import random
import zlib

import pytest

from tests.destinations import ExactlyOnceDestination, LaneFiles
from tests.fixtures.fix_trial import SEED
from tests.workload import KEYS

LANES = 3
BY_KEY = {"mode": "key", "count": LANES}


@pytest.fixture
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


def lane_of(event, count=LANES):
    """Where an event belongs: by the key that Kafka messages have."""
    table = event["source"]["table"]
    image = event["after"] or event["before"]
    key = {name: image[name] for name in KEYS[table]}
    return zlib.crc32(json.dumps(key, ensure_ascii=False, separators=(",", ":")).encode()) % count


def begin(trial, *, pause_secs=0.002):
    trial.workload.moves_keys = trial.workload.has_ddl = False
    trial.begin(gap_secs=pause_secs)


def by_lane(events, count=LANES):
    lanes = [[event for event in events if lane_of(event, count) == lane] for lane in range(count)]
    assert all(lanes), [len(lane) for lane in lanes]
    return lanes


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_files_of_lanes_lose_nothing_over_kills(trial, tmp_path):
    destination = LaneFiles(tmp_path, LANES)
    trial = trial(destination, sharding=BY_KEY)
    begin(trial)
    trial.kill_at_random(random.Random(SEED), 2)
    status = trial.pipeline.wait_until(lambda status: len(status["checkpoints"]) == LANES)
    assert [(each["sink_id"], each["lane"]) for each in status["checkpoints"]] == [
        ("file", str(n)) for n in range(LANES)
    ]
    trial.finish()
    assert [{*map(lane_of, events)} for events in destination.streams()] == [{0}, {1}, {2}]


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_kafka_lanes_repeat_nothing_over_kills(trial, kafka, database):
    destination = ExactlyOnceDestination(kafka, database.name)
    destination.streams = lambda: by_lane(destination.events())
    trial = trial(destination, sharding=BY_KEY, batch={"max_tx_bytes": 2000, "max_events": 20})
    begin(trial)
    trial.kill_at_random(random.Random(SEED), 2)
    assert trial.finish().repeated_count == 0


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_exactly_once_holds_over_another_number_of_lanes(trial, kafka, database):
    destination = ExactlyOnceDestination(kafka, database.name)
    destination.streams = lambda: by_lane(destination.events(), 6)  # each of them in one lane of 3, and in one of 2
    trial = trial(destination, sharding=BY_KEY)
    begin(trial)
    pipeline, sharding = trial.pipeline, trial.pipeline.document["spec"]["sharding"]
    trial.kill()
    pipeline.document["spec"]["sharding"] = {**sharding, "count": 2}
    refused = pipeline.start(waits=False).wait()
    assert (refused.status, refused.retry) == ("failed", "never")
    assert "from 3 lanes by key to 2 lanes by key: the run before did not end with a stop" in refused.message
    pipeline.document["spec"]["sharding"] = sharding
    pipeline.start()
    assert pipeline.stop() == 0, pipeline.log()
    pipeline.document["spec"]["sharding"] = {**sharding, "count": 2}
    pipeline.start().wait_until(lambda status: [each["lane"] for each in status["checkpoints"]] == ["0", "1"])
    assert trial.finish().repeated_count == 0
