"""Documents that cannot run: stored ones, and files of ``serve -c``. They keep nobody else from running."""

import contextlib
import json
import sqlite3
import subprocess
import sys

import pytest

from deltaforge.storage.sqlite import SqliteStorage
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, postgres_source, wait_for
from tests.processes import pipeline_processes


@pytest.fixture
def database(postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    return postgres_database


def good(database, folder, name):
    source = postgres_source(database, id=f"s-{name}", slot=f"{name}_{database.name}")
    return document(source, file_sink(folder / f"{name}.out"), name=name)


BAD = {
    "no-json": b"{",
    "no-document": b'{"desired": "running"}',
    "a-list": b"[]",
    "another-name": lambda body: {**body, "metadata": {**body["metadata"], "name": "else"}},
    "no-sinks": lambda body: {**body, "spec": {**body["spec"], "sinks": []}},
    "unknown-type": lambda body: {**body, "spec": {**body["spec"], "source": {"type": "oracle", "config": {"id": "x"}}}},
}  # fmt: skip


def test_a_stored_document_that_is_not_accepted_fails_alone(database, tmp_path):
    storage = SqliteStorage(tmp_path / "df.db")
    for name, bad in {**BAD, "fine": lambda body: body}.items():
        body = good(database, tmp_path, name.replace("-", "_"))
        body["metadata"]["name"] = name
        kept = bad if isinstance(bad, bytes) else json.dumps({"document": bad(body), "desired": "running"}).encode()
        storage.kv.put("pipelines", name, kept)
    storage.close()
    plane = ControlPlane(tmp_path).start()
    try:
        wait_for(lambda: sum(p["status"] == "failed" for p in plane.call("GET", "/pipelines")[1]) == len(BAD))
        wait_for(lambda: plane.call("GET", "/pipelines/fine")[1]["ops"]["checkpoints"])
        status, health = plane.call("GET", "/health")
        assert (status, health["failed_pipelines"]) == (503, sorted(BAD))
        for name in BAD:
            info = plane.call("GET", f"/pipelines/{name}")[1]
            assert (info["status"], info["spec"]["metadata"]["name"]) == ("failed", name)
            assert info["ops"]["error"], name
            assert info["ops"]["error_code"] == "spec"
            status, answer = plane.call("POST", f"/pipelines/{name}/resume")
            assert (status, "patch what is wrong with it" in answer["message"]) == (409, True)
        for path in ("/ready", "/metrics", "/pipelines?label=a", "/pipelines/no-json/sensing/schemas"):
            assert plane.call("GET", path)[0] in (200, 409), path
        assert list(pipeline_processes(tmp_path / "state").values()) == ["fine"]
        status, info = plane.call("PATCH", "/pipelines/no-sinks", good_sinks(database, tmp_path))
        assert (status, info["status"]) == (200, "running"), info
        for name in BAD:
            assert plane.call("DELETE", f"/pipelines/{name}")[0] == 204, name
        assert plane.call("GET", "/health") == (200, {"status": "healthy", "pipelines": 1})
        with contextlib.closing(sqlite3.connect(tmp_path / "df.db")) as stored:
            assert stored.execute("select key from df_kv where ns = 'pipelines'").fetchall() == [("fine",)]
    finally:
        plane.stop()


def good_sinks(database, folder):
    return {"spec": {"sinks": good(database, folder, "no_sinks")["spec"]["sinks"]}}


def test_a_wrong_file_of_a_folder_is_named_and_the_others_start(database, tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    same_name, same_source = good(database, tmp_path, "a"), good(database, tmp_path, "c")
    same_name["spec"]["source"]["config"]["id"] = "other"
    same_source["spec"]["source"]["config"]["id"] = "s-a"
    for name, text in {
        "a.yaml": json.dumps(good(database, tmp_path, "a")),
        "b.yaml": json.dumps(same_name),
        "c.yaml": json.dumps(same_source),
        "d.yaml": "",
        "e.yaml": "metadata: [",
        "f.yaml": json.dumps({**good(database, tmp_path, "f"), "spec": {}}),
        "g.yaml": json.dumps(document(good(database, tmp_path, "g")["spec"]["source"], file_sink("x"), name="-g")),
        "z.yaml": json.dumps(good(database, tmp_path, "z")),
    }.items():
        (folder / name).write_text(text)
    plane = ControlPlane(tmp_path, "-c", str(folder)).start()
    try:
        wait_for(lambda: sorted(p["name"] for p in plane.call("GET", "/pipelines")[1]) == ["a", "z"])
        for name in ("a", "z"):
            wait_for(lambda name=name: plane.call("GET", f"/pipelines/{name}")[1]["ops"]["checkpoints"])
        database.execute("insert into t values (1)")
        for name in ("a", "z"):
            wait_for(lambda name=name: len(file_events(tmp_path / f"{name}.out")) == 1)
        log = (tmp_path / "serve.log").read_text()
        for name in "bcdefg":
            assert f"{folder}/{name}.yaml" in log, name
        assert f"metadata.name: 'a' is already used by {folder}/a.yaml" in log
        assert f"spec.source.config.id: 's-a' is already used by {folder}/a.yaml" in log
        assert "deltaforge_config_files_refused 6.0" in plane.call("GET", "/metrics")[1]
    finally:
        plane.stop()


def test_one_wrong_file_alone_ends_the_start(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("metadata: {name: p}")
    plane = ControlPlane(tmp_path)
    command = [sys.executable, "-P", "-m", "deltaforge", "serve", "-c", str(file), "--api-addr", plane.address]
    command += ["--metrics-addr", plane.metrics, "--storage-path", str(tmp_path / "df.db")]
    done = subprocess.run(
        [*command, "--state-dir", str(tmp_path / "state")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert str(file) in done.stderr
