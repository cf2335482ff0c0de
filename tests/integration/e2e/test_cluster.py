"""A pipeline of two processes: one for the control plane and the command line, whatever becomes of either."""

import os
import re
import signal

import pytest

from deltaforge.control.child import is_alive
from deltaforge.runtime.outcome import read_outcome
from deltaforge.runtime.stop_signals import EXIT_BY_SIGNAL
from tests.pipelines import PipelineProcess, file_events, file_sink, postgres_source, wait_for
from tests.processes import pipeline_processes

LANES = 2
"""One in each process."""
_TAKEN_AT_FIRST = """
import contextlib, socket, sys
from deltaforge.runtime import launcher, members

@contextlib.contextmanager
def held(count, held=members.held_addresses, others=[]):
    with held(count) as addresses:
        if not others:
            others.append(socket.create_server(("127.0.0.1", 0)))
            addresses = (f"127.0.0.1:{others[0].getsockname()[1]}", *addresses[1:])
        yield addresses

members.held_addresses = held
del sys.argv[1]  # stands there to be found as a launcher
sys.exit(launcher.main())
"""
"""A launcher whose port somebody else gets before it does."""


@pytest.fixture
def cluster(postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    pipeline = Cluster(
        tmp_path,
        postgres_source(postgres_database),
        [file_sink(tmp_path / "out.jsonl")],
        runtime={"processes": 2, "workers": 1},
        sharding={"mode": "key", "count": LANES},
    )
    pipeline.database, pipeline.folder = postgres_database, tmp_path
    yield pipeline
    pipeline.end()


class Cluster(PipelineProcess):
    """A pipeline of two processes and two lanes that copies the table ``t``."""

    def processes(self):
        """The ids of the processes, the leader's first."""
        return sorted(pipeline_processes(self.paths.state_dir), key=lambda pid: pid != self.pid)

    def insert(self, first, last):
        self.database.execute(f"insert into t select generate_series({first}, {last})")

    def ids(self):
        """What the lanes have delivered, each in its order."""
        return [
            [event["after"]["id"] for event in file_events(self.folder / name)]
            for name in ("out.0.jsonl", "out.1.jsonl")
        ]

    def wait_for_rows(self, last):
        wait_for(lambda: {id_ for ids in self.ids() for id_ in ids} == set(range(1, last + 1)))


def test_both_processes_deliver_and_a_stop_ends_both(cluster):
    program, cluster.program = cluster.program, ["-c", _TAKEN_AT_FIRST, *cluster.program[1:]]
    cluster.start()
    cluster.insert(1, 100)
    cluster.wait_for_rows(100)
    assert "the processes of the pipeline meet elsewhere" in cluster.log_text()
    assert len(cluster.processes()) == 2
    assert all(len(ids) > 20 for ids in cluster.ids())
    assert cluster.stop() == 0, cluster.log()
    assert cluster.processes() == []
    assert read_outcome(cluster.paths.outcome).status == "stopped"
    said = re.findall(r"sink file: (\d+) events delivered in lane (\d), stands at lsn ", cluster.log_text())
    assert sorted(lane for _, lane in said) == ["0", "1"]
    assert sum(int(count) for count, _ in said) == 100
    cluster.insert(101, 200)
    cluster.program = program
    cluster.start(environment={"DELTAFORGE_STOP_SECS": "5"})
    cluster.wait_for_rows(200)
    assert sum(len(ids) for ids in cluster.ids()) == 200
    assert "panicked" not in cluster.log_text()

    # a stop has an end although one of them stands still
    os.kill(cluster.processes()[1], signal.SIGSTOP)
    cluster.signal(signal.SIGTERM)
    cluster.wait_code()
    wait_for(lambda: cluster.processes() == [] and not is_alive(cluster.paths))


@pytest.mark.parametrize("whom", ["leader", "member"])
def test_a_killed_process_takes_the_other_along_and_loses_nothing(cluster, whom):
    cluster.start()
    cluster.insert(1, 100)
    cluster.wait_for_rows(100)
    leader, member = cluster.processes()
    os.kill(leader if whom == "leader" else member, signal.SIGKILL)
    code = cluster.wait_code()
    wait_for(lambda: cluster.processes() == [] and not is_alive(cluster.paths))
    if whom == "member":
        outcome = read_outcome(cluster.paths.outcome)
        assert code == 1
        assert (outcome.status, outcome.retry, outcome.is_crash) == ("failed", "backoff", True)
        assert outcome.message == "process 1 of the pipeline ended without a reason: killed by SIGKILL"
    cluster.insert(101, 200)
    cluster.start()
    cluster.wait_for_rows(200)
    assert all(list(dict.fromkeys(ids)) == sorted(set(ids)) for ids in cluster.ids())


def test_a_second_signal_ends_both_at_once(cluster):
    cluster.document["spec"]["sinks"] = [
        {"type": "redis", "config": {"id": "r", "uri": "redis://127.0.0.1:1", "stream": "s"}}
    ]
    cluster.start(environment={"DELTAFORGE_STOP_SECS": "100000"})
    cluster.insert(1, 100)
    cluster.signal(signal.SIGTERM)
    wait_for(lambda: "stopping: up to 100000 s; " in cluster.log_text())
    cluster.signal(signal.SIGTERM)
    assert cluster.wait_code() == EXIT_BY_SIGNAL + signal.SIGTERM
    wait_for(lambda: cluster.processes() == [] and not is_alive(cluster.paths))


def test_the_reason_of_a_member_is_the_reason_of_the_pipeline(cluster, redis_server):
    """Both lanes are refused, each in its process."""
    uri = f"redis://nobody:wrong@{redis_server.host}:{redis_server.port}"
    cluster.document["spec"]["sinks"] = [{"type": "redis", "config": {"id": "r", "uri": uri, "stream": "s"}}]
    cluster.start(waits=False)
    outcome = cluster.wait()
    assert (outcome.status, outcome.kind, outcome.retry) == ("failed", "auth", "operator")
    wait_for(lambda: cluster.processes() == [])
