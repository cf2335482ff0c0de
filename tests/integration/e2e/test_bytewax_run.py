"""The flow under Bytewax's own launcher: one worker, two workers, two processes."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.fixtures.ports import free_addresses
from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, postgres_source, wait_for


@pytest.fixture
def run(tmp_path, postgres_database):
    """``run(*options)`` starts a process; all of them end with the test."""
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    spec = {
        "source": postgres_source(postgres_database),
        "processors": [],
        "sinks": [file_sink(tmp_path / "out.jsonl")],
    }
    document = tmp_path / "p.json"
    document.write_text(json.dumps({"metadata": {"name": "p", "tenant": "acme"}, "spec": spec}))
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    subprocess.run([sys.executable, "-m", "bytewax.recovery", str(recovery), "1"], check=True)
    processes = []

    def start(*options):
        flow = f"flows.pipeline:get_flow('{document}')"
        command = [sys.executable, "-m", "bytewax.run", flow, "-r", str(recovery), "-s", "1", "-b", "0", *options]
        log = (tmp_path / "log").open("ab")
        environment = {**os.environ, "DELTAFORGE_STATE_DIR": str(tmp_path / "state"), "RUST_BACKTRACE": "0"}
        processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        log.close()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def wait_for_slot(database):
    active = "select active from pg_replication_slots where database = current_database()"
    wait_for(lambda: database.rows(active) == [(True,)])


def insert(database, numbers):
    database.execute(*(f"insert into t values ({number})" for number in numbers))


@pytest.mark.parametrize("options", [(), ("-w", "2")], ids=["one worker", "two workers"])
def test_rows_arrive_once_over_a_stop_and_complete_over_a_kill(run, postgres_database, tmp_path, options):
    out = tmp_path / "out.jsonl"
    process = run(*options)
    wait_for_slot(postgres_database)
    insert(postgres_database, range(10))
    wait_for(lambda: len(file_events(out)) == 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    insert(postgres_database, range(10, 20))
    process = run(*options)
    wait_for(lambda: len(file_events(out)) == 20)
    assert [event["after"]["id"] for event in file_events(out)] == list(range(20))
    process.kill()
    process.wait()
    insert(postgres_database, range(20, 30))
    run(*options)
    wait_for(lambda: {event["after"]["id"] for event in file_events(out)} == set(range(30)))


def test_two_processes_deliver_everything_over_a_kill(run, postgres_database, tmp_path):
    out, addresses = tmp_path / "out.jsonl", ";".join(free_addresses(2))
    cluster = [run("-i", str(number), "-a", addresses) for number in range(2)]
    wait_for_slot(postgres_database)
    insert(postgres_database, range(50))
    wait_for(lambda: len(file_events(out)) == 50)
    for process in cluster:
        process.kill()
        process.wait()
    insert(postgres_database, range(50, 100))
    addresses = ";".join(free_addresses(2))
    for number in range(2):
        run("-i", str(number), "-a", addresses)
    wait_for(lambda: {event["after"]["id"] for event in file_events(out)} == set(range(100)))
    seen = list(dict.fromkeys(event["after"]["id"] for event in file_events(out)))
    assert seen == list(range(100))


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_without_the_store_of_before_it_does_not_begin_anew(request, tmp_path, kind):
    database = request.getfixturevalue(f"{kind}_database")
    database.execute("create table t (id int primary key)")
    if kind == "postgres":
        database.execute("create publication pub for all tables")
    pipeline = Embedded(tmp_path, (postgres_source if kind == "postgres" else mysql_source)(database))
    assert "without a recovery store" in pipeline.refused()
    with pipeline.running("-r", pipeline.store("first")):
        wait_for(pipeline.has_started)
        insert(database, range(10))
        wait_for(lambda: len(file_events(pipeline.out)) == 10)
    insert(database, range(10, 20))
    assert "was read before" in pipeline.refused("-r", pipeline.store("second"))
    with pipeline.running("-r", pipeline.store("first")):
        wait_for(lambda: [event["after"]["id"] for event in file_events(pipeline.out)] == list(range(20)))


def test_a_recovery_store_that_is_lost_is_no_first_start(tmp_path, mysql_database):
    mysql_database.execute("create table t (id int primary key)")
    pipeline = PipelineProcess(tmp_path, mysql_source(mysql_database), [file_sink(tmp_path / "out.jsonl")]).start()
    wait_for(pipeline.paths.started.exists)
    assert pipeline.stop() == 0
    mysql_database.execute("insert into t values (1)")
    shutil.rmtree(pipeline.paths.recovery)
    outcome = pipeline.start(waits=False).wait()
    assert (outcome.status, outcome.kind) == ("failed", "checkpoint")
    assert "was read before" in outcome.message


def test_the_store_of_our_own_launcher_is_not_left_for_another(tmp_path, postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    source = postgres_source(postgres_database)
    ours = PipelineProcess(tmp_path, source, [file_sink(tmp_path / "out.jsonl")]).start()
    wait_for(ours.paths.started.exists)
    assert ours.stop() == 0
    pipeline = Embedded(tmp_path, source)
    assert str(ours.paths.recovery) in pipeline.refused("-r", pipeline.store("other"))
    insert(postgres_database, range(5))
    with pipeline.running("-r", ours.paths.recovery):
        wait_for(lambda: len(file_events(pipeline.out)) == 5)


class Embedded:
    """A pipeline under Bytewax's own launcher, with whatever recovery store the test names."""

    def __init__(self, folder, source):
        self.out, self._folder = folder / "out.jsonl", folder
        self._document = folder / "p.json"
        spec = {"source": source, "processors": [], "sinks": [file_sink(self.out)]}
        self._document.write_text(json.dumps({"metadata": {"name": "p", "tenant": "acme"}, "spec": spec}))

    def store(self, name):
        """A recovery store; made when it is new."""
        store = self._folder / name
        if not store.exists():
            store.mkdir()
            subprocess.run([sys.executable, "-m", "bytewax.recovery", str(store), "1"], check=True)
        return store

    def has_started(self):
        return (self._folder / "state" / "pipelines" / "p" / "started").exists()

    def refused(self, *options):
        """What a start says that ends by itself."""
        with self.running(*options) as process:
            assert process.wait(timeout=60) != 0
        return (self._folder / "log").read_text()

    @contextlib.contextmanager
    def running(self, *options):
        """A process that is stopped at the end."""
        flow = f"flows.pipeline:get_flow('{self._document}')"
        command = [sys.executable, "-m", "bytewax.run", flow, "-s", "1", "-b", "0", *map(str, options)]
        environment = {**os.environ, "DELTAFORGE_STATE_DIR": str(self._folder / "state"), "RUST_BACKTRACE": "0"}
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def test_wrong_document_ends_with_a_readable_error(tmp_path):
    document = tmp_path / "p.json"
    document.write_text('{"metadata": {"name": "p", "tenant": "acme"}, "spec": {"sinks": []}}')
    flow = f"flows.pipeline:get_flow('{document}')"
    done = subprocess.run(
        [sys.executable, "-m", "bytewax.run", flow], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "missing field `processors`" in done.stderr


def test_flow_of_the_environment_is_resolved_when_asked_for(monkeypatch, tmp_path):
    import flows.pipeline

    monkeypatch.setenv("DELTAFORGE_PIPELINE", str(tmp_path / "absent.yaml"))
    with pytest.raises(Exception, match="absent"):
        _ = flows.pipeline.flow
