"""Copies that are killed: nothing is missing, no row goes back to an older version, and exactly once is once."""

import random
import signal

import pytest

from deltaforge.checkpoint.snapshot_requests import SnapshotRequest, write_snapshot_request
from deltaforge.observability.kill_points import VARIABLE
from tests.destinations import ExactlyOnceDestination, FileDestination, RedisDestination
from tests.fixtures.fix_trial import SEED
from tests.pipelines import wait_for
from tests.snapshots import (
    assert_nothing_twice,
    copied_ids,
    create_items,
    pipeline_with_snapshot,
    saved_rows,
    saved_snapshots,
    wait_until_copied,
)
from tests.trial import Trial, source_of

POINTS = ("after_chunk_read", "before_chunk_queued", "after_chunk_queued", "between_chunk_ack_and_save")
SHORT = {"send_timeout_secs": 1, "batch_timeout_secs": 1, "connect_timeout_secs": 1}
COPY = {"mode": "initial", "chunk_size": 20}


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


def die(pipeline, point, passing):
    """Run until it kills itself at a point."""
    pipeline.start(waits=False, environment={VARIABLE: f"{point}:{passing}"})
    assert pipeline.wait_code() == -signal.SIGKILL, f"{point} was not passed\n{pipeline.log()}"


def kill_while_copying(trial, point, passing):
    """Run until it kills itself at a point. What is left to be copied may be too little for that: then it is killed when
    that is saved.
    """
    trial.pipeline.start(waits=False, environment={VARIABLE: f"{point}:{passing}"})
    wait_for(lambda: trial.pipeline.has_ended or is_copied(trial.pipeline))
    if trial.pipeline.has_ended:
        assert trial.pipeline.wait_code() == -signal.SIGKILL, trial.pipeline.log()
    trial.kill()


def is_copied(pipeline):
    jobs = saved_snapshots(pipeline)
    return bool(jobs) and all(job.status == "completed" for job in jobs)


def finish_at_full_speed(pipeline):
    """Run it without the bound of its copy until that is completed, then stop it."""
    del pipeline.document["spec"]["source"]["config"]["snapshot"]["max_rows_per_second"]
    pipeline.start()
    wait_until_copied(pipeline)
    assert pipeline.stop() == 0


def test_never_ack_before_chunk_is_saved(database, tmp_path):
    create_items(database, 400)
    destination = FileDestination(tmp_path)
    pipeline = pipeline_with_snapshot(tmp_path, database, [destination.sink], snapshot={"max_rows_per_second": 150})
    try:
        for point in POINTS:
            die(pipeline, point, 1 if point == POINTS[-1] else 3)
            assert saved_rows(pipeline) <= len(set(copied_ids(destination.events())))
            assert not is_copied(pipeline)
        finish_at_full_speed(pipeline)
    finally:
        pipeline.end()
    events = destination.events()
    assert sorted(set(copied_ids(events))) == list(range(1, 401))
    by_id = {event["event_id"]: event["after"]["id"] for event in events}
    assert len(by_id) == 400  # whatever comes again has the id that it had


def test_truncate_first_over_kills(mysql_database, tmp_path):
    create_items(mysql_database, 400)
    destination = FileDestination(tmp_path)
    snapshot = {"mode": "never", "max_rows_per_second": 100}
    pipeline = pipeline_with_snapshot(tmp_path, mysql_database, [destination.sink], snapshot=snapshot)
    request = SnapshotRequest(id="1a", tables=("*.items",), truncate_first=True, requested_ms=1)
    pipeline.paths.snapshot_requests.parent.mkdir(parents=True)
    write_snapshot_request(pipeline.paths.snapshot_requests, request)
    try:
        die(pipeline, POINTS[2], 1)  # the truncation, which is the first that leaves, is not saved
        pipeline.start()
        wait_for(lambda: saved_rows(pipeline))
        pipeline.kill()  # and now it is, and rows behind it
        assert not is_copied(pipeline)
        finish_at_full_speed(pipeline)
    finally:
        pipeline.end()
    events = destination.events()
    places = [place for place, event in enumerate(events) if event["op"] == "t"]
    assert places[0] == 0
    assert len({events[place]["event_id"] for place in places}) == 1
    assert sorted(set(copied_ids(events[places[-1] :]))) == list(range(1, 401))


def test_kill9_anywhere_content_oracle(database, trial, tmp_path):
    rng = random.Random(SEED)
    trial = trial(FileDestination(tmp_path), seed=41, source=source_of(database, snapshot=COPY))
    trial.workload.big_transaction(3000)
    trial.workload.run(20)
    trial.begin()
    trial.kill_at_random(rng, 2)
    trial.kill()
    for point in rng.sample(POINTS, 2):
        if not is_copied(trial.pipeline):
            kill_while_copying(trial, point, rng.randint(1, 5))
    trial.pipeline.start()
    wait_until_copied(trial.pipeline)
    trial.finish()
    assert copied_ids([event for event in trial.destination.events() if event["source"]["table"] == "items"])


def test_exactly_once_no_r_twice(postgres_database, kafka, tmp_path):
    destination = ExactlyOnceDestination(kafka, postgres_database.name)
    trial = Trial(
        postgres_database,
        destination,
        tmp_path,
        seed=SEED,
        source=source_of(postgres_database, snapshot=COPY | {"max_rows_per_second": 800}),
    )
    try:
        trial.workload.has_ddl = False  # a table that is defined anew is copied anew
        trial.workload.big_transaction(3000)
        trial.begin()
        trial.kill()
        for point, passing in (
            ("after_commit", 4), ("inside_transaction_before_commit", 4), (POINTS[3], 1), (POINTS[1], 3),
        ):  # fmt: skip
            assert not is_copied(trial.pipeline)
            trial.kill_at(point, passing)
            trial.pipeline.document["spec"]["source"]["config"]["snapshot"]["chunk_size"] += 13  # others than before
        trial.pipeline.start()
        wait_until_copied(trial.pipeline)
        assert trial.finish().repeated_count == 0
    finally:
        trial.close()
    events = destination.events()
    assert_nothing_twice(events)
    assert len(copied_ids([event for event in events if event["source"]["table"] == "items"])) > 2000


def test_exactly_once_ahead_of_other_sink(postgres_database, kafka, redis_server, fault_proxy, tmp_path):
    create_items(postgres_database, 400)
    proxy = fault_proxy(redis_server.port)
    ahead = ExactlyOnceDestination(kafka, postgres_database.name)
    behind = RedisDestination(redis_server, postgres_database.name, port=proxy.port, **SHORT)
    pipeline = pipeline_with_snapshot(
        tmp_path,
        postgres_database,
        [ahead.sink, behind.sink],
        snapshot={"max_rows_per_second": 200},
        batch={"max_inflight": 5},  # what waits for the sink that is away holds the copy back, at any pace
    )
    proxy.down()
    try:
        pipeline.start(waits=False)
        wait_for(lambda: len(ahead.events()) >= 30)
        pipeline.kill()
        assert len(ahead.events()) < 400
        assert not behind.events()
        assert not saved_rows(pipeline)
        pipeline.document["spec"]["source"]["config"]["snapshot"] |= {
            "chunk_size": 77,  # chunks would end elsewhere now
            "max_rows_per_second": 10_000,
        }
        proxy.up()
        for name in SHORT:  # a server that is slow now would get some rows twice
            del behind.sink["config"][name]
        pipeline.start()
        wait_until_copied(pipeline)
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
    for destination in (ahead, behind):
        assert_nothing_twice(destination.events())
        assert sorted(copied_ids(destination.events())) == list(range(1, 401))
