"""Pipelines with Kafka exactly once over kill -9, outages and a second instance: no gap and no duplicate, ever.

All comparisons are those of a reader of committed messages.
"""

import os
import random

import pytest

from deltaforge.checkpoint.reader import read_checkpoints
from deltaforge.runtime.first_start import first_position
from tests.combinations import faults
from tests.destinations import ExactlyOnceDestination, FileDestination
from tests.fixtures.fix_trial import SEED
from tests.pipelines import PipelineProcess, wait_for
from tests.trial import finish, pause, source_of, wait_until_delivered

KILLS = int(os.environ.get("DELTAFORGE_KILLS", "3"))
ROWS = int(os.environ.get("DELTAFORGE_BIG_TRANSACTION", "40000"))
SPLIT = {"max_tx_bytes": 30_000, "max_events": 500}


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def destination(kafka, database):
    return ExactlyOnceDestination(kafka, database.name)


def saved_position(trial):
    paths = trial.pipeline.paths
    saved = read_checkpoints(paths.recovery) or [first_position(paths)]  # of a run that was killed before it saved
    (checkpoint,) = saved
    return checkpoint.position


def tried(fault):
    return pytest.mark.parametrize("database", [f[0] for f in faults(fault, sinks=["exactly_once"])], indirect=True)


@tried("kill")
def test_kills_lose_nothing_and_repeat_nothing(trial, destination):
    trial = trial(destination)
    trial.begin()
    trial.kill_at_random(random.Random(SEED), KILLS)
    assert trial.finish().repeated_count == 0


@tried("stop")
def test_stops_and_resumes_lose_nothing_and_repeat_nothing(trial, destination):
    trial = trial(destination)
    trial.begin()
    for _ in range(3):
        pause(0.7)
        assert trial.pipeline.stop() == 0, trial.pipeline.log()
        trial.pipeline.start()
    assert trial.finish().repeated_count == 0


def test_a_crash_between_commit_and_save_repeats_nothing(trial, destination):
    trial = trial(destination)
    ahead_count = 0
    for saves in (False, True, False):  # nothing is saved yet, something is, and the rows behind that are not
        trial.pipeline.arguments = ["--epoch-secs", "0.5" if saves else "600"]
        trial.pipeline.start()
        before = destination.progress()
        trial.workload.run(20)
        wait_for(lambda before=before: destination.progress() != before)
        if saves:
            wait_for(lambda: read_checkpoints(trial.pipeline.paths.recovery))
        trial.kill()
        ahead_count += saved_position(trial).is_behind(destination.progress().position)
    trial.pipeline.arguments = []
    trial.pipeline.start()
    assert trial.finish().repeated_count == 0
    assert ahead_count
    assert "ahead of the saved" in trial.pipeline.log_text()


def test_a_kill_in_mid_transaction_delivers_each_of_its_rows_once(trial, database, kafka):
    slow = {"max.in.flight": 1, "batch.num.messages": 20}
    destination = ExactlyOnceDestination(kafka, database.name, client_conf=slow)
    trial = trial(destination, batch=SPLIT)
    trial.pipeline.arguments = ["--epoch-secs", "0.1"]
    trial.pipeline.start()
    trial.workload.run(5)
    wait_until_delivered(database, trial.pipeline, destination)
    trial.kill()
    trial.workload.big_transaction(ROWS, "x" * 380)  # several times what goes into one Kafka transaction
    for point in ("after_commit", "inside_transaction_before_commit"):
        trial.kill_at(point, 2)  # the first passing is that of the start, which commits no rows
        assert 0 < destination.progress().open_count < ROWS
    trial.pipeline.start()
    trial.workload.run(5)
    assert trial.finish().repeated_count == 0


def test_a_cut_database_connection_in_a_split_transaction_repeats_nothing(trial, database, fault_proxy, tmp_path):
    proxy = fault_proxy(database.server.port)
    source = source_of(database, url=database.url(port=proxy.port))
    trial = trial(FileDestination(tmp_path), source=source, batch=SPLIT)
    trial.pipeline.start()
    for bytes_until_cut in (100_000, 300_000, 200_000):
        proxy.cut_after(bytes_until_cut)
        trial.workload.big_transaction(10_000)
    trial.workload.run(20)
    assert trial.finish().repeated_count == 0


@pytest.mark.parametrize(
    ("database", "fault"),
    [(f[0], f[2]) for f in faults("down", "stall", sinks=["exactly_once"])],
    indirect=["database"],
)
def test_an_outage_of_the_broker_loses_nothing_and_repeats_nothing(trial, database, kafka_behind_proxy, fault):
    behind, proxy = kafka_behind_proxy, kafka_behind_proxy.proxy
    timeouts = {"request.timeout.ms": "1000", "socket.timeout.ms": "1000"}
    destination = ExactlyOnceDestination(
        behind.broker, database.name, bootstrap=behind.bootstrap, send_timeout_secs=2, client_conf=timeouts
    )
    trial = trial(destination)
    trial.begin()
    for _ in range(2):
        pause(1)
        getattr(proxy, fault)()
        trial.pipeline.wait_until(lambda status: status["sink_errors"])
        pause(2)
        {"down": proxy.up, "stall": proxy.unstall}[fault]()
        trial.pipeline.wait_until(lambda status: not status["sink_errors"])
    assert trial.finish().repeated_count == 0


def test_deleted_positions_are_warned_of_and_the_saved_position_holds(trial, destination):
    trial = trial(destination)
    trial.pipeline.start()
    trial.workload.run(10)
    wait_for(lambda: destination.progress() is not None)
    assert trial.pipeline.stop() == 0, trial.pipeline.log()
    destination.forget()
    trial.pipeline.start()
    trial.workload.run(10)
    assert trial.finish().repeated_count == 0
    assert "has lost its position" in trial.pipeline.log_text()


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_a_second_instance_ends_the_first_as_failed(trial, database, destination, tmp_path):
    trial = trial(destination, folder=tmp_path / "1")
    second = PipelineProcess(tmp_path / "2", source_of(database), [destination.sink])
    try:
        trial.pipeline.start()
        trial.workload.run(5)
        wait_for(lambda: destination.progress() is not None)
        owner = destination._positions.read().instance
        second.start()
        wait_for(lambda: destination._positions.read().instance != owner)
        trial.workload.run(5)
        outcome = trial.pipeline.wait()
        assert (outcome.status, outcome.kind, outcome.retry) == ("failed", "fatal", "never")
        assert "another instance has taken over" in outcome.message
        assert "pipeline failed (fatal): another instance" in trial.pipeline.log_text()
        assert finish(database, second, destination) == 0
    finally:
        second.end()
