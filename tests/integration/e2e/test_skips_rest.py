"""An event that holds a pipeline up, over REST: shown, let pass, and everything behind it delivered."""

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, wait_for
from tests.trial import source_of

NAME = "orders-cdc"
SKIPS = f"/pipelines/{NAME}/skips"


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def test_an_operator_goes_past_the_event_that_holds_a_pipeline_up(plane, mysql_database, tmp_path):
    database = mysql_database
    database.execute("create table t (id int primary key)")
    out = tmp_path / "out"
    status, info = plane.call("POST", "/pipelines", document(source_of(database), file_sink(out)))
    assert (status, info["status"]) == (200, "running"), info
    assert plane.call("GET", SKIPS) == (200, {"held": None, "skipped": []})
    with database.connect() as connection, connection.cursor() as cursor:
        for sql in ("insert into t values (1)", "set session binlog_format = 'STATEMENT'", "insert into t values (2)",
                    "set session binlog_format = 'ROW'", "insert into t values (3)"):  # fmt: skip
            cursor.execute(sql)
    wait_for(lambda: plane.call("GET", f"/pipelines/{NAME}")[1]["status"] == "failed")
    held = plane.call("GET", SKIPS)[1]["held"]
    assert held["event"] == "insert into t values (?)"
    assert held["tables"] == [f"{database.name}.t"]
    assert plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["held_event"] == held
    wrong = {"position": {**held["position"], "pos": 4}, "reason": "r"}
    assert plane.call("POST", SKIPS, wrong)[1]["code"] == "PIPELINE_STATE_CONFLICT"
    assert plane.call("POST", SKIPS, {"position": held["position"]})[0] == 400
    status, answer = plane.call("POST", SKIPS, {"position": held["position"], "reason": "row 2 is not needed"})
    assert (status, answer["skipped"]["reason"]) == (200, "row 2 is not needed")
    assert plane.call("POST", f"/pipelines/{NAME}/resume")[1]["status"] == "running"
    wait_for(lambda: [event["after"]["id"] for event in file_events(out)][-1:] == [3])
    assert 2 not in [event["after"]["id"] for event in file_events(out)]
    ops = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
    assert "held_event" not in ops
    assert [skip["reason"] for skip in ops["skipped_events"]] == ["row 2 is not needed"]
    assert "deltaforge_source_skipped_events_total" in plane.call("GET", "/metrics")[1]
