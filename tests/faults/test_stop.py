"""A stop ends within its limit whatever the sinks do, a second signal ends at once, and neither loses a row."""

import re
import signal

import pytest

from deltaforge.control.child import is_alive
from deltaforge.runtime.outcome import read_outcome
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.stop_signals import EXIT_BY_SIGNAL
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_events, file_sink, postgres_source, wait_for

ROWS = 500
FOREVER_SECS = 100_000
NOBODY = "127.0.0.1:1"
DOWN = {
    "refuses": {"type": "redis", "config": {"id": "file", "uri": f"redis://{NOBODY}", "stream": "s"}},
    "makes no progress": {
        "type": "kafka",
        "config": {"id": "file", "brokers": NOBODY, "topic": "t", "send_timeout_secs": FOREVER_SECS},
    },
}


@pytest.fixture
def pipeline(postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    pipeline = PipelineProcess(tmp_path, postgres_source(postgres_database), [])
    yield pipeline
    pipeline.end()


def start_with(pipeline, database, sinks, stop_secs):
    """Run it with sinks that take nothing, and rows that wait for them."""
    pipeline.document["spec"]["sinks"] = sinks
    pipeline.start(environment={"DELTAFORGE_STOP_SECS": str(stop_secs)})
    database.execute(f"insert into t select n from generate_series(1, {ROWS}) n")
    pipeline.wait_until(lambda status: int(status["events_read"]) >= ROWS)
    handed_on = re.compile(r'stage_latency_seconds_count\{[^}]*stage="process"[^}]*\} [1-9]')
    wait_for(lambda: handed_on.search(pipeline.ask("metrics")["metrics"]))


def deliver_the_rest(pipeline, folder):
    """Run it with a sink of the same id that works; the rows delivered."""
    pipeline.document["spec"]["sinks"] = [file_sink(folder / "out")]
    pipeline.start()
    wait_for(lambda: len(file_events(folder / "out")) >= ROWS)
    assert pipeline.stop() == 0
    return [event["after"]["id"] for event in file_events(folder / "out")]


@pytest.mark.parametrize("how", DOWN)
def test_a_stop_is_bounded_with_a_sink_that(pipeline, postgres_database, tmp_path, how):
    others = [{**sink, "config": {**sink["config"], "id": f"more-{n}"}} for n, sink in enumerate(DOWN.values())]
    start_with(pipeline, postgres_database, [DOWN[how], *others], 3)
    pipeline.signal(signal.SIGTERM)
    assert pipeline.wait_code() == 0
    assert read_outcome(pipeline.paths.outcome).status == "stopped"
    assert "stopping: up to 3 s; signal it again to end now" in pipeline.log_text()
    assert "nothing is lost: the next start delivers from the last saved position" in pipeline.log_text()
    assert deliver_the_rest(pipeline, tmp_path) == list(range(1, ROWS + 1))
    assert "panicked" not in pipeline.log_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(pipeline, postgres_database, tmp_path, number):
    start_with(pipeline, postgres_database, [DOWN["refuses"]], FOREVER_SECS)
    pipeline.signal(number)
    wait_for(lambda: "stopping: up to 100000 s; " in pipeline.log_text())
    pipeline.signal(number)
    assert pipeline.wait_code() == EXIT_BY_SIGNAL + number
    assert read_outcome(pipeline.paths.outcome).status == "stopped"
    assert ("press Ctrl-C again to end now" in pipeline.log_text()) is (number == signal.SIGINT)
    assert deliver_the_rest(pipeline, tmp_path) == list(range(1, ROWS + 1))
    assert "panicked" not in pipeline.log_text()


def test_a_signal_after_a_stop_over_rest_is_the_first(pipeline, postgres_database):
    start_with(pipeline, postgres_database, [DOWN["refuses"]], 4)
    pipeline.ask("stop")
    pipeline.signal(signal.SIGTERM)
    assert pipeline.wait_code() == 0


def test_a_sink_that_fails_for_good_ends_the_process_without_a_panic(pipeline, postgres_database, redis_server):
    """Although no row comes."""
    uri = f"redis://nobody:wrong@{redis_server.host}:{redis_server.port}"
    pipeline.document["spec"]["sinks"] = [{"type": "redis", "config": {"id": "r", "uri": uri, "stream": "s"}}]
    pipeline.start(waits=False)
    outcome = pipeline.wait()
    assert (outcome.status, outcome.kind) == ("failed", "auth")
    assert "pipeline failed (auth)" in pipeline.log_text()
    assert "panicked" not in pipeline.log_text()


@pytest.fixture
def plane(tmp_path, monkeypatch):
    monkeypatch.setenv("DELTAFORGE_STOP_SECS", "4")
    plane = ControlPlane(tmp_path).start()
    yield plane
    if plane.process.poll() is None:
        plane.stop()


def test_a_second_signal_ends_the_control_plane_and_its_pipeline_ends_by_itself(plane, postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    status, _ = plane.call(
        "POST", "/pipelines", document(postgres_source(postgres_database), DOWN["refuses"], name="p")
    )
    assert status == 200
    postgres_database.execute("insert into t values (1)")
    wait_for(lambda: plane.call("GET", "/pipelines/p")[1]["ops"]["sink_errors"])
    plane.process.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping every pipeline: up to 9 s; press Ctrl-C again" in (tmp_path / "serve.log").read_text())
    plane.process.send_signal(signal.SIGINT)
    assert plane.process.wait(60) == EXIT_BY_SIGNAL + signal.SIGINT
    paths = PipelinePaths(tmp_path / "state", "p")
    wait_for(lambda: not is_alive(paths))
    assert "panicked" not in paths.log.read_text()
