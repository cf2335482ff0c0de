"""Snapshots of a pipeline that does not run, over REST: who may ask for what, what is refused, what is kept."""

import asyncio
import json

import pytest

from api.app import create_app
from api.guard import Guard
from deltaforge.checkpoint.snapshot_requests import read_snapshot_requests
from deltaforge.control.audit import AuditLog
from deltaforge.control.options import ServeOptions
from deltaforge.control.pipeline import Pipeline
from deltaforge.control.service import PipelineService
from deltaforge.control.supervisor import Supervisor
from deltaforge.control.tokens import Tokens
from deltaforge.spec import parse_document
from deltaforge.storage.memory import MemoryStorage

PATH = "/pipelines/shop/snapshots"
DOCUMENT = {
    "metadata": {"name": "shop", "tenant": "acme"},
    "spec": {
        "source": {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u:p@127.0.0.1:1/shop", "tables": []}},
        "processors": [],
        "sinks": [{"type": "stdout", "config": {"id": "screen"}}],
    },
}


class Api:
    """The application over one registered pipeline that is stopped."""

    def __init__(self, folder, **options):
        tokens = folder / "tokens"
        tokens.write_text("".join(f"{role}:{role}:secret-of-{role}\n" for role in ("read", "operate", "admin")))
        tokens.chmod(0o600)
        given = ServeOptions(storage_backend="memory", state_dir=folder / "state", **options)
        service = PipelineService(MemoryStorage(), given)
        self.paths = Supervisor("shop", given).paths
        service._pipelines["shop"] = Pipeline(parse_document(DOCUMENT), "stopped", Supervisor("shop", given))
        self._app = create_app(service, guard=Guard(Tokens(path=tokens)), audit=AuditLog(folder / "audit"))

    def call(self, method, path, body=None, *, role="operate"):
        async def ask():
            headers = {"Host": "127.0.0.1:1", "Authorization": f"Bearer secret-of-{role}"}
            client = self._app.test_client()
            answer = await client.open(path, method=method, headers=headers, json=body)
            return answer.status_code, await answer.get_json()

        return asyncio.run(ask())


@pytest.fixture
def api(tmp_path):
    return Api(tmp_path)


def test_a_request_waits_for_the_next_start_and_can_be_cancelled(api, tmp_path):
    assert api.call("GET", PATH) == (200, [])
    body = {"tables": ["shop.orders", "shop.u*"], "sinks": ["screen"], "max_rows_per_second": 500}
    status, asked = api.call("POST", PATH, body)
    assert (status, asked["status"], asked["kind"], asked["patterns"]) == (202, "requested", "ad_hoc", body["tables"])
    assert (asked["sinks"], asked["max_rows_per_second"], asked["truncate_first"]) == (["screen"], 500, False)
    (kept,) = read_snapshot_requests(api.paths.snapshot_requests)
    assert (kept.id, kept.tables, kept.sinks) == (asked["id"], ("shop.orders", "shop.u*"), ("screen",))
    _, later = api.call("POST", PATH, {"tables": ["*"], "truncate_first": True})
    assert api.call("GET", PATH) == (200, [asked, later])
    one = f"{PATH}/{asked['id']}"
    assert api.call("GET", one) == (200, asked)
    for change, wanted in (("pause", "paused"), ("resume", "requested"), ("pause", "paused")):
        assert api.call("POST", f"{one}/{change}") == (200, {**asked, "status": wanted})
        assert api.call("GET", one) == (200, {**asked, "status": wanted})
    for _ in range(2):
        assert api.call("DELETE", one) == (200, {**asked, "status": "cancelled"})
    assert api.call("GET", PATH) == (200, [later, {**asked, "status": "cancelled"}])
    status, answer = api.call("POST", f"{one}/pause")
    assert (status, answer["code"]) == (409, "PIPELINE_STATE_CONFLICT")
    for method, path in (("GET", f"{PATH}/..%2Freset"), ("DELETE", f"{PATH}/..%2Freset"), ("POST", f"{PATH}/no/pause")):
        assert api.call(method, path)[0] == 404
    assert api.call("GET", "/pipelines/other/snapshots")[0] == 404
    assert api.call("POST", "/pipelines/other/snapshots", {"tables": ["*"]})[0] == 404
    noted = [json.loads(line) for line in (tmp_path / "audit/changes.jsonl").read_text().splitlines()]
    assert [entry["snapshot"]["id"] for entry in noted if "snapshot" in entry] == [
        asked["id"],
        later["id"],
        *(asked["id"] for _ in range(5)),
    ]
    assert {entry["who"] for entry in noted} == {"operate"}


WRONG = [
    ([], "must be an object, got an array"),
    ({}, "missing field `tables`"),
    ({"tables": []}, "tables: must have at least 1 item"),
    ({"tables": "shop.orders"}, "tables: must be an array, got a string"),
    ({"tables": ["shop.orders", 7]}, "tables[1]: must be a string, got an integer"),
    ({"tables": ["shop."]}, "tables[0]: table pattern 'shop.' has an empty half"),
    ({"tables": ["*"] * 1001}, "at most 1000 items"),
    ({"tables": ["*"], "table": 1}, "table: unknown field"),
    ({"tables": ["*"], "sinks": []}, "sinks: must have at least 1 item"),
    ({"tables": ["*"], "sinks": ["screen", "no"]}, "sinks[1]: the pipeline has no sink 'no'; it has screen"),
    ({"tables": ["*"], "max_rows_per_second": 0}, "max_rows_per_second: must be greater than or equal to 1"),
    ({"tables": ["*"], "max_rows_per_second": True}, "max_rows_per_second: must be an integer, got a boolean"),
    ({"tables": ["*"], "max_rows_per_second": 1 << 40}, "max_rows_per_second: must be less than"),
    ({"tables": ["*"], "truncate_first": "yes"}, "truncate_first: must be true or false, got a string"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_what_is_wrong_with_a_request_is_said_with_its_place(api, body, message):
    status, answer = api.call("POST", PATH, body)
    assert (status, answer["code"], message in answer["message"]) == (400, "PIPELINE_NAME_MISMATCH", True), answer
    assert read_snapshot_requests(api.paths.snapshot_requests) == []


def test_sql_needs_the_role_admin_and_a_server_that_takes_it(api, tmp_path):
    body = {"tables": ["shop.orders"], "where": "id > 100"}
    assert api.call("POST", PATH, body, role="read")[0] == 403
    status, answer = api.call("POST", PATH, body)
    assert (status, answer) == (403, {"code": "FORBIDDEN", "message": "SQL in `where` needs the role admin"})
    status, answer = api.call("POST", PATH, body, role="admin")
    assert status == 400
    assert answer["message"].startswith("where: SQL over REST is not allowed on this server at line 1 ")
    assert "start it with --allow-code" in answer["message"]
    assert api.call("POST", PATH, {**body, "where": None})[0] == 202
    (tmp_path / "open").mkdir()
    open_api = Api(tmp_path / "open", allow_code=True)
    assert open_api.call("POST", PATH, body)[0] == 403
    status, asked = open_api.call("POST", PATH, body, role="admin")
    assert (status, asked["where"]) == (202, "id > 100")
    for where in ("", "  ", "x" * 16_385):
        assert open_api.call("POST", PATH, {**body, "where": where}, role="admin")[0] == 400
