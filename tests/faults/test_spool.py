"""A sink that is not waited for: away for long, killed with rows in its spool, given up, added and removed."""

import json
import random

import pytest

from deltaforge.checkpoint.reader import read_delivery_state, read_source_state
from tests.databases import begin_log_anew
from tests.destinations import ExactlyOnceDestination, FileDestination, RedisDestination
from tests.fixtures.fix_trial import SEED
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, mysql_source, wait_for
from tests.trial import is_delivered, pause

SHORT = {"send_timeout_secs": 1, "batch_timeout_secs": 1, "connect_timeout_secs": 1}
SPLIT = {"max_tx_bytes": 20_000, "max_events": 50}


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def redis_away(database, redis_server, fault_proxy):
    """A Redis that is not waited for, and the proxy in front of it."""
    proxy = fault_proxy(redis_server.port)
    return proxy, RedisDestination(redis_server, database.name, port=proxy.port, required=False, **SHORT)


def spooled_events(pipeline):
    """What the metrics say waits for the sink."""
    text = pipeline.ask("metrics")["metrics"]
    lines = [line for line in text.splitlines() if line.startswith("deltaforge_sink_spool_events{") and "redis" in line]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0  # it is starting


def test_a_sink_that_was_away_gets_everything_in_order_in_the_same_run_and_holds_nobody_up(trial, redis_away, tmp_path):
    proxy, redis = redis_away
    trial = trial(FileDestination(tmp_path), seed=31, optional=redis)
    trial.begin(gap_secs=0.005)
    wait_for(redis.events)
    proxy.down()
    trial.pipeline.wait_until(lambda status: "redis" in status["sink_errors"])
    wait_for(lambda: read_source_state(trial.pipeline.paths.recovery))
    before = read_source_state(trial.pipeline.paths.recovery).position
    pause(2)
    wait_for(lambda: spooled_events(trial.pipeline) > 100)
    trial.end_writing()
    wait_for(lambda: is_delivered(trial.database, trial.destination))
    wait_for(lambda: before.is_behind(read_source_state(trial.pipeline.paths.recovery).position))
    assert spooled_events(trial.pipeline) > 100
    assert not is_delivered(trial.database, redis)
    proxy.up()
    wait_for(lambda: is_delivered(trial.database, redis))
    wait_for(lambda: spooled_events(trial.pipeline) == 0 and not trial.pipeline.ask("status")["sink_errors"])
    assert trial.finish().repeated_count == 0
    trial.judge_optional()


def test_kills_with_rows_in_the_spool_lose_nothing(trial, redis_away, tmp_path):
    rng, (proxy, redis) = random.Random(SEED), redis_away
    trial = trial(FileDestination(tmp_path), seed=32, optional=redis, batch=SPLIT)
    trial.begin(gap_secs=0.005)
    wait_for(redis.events)
    proxy.down()
    for _ in range(2):
        pause(rng.uniform(0.3, 1.5))
        trial.kill()
        trial.kill_at("during_spool_fsync", rng.randint(1, 2))
        trial.pipeline.start()
    trial.workload.ask_for_large(3000)
    wait_for(lambda: trial.workload.large_count)
    trial.kill()
    trial.pipeline.start()
    proxy.up()
    assert trial.finish().event_count > 300
    assert trial.judge_optional().event_count > 300


AT_A_BARRIER = ("during_spool_fsync", "between_ack_and_save", "between_save_and_confirm", "during_stop")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("point", AT_A_BARRIER)
def test_a_kill_at_a_barrier_with_rows_in_the_spool_loses_nothing(trial, redis_away, tmp_path, point):
    proxy, redis = redis_away
    trial = trial(FileDestination(tmp_path), seed=34, optional=redis, batch=SPLIT)
    proxy.down()
    trial.begin(gap_secs=0.005)
    wait_for(lambda: spooled_events(trial.pipeline) > 20)
    trial.kill()
    trial.kill_at(point, 1)
    trial.pipeline.start()
    wait_for(lambda: spooled_events(trial.pipeline) > 20)
    assert not redis.events()
    proxy.up()
    trial.finish()
    assert trial.judge_optional().event_count > 40


def test_a_kill_with_rows_in_the_spool_of_an_exactly_once_sink_repeats_nothing(
    trial, database, kafka_behind_proxy, tmp_path
):
    proxy, bootstrap = kafka_behind_proxy.proxy, kafka_behind_proxy.bootstrap
    kafka = ExactlyOnceDestination(kafka_behind_proxy.broker, database.name, bootstrap=bootstrap, required=False)
    trial = trial(FileDestination(tmp_path), seed=33, optional=kafka, batch=SPLIT)
    trial.begin(gap_secs=0.02)
    wait_for(kafka.progress)  # its rows are not read while they grow faster than they can be
    for _ in range(2):
        proxy.down()
        pause(1.5)
        trial.kill()
        trial.pipeline.start(waits=False)
        pause(1)
        proxy.up()
        pause(1)
    trial.finish()
    assert trial.judge_optional().repeated_count == 0


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


