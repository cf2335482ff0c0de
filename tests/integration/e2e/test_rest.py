"""The control plane as a user drives it: real processes, real databases, HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import pytest
from confluent_kafka import Consumer

from tests.databases import drop_slots
from tests.fixtures.ports import free_addresses
from tests.pipelines import file_events, file_sink, mysql_source, postgres_source, wait_for


class ControlPlane:
    def __init__(self, folder, *options):
        self._folder = folder
        self._options = options
        self.address, self.metrics = free_addresses(2)
        self.process = None

    def start(self):
        command = [sys.executable, "-P", "-m", "deltaforge", "serve", "--api-addr", self.address]
        command += ["--metrics-addr", self.metrics, "--storage-path", str(self._folder / "df.db")]
        command += ["--state-dir", str(self._folder / "state"), "--output-dir", str(self._folder), *self._options]
        with (self._folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(self._answers)
        except BaseException:  # nobody else would end it
            self.process.kill()
            self.process.wait()
            raise
        return self

    def _answers(self):
        assert self.process.poll() is None, (self._folder / "serve.log").read_text()
        try:
            self.call("GET", "/health")
        except OSError:
            return False
        return True

    def call(self, method, path, body=None, *, headers=None, raw=None):
        """Status and parsed body."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"http://{self.address}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0


@pytest.fixture
def control_plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    if plane.process.poll() is not None:
        plane.start()
    plane.stop()


def document(source, *sinks, name="orders-cdc"):
    return {
        "metadata": {"name": name, "tenant": "acme"},
        "spec": {"source": source, "processors": [], "sinks": list(sinks)},
    }


def consume(bootstrap, topic, count):
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found, deadline = [], time.monotonic() + 60
    try:
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} messages"
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                found.append((json.loads(message.key()), json.loads(message.value())))
    finally:
        consumer.close()
    return found


def test_seed_body_delivers_mysql_changes_to_kafka(control_plane, mysql_database, kafka):
    mysql_database.execute("create table orders (id int primary key, note varchar(20))")
    topic = f"orders-{uuid.uuid4().hex[:8]}"
    sink = {"type": "kafka", "config": {"id": "kafka-1", "brokers": kafka.bootstrap, "topic": topic}}
    body = document(mysql_source(mysql_database, tables=[f"{mysql_database.name}.orders"]), sink)
    assert control_plane.call("POST", "/validate", body) == (
        200, {"valid": True, "pipeline": "orders-cdc", "source_type": "mysql", "sink_count": 1},
    )  # fmt: skip
    status, info = control_plane.call("POST", "/pipelines", body)
    assert (status, info["status"]) == (200, "running")
    mysql_database.execute("insert into orders values (1, 'a')", "update orders set note = 'b'", "delete from orders")
    messages = consume(kafka.bootstrap, topic, 3)
    assert [key for key, _ in messages] == [{"id": 1}] * 3
    assert [(value["op"], value["before"], value["after"]) for _, value in messages] == [
        ("c", None, {"id": 1, "note": "a"}),
        ("u", {"id": 1, "note": "a"}, {"id": 1, "note": "b"}),
        ("d", {"id": 1, "note": "b"}, None),
    ]
    assert control_plane.call("POST", "/pipelines", body)[0] == 409


def test_postgres_changes_reach_redis(control_plane, postgres_database, redis_server):
    postgres_database.execute("create table users (id int primary key)", "create publication pub for all tables")
    stream = f"users-{uuid.uuid4().hex[:8]}"
    sink = {"type": "redis", "config": {"id": "redis-1", "uri": redis_server.uri, "stream": stream}}
    assert control_plane.call("POST", "/pipelines", document(postgres_source(postgres_database), sink))[0] == 200
    postgres_database.execute("insert into users values (1)", "update users set id = 2", "delete from users")
    client = redis_server.connect()
    entries = wait_for(lambda: len(found := client.xrange(stream)) == 3 and found)
    client.close()
    assert [json.loads(fields[b"df-event"])["op"] for _, fields in entries] == ["c", "u", "d"]


