"""Two processes of ``python -m bytewax.run``: they stop, fail and are owned as one, and each says why."""

import json
import os
import signal
import subprocess
import sys

import pytest

from deltaforge.checkpoint.reader import read_source_state
from deltaforge.runtime.outcome import read_outcome
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.stop_signals import EXIT_BY_SIGNAL
from tests.fixtures.ports import free_addresses
from tests.integration.e2e.test_cluster_rest import ask
from tests.pipelines import file_events, file_sink, postgres_source, wait_for

STOP_SECS = 3


@pytest.fixture
def cluster(tmp_path, postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    cluster = BytewaxCluster(tmp_path, postgres_database)
    yield cluster
    for process in cluster.processes:
        process.kill()
        process.wait()


class BytewaxCluster:
    """Lane 0 is in process 0, with the log, and lane 1 in process 1."""

    def __init__(self, folder, database):
        self.paths, self.processes = PipelinePaths(folder / "state", "p"), []
        self._folder, self._database = folder, database
        spec = {
            "source": postgres_source(database),
            "processors": [],
            "sinks": [file_sink(folder / "out.jsonl")],
            "sharding": {"mode": "key", "count": 2},
        }
        self._document, self._store = folder / "p.json", folder / "store"
        self._document.write_text(json.dumps({"metadata": {"name": "p", "tenant": "acme"}, "spec": spec}))
        self._store.mkdir()
        subprocess.run([sys.executable, "-m", "bytewax.recovery", str(self._store), "1"], check=True)

    def process(self, number, addresses):
        flow = f"flows.pipeline:get_flow('{self._document}')"
        command = [sys.executable, "-m", "bytewax.run", flow, "-r", str(self._store), "-s", "60", "-b", "0"]
        command += ["-i", str(number), "-a", ";".join(addresses)]
        more = {"DELTAFORGE_STATE_DIR": str(self.paths.state_dir), "DELTAFORGE_STOP_SECS": str(STOP_SECS)}
        with (self._folder / f"log.{number}").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "RUST_BACKTRACE": "0", **more})

    def start(self, hosts=("127.0.0.1", "127.0.0.1")):
        ports = [address.rpartition(":")[2] for address in free_addresses(2)]
        addresses = [f"{host}:{port}" for host, port in zip(hosts, ports, strict=True)]
        self.processes = [self.process(number, addresses) for number in range(2)]
        return self

    def insert(self, first, last):
        self._database.execute(f"insert into t select generate_series({first}, {last})")

    def wait_for_rows(self, last):
        wait_for(lambda: {id_ for n in range(2) for id_ in self.ids(n)} == set(range(1, last + 1)))

    def ids(self, number):
        return [event["after"]["id"] for event in file_events(self._folder / f"out.{number}.jsonl")]

    def wait_for_slot(self):
        active = "select active from pg_replication_slots where database = current_database()"
        wait_for(lambda: self._database.rows(active) == [(True,)])

    def log(self, number):
        return (self._folder / f"log.{number}").read_text()


def test_a_stop_of_the_process_without_the_log_ends_both_and_saves_everything(cluster):
    """Rows come at once although nothing is saved for a minute, and another process of the pipeline is refused."""

    def said(number):
        status = ask(cluster.paths.member_socket(number), "status")
        return status["state"], status["events_read"], status["processes"][0]

    cluster.start().wait_for_slot()
    cluster.insert(1, 100)
    cluster.wait_for_rows(100)
    for number in range(2):
        wait_for(lambda number=number: said(number) == ("running", 100, cluster.processes[number].pid))
    another = cluster.process(0, free_addresses(2))
    assert another.wait(60) != 0
    assert f"already runs from {cluster.paths.state_dir} as process {cluster.processes[0].pid}" in cluster.log(0)
    cluster.processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(60) for process in cluster.processes] == [0, 0]
    assert read_outcome(cluster.paths.outcome).status == "stopped"
    assert read_source_state(cluster.paths.state_dir.parent / "store") is not None
    cluster.insert(101, 200)
    cluster.start()
    cluster.wait_for_rows(200)
    assert [len(set(cluster.ids(number))) - len(cluster.ids(number)) for number in range(2)] == [0, 0]


def test_a_process_that_cannot_reach_the_log_ends_by_itself_and_the_other_says_so(cluster):
    cluster.start(hosts=("127.0.0.1", "localhost")).wait_for_slot()
    cluster.insert(1, 10)
    cluster.wait_for_rows(10)
    cluster.processes[1].send_signal(signal.SIGTERM)
    assert cluster.processes[1].wait(60) == EXIT_BY_SIGNAL + signal.SIGTERM
    assert f"stopped for {STOP_SECS} s, and the dataflow goes on" in cluster.log(1)
    assert cluster.processes[0].wait(60) == 1
    assert "pipeline failed: another process has ended, or cannot be reached, without a reason" in cluster.log(0)
    cluster.insert(11, 20)
    cluster.start()
    cluster.wait_for_rows(20)


def test_both_say_why_one_of_them_failed(cluster):
    (cluster.paths.state_dir.parent / "out.1.jsonl").write_text("of somebody else\n")  # lane 1 alone is refused
    cluster.start()
    assert [process.wait(60) for process in cluster.processes] == [1, 1]
    reason = read_outcome(cluster.paths.member_outcome(1))
    assert reason.status == "failed"
    assert f"pipeline failed ({reason.kind})" in cluster.log(1)
    assert f"pipeline failed in process 1 ({reason.kind}): {reason.message}" in cluster.log(0)
    assert read_outcome(cluster.paths.outcome).message == reason.message
