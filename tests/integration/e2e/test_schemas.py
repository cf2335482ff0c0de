"""The REST endpoints of registered schemas, on real databases and processes."""

import os
import signal

import pytest

from deltaforge.runtime.paths import PipelinePaths
from tests.integration.e2e.test_rest import ControlPlane, control_plane, document  # noqa: F401 - a fixture
from tests.pipelines import file_events, file_sink, mysql_source, postgres_source, wait_for

ORDERS = (
    "create table orders (id bigint unsigned auto_increment primary key, user_id int not null,"
    " state enum('new','paid') not null default 'new', note varchar(40), amount decimal(10,2) default 0.00)"
)


def schemas(plane, path=""):
    status, body = plane.call("GET", f"/pipelines/orders-cdc/schemas{path}")
    assert status == 200, body
    return body


def kill_pipeline(plane, name="orders-cdc"):
    """SIGKILL to the process of a pipeline; returns when another one is connected."""
    pid = pid_of(plane, name)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: (now := pid_of(plane, name)) and now != pid)


def pid_of(plane, name):
    try:
        return int(PipelinePaths(plane._folder / "state", name).lock.read_text() or "0")
    except (OSError, ValueError):
        return 0


def test_mysql_schemas_follow_the_table(control_plane, mysql_database, tmp_path):  # noqa: F811
    name, out = mysql_database.name, tmp_path / "out.jsonl"
    mysql_database.execute(ORDERS, "create table items (id int primary key)")
    assert control_plane.call("POST", "/pipelines", document(mysql_source(mysql_database), file_sink(out)))[0] == 200

    listed = schemas(control_plane)
    assert [(t["database"], t["table"], t["column_count"], t["primary_key"], t["registry_version"]) for t in listed] == [
        (name, "items", 1, ["id"], 1), (name, "orders", 5, ["id"], 1),
    ]  # fmt: skip
    detail = schemas(control_plane, f"/{name}/orders")
    assert detail["fingerprint"] == listed[1]["fingerprint"]
    assert detail["fingerprint"].startswith("sha256:")
    assert [tuple(c.get(key, "absent") for key in ("name", "type", "nullable", "default", "extra")) for c in detail["columns"]] == [
        ("id", "bigint unsigned", False, None, "auto_increment"),
        ("user_id", "int", False, None, "absent"),
        ("state", "enum('new','paid')", False, "new", "absent"),
        ("note", "varchar(40)", True, None, "absent"),
        ("amount", "decimal(10,2)", True, "0.00", "absent"),
    ]  # fmt: skip
    assert [(c["data_type"], c["ordinal_position"], c["is_primary_key"]) for c in detail["columns"]] == [
        ("bigint", 1, True), ("int", 2, False), ("enum", 3, False), ("varchar", 4, False), ("decimal", 5, False),
    ]  # fmt: skip

    mysql_database.execute(
        "insert into orders (user_id) values (1)",
        "alter table orders add column city varchar(20) default 'Rome'",
        "insert into orders (user_id) values (2)",
        "create table late (id int primary key)",
        "insert into late values (1)",
    )
    events = wait_for(lambda: len(found := file_events(out)) == 3 and found)
    versions = schemas(control_plane, f"/{name}/orders/versions")
    assert [(v["version"], v["column_count"]) for v in versions] == [(1, 5), (2, 6)]
    assert [(e["schema_version"], e["schema_sequence"]) for e in events[:2]] == [
        (v["fingerprint"], v["sequence"]) for v in versions
    ]
    assert schemas(control_plane, f"/{name}/orders")["columns"][5]["default"] == "Rome"
    assert [table["table"] for table in schemas(control_plane)] == ["items", "late", "orders"]

    before = [schemas(control_plane), schemas(control_plane, f"/{name}/orders"), versions]
    kill_pipeline(control_plane)
    mysql_database.execute("insert into orders (user_id) values (3)")
    wait_for(lambda: len({e["after"]["id"] for e in file_events(out) if e["source"]["table"] == "orders"}) == 3)
    assert file_events(out)[-1]["schema_sequence"] == versions[1]["sequence"]
    assert control_plane.call("POST", "/pipelines/orders-cdc/stop")[0] == 200
    assert [
        schemas(control_plane), schemas(control_plane, f"/{name}/orders"), schemas(control_plane, f"/{name}/orders/versions")
    ] == before  # fmt: skip
    assert control_plane.call("DELETE", "/pipelines/orders-cdc")[0] == 204
    assert control_plane.call("GET", "/pipelines/orders-cdc/schemas")[0] == 404
    assert control_plane.call("POST", "/pipelines", document(mysql_source(mysql_database), file_sink(out)))[0] == 200
    assert schemas(control_plane, f"/{name}/orders")["registry_version"] == 1


