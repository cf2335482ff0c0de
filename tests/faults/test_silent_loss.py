"""Ways in which engines of this kind lose rows quietly, as far as no other file has a test of that name."""

from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from deltaforge.checkpoint.reader import read_checkpoints
from tests.databases import database_with
from tests.destinations import ExactlyOnceDestination, FileDestination
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.oracle import has
from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, wait_for
from tests.trial import source_of

ROWS = 4000


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with database_with(request, "create table t (id int primary key, text varchar(300))") as database:
        yield database


def test_a_position_inside_a_transaction_is_never_saved(database, fault_proxy, tmp_path):
    proxy, destination = fault_proxy(database.server.port), FileDestination(tmp_path)
    source = source_of(database, url=database.url(port=proxy.port))
    split = {"max_tx_bytes": 10_000, "max_events": 50}
    pipeline = PipelineProcess(tmp_path, source, [destination.sink], batch=split).start()
    try:
        database.execute("insert into t values (-1, '')")
        wait_for(destination.events)
        proxy.throttle(100_000)
        rows = ",".join(f"({number}, '{'x' * 300}')" for number in range(ROWS))
        database.execute(f"insert into t values {rows}")
        first_count = wait_for(lambda: (count := len(destination.events())) > 1 and count, interval_secs=0.01)
        first_seen = datetime.now(UTC)
        wait_for(lambda: len(destination.events()) > first_count, interval_secs=0.01)
        proxy.stall()
        saved = wait_for(lambda: saved_since(pipeline, first_seen))
        delivered = destination.events()
        assert 1 < len(delivered) < 1 + ROWS, "the transaction is not open any more"
        assert not has(saved, delivered[-1]["source"])
        pipeline.kill()
        proxy.throttle(None)
        proxy.unstall()
        pipeline.start()
        again = len(delivered)
        wait_for(lambda: len(destination.events()) >= again + ROWS)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    assert [event["after"]["id"] for event in destination.events()[again:]][-ROWS:] == list(range(ROWS))


def saved_since(pipeline, moment):
    """The saved position, if it was acked later."""
    (checkpoint,) = read_checkpoints(pipeline.paths.recovery)
    return checkpoint.position if checkpoint.acked_at > moment else None


def test_a_required_sink_that_died_is_shown_as_failed_and_never_as_running(mysql_database, kafka, tmp_path):
    database = mysql_database
    database.execute("create table t (id int primary key)")
    dying = ExactlyOnceDestination(kafka, database.name)
    plane = ControlPlane(tmp_path).start()
    try:
        body = document(mysql_source(database), dying.sink, file_sink(tmp_path / "out"), name="p")
        assert plane.call("POST", "/pipelines", body)[1]["status"] == "running"
        database.execute("insert into t values (1)")
        wait_for(lambda: dying.progress() is not None and file_events(tmp_path / "out"))
        fence = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": database.name, "log_level": 2})
        fence.init_transactions(20)
        database.execute("insert into t values (2)")
        shown = wait_for(lambda: (info := plane.call("GET", "/pipelines/p")[1])["status"] != "running" and info)
        assert shown["status"] == "failed"
        assert "another instance has taken over" in shown["ops"]["error"]
        status, health = plane.call("GET", "/health")
        assert (status, health["failed_pipelines"]) == (503, ["p"])
    finally:
        plane.stop()
