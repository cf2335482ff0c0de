"""kill -9 of the pipeline process at random moments of a random workload, and cut connections."""

import os
import random
import time

import pytest

from tests.destinations import FileDestination, KafkaDestination, RedisDestination
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for
from tests.workload import Workload, assert_ordered_without_gap, rebuilt, selected, without_added

KILLS = int(os.environ.get("DELTAFORGE_KILLS", "5"))
SEED = int(os.environ.get("DELTAFORGE_SEED", "1"))


BIG = int(os.environ.get("DELTAFORGE_BIG_TRANSACTION", "200000"))


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture(params=["file", "kafka", "redis"])
def destination(request, database, tmp_path):
    if request.param == "file":
        return FileDestination(tmp_path)
    if request.param == "kafka":
        return KafkaDestination(request.getfixturevalue("kafka"), database.name)
    return RedisDestination(request.getfixturevalue("redis_server"), database.name)


def source_of(database, **changes):
    return (mysql_source if database.server.scheme == "mysql" else postgres_source)(database, **changes)


def finish(database, pipeline, destination):
    """Wait until everything arrived, stop, and compare."""

    def is_complete():
        return without_added(rebuilt(destination.events())) == without_added(selected(database))

    wait_for(is_complete, 120)
    assert pipeline.stop() == 0, pipeline.log()
    return assert_ordered_without_gap(destination.events())


def test_nothing_is_lost_over_kills(database, destination, tmp_path):
    rng = random.Random(SEED)
    workload = Workload(database, SEED)
    workload.create()
    pipeline = PipelineProcess(tmp_path, source_of(database), [destination.sink]).start()
    end = workload.start()
    try:
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.1, 1.2))
            pipeline.kill()
            pipeline.start()
        end()
        finish(database, pipeline, destination)
    finally:
        end()
        pipeline.end()


def test_one_big_transaction_arrives_whole_over_kills(database, tmp_path):
    destination, workload = FileDestination(tmp_path), Workload(database, SEED + 3)
    workload.create()
    pipeline = PipelineProcess(tmp_path, source_of(database), [destination.sink]).start()
    try:
        workload.big_transaction(BIG)
        for _ in range(2):
            time.sleep(2)
            pipeline.kill()
            pipeline.start()
        finish(database, pipeline, destination)
    finally:
        pipeline.end()


def test_stop_and_resume_repeat_nothing(database, tmp_path):
    destination = FileDestination(tmp_path)
    workload = Workload(database, SEED + 1)
    workload.create()
    pipeline = PipelineProcess(tmp_path, source_of(database), [destination.sink]).start()
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


def test_database_connection_cut_in_mid_transaction(database, tmp_path, fault_proxy):
    destination = FileDestination(tmp_path)
    proxy = fault_proxy(database.server.port)
    workload = Workload(database, SEED + 2)
    workload.create()
    source = source_of(database, url=database.url(port=proxy.port))
    pipeline = PipelineProcess(tmp_path, source, [destination.sink]).start()
    try:
        for bytes_until_cut in (2_000, 50_000, 500_000):
            proxy.cut_after(bytes_until_cut)
            workload.big_transaction(5_000)
        workload.run(50)
        finish(database, pipeline, destination)
    finally:
        pipeline.end()


@pytest.fixture(params=["kafka", "redis"])
def unreliable(request, database):
    """A destination behind a fault proxy, with all its timeouts at one second, and the proxy."""
    if request.param == "kafka":
        behind = request.getfixturevalue("kafka_behind_proxy")
        timeouts = {
            "send_timeout_secs": 1,
            "client_conf": {"request.timeout.ms": "1000", "socket.timeout.ms": "1000"},
        }
        return KafkaDestination(behind.broker, database.name, bootstrap=behind.bootstrap, **timeouts), behind.proxy
    server = request.getfixturevalue("redis_server")
    proxy = request.getfixturevalue("fault_proxy")(server.port)
    timeouts = {"send_timeout_secs": 1, "batch_timeout_secs": 1, "connect_timeout_secs": 1}
    return RedisDestination(server, database.name, port=proxy.port, **timeouts), proxy


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_sink_cut_off_for_longer_than_its_timeouts(database, unreliable, fault, tmp_path):
    destination, proxy = unreliable
    workload = Workload(database, SEED + 4)
    workload.create()
    pipeline = PipelineProcess(tmp_path, source_of(database), [destination.sink]).start()
    end = workload.start()
    try:
        time.sleep(1)
        getattr(proxy, fault)()
        time.sleep(4)
        assert pipeline.ask("status")["sink_errors"], "an outage must show"
        {"down": proxy.up, "stall": proxy.unstall}[fault]()
        time.sleep(1)
        end()
        finish(database, pipeline, destination)
    finally:
        end()
        pipeline.end()