ROWS = 6000


def pipeline_with(database, folder, *more, **redis_config):
    body = document(mysql_source(database), file_sink(folder / "out"), *more, name="p")
    for sink in more:
        sink["config"].update(redis_config)
    body["spec"]["batch"] = {"max_events": 50}
    return body


def insert(database, first, count):
    database.execute(*(f"insert into t values ({number}, '{'x' * 200}')" for number in range(first, first + count)))


def ids(destination):
    return [event["after"]["id"] for event in destination.events()]


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
@pytest.mark.parametrize("on_full", ["block", "detach"])
def test_a_full_spool_does_what_the_document_says(plane, database, redis_away, tmp_path, on_full):
    proxy, redis = redis_away
    database.execute("create table t (id int primary key, text varchar(300))")
    small = {"max_bytes": 100_000, "on_full": on_full}
    plane.call("POST", "/pipelines", pipeline_with(database, tmp_path, redis.sink, spool=small))
    proxy.down()
    insert(database, 0, ROWS)

    def error():
        return plane.call("GET", "/pipelines/p")[1]["ops"]["sink_errors"].get("redis", "")

    wait_for(lambda: ("its spool is full" if on_full == "block" else "detached: its spool was full") in error())
    if on_full == "block":
        assert len(file_events(tmp_path / "out")) < ROWS
        proxy.up()
    else:
        wait_for(lambda: len(file_events(tmp_path / "out")) == ROWS)
        place = error().partition("nothing behind ")[2].partition(" is delivered")[0]
        proxy.up()
        larger = pipeline_with(database, tmp_path, redis.sink, spool={**small, "max_bytes": 100_000_000})
        assert plane.call("PATCH", "/pipelines/p", {"spec": {"sinks": larger["spec"]["sinks"]}})[0] == 200
        assert plane.call("POST", "/pipelines/p/stop")[0] == 200
        to = {"to": json.loads(place), "sink_id": "redis"}
        assert plane.call("POST", "/pipelines/p/checkpoints/reset", to)[0] == 200
        assert plane.call("POST", "/pipelines/p/resume")[0] == 200
    wait_for(lambda: ROWS - 1 in ids(redis) and not error())
    assert list(dict.fromkeys(ids(redis))) == list(range(ROWS))
    assert [event["after"]["id"] for event in file_events(tmp_path / "out")] == list(range(ROWS))


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_sink_is_added_from_the_earliest_row_and_forgotten_with_what_waited_for_it(
    plane, database, redis_away, tmp_path
):
    proxy, redis = redis_away
    begin_log_anew(database)
    database.execute("create table t (id int primary key, text varchar(300))")
    plane.call("POST", "/pipelines", pipeline_with(database, tmp_path))
    insert(database, 0, 100)
    wait_for(lambda: len(file_events(tmp_path / "out")) == 100)
    with_redis = pipeline_with(database, tmp_path, redis.sink, start="earliest")["spec"]["sinks"]
    assert plane.call("PATCH", "/pipelines/p", {"spec": {"sinks": with_redis}})[0] == 200
    wait_for(lambda: len(ids(redis)) == 100)
    proxy.down()
    insert(database, 100, 400)
    wait_for(lambda: len(file_events(tmp_path / "out")) == 500)
    state = tmp_path / "state/pipelines/p"
    wait_for(lambda: (mark := read_delivery_state(state / "recovery").spools.get("redis")) and mark.first < mark.end)
    whole = {"Content-Type": "application/merge-patch+json"}  # lists are replaced whole
    assert plane.call("PATCH", "/pipelines/p", {"spec": {"sinks": with_redis[:1]}}, headers=whole)[0] == 200
    insert(database, 500, 10)
    wait_for(lambda: not (state / "spool/redis").exists())
    wait_for(lambda: read_delivery_state(state / "recovery").members == ["file"])
    wait_for(lambda: len(file_events(tmp_path / "out")) >= 510)
    assert [event["after"]["id"] for event in file_events(tmp_path / "out")] == list(range(510))
    assert ids(redis) == list(range(100))


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_full_disk_under_the_spool_loses_nothing(trial, database, redis_away, small_disk, tmp_path):
    proxy, redis = redis_away
    trial = trial(FileDestination(tmp_path), seed=34, optional=redis, folder=small_disk.folder)
    trial.begin(gap_secs=0.005)
    wait_for(redis.events)
    proxy.down()
    pause(1)
    small_disk.fill()
    assert trial.pipeline.wait_code() != 0
    trial.note_death()
    small_disk.free()
    trial.pipeline.start()
    proxy.up()
    trial.finish()
    trial.judge_optional()