def test_lifecycle_is_exact(control_plane, postgres_database, tmp_path):
    out = tmp_path / "out.jsonl"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    body = document(postgres_source(postgres_database), file_sink(out))
    assert control_plane.call("POST", "/pipelines", body)[0] == 200
    number = 0

    def insert_and(verb, expected):
        nonlocal number
        number += 1
        postgres_database.execute(f"insert into t values ({number})")
        status, info = control_plane.call("POST", f"/pipelines/orders-cdc/{verb}")
        assert (status, info["status"]) == (200, expected)

    for verb, expected in (
        ("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running"), ("stop", "stopped"),
        ("stop", "stopped"), ("resume", "running"), ("pause", "paused"), ("stop", "stopped"), ("resume", "running"),
    ):  # fmt: skip
        insert_and(verb, expected)
    status, info = control_plane.call("PATCH", "/pipelines/orders-cdc", {"spec": {"batch": {"max_events": 7}}})
    assert (status, info["status"], info["spec"]["spec"]["batch"]["max_events"]) == (200, "running", 7)
    insert_and("resume", "running")
    wait_for(lambda: len(file_events(out)) >= number)
    assert [event["after"]["id"] for event in file_events(out)] == list(range(1, number + 1))
    assert control_plane.call("DELETE", "/pipelines/orders-cdc") == (204, "")
    assert control_plane.call("GET", "/pipelines/orders-cdc")[0] == 404


def test_paused_pipeline_keeps_its_connection_and_consumes_nothing(control_plane, postgres_database, tmp_path):
    out = tmp_path / "out.jsonl"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    control_plane.call("POST", "/pipelines", document(postgres_source(postgres_database), file_sink(out)))
    control_plane.call("POST", "/pipelines/orders-cdc/pause")
    postgres_database.execute("insert into t values (1)")
    active = "select active from pg_replication_slots where database = current_database()"
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert postgres_database.rows(active) == [(True,)]
        assert file_events(out) == []
    control_plane.call("POST", "/pipelines/orders-cdc/resume")
    wait_for(lambda: len(file_events(out)) == 1)


def test_patch_that_is_wrong_or_does_not_start_leaves_the_old_pipeline_running(
    control_plane, postgres_database, tmp_path
):
    out = tmp_path / "out.jsonl"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    control_plane.call("POST", "/pipelines", document(postgres_source(postgres_database), file_sink(out)))
    wrong_password = postgres_database.url(password="wrong")
    for patch in (
        {"spec": {"batch": {"max_events": -1}}},
        {"metadata": {"name": "other"}},
        {"spec": {"source": {"config": {"dsn": wrong_password}}}},
        {"spec": {"source": {"config": {"id": "another"}}}},
    ):
        status, answer = control_plane.call("PATCH", "/pipelines/orders-cdc", patch)
        assert (status, answer["code"]) == (400, "PIPELINE_NAME_MISMATCH"), answer
        assert "wrong" not in answer["message"]
    postgres_database.execute("insert into t values (1)")
    wait_for(lambda: len(file_events(out)) == 1)
    assert control_plane.call("GET", "/pipelines/orders-cdc")[1]["status"] == "running"


def test_pipelines_survive_a_killed_control_plane_and_run_once(control_plane, postgres_database, tmp_path):
    out = tmp_path / "out.jsonl"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    control_plane.call("POST", "/pipelines", document(postgres_source(postgres_database), file_sink(out)))
    pid = (tmp_path / "state/pipelines/orders-cdc/lock").read_text()
    control_plane.process.kill()
    control_plane.process.wait()
    postgres_database.execute("insert into t values (1)")
    wait_for(lambda: len(file_events(out)) == 1)
    control_plane.start()
    wait_for(lambda: control_plane.call("GET", "/pipelines/orders-cdc")[1]["ops"]["uptime_seconds"])
    assert (tmp_path / "state/pipelines/orders-cdc/lock").read_text() == pid
    os.kill(int(pid), signal.SIGKILL)
    postgres_database.execute("insert into t values (2)")

    def ids():
        return [event["after"]["id"] for event in file_events(out)]

    wait_for(lambda: ids()[-1] == 2)
    assert ids() in ([1, 2], [1, 1, 2])  # what was delivered of row 1 need not have been saved
    assert (tmp_path / "state/pipelines/orders-cdc/lock").read_text() != pid


