"""Registered definitions when the source id or the tenant of a pipeline changes: none is lost, none is left behind."""

import sqlite3

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, mysql_source, wait_for


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def keys(folder):
    """What is registered, as tenant/source/database/table."""
    with sqlite3.connect(folder / "df.db") as storage:
        return [key for (key,) in storage.execute("select key from df_log where ns = 'schemas' order by seq")]


def create(plane, database, folder, name="p", source_id="one"):
    body = document(mysql_source(database, id=source_id), file_sink(folder / f"{name}.jsonl"), name=name)
    status, info = plane.call("POST", "/pipelines", body)
    assert (status, info["status"]) == (200, "running"), info


def patched(plane, patch, name="p"):
    return plane.call("PATCH", f"/pipelines/{name}", patch)


def with_id(source_id):
    return {"spec": {"source": {"config": {"id": source_id}}}}


def test_definitions_of_a_former_source_are_kept_while_they_may_be_needed_and_then_forgotten(
    plane, mysql_database, tmp_path
):
    name = mysql_database.name
    mysql_database.execute("create table t (id int primary key)")
    create(plane, mysql_database, tmp_path)
    old, new = f"acme/one/{name}/t", f"acme/two/{name}/t"
    assert keys(tmp_path) == [old]

    status, body = patched(plane, with_id("two"))  # of a running pipeline: the saved position is of the old one
    assert status == 400, body
    assert plane.call("GET", "/pipelines/p")[1]["status"] == "running"
    plane.call("POST", "/pipelines/p/stop")
    patched(plane, with_id("two"))
    wait_for(lambda: plane.call("GET", "/pipelines/p")[1]["status"] == "failed")
    assert old in keys(tmp_path)
    patched(plane, with_id("one"))
    wait_for(lambda: plane.call("GET", "/pipelines/p")[1]["status"] == "running")
    assert keys(tmp_path) == [old]

    plane.call("POST", "/pipelines/p/stop")
    patched(plane, with_id("two"))
    plane.call("POST", "/pipelines/p/stop")
    assert plane.call("POST", "/pipelines/p/checkpoints/reset", {"to": "latest"})[0] == 200
    plane.call("POST", "/pipelines/p/resume")
    mysql_database.execute("insert into t values (1)")
    wait_for(lambda: file_events(tmp_path / "p.jsonl"))
    plane.call("POST", "/pipelines/p/stop")  # which saves the position
    plane.call("POST", "/pipelines/p/resume")
    assert keys(tmp_path) == [new]
    plane.call("DELETE", "/pipelines/p")
    assert keys(tmp_path) == []


def test_definitions_go_with_a_pipeline_to_another_tenant_and_back(plane, mysql_database, tmp_path):
    mysql_database.execute("create table t (id int primary key)")
    create(plane, mysql_database, tmp_path)
    for number, tenant in enumerate(("other", "third", "acme"), 1):
        mysql_database.execute(f"insert into t (id) values ({number})", f"alter table t add c{number} int")
        wait_for(lambda number=number: len(file_events(tmp_path / "p.jsonl")) == number)
        assert patched(plane, {"metadata": {"tenant": tenant}})[0] == 200
        assert {key.partition("/")[0] for key in keys(tmp_path)} == {tenant}
    mysql_database.execute("insert into t (id) values (9)")
    events = wait_for(lambda: len(found := file_events(tmp_path / "p.jsonl")) == 4 and found)
    assert [event["tenant_id"] for event in events] == ["acme", "other", "third", "acme"]
    versions = plane.call("GET", f"/pipelines/p/schemas/{mysql_database.name}/t/versions")[1]
    assert [version["column_count"] for version in versions] == [1, 2, 3, 4]


def test_a_new_pipeline_does_not_begin_with_what_another_source_of_its_id_had(plane, mysql_database, tmp_path):
    name = mysql_database.name
    mysql_database.execute("create table t (id int primary key)")
    create(plane, mysql_database, tmp_path, name="before")
    with sqlite3.connect(tmp_path / "df.db") as storage:
        left = storage.execute("select ns, key, val, ts from df_log where ns = 'schemas'").fetchall()
    plane.call("DELETE", "/pipelines/before")
    with sqlite3.connect(tmp_path / "df.db") as storage:  # as versions before this one did
        storage.executemany(
            "insert into df_log (ns, key, val, ts) values (?, ?, ?, ?)",
            [(ns, f"{key.removesuffix('t')}gone", val, ts) for ns, key, val, ts in left],
        )
    assert keys(tmp_path) == [f"acme/one/{name}/gone"]
    create(plane, mysql_database, tmp_path, name="after")
    assert keys(tmp_path) == [f"acme/one/{name}/t"]
