"""kill -9 of the pipeline process at random moments of a random workload, and cut connections."""

import os
import random

import pytest

from tests.combinations import faults
from tests.destinations import FileDestination, KafkaDestination, RedisDestination
from tests.fixtures.fix_trial import SEED
from tests.trial import pause, source_of

KILLS = int(os.environ.get("DELTAFORGE_KILLS", "3"))
BIG = int(os.environ.get("DELTAFORGE_BIG_TRANSACTION", "40000"))


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


AT_LEAST_ONCE = ("file", "kafka", "redis")


@pytest.fixture
def destination(request, database, tmp_path):
    if request.param == "file":
        return FileDestination(tmp_path)
    if request.param == "kafka":
        return KafkaDestination(request.getfixturevalue("kafka"), database.name)
    return RedisDestination(request.getfixturevalue("redis_server"), database.name)


@pytest.mark.parametrize(
    ("database", "destination"), [f[:2] for f in faults("kill", sinks=AT_LEAST_ONCE)], indirect=True
)
def test_nothing_is_lost_over_kills(trial, destination):
    trial = trial(destination)
    trial.begin()
    trial.kill_at_random(random.Random(SEED), KILLS)
    trial.finish()


def test_one_big_transaction_arrives_whole_over_kills(trial, tmp_path):
    trial = trial(FileDestination(tmp_path), seed=3)
    trial.pipeline.start()
    trial.workload.big_transaction(BIG)
    for _ in range(2):
        pause(2)
        trial.kill()
        trial.pipeline.start()
    trial.finish()


@pytest.mark.parametrize("database", [f[0] for f in faults("stop", sinks=["file"])], indirect=True)
def test_stop_and_resume_repeat_nothing(trial, tmp_path):
    trial = trial(FileDestination(tmp_path), seed=1)
    trial.begin()
    for _ in range(3):
        pause(0.7)
        assert trial.pipeline.stop() == 0, trial.pipeline.log()
        trial.pipeline.start()
    assert trial.finish().repeated_count == 0


def test_database_connection_cut_in_mid_transaction(database, trial, tmp_path, fault_proxy):
    proxy = fault_proxy(database.server.port)
    source = source_of(database, url=database.url(port=proxy.port))
    trial = trial(FileDestination(tmp_path), seed=2, source=source)
    trial.pipeline.start()
    for bytes_until_cut in (2_000, 50_000, 500_000):
        proxy.cut_after(bytes_until_cut)
        trial.workload.big_transaction(5_000)
    trial.workload.run(50)
    trial.finish()


@pytest.fixture
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


@pytest.mark.parametrize(
    ("database", "unreliable", "fault"),
    faults("down", "stall", sinks=AT_LEAST_ONCE),
    indirect=["database", "unreliable"],
)
def test_sink_cut_off_for_longer_than_its_timeouts(trial, unreliable, fault):
    destination, proxy = unreliable
    trial = trial(destination, seed=4)
    trial.begin()
    pause(1)
    getattr(proxy, fault)()
    pause(4)
    trial.pipeline.wait_until(lambda status: status["sink_errors"])
    {"down": proxy.up, "stall": proxy.unstall}[fault]()
    pause(1)
    trial.finish()