def test_dropped_slot_and_purged_binlog_are_unhealthy_with_the_reason(
    control_plane, postgres_database, private_mysql, tmp_path
):
    server = private_mysql()
    with server.fresh_database() as mysql_database:
        postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
        mysql_database.execute("create table t (id int primary key)")
        for name, source in (("pg", postgres_source(postgres_database)), ("my", mysql_source(mysql_database))):
            body = document(source, file_sink(tmp_path / f"{name}.jsonl"), name=name)
            assert control_plane.call("POST", "/pipelines", body)[1]["status"] == "running"
        assert control_plane.call("GET", "/health") == (200, {"status": "healthy", "pipelines": 2})
        for name in ("pg", "my"):
            control_plane.call("POST", f"/pipelines/{name}/stop")
        assert control_plane.call("GET", "/health")[0] == 200
        drop_slots(postgres_database)
        mysql_database.execute(
            "insert into t values (1)", "flush binary logs", "insert into t values (2)", "flush binary logs"
        )
        (newest,) = mysql_database.rows("show binary logs")[-1:]
        mysql_database.execute(f"purge binary logs to '{newest[0]}'")
        for name in ("pg", "my"):
            assert control_plane.call("POST", f"/pipelines/{name}/resume")[1]["status"] == "failed"
        status, health = control_plane.call("GET", "/health")
        assert (status, health["failed_pipelines"]) == (503, ["my", "pg"])
        assert "does not exist any more" in health["reasons"]["pg"]
        assert "purged" in health["reasons"]["my"]


ERRORS = [
    ("POST", "/pipelines", b"{", 400, "PIPELINE_NAME_MISMATCH"),
    ("POST", "/pipelines", b"[]", 400, "PIPELINE_NAME_MISMATCH"),
    ("POST", "/pipelines", b"{}", 400, "PIPELINE_NAME_MISMATCH"),
    ("GET", "/pipelines/none", None, 404, "PIPELINE_NOT_FOUND"),
    ("PATCH", "/pipelines/none", b"{}", 404, "PIPELINE_NOT_FOUND"),
    ("POST", "/pipelines/none/pause", None, 404, "PIPELINE_NOT_FOUND"),
    ("POST", "/pipelines/none/resume", None, 404, "PIPELINE_NOT_FOUND"),
    ("POST", "/pipelines/none/stop", None, 404, "PIPELINE_NOT_FOUND"),
    ("DELETE", "/pipelines/none", None, 404, "PIPELINE_NOT_FOUND"),
    ("GET", "/pipelines/none/checkpoints", None, 404, "PIPELINE_NOT_FOUND"),
    ("GET", "/nothing", None, 404, "NOT_FOUND"),
    ("PUT", "/pipelines", b"{}", 405, "METHOD_NOT_ALLOWED"),
    ("PUT", "/log-level", b'{"level": "loud"}', 400, "PIPELINE_NAME_MISMATCH"),
]


def test_each_error_has_its_status_and_body(control_plane):
    for method, path, raw, status, code in ERRORS:
        found, body = control_plane.call(method, path, raw=raw)
        assert (found, body["code"]) == (status, code), (method, path, body)
        assert body["message"]
    status, body = control_plane.call(
        "POST", "/validate", {"metadata": {"name": "x", "tenant": "t"}, "spec": {"sinks": []}}
    )
    assert (status, body["valid"]) == (400, False)
    assert "missing field `processors`" in body["error"]
    status, body = control_plane.call("POST", "/pipelines", raw=b"{}", headers={"Content-Type": "text/plain"})
    assert (status, body["code"]) == (400, "PIPELINE_NAME_MISMATCH")
    assert control_plane.call("GET", "/ready") == (200, {"status": "ready", "pipelines": []})
    assert control_plane.call("PUT", "/log-level", {"level": "debug"}) == (200, {"level": "debug"})


