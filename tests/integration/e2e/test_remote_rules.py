"""Documents from the network name nothing of this machine; documents of the operator do, also after a patch."""

import json

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, mysql_source, postgres_source, wait_for

MYSQL = {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u:p@127.0.0.1:1/db", "tables": []}}


def kafka(**client_conf):
    return {"type": "kafka", "config": {"id": "k", "brokers": "127.0.0.1:1", "topic": "t", "client_conf": client_conf}}


def test_nothing_over_rest_runs_code_or_names_a_file(tmp_path, start):
    plane = start()
    made = tmp_path / "made"
    run = {"security.protocol": "sasl_plaintext", "sasl.kerberos.principal": f"x; touch {made}"}
    hostile = [
        document(MYSQL, kafka(**{"plugin.library.paths": str(tmp_path / "evil.so")})),
        document(MYSQL, kafka(**run)),
        document(MYSQL, kafka(**{**run, "sasl.kerberos.kinit.cmd": f"touch {made}"})),
        document(MYSQL, kafka(**{"ssl.ca.location": "/etc/passwd"})),
        document(MYSQL, file_sink("/etc/cron.d/x")),
        document(MYSQL, file_sink("../x")),
    ]
    before = sorted(path.name for path in tmp_path.iterdir())
    for body in hostile:
        status, answer = plane.call("POST", "/validate", body)
        assert (status, answer["valid"]) == (400, False)
        status, answer = plane.call("POST", "/pipelines", body)
        assert (status, answer["code"]) == (400, "PIPELINE_NAME_MISMATCH")
        assert "spec.sinks[0].config" in answer["message"]
    assert plane.call("GET", "/pipelines") == (200, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.fixture
def start(tmp_path):
    """``start(*options)``: a control plane, which takes the place of the one before."""
    planes = []

    def stop_all():
        for plane in planes:
            if plane.process.poll() is None:
                plane.stop()

    def begin(*options):
        stop_all()
        planes.append(ControlPlane(tmp_path, *options).start())
        return planes[-1]

    yield begin
    stop_all()


@pytest.fixture
def operator_file(tmp_path, postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    (tmp_path / "data").mkdir()
    path = tmp_path / "p.json"
    body = document(postgres_source(postgres_database), file_sink(tmp_path / "data" / "a.jsonl"))
    path.write_text(json.dumps(body))
    return path


def test_a_patch_is_judged_by_what_it_changes(tmp_path, start, operator_file, postgres_database):
    options = ("-c", str(operator_file), "--output-dir", str(tmp_path / "out"))
    (tmp_path / "out").mkdir()
    plane = start(*options)
    wait_for(lambda: plane.call("GET", "/pipelines/orders-cdc")[0] == 200)
    for patch in (
        {"spec": {"sinks": [{"config": {"path": str(tmp_path / "data" / "b.jsonl")}}]}},
        {"spec": {"sinks": [{}, file_sink(tmp_path / "data" / "a.jsonl", id="other")]}},
        {"spec": {"source": {"config": {"dsn": postgres_database.url() + "?sslkey=/etc/shadow"}}}},
    ):
        status, answer = plane.call("PATCH", "/pipelines/orders-cdc", patch)
        assert (status, answer["code"]) == (400, "PIPELINE_NAME_MISMATCH"), answer
    status, answer = plane.call("PATCH", "/pipelines/orders-cdc", {"spec": {"batch": {"max_events": 7}}})
    assert (status, answer["status"]) == (200, "running"), answer
    added = {"spec": {"sinks": [{}, file_sink("b.jsonl", id="b", start="earliest")]}}
    status, answer = plane.call("PATCH", "/pipelines/orders-cdc", added)
    assert (status, answer["status"]) == (200, "running"), answer
    postgres_database.execute("insert into t values (1)")
    for path in (tmp_path / "data" / "a.jsonl", tmp_path / "out" / "b.jsonl"):
        wait_for(lambda path=path: len(file_events(path)) == 1)


def is_failed(plane):
    status, answer = plane.call("GET", "/pipelines/orders-cdc")
    return answer if status == 200 and answer["status"] == "failed" else None


def test_a_stored_document_that_breaks_the_rules_by_now_fails_alone(tmp_path, start, mysql_database):
    mysql_database.execute("create table t (id int primary key)")
    (tmp_path / "out").mkdir()
    plane = start()
    body = document(mysql_source(mysql_database), file_sink(tmp_path / "out" / "a.jsonl"))
    assert plane.call("POST", "/pipelines", body)[0] == 200
    plane = start("--output-dir", str(tmp_path / "narrow"))
    answer = wait_for(lambda: is_failed(plane))
    assert "--output-dir" in answer["ops"]["error"]
