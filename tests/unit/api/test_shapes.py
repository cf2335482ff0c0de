"""The sensing and drift resources, over a recovery store as Bytewax leaves it."""

import asyncio
import pickle
import sqlite3
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import jsonschema
import pytest
from bytewax.recovery import init_db_dir

from api.app import create_app
from deltaforge.control.options import ServeOptions
from deltaforge.control.service import Pipeline, PipelineService
from deltaforge.control.supervisor import Supervisor
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import EventSample
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.spec import parse_document
from deltaforge.storage.memory import MemoryStorage

NOW = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
SCHEMA = TableSchema(
    TableId("shop", None, "orders"),
    (Column("id", "bigint", nullable=False), Column("amount", "decimal(10,2)"), Column("doc", "json")),
)
CLEAN = TableSchema(TableId("shop", None, "users"), (Column("doc", "json"),))


def document(name, sensing):
    source = {"id": name, "dsn": "mysql://u:p@127.0.0.1/shop", "tables": ["shop.*"]}
    sink = {"type": "stdout", "config": {"id": "out"}}
    spec = {"source": {"type": "mysql", "config": source}, "processors": [], "sinks": [sink]}
    return {"metadata": {"name": name, "tenant": "acme"}, "spec": {**spec, "schema_sensing": sensing}}


def save(recovery, state):
    recovery.mkdir(parents=True)
    init_db_dir(recovery, 1)
    with sqlite3.connect(recovery / "part-0.sqlite3") as db:
        db.execute("insert into exs(ex_num, worker_count, resume_epoch) values(0, 1, 1)")
        db.execute("insert into fronts(ex_num, worker_index, worker_frontier) values(0, 0, 3)")
        snap = "insert into snaps(step_id, state_key, snap_epoch, ser_change) values('deltaforge.sensing', 'delivery', ?, ?)"
        db.execute(snap, (2, pickle.dumps(state)))
    db.close()


class Api:
    """The REST API over one pipeline ``orders-cdc``."""

    def __init__(self, folder, sensing=None, *, state=None):
        options = ServeOptions(storage_backend="memory", state_dir=folder)
        service = PipelineService(MemoryStorage(), options)
        parsed = parse_document(document("orders-cdc", {"enabled": True} if sensing is None else sensing))
        supervisor = Supervisor("orders-cdc", options)
        service._pipelines["orders-cdc"] = Pipeline(parsed, "stopped", supervisor)
        if state is not None:
            save(supervisor.paths.recovery, state)
        self._app = create_app(service)

    def get(self, path, pipeline="orders-cdc"):
        async def fetch():
            answer = await self._app.test_client().get(f"/pipelines/{pipeline}{path}")
            return answer.status_code, await answer.get_json()

        return asyncio.run(fetch())

    def ok(self, path):
        status, body = self.get(path)
        assert status == 200, body
        return body


def sensed():
    """A state with a plain key, a key with dynamic keys, and drift."""
    sensing = PipelineSensing(SchemaSensing(enabled=True))
    docs = [{"id": 1, "metadata": {"a": 1, "b": None}, "tags": ["x"]}, {"id": 2, "metadata": None}]
    rows = [{"id": 1, "amount": "9.50", "doc": docs[n % 2 if n > 200 else 0]} for n in range(1500)]
    for second, part in enumerate((rows[:1000], rows[1000:])):
        sample = EventSample(part, ("doc",), [len(part)], row_count=len(part), max_depth=10)
        evolutions = sensing.observe("orders", ("doc",), sample, NOW + timedelta(seconds=second))
        sensing.drift.observe("orders", SCHEMA, sample, evolutions)
    bad = [{"id": 1, "amount": {"cents": n}, "doc": None} for n in range(42)]
    bad[0]["id"] = None
    sensing.drift.observe("orders", SCHEMA, EventSample(bad, (), [], row_count=42, max_depth=10), checks_values=True)
    visits = [{"doc": {"user": "u", f"s-{n}": {"at": n}}} for n in range(200)]
    sample = EventSample(visits, ("doc",), [200], row_count=200, max_depth=10)
    sensing.observe("users", ("doc",), sample, NOW)
    sensing.drift.observe("users", CLEAN, sample)
    return sensing.pipeline_bytes()


@pytest.fixture
def api(tmp_path):
    return Api(tmp_path, state=sensed())


def test_every_sensed_key_is_listed(api):
    orders, users = api.ok("/sensing/schemas")
    assert orders == {
        "table": "orders:doc",
        "fingerprint": orders["fingerprint"],
        "sequence": 2,
        "event_count": 1500,
        "stabilized": True,
        "first_seen": "2025-01-15T10:30:00Z",
        "last_seen": "2025-01-15T10:30:01Z",
    }
    assert len(orders["fingerprint"]) == len("sha256:") + 64
    assert (users["table"], users["stabilized"]) == ("users:doc", False)


FIELDS = [
    {"name": "id", "types": ["integer"], "nullable": False, "optional": False},
    {"name": "metadata", "types": ["object"], "nullable": True, "optional": False, "nested_field_count": 2},
    {"name": "tags", "types": ["array"], "nullable": False, "optional": True, "array_element_types": ["string"]},
]


@pytest.mark.parametrize("table", ["orders:doc", "orders%3Adoc"])
def test_one_key_has_its_fields(api, table):
    summary = api.ok("/sensing/schemas")[0]
    assert api.ok(f"/sensing/schemas/{table}") == {**summary, "fields": FIELDS}


def test_depth_adds_dotted_rows(api):
    names = [row["name"] for row in api.ok("/sensing/schemas/orders:doc?depth=2")["fields"]]
    assert names == ["id", "metadata", "metadata.a", "metadata.b", "tags"]