def test_labels_filter_the_list(control_plane, postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    for name, labels in (("a", {"env": "prod", "team": "x:y"}), ("b", {"env": "prod"}), ("c", {})):
        source = postgres_source(postgres_database, id=f"src-{name}", slot=f"{name}_{postgres_database.name}")
        body = document(source, file_sink(tmp_path / name), name=name)
        body["metadata"]["labels"] = labels
        status, answer = control_plane.call("POST", "/pipelines", body)
        assert status == 200, answer
    for query, names in (
        ("", "abc"),
        ("?label=env:prod", "ab"),
        ("?label=team", "a"),
        ("?label=env:prod&label=team:x:y", "a"),
        ("?label=env:prod&label=team:x", ""),
        ("?label=env:dev", ""),
    ):
        status, found = control_plane.call("GET", f"/pipelines{query}")
        assert (status, sorted(info["name"] for info in found)) == (200, list(names)), query


def test_a_token_guards_everything_and_health_shows_codes_without_one(tmp_path, postgres_database):
    (tmp_path / "tokens").write_text("admin:ada:s3cret-of-ada\nread:grafana:s3cret-of-grafana\n")
    (tmp_path / "tokens").chmod(0o600)
    plane = ControlPlane(tmp_path, "--token-file", str(tmp_path / "tokens")).start()
    ada, grafana = ({"Authorization": f"Bearer s3cret-of-{name}"} for name in ("ada", "grafana"))
    try:
        assert plane.call("GET", "/health")[0] == 200
        for path in ("/pipelines", "/ready", "/metrics", "/log-level", "/openapi.json", "/docs", "/nothing"):
            assert plane.call("GET", path)[0] == 401
            assert plane.call("GET", path, headers={"Authorization": "Bearer wrong"})[0] == 401
            assert plane.call("GET", path, headers=grafana)[0] == (404 if path == "/nothing" else 200)
        address, plane.address = plane.address, plane.metrics
        assert [plane.call("GET", "/metrics", headers=h)[0] for h in ({}, grafana)] == [401, 200]
        plane.address = address
        postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
        body = document(postgres_source(postgres_database), file_sink(tmp_path / "out.jsonl"))
        assert plane.call("POST", "/pipelines", body, headers=grafana)[0] == 403
        assert plane.call("POST", "/pipelines", body, headers=ada)[1]["status"] == "running"
        for path in ("events?seconds=1", "logs?lines=1"):  # they show rows, one JSON object a line
            assert plane.call("GET", f"/pipelines/orders-cdc/{path}", headers=grafana)[0] == 403
            assert plane.call("GET", f"/pipelines/orders-cdc/{path}", headers=ada)[0] == 200
        assert plane.call("POST", "/pipelines/orders-cdc/stop", headers=ada)[0] == 200
        drop_slots(postgres_database)
        assert plane.call("POST", "/pipelines/orders-cdc/resume", headers=ada)[1]["status"] == "failed"
        status, shown = plane.call("GET", "/health")
        assert (status, shown["failed_pipelines"]) == (503, ["orders-cdc"])
        assert re.fullmatch(r"[a-z_]+", shown["reasons"]["orders-cdc"])
        assert "does not exist any more" in plane.call("GET", "/health", headers=grafana)[1]["reasons"]["orders-cdc"]
        assert plane.call("DELETE", "/pipelines/orders-cdc", headers=ada)[0] == 204
    finally:
        plane.stop()
    noted = [json.loads(line) for line in (tmp_path / "state" / "audit" / "changes.jsonl").read_text().splitlines()]
    assert [(n["who"], n["role"], n["method"], n["pipeline"], n["status"]) for n in noted] == [
        ("ada", "admin", "POST", "orders-cdc", 200), ("ada", "admin", "POST", "orders-cdc", 200),
        ("ada", "admin", "POST", "orders-cdc", 200), ("ada", "admin", "DELETE", "orders-cdc", 204),
    ]  # fmt: skip
    assert noted[0]["new_document"] == noted[-1]["old_document"]
    files = [tmp_path / "serve.log", *(tmp_path / "state" / "audit").iterdir()]
    assert [file.name for file in files if b"s3cret" in file.read_bytes()] == []
