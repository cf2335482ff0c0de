"""What was sensed and what drifted, over REST: of a live pipeline, after a kill, and when it is stopped."""

import json
import os
import signal

import jsonschema
import pytest

from deltaforge.runtime.paths import PipelinePaths
from tests.drifting import insert_undated
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_sink, mysql_source, postgres_source, wait_for

PIPELINE = "/pipelines/orders-cdc"
ORDER = {"code": "c1", "items": [{"sku": "a", "count": 2}], "gift": None}


@pytest.fixture
def control_plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        json_type = "json" if request.param == "mysql" else "jsonb"
        database.execute(f"create table orders (id int primary key, day date not null, meta {json_type})")
        if request.param == "postgres":
            database.execute("create publication pub for all tables")
        yield database


def create(plane, database, folder, **sensing):
    source = (mysql_source if database.server.scheme == "mysql" else postgres_source)(database)
    body = document(source, file_sink(folder / "out.jsonl"))
    body["spec"]["schema_sensing"] = {"enabled": True, **sensing}
    status, info = plane.call("POST", "/pipelines", body)
    assert (status, info["status"]) == (200, "running"), info


def insert(database, first, count, meta):
    rows = ",".join(f"({n}, '2026-01-01', '{json.dumps(meta)}')" for n in range(first, first + count))
    database.execute(f"insert into orders values {rows}")


def sensed(plane, event_count):
    """The entry of ``orders:meta`` once so many events are saved."""

    def found():
        entries = get(plane, "/sensing/schemas")
        assert all(entry["event_count"] <= event_count for entry in entries)
        return entries if entries and entries[0]["event_count"] == event_count else None

    (entry,) = wait_for(found)
    return entry


def get(plane, path):
    status, body = plane.call("GET", f"{PIPELINE}{path}")
    assert status == 200, body
    return body


def kill(tmp_path):
    paths = PipelinePaths(tmp_path / "state", "orders-cdc")
    pid = int(paths.lock.read_text())
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: paths.lock.read_text() not in ("", str(pid)))


def test_sensed_schema_over_kill_evolution_and_stop(control_plane, database, tmp_path):
    create(control_plane, database, tmp_path)
    assert get(control_plane, "/sensing/schemas") == []
    insert(database, 0, 300, ORDER)
    first = sensed(control_plane, 300)
    assert first.keys() == {
        "table", "fingerprint", "sequence", "event_count", "stabilized", "first_seen", "last_seen",
    }  # fmt: skip
    assert (first["table"], first["sequence"], first["stabilized"]) == ("orders:meta", 1, False)
    assert first["fingerprint"].startswith("sha256:")

    kill(tmp_path)
    insert(database, 300, 900, ORDER)
    again = sensed(control_plane, 1200)
    assert (again["fingerprint"], again["sequence"], again["first_seen"], again["stabilized"]) == (
        first["fingerprint"], 1, first["first_seen"], True,
    )  # fmt: skip

    insert(database, 2000, 200, {**ORDER, "coupon": "x"})
    evolved = sensed(control_plane, 1400)
    assert evolved["sequence"] == 2
    assert evolved["fingerprint"] != first["fingerprint"]

    status, info = control_plane.call("POST", f"{PIPELINE}/stop")
    assert (status, info["status"]) == (200, "stopped")
    detail = get(control_plane, "/sensing/schemas/orders:meta")
    assert {field["name"]: field["types"] for field in detail["fields"]} == {
        "code": ["string"], "coupon": ["string"], "gift": ["null"], "items": ["array"],
    }  # fmt: skip
    assert {field["name"] for field in detail["fields"] if field["optional"]} == {"coupon"}
    assert {field["name"] for field in detail["fields"] if field["nullable"]} == {"gift"}
    stats = get(control_plane, "/sensing/stats")
    assert (stats["tables"][0]["table"], stats["tables"][0]["cached_structures"]) == (
        "orders:meta",
        1,
    )  # cleared by the evolution
    assert stats["total_cache_misses"] == 2
    schema = get(control_plane, "/sensing/schemas/orders%3Ameta/json-schema")
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert (schema["title"], sorted(schema["required"])) == ("orders:meta", ["code", "gift", "items"])
    jsonschema.validate(ORDER, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**ORDER, "code": 1}, schema)
    assert (
        get(control_plane, "/sensing/schemas/orders:meta/classifications")["paths"][""]["has_dynamic_fields"] is False
    )


def test_session_keys_are_a_map_not_evolution(control_plane, database, tmp_path):
    create(control_plane, database, tmp_path)
    rows = [
        f"({n}, '2026-01-01', '{json.dumps({'sessions': {f's-{n}-{k}': {'hits': k} for k in range(3)}})}')"
        for n in range(2000)
    ]
    database.execute("insert into orders values " + ",".join(rows))
    entry = sensed(control_plane, 2000)
    assert entry["sequence"] <= 20, "1 % of the events at most"
    paths = get(control_plane, "/sensing/schemas/orders:meta/classifications")["paths"]
    assert paths["sessions"]["has_dynamic_fields"]
    assert paths["sessions"]["unique_keys"] > 50
    schema = get(control_plane, "/sensing/schemas/orders:meta/json-schema")
    assert schema["properties"]["sessions"]["additionalProperties"]["properties"] == {"hits": {"type": "integer"}}


def test_drift_over_kill(control_plane, database, tmp_path):
    create(control_plane, database, tmp_path)
    status, body = control_plane.call("GET", f"{PIPELINE}/drift/orders")
    assert (status, body["code"]) == (404, "PIPELINE_NOT_FOUND")
    insert(database, 0, 100, ORDER)
    sensed(control_plane, 100)
    (clean,) = get(control_plane, "/drift")
    assert clean == {
        "table": "orders", "has_drift": False, "columns": [], "events_analyzed": 100, "events_with_drift": 0,
    }  # fmt: skip

    insert_undated(database, "(200, {day}, '{{}}')")
    database.execute("insert into orders values (201, '2026-01-01', null)")
    evolved = 'deltaforge_schema_evolutions_total{pipeline="orders-cdc",table="orders"}'
    wait_for(lambda: evolved in control_plane.call("GET", "/metrics")[1])  # of this process: a new one counts anew
    kill(tmp_path)
    insert(database, 300, 10, ORDER)
    sensed(control_plane, 111)

    drift = get(control_plane, "/drift/orders?kinds=true")
    assert (drift["has_drift"], drift["events_analyzed"], drift["events_with_drift"]) == (True, 112, 1)
    assert [(column["column"], column["kind"], column["mismatch_count"]) for column in drift["columns"]] == [
        ("day", "unexpected_null", 1), ("meta", "json_structure_change", 1),
    ]  # fmt: skip
    assert (drift["columns"][0]["expected_type"], drift["columns"][0]["observed_types"]) == ("NOT NULL", ["NULL"])
    log = PipelinePaths(tmp_path / "state", "orders-cdc").log.read_text()
    assert "drift detected in orders.day: unexpected_null" in log
    assert "schema of orders:meta evolved" in log


def test_without_sensing_the_api_says_so(control_plane, mysql_database, tmp_path):
    mysql_database.execute("create table orders (id int primary key, day date not null, meta json)")
    create(control_plane, mysql_database, tmp_path, enabled=False)
    for path in ("/sensing/schemas", "/sensing/schemas/orders", "/sensing/stats"):
        status, body = control_plane.call("GET", PIPELINE + path)
        assert (status, body["code"]) == (409, "PIPELINE_STATE_CONFLICT")
        assert "not enabled" in body["message"]
