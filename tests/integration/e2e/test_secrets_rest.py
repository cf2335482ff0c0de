"""Secrets over REST: where they are put in, and that nothing else shows them."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, postgres_source, wait_for

TOKEN = "t0ken-0f-0urs"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
UNREACHABLE = {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u:p@127.0.0.1:1/db", "tables": []}}


class Plane(ControlPlane):
    def ask(self, method, path, body=None):
        return self.call(method, path, body, headers=BEARER)


@pytest.fixture
def plane(tmp_path, monkeypatch):
    monkeypatch.setenv("DELTAFORGE_TOKEN", TOKEN)
    monkeypatch.setenv("DELTAFORGE_VAR_MARK", "v4riable-value")
    monkeypatch.setenv("PGPASSWORD", "p4ssword-of-somebody")
    (tmp_path / "secrets").mkdir()
    plane = Plane(tmp_path, "--secrets-dir", str(tmp_path / "secrets")).start()
    yield plane
    plane.stop()


def kafka(**client_conf):
    return {"type": "kafka", "config": {"id": "k", "brokers": "127.0.0.1:1", "topic": "t", "client_conf": client_conf}}


def test_a_document_cannot_ask_for_what_is_not_meant_for_it(plane):
    bodies = [
        document(
            {**UNREACHABLE, "config": {**UNREACHABLE["config"], "dsn": f"mysql://u:p@127.0.0.1:1/{asked}"}}, kafka()
        )
        for asked in ("${DELTAFORGE_TOKEN}", "${PGPASSWORD:-x}", "${HOME}", "${file:/etc/passwd}", "${file:../df.db}")
    ]
    bodies.append(document(UNREACHABLE, kafka(**{"sasl.password": "${DELTAFORGE_TOKEN}"})))
    for body in bodies:
        for path in ("/validate", "/pipelines"):
            status, answer = plane.ask("POST", path, body)
            assert status == 400
            assert "spec." in json.dumps(answer)
            assert TOKEN not in json.dumps(answer)
    assert plane.ask("GET", "/pipelines") == (200, [])


def test_what_is_put_in_is_used_and_never_shown(plane, tmp_path, postgres_database):
    db = postgres_database
    source = postgres_source(db)
    dsn = source["config"]["dsn"]
    (tmp_path / "secrets" / "dsn").write_text(dsn + "\n")
    source["config"]["dsn"] = "${file:dsn}"
    db.execute("create table t (id int primary key)", "create publication pub for all tables")
    body = document(source, file_sink("${DELTAFORGE_VAR_MARK}.jsonl"))

    status, created = plane.ask("POST", "/pipelines", body)
    assert (status, created["status"]) == (200, "running")
    db.execute("insert into t values (1)")
    wait_for(lambda: file_events(tmp_path / "v4riable-value.jsonl"))

    root = tmp_path / "state" / "pipelines" / "orders-cdc"
    pid = int((root / "lock").read_text())
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
    assert "DELTAFORGE_VAR_MARK=v4riable-value" in environment
    assert TOKEN not in environment
    assert "PGPASSWORD" not in environment
    shown = json.dumps([plane.ask("GET", path) for path in ("/pipelines/orders-cdc", "/ready", "/health")])
    stored = "\n".join(sqlite3.connect(tmp_path / "df.db").iterdump())
    for text in (shown, stored, (root / "document.json").read_text(), (root / "pipeline.log").read_text()):
        assert dsn not in text
        assert "v4riable-value" not in text
    # the document that was shown is the document
    assert plane.ask("PATCH", "/pipelines/orders-cdc", created["spec"])[0] == 200
    assert plane.ask("GET", "/pipelines/orders-cdc")[1]["spec"] == created["spec"]


def test_nobody_logs_in_with_what_lies_in_the_home_folder(tmp_path, monkeypatch, postgres_database):
    db = postgres_database
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{db.server.password}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", db.server.password)
    db.execute("create table t (id int primary key)", "create publication pub for all tables")
    source = postgres_source(db)
    source["config"]["dsn"] = source["config"]["dsn"].replace(f":{db.server.password}@", "@")
    plane = ControlPlane(tmp_path).start()
    try:
        plane.call("POST", "/pipelines", document(source, file_sink(tmp_path / "out.jsonl")))
        assert "no password supplied" in plane.call("GET", "/pipelines/orders-cdc")[1]["ops"]["error"]
        status, answer = plane.call("DELETE", "/pipelines/orders-cdc?drop_slot=true")
        assert status == 409
        assert "no password supplied" in answer["message"]
    finally:
        plane.stop()


def test_what_is_not_there_is_named_where_it_hurts(plane):
    source = {
        **UNREACHABLE,
        "config": {**UNREACHABLE["config"], "dsn": "mysql://u:${DELTAFORGE_VAR_NOPE}@127.0.0.1:1/db"},
    }
    status, created = plane.ask("POST", "/pipelines", document(source, kafka()))
    assert (status, created["status"]) == (200, "failed")
    error = plane.ask("GET", "/pipelines/orders-cdc")[1]["ops"]["error"]
    assert "DELTAFORGE_VAR_NOPE is not set" in error
    assert "spec.source.config.dsn" in error


def test_a_password_that_the_server_repeats_is_not_repeated(plane, postgres_database, tmp_path):
    """The client library is given a password with everything in it, and cannot connect."""
    password = "p w'\"\\:/?#%40@end-of-it"
    (tmp_path / "secrets" / "pw").write_text(password)
    source = postgres_source(postgres_database)
    source["config"]["dsn"] = "host=127.0.0.1 port=1 user=u password='${file:pw}' dbname=end-of-it"
    assert plane.ask("POST", "/pipelines", document(source, kafka()))[0] == 200
    shown = json.dumps(plane.ask("GET", "/pipelines/orders-cdc")) + json.dumps(plane.call("GET", "/health"))
    shown += (tmp_path / "state" / "pipelines" / "orders-cdc" / "pipeline.log").read_text()
    assert password not in shown
    assert "end-of-it" not in shown.replace("dbname=end-of-it", "")


def test_what_is_written_is_for_the_owner_alone(plane, tmp_path):
    plane.ask("POST", "/pipelines", document(UNREACHABLE, kafka()))
    for folder, _, files in os.walk(tmp_path / "state"):
        assert Path(folder).stat().st_mode & 0o777 == 0o700, folder
        for name in files:
            assert (Path(folder) / name).stat().st_mode & 0o777 == 0o600, name


def test_a_secret_of_an_operators_file_is_read_by_the_pipeline(tmp_path, postgres_database):
    db, secrets = postgres_database, tmp_path / "secrets"
    secrets.mkdir()
    source = postgres_source(db)
    (secrets / "dsn").write_text(source["config"]["dsn"])
    source["config"]["dsn"] = "${file:dsn}"
    db.execute("create table t (id int primary key)", "create publication pub for all tables")
    (tmp_path / "p.json").write_text(json.dumps(document(source, file_sink(tmp_path / "out.jsonl"))))
    plane = ControlPlane(tmp_path, "-c", str(tmp_path / "p.json"), "--secrets-dir", str(secrets)).start()
    try:
        root = tmp_path / "state" / "pipelines" / "orders-cdc"
        wait_for((root / "started").exists)
        db.execute("insert into t values (1)")
        wait_for(lambda: file_events(tmp_path / "out.jsonl"))
        stored = "\n".join(sqlite3.connect(tmp_path / "df.db").iterdump())
        assert (secrets / "dsn").read_text() not in stored
        # what the file said stays allowed after a patch, and the slot is found at the end
        patch = {"metadata": {"labels": {"a": "b"}}}
        assert plane.call("PATCH", "/pipelines/orders-cdc", patch)[1]["status"] == "running"
        assert plane.call("DELETE", "/pipelines/orders-cdc?drop_slot=true")[0] == 204
    finally:
        plane.stop()