def test_reload_tells_what_changed_and_what_is_missing(control_plane, mysql_database, tmp_path):  # noqa: F811
    name, base = mysql_database.name, "/pipelines/orders-cdc/schemas"
    mysql_database.execute(ORDERS, "create table items (id int primary key)", "create table gone (id int)")
    body = document(mysql_source(mysql_database), file_sink(tmp_path / "out.jsonl"))
    assert control_plane.call("POST", "/pipelines", body)[0] == 200

    status, answer = control_plane.call("POST", f"{base}/reload")
    assert (status, answer["pipeline"], answer["tables_reloaded"]) == (200, "orders-cdc", 3)
    assert all((t["status"], t["changed"], t["error"]) == ("ok", False, None) for t in answer["tables"])
    mysql_database.execute(
        "alter table items add column n int", "alter table orders alter column note set default 'x'", "drop table gone"
    )
    status, answer = control_plane.call("POST", f"{base}/reload")
    assert (status, answer["tables_reloaded"]) == (200, 2)
    assert answer["elapsed_ms"] >= 0
    assert [(t["database"], t["table"], t["status"], t["changed"]) for t in answer["tables"]] == [
        (name, "gone", "missing", False), (name, "items", "ok", True), (name, "orders", "ok", True),
    ]  # fmt: skip
    assert answer["tables"][0]["error"]
    assert schemas(control_plane, f"/{name}/items")["registry_version"] == 2
    orders = schemas(control_plane, f"/{name}/orders")
    assert (orders["registry_version"], orders["columns"][3]["default"]) == (1, "x")

    assert control_plane.call("POST", "/pipelines/orders-cdc/pause")[0] == 200
    mysql_database.execute("alter table items add column m int")
    status, detail = control_plane.call("POST", f"{base}/{name}/items/reload")
    assert (status, detail["registry_version"], len(detail["columns"])) == (200, 3, 3)

    for method, path in (
        ("POST", f"{base}/{name}/gone/reload"),
        ("GET", f"{base}/{name}/none"),
        ("GET", f"{base}/{name}/none/versions"),
    ):
        status, error = control_plane.call(method, path)
        assert (status, error["code"]) == (404, "PIPELINE_NOT_FOUND")
    assert control_plane.call("GET", "/pipelines/none/schemas")[1]["message"] == "pipeline none not found"
    assert control_plane.call("POST", "/pipelines/orders-cdc/stop")[0] == 200
    status, error = control_plane.call("POST", f"{base}/reload")
    assert status == 409
    assert "only a running one can reload" in error["message"]


def test_postgres_schemas_are_found_by_the_schemas_name(control_plane, postgres_database, tmp_path):  # noqa: F811
    out = tmp_path / "out.jsonl"
    postgres_database.execute(
        "create table users (id bigint generated always as identity primary key, name character varying(40) not null,"
        " at timestamp(3) default now(), tags text[])",
        "create publication pub for all tables",
    )
    assert (
        control_plane.call("POST", "/pipelines", document(postgres_source(postgres_database), file_sink(out)))[0] == 200
    )
    (listed,) = schemas(control_plane)
    assert (listed["database"], listed["table"], listed["primary_key"]) == ("public", "users", ["id"])
    columns = schemas(control_plane, "/public/users")["columns"]
    assert [tuple(c.get(key, "absent") for key in ("name", "type", "data_type", "nullable", "default", "extra")) for c in columns] == [
        ("id", "bigint", "bigint", False, None, "generated always as identity"),
        ("name", "character varying(40)", "character varying", False, None, "absent"),
        ("at", "timestamp(3) without time zone", "timestamp without time zone", True, "now()", "absent"),
        ("tags", "text[]", "text[]", True, None, "absent"),
    ]  # fmt: skip
    postgres_database.execute(
        "insert into users (name) values ('a')",
        "alter table users drop column tags",
        "insert into users (name) values ('b')",
    )
    events = wait_for(lambda: len(found := file_events(out)) == 2 and found)
    kill_pipeline(control_plane)
    postgres_database.execute("insert into users (name) values ('c')")
    wait_for(lambda: len({e["after"]["id"] for e in file_events(out)}) == 3)
    versions = schemas(control_plane, "/public/users/versions")
    assert [(v["version"], v["column_count"]) for v in versions] == [(1, 4), (2, 3)]
    assert [e["schema_sequence"] for e in (*events, file_events(out)[-1])] == [
        v["sequence"] for v in (*versions, versions[1])
    ]
    answer = control_plane.call("POST", "/pipelines/orders-cdc/schemas/reload")[1]
    assert answer["tables"] == [
        {"database": "public", "table": "users", "status": "ok", "changed": False, "error": None}
    ]


@pytest.mark.parametrize("options", [("--storage-backend", "memory")])
def test_with_memory_storage_schemas_live_as_long_as_the_positions(tmp_path, postgres_database, options):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    plane = ControlPlane(tmp_path, *options).start()
    body = document(postgres_source(postgres_database), file_sink(tmp_path / "out.jsonl"))
    try:
        assert plane.call("POST", "/pipelines", body)[0] == 200
        (listed,) = schemas(plane)
        plane.stop()
        plane.start()
        assert plane.call("POST", "/pipelines", body)[0] == 200
        assert schemas(plane) == [listed]
        assert plane.call("DELETE", "/pipelines/orders-cdc")[0] == 204
    finally:
        plane.stop()
