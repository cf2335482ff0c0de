"""What a database, a sink or a network can do to a pipeline that goes on living, and a crash with rows before and after."""

from pathlib import Path

import pytest

from tests.destinations import FileDestination, RedisDestination
from tests.pipelines import wait_for
from tests.trial import pause, source_of

JUMPING_CLOCK = Path(__file__).parents[1] / "jumping_clock.py"


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def behind_proxy(database, fault_proxy):
    """The proxy in front of the database, and the source part that leads through it."""
    proxy = fault_proxy(database.server.port)
    return proxy, source_of(database, url=database.url(port=proxy.port))


def test_a_refusing_network_to_the_database_is_shown_and_survived(trial, behind_proxy, tmp_path):
    proxy, source = behind_proxy
    trial = trial(FileDestination(tmp_path), seed=6, source=source)
    trial.begin()
    for _ in range(2):
        before = trial.pipeline.ask("status")["source"]["reconnects"]
        proxy.down()
        trial.pipeline.wait_until(lambda status: not status["connected"] and status["source"]["last_error"])
        pause(1)
        proxy.up()
        trial.pipeline.wait_until(
            lambda status, before=before: status["connected"] and status["source"]["reconnects"] > before
        )
    assert trial.finish().repeated_count == 0


def test_a_silent_network_to_the_database_loses_and_repeats_nothing(trial, behind_proxy, tmp_path):
    proxy, source = behind_proxy
    trial = trial(FileDestination(tmp_path), seed=7, source=source)
    trial.begin()
    pause(0.5)
    proxy.stall()
    pause(3)
    proxy.unstall()
    assert trial.finish().repeated_count == 0


def test_rows_before_and_during_a_crash_arrive_after_it(trial, tmp_path):
    trial = trial(FileDestination(tmp_path), seed=8)
    trial.pipeline.start()
    trial.workload.run(100)
    trial.kill()
    trial.workload.run(200)
    trial.pipeline.start()
    assert trial.finish().event_count > 300


ONE = pytest.mark.parametrize("database", ["mysql"], indirect=True)
"""Where the database makes no difference."""


@ONE
def test_a_slow_sink_holds_the_source_back_and_gets_everything_once(trial, database, redis_server, fault_proxy):
    proxy = fault_proxy(redis_server.port)
    patient = {"send_timeout_secs": 60, "batch_timeout_secs": 60}  # a batch takes seconds
    destination = RedisDestination(redis_server, database.name, port=proxy.port, **patient)
    trial = trial(destination, seed=9, batch={"max_events": 50})
    proxy.throttle(20_000)
    trial.begin(gap_secs=0.002)
    pause(4)
    wait_for(lambda: trial.workload.committed_count > len(trial.destination.events()) + 100)
    trial.end_writing()
    assert not trial.pipeline.ask("status")["sink_errors"]
    proxy.throttle(None)
    assert trial.finish().repeated_count == 0


@ONE
def test_a_jumping_wall_clock_changes_nothing(trial, tmp_path):
    trial = trial(FileDestination(tmp_path), seed=10)
    trial.pipeline.program = [JUMPING_CLOCK]
    trial.begin()
    pause(3)
    assert trial.pipeline.stop() == 0, trial.pipeline.log()
    trial.pipeline.start()
    pause(1)
    assert trial.finish().repeated_count == 0


@ONE
def test_a_second_process_of_a_pipeline_is_refused_and_the_first_goes_on(trial, tmp_path):
    trial = trial(FileDestination(tmp_path), seed=11)
    trial.begin()
    second = type(trial.pipeline)(tmp_path, source_of(trial.database), [trial.destination.sink])
    second.start(waits=False)
    assert second.wait_code() != 0
    assert wait_for(lambda: "already runs" in second.log_text())
    assert trial.finish().repeated_count == 0
