"""What a pipeline that ended leaves on the server of its source."""

import http.client
import json
import os
import signal
import socket

import pytest

from tests.databases import drop_slots
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_sink, mysql_source, postgres_source, wait_for


def dumps(database):
    """The threads that read the log for the user of a pipeline; other tests have another."""
    return [row[0] for row in database.rows("show processlist") if row[1] == "cdc" and "Dump" in str(row[4])]


def kill_count(database):
    """How many threads were told to end, on the whole server."""
    return int(database.rows("show global status like 'Com_kill'")[0][1])


def test_stopped_mysql_pipeline_ends_its_dump_at_once(any_mysql_database, tmp_path):
    any_mysql_database.execute("create table t (id int primary key)")
    source = mysql_source(any_mysql_database, url=any_mysql_database.url(user="cdc", password="cdc"))
    pipeline = PipelineProcess(tmp_path, source, [file_sink(tmp_path / "out")])
    try:
        pipeline.start()
        wait_for(lambda: len(dumps(any_mysql_database)) == 1)
        before = kill_count(any_mysql_database)
        assert pipeline.stop() == 0
        assert kill_count(any_mysql_database) == before + 1  # it is not left to the next heartbeat
        wait_for(lambda: dumps(any_mysql_database) == [])
        pipeline.start()
        (before,) = wait_for(lambda: dumps(any_mysql_database))
        pipeline.kill()
        pipeline.start()  # the server ends the older dump of the same replica
        wait_for(lambda: len(found := dumps(any_mysql_database)) == 1 and before not in found)
        assert pipeline.stop() == 0
    finally:
        pipeline.end()


SLOT = "select count(*) from pg_replication_slots where database = current_database()"
IN_USE = f"{SLOT} and active"


@pytest.fixture
def plane(tmp_path):
    found = ControlPlane(tmp_path).start()
    yield found
    found.stop()


@pytest.fixture
def created(plane, postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")

    def create():
        body = document(postgres_source(postgres_database), file_sink(tmp_path / "out"), name="p")
        assert plane.call("POST", "/pipelines", body)[1]["status"] == "running"

    return create


def deleted(plane, query=""):
    """Status, the header about the slot, and the body."""
    connection = http.client.HTTPConnection(plane.address, timeout=60)
    connection.request("DELETE", f"/pipelines/p{query}", headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.getheader("DeltaForge-Slot-Left"), json.loads(body) if body else None


def test_deleted_pipeline_says_that_its_slot_is_left_or_drops_it(plane, created, postgres_database, tmp_path):
    created()
    assert postgres_database.rows(IN_USE) == [(1,)]
    plane.call("POST", "/pipelines/p/stop")
    wait_for(lambda: postgres_database.rows(IN_USE) == [(0,)])  # its process on the server ends behind ours
    postgres_database.execute("insert into t values (1)")
    status, header, body = deleted(plane)
    name, _, size = header.partition("; retained_bytes=")
    assert (status, name, body) == (204, f"s_{postgres_database.name}", None)
    assert int(size) > 0
    assert f"leaves replication slot s_{postgres_database.name}" in (tmp_path / "serve.log").read_text()
    assert postgres_database.rows(SLOT) == [(1,)]
    created()
    assert deleted(plane, "?drop_slot=maybe")[0] == 400
    assert deleted(plane, "?drop_slot=true") == (204, None, None)
    assert postgres_database.rows(SLOT) == [(0,)]
    assert plane.call("GET", "/pipelines/p")[0] == 404


def test_slot_that_cannot_be_dropped_keeps_the_pipeline(plane, created, postgres_database):
    created()
    plane.call("POST", "/pipelines/p/stop")
    slot = f"s_{postgres_database.name}"
    drop_slots(postgres_database)
    postgres_database.execute(f"select pg_create_logical_replication_slot('{slot}', 'test_decoding')")
    status, _, body = deleted(plane, "?drop_slot=true")
    assert (status, body["code"]) == (409, "PIPELINE_STATE_CONFLICT")
    assert f"replication slot {slot} is not of this pipeline" in body["message"]
    assert plane.call("GET", "/pipelines/p")[1]["status"] == "stopped"
    assert deleted(plane)[:2] == (204, None)


def test_killed_postgres_pipeline_leaves_no_walsender(plane, created, postgres_database, tmp_path):
    created()
    os.kill(int((tmp_path / "state/pipelines/p/lock").read_text()), signal.SIGSTOP)
    os.kill(int((tmp_path / "state/pipelines/p/lock").read_text()), signal.SIGKILL)
    assert deleted(plane, "?drop_slot=true") == (204, None, None)
    assert postgres_database.rows(SLOT) == [(0,)]


def test_server_that_is_away_is_no_reason_to_keep_a_pipeline(plane, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    dsn = f"postgres://u:p@127.0.0.1:{port}/d"
    source = {"type": "postgres", "config": {"id": "s", "dsn": dsn, "publication": "pub", "slot": "s", "tables": []}}
    assert plane.call("POST", "/pipelines", document(source, file_sink(tmp_path / "out"), name="p"))[0] == 200
    status, _, body = deleted(plane, "?drop_slot=true")
    assert (status, "its replication slot is left" in body["message"]) == (409, True)
    assert plane.call("GET", "/pipelines/p")[1]["status"] == "stopped"
    assert deleted(plane)[:2] == (204, "s; retained_bytes=unknown")
