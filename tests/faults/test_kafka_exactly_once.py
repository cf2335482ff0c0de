"""Pipelines with Kafka exactly once over kill -9, outages and a second instance: no gap and no duplicate, ever.

All comparisons are those of a reader of committed messages.
"""

import os
import random
import time

import pytest

from deltaforge.checkpoint.reader import read_checkpoints
from deltaforge.core.covered import is_behind
from tests.destinations import ExactlyOnceDestination, FileDestination
from tests.pipelines import PipelineProcess, wait_for
from tests.trial import finish, source_of
from tests.workload import Workload

KILLS = int(os.environ.get("DELTAFORGE_KILLS", "5"))
SEED = int(os.environ.get("DELTAFORGE_SEED", "1"))
ROWS = int(os.environ.get("DELTAFORGE_BIG_TRANSACTION", "100000"))
SPLIT = {"max_tx_bytes": 30_000, "max_events": 500}


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def destination(kafka, database):
    return ExactlyOnceDestination(kafka, database.name)


def pipeline_of(folder, database, destination, **spec):
    workload = Workload(database, SEED)
    workload.create()
    return workload, PipelineProcess(folder, source_of(database), [destination.sink], **spec)


def saved_position(pipeline):
    (checkpoint,) = read_checkpoints(pipeline.paths.recovery)
    return checkpoint.position


def test_kills_lose_nothing_and_repeat_nothing(database, destination, tmp_path):
    rng = random.Random(SEED)
    workload, pipeline = pipeline_of(tmp_path, database, destination)
    pipeline.start()
    end = workload.start()
    try:
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.1, 1.2))
            pipeline.kill()
            pipeline.start()
        end()
        assert finish(database, pipeline, destination) == 0
    finally:
        end()
        pipeline.end()


def test_stops_and_resumes_lose_nothing_and_repeat_nothing(database, destination, tmp_path):
    workload, pipeline = pipeline_of(tmp_path, database, destination)
    pipeline.start()
    end = workload.start()
    try:
        for _ in range(3):
            time.sleep(0.7)
            assert pipeline.stop() == 0, pipeline.log()
            pipeline.start()
        end()
        assert finish(database, pipeline, destination) == 0
    finally:
        end()
        pipeline.end()


def test_a_crash_between_commit_and_save_repeats_nothing(database, destination, tmp_path):
    workload, pipeline = pipeline_of(tmp_path, database, destination)
    ahead_count = 0
    try:
        for _ in range(3):
            # The first save is that of the start; the next comes long after the rows.
            pipeline.arguments = ["--epoch-secs", "3"]
            pipeline.start()
            before = destination.progress()
            workload.run(20)
            wait_for(lambda before=before: destination.progress() != before)
            pipeline.kill()
            ahead_count += is_behind(saved_position(pipeline), destination.progress().position)
        pipeline.start()
        assert finish(database, pipeline, destination) == 0
    finally:
        pipeline.end()
    assert ahead_count
    assert "ahead of the saved" in pipeline.log_text()


def test_a_kill_in_mid_transaction_delivers_each_of_its_rows_once(database, kafka, tmp_path):
    slow = {"max.in.flight": 1, "batch.num.messages": 20}
    destination = ExactlyOnceDestination(kafka, database.name, client_conf=slow)
    workload, pipeline = pipeline_of(tmp_path, database, destination, batch=SPLIT)
    pipeline.start()
    open_counts = []
    try:
        workload.run(5)
        wait_for(lambda: destination.progress() is not None)
        for _ in range(2):
            end = destination.committed_end()
            if not open_counts:
                workload.big_transaction(ROWS, "x" * 380)  # several times what goes into one Kafka transaction
            wait_for(lambda end=end: destination.committed_end() > end)
            pipeline.kill()
            open_counts.append(destination.progress().open_count)
            pipeline.start()
        workload.run(5)
        assert finish(database, pipeline, destination) == 0
    finally:
        pipeline.end()
    assert 0 < open_counts[0] < ROWS


def test_a_cut_database_connection_in_a_split_transaction_repeats_nothing(database, fault_proxy, tmp_path):
    destination, proxy = FileDestination(tmp_path), fault_proxy(database.server.port)
    workload = Workload(database, SEED)
    workload.create()
    source = source_of(database, url=database.url(port=proxy.port))
    pipeline = PipelineProcess(tmp_path, source, [destination.sink], batch=SPLIT).start()
    try:
        for bytes_until_cut in (100_000, 300_000, 200_000):
            proxy.cut_after(bytes_until_cut)
            workload.big_transaction(10_000)
        workload.run(20)
        assert finish(database, pipeline, destination) == 0
    finally:
        pipeline.end()


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_an_outage_of_the_broker_loses_nothing_and_repeats_nothing(database, kafka_behind_proxy, fault, tmp_path):
    behind, proxy = kafka_behind_proxy, kafka_behind_proxy.proxy
    timeouts = {"request.timeout.ms": "1000", "socket.timeout.ms": "1000"}
    destination = ExactlyOnceDestination(
        behind.broker, database.name, bootstrap=behind.bootstrap, send_timeout_secs=2, client_conf=timeouts
    )
    workload, pipeline = pipeline_of(tmp_path, database, destination)
    pipeline.start()
    end = workload.start()
    try:
        for _ in range(2):
            time.sleep(1)
            getattr(proxy, fault)()
            pipeline.wait_until(lambda status: status["sink_errors"])
            time.sleep(2)
            {"down": proxy.up, "stall": proxy.unstall}[fault]()
            pipeline.wait_until(lambda status: not status["sink_errors"])
        end()
        assert finish(database, pipeline, destination) == 0
    finally:
        end()
        pipeline.end()


def test_deleted_positions_are_warned_of_and_the_saved_position_holds(database, destination, tmp_path):
    workload, pipeline = pipeline_of(tmp_path, database, destination)
    try:
        pipeline.start()
        workload.run(10)
        wait_for(lambda: destination.progress() is not None)
        assert pipeline.stop() == 0, pipeline.log()
        destination.forget()
        pipeline.start()
        workload.run(10)
        assert finish(database, pipeline, destination) == 0
    finally:
        pipeline.end()
    assert "has lost its position" in pipeline.log_text()


def test_a_second_instance_ends_the_first_as_failed(mysql, kafka, tmp_path):
    with mysql.fresh_database() as database:
        destination = ExactlyOnceDestination(kafka, database.name)
        workload, first = pipeline_of(tmp_path / "1", database, destination)
        second = PipelineProcess(tmp_path / "2", source_of(database), [destination.sink])
        try:
            first.start()
            workload.run(5)
            wait_for(lambda: destination.progress() is not None)
            owner = destination._positions.read().instance
            second.start()
            wait_for(lambda: destination._positions.read().instance != owner)
            workload.run(5)
            outcome = first.wait()
            assert (outcome.status, outcome.kind, outcome.retry) == ("failed", "fatal", "never")
            assert "another instance has taken over" in outcome.message
            assert "pipeline failed (fatal): another instance" in first.log_text()
            assert finish(database, second, destination) == 0
        finally:
            first.end()
            second.end()
