"""One owner of a pipeline: started twice, killed, stopped for longer than the lease, on one storage or one folder."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from deltaforge.runtime.outcome import read_outcome
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, wait_for


@pytest.fixture
def database(mysql_database):
    """MySQL, because its server does not refuse a second reader by itself."""
    mysql_database.execute("create table t (id int primary key)")
    return mysql_database


@pytest.fixture
def start(database, tmp_path):
    """``start(n)``: the same document by hand, each time in a state directory of its own, on one storage."""
    processes = []

    def make(number, *, folder=None, **options):
        process = PipelineProcess(
            folder or tmp_path / str(number), mysql_source(database), [file_sink(tmp_path / f"out{number}")]
        )
        process.arguments = ["--storage-path", str(tmp_path / "shared.db")]
        processes.append(process)
        return process.start(**options)

    yield make
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.end()


def ids(path):
    return [event["after"]["id"] for event in file_events(path)]


def test_second_start_by_hand_is_refused_and_names_the_owner(start, database, tmp_path):
    first = start(1)
    for folder, told in ((tmp_path / "2", f"already run by process {first.pid} on"), (tmp_path / "1", "already runs")):
        second = start(2, folder=folder, waits=False)
        second.wait()
        assert told in second.log()
    outcome = read_outcome(PipelineProcess(tmp_path / "2", {}, []).paths.outcome)
    assert (outcome.kind, outcome.retry) == ("already_running", "operator")
    assert "stop that process first" in outcome.hint
    database.execute("insert into t values (1)")
    wait_for(lambda: ids(tmp_path / "out1") == [1])
    assert ids(tmp_path / "out2") == []
    assert first.stop() == 0


def test_owner_that_was_killed_is_replaced_at_once_on_this_machine(start, database, tmp_path):
    first = start(1)
    first.kill()
    second = start(2)
    assert "taken over" in second.log()
    database.execute("insert into t values (1)")
    wait_for(lambda: ids(tmp_path / "out2") == [1])
    assert second.stop() == 0
    third = start(3)
    assert "taken over" not in third.log()
    assert third.stop() == 0


def test_owner_that_stood_still_for_longer_than_the_lease_writes_nothing_more(start, database, tmp_path):
    first = start(1)
    database.execute("insert into t values (1)")
    wait_for(lambda: ids(tmp_path / "out1") == [1])
    os.kill(first.pid, signal.SIGSTOP)
    database.execute("insert into t values (2)")
    second = start(2)
    assert "taken over from process" in second.log()
    database.execute("insert into t values (3)")
    wait_for(lambda: 3 in ids(tmp_path / "out2"))
    os.kill(first.pid, signal.SIGCONT)
    outcome = first.wait()
    assert (outcome.status, outcome.kind) == ("failed", "already_running")
    assert f"taken over by process {second.pid}" in outcome.message
    assert ids(tmp_path / "out1") == [1]
    assert second.stop() == 0


def refused(folder, *options):
    """A control plane that is expected to end by itself; its exit code and what it said."""
    plane = ControlPlane(folder)
    command = [sys.executable, "-P", "-m", "deltaforge", "serve", "--api-addr", plane.address]
    done = subprocess.run(
        [*command, "--metrics-addr", plane.metrics, *map(str, options)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_second_control_plane_on_one_storage_or_folder_is_refused_and_pipelines_go_on(database, tmp_path):
    out = tmp_path / "out"
    plane = ControlPlane(tmp_path).start()
    try:
        plane.call("POST", "/pipelines", document(mysql_source(database), file_sink(out)))
        storage, folder = tmp_path / "df.db", tmp_path / "state"
        code, said = refused(tmp_path, "--storage-path", storage, "--state-dir", tmp_path / "other")
        assert code == 1
        assert f"the control plane is already run by process {plane.process.pid} on" in said
        code, said = refused(tmp_path, "--storage-path", tmp_path / "other.db", "--state-dir", folder)
        assert code == 1
        assert f"another control plane (process {plane.process.pid}) runs from the state directory" in said
        code, said = refused(tmp_path, "--storage-backend", "memory", "--state-dir", folder)
        assert (code, "another control plane" in said) == (1, True)
        database.execute("insert into t values (1)")
        wait_for(lambda: ids(out) == [1])
        assert plane.call("GET", "/health")[0] == 200
        plane.process.kill()
        plane.process.wait()
        plane.start()
        database.execute("insert into t values (2)")
        wait_for(lambda: ids(out) == [1, 2])
    finally:
        plane.stop()


def test_pipeline_of_a_control_plane_fails_while_the_same_one_runs_by_hand(database, tmp_path):
    plane = ControlPlane(tmp_path).start()
    by_hand = PipelineProcess(tmp_path / "hand", mysql_source(database), [file_sink(tmp_path / "hand.out")])
    by_hand.arguments = ["--storage-path", str(tmp_path / "df.db")]
    try:
        by_hand.start()
        body = document(mysql_source(database), file_sink(tmp_path / "out"), name="p")
        assert plane.call("POST", "/pipelines", body)[0] == 200
        wait_for(lambda: plane.call("GET", "/pipelines/p")[1]["status"] == "failed")
        status, health = plane.call("GET", "/health")
        assert status == 503
        assert f"already run by process {by_hand.pid}" in health["reasons"]["p"]
        assert by_hand.stop() == 0
        assert plane.call("POST", "/pipelines/p/resume")[1]["status"] == "running"
    finally:
        by_hand.end()
        plane.stop()