def test_stats_of_fields_are_shown_when_asked_for(api):
    fields = api.ok("/sensing/schemas/orders:doc?stats=true")["fields"]
    assert fields[1]["null_rate"] == 0.4333  # 650 of 1,500


def test_json_schema_accepts_what_was_sensed(api):
    body = api.ok("/sensing/schemas/orders:doc/json-schema")
    assert (body["$schema"], body["title"]) == ("http://json-schema.org/draft-07/schema#", "orders:doc")
    assert body["required"] == ["id", "metadata"]
    assert body["properties"]["metadata"]["type"] == ["object", "null"]
    jsonschema.Draft7Validator(body).validate({"id": 5, "metadata": {"a": 2, "b": None}})


def test_classifications_tell_names_from_data(api):
    paths = api.ok("/sensing/schemas/users:doc/classifications")["paths"]
    assert paths[""]["stable_fields"] == ["user"]
    assert paths[""]["has_dynamic_fields"] is True
    assert paths[""]["unique_keys"] > 20
    plain = api.ok("/sensing/schemas/orders:doc/classifications")
    assert plain["table"] == "orders:doc"
    assert plain["paths"][""] == {"stable_fields": ["id", "metadata", "tags"], "has_dynamic_fields": False}
    shown = api.ok("/sensing/schemas/users:doc/classifications?examples=true")["paths"][""]["examples"]
    assert all(name == "user" or name.startswith("s-") for name in shown)


def test_cache_figures_add_up(api):
    body = api.ok("/sensing/stats")
    orders, users = body["tables"]
    assert (
        orders
        == {
            "table": "orders:doc",
            "cached_structures": 2,
            "max_cache_size": 100,
            "cache_hits": 1497,
            "cache_misses": 3,
        }
        or orders["cache_hits"] + orders["cache_misses"] == 1500
    )
    assert body["total_cache_hits"] == orders["cache_hits"] + users["cache_hits"]
    total = body["total_cache_hits"] + body["total_cache_misses"]
    assert body["hit_rate"] == round(body["total_cache_hits"] / total, 4)


def test_drift_of_every_table(api):
    orders, users = api.ok("/drift")
    assert users == {
        "table": "users",
        "has_drift": False,
        "columns": [],
        "events_analyzed": 200,
        "events_with_drift": 0,
    }
    assert orders["has_drift"]
    assert (orders["events_analyzed"], orders["events_with_drift"]) == (1542, 43)
    columns = {(row["column"], row["expected_type"]): row for row in orders["columns"]}
    assert columns["amount", "decimal(10,2)"] == {
        "column": "amount",
        "expected_type": "decimal(10,2)",
        "observed_types": ["object"],
        "mismatch_count": 42,
        "examples": [f'{{"cents":{n}}}' for n in range(5)],
    }
    assert columns["id", "NOT NULL"]["mismatch_count"] == 1
    assert columns["doc", "json"]["mismatch_count"] == 1


def test_drift_of_one_table(api):
    assert api.ok("/drift/orders") == api.ok("/drift")[0]
    shown = api.ok("/drift/orders?kinds=true")
    assert {row["kind"] for row in shown["columns"]} == {"type_mismatch", "unexpected_null", "json_structure_change"}


def test_what_is_not_there_is_404_with_a_clear_message(api):
    paths = [f"/sensing/schemas/nope{rest}" for rest in ("", "/json-schema", "/classifications")]
    for path in [*paths, "/drift/nope"]:
        status, body = api.get(path)
        assert (status, body["code"]) == (404, "PIPELINE_NOT_FOUND")
        assert "nope" in body["message"]
    for path in ("/sensing/schemas", "/sensing/stats", "/drift"):
        assert api.get(path, pipeline="other") == (
            404,
            {"code": "PIPELINE_NOT_FOUND", "message": "pipeline other not found"},
        )


@pytest.mark.parametrize("query", ["depth=0", "depth=x", "depth=101", "depth=²", "stats=yes"])
def test_wrong_parameter_is_400(api, query):
    status, body = api.get(f"/sensing/schemas/orders:doc?{quote(query, safe='=')}")
    assert status == 400
    assert query.partition("=")[0] in body["message"]


def test_before_anything_was_saved_there_is_nothing(tmp_path):
    api = Api(tmp_path)
    assert api.ok("/sensing/schemas") == []
    assert api.ok("/drift") == []
    assert api.ok("/sensing/stats") == {"tables": [], "total_cache_hits": 0, "total_cache_misses": 0, "hit_rate": 0.0}


def test_sensing_that_is_off_is_a_conflict(tmp_path):
    api = Api(tmp_path, {}, state=sensed())
    for path in ("/schemas", "/schemas/orders:doc", "/schemas/orders:doc/json-schema", "/stats"):
        status, body = api.get(f"/sensing{path}")
        assert status == 409
        assert body["message"] == "schema sensing not enabled for pipeline 'orders-cdc'"
    assert api.get("/drift")[0] == 200


def test_output_settings_are_honoured(tmp_path):
    hidden = Api(tmp_path / "a", {"enabled": True, "output": {"expose_api": False}}, state=sensed())
    status, body = hidden.get("/sensing/schemas")
    assert (status, "expose_api" in body["message"]) == (409, True)
    bare = Api(tmp_path / "b", {"enabled": True, "output": {"export_json_schema": False}}, state=sensed())
    assert bare.get("/sensing/schemas")[0] == 200
    status, body = bare.get("/sensing/schemas/orders:doc/json-schema")
    assert (status, "export_json_schema" in body["message"]) == (409, True)


def test_damaged_state_is_an_error_that_says_so(tmp_path):
    status, body = Api(tmp_path, state=b"\xc1").get("/sensing/schemas")
    assert (status, "cannot be read" in body["message"]) == (500, True)
