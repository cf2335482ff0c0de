"""A definition that the log does not say, over REST: the pipeline fails, and the next start takes it from the catalog."""

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, wait_for
from tests.trial import source_of

NAME = "orders-cdc"


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def test_an_operator_lets_a_definition_be_taken_from_the_catalog(plane, private_mysql, tmp_path):
    server = private_mysql("--binlog-row-metadata=NO_LOG", name="mariadb")
    with server.fresh_database() as database:
        reload = f"/pipelines/{NAME}/schemas/{database.name}/t/reload"
        database.execute("create table t (id int primary key)")
        out = tmp_path / "out"
        status, info = plane.call("POST", "/pipelines", document(source_of(database), file_sink(out)))
        assert (status, info["status"]) == (200, "running"), info
        assert plane.call("POST", reload, {"take_over": True})[1]["code"] == "PIPELINE_STATE_CONFLICT"
        database.execute("alter table t add e enum(x'61', x'62')", "insert into t values (1, 'b')")
        wait_for(lambda: plane.call("GET", f"/pipelines/{NAME}")[1]["status"] == "failed")
        assert "take_over" in str(plane.call("GET", f"/pipelines/{NAME}")[1])
        assert plane.call("POST", reload, {"take_over": "yes"})[0] == 400
        status, answer = plane.call("POST", reload, {"take_over": True})
        assert (status, answer["take_over"]) == (200, {"database": database.name, "table": "t"})
        assert plane.call("POST", f"/pipelines/{NAME}/resume")[1]["status"] == "running"
        rows = [{"id": 1, "e": "b"}, {"id": 2, "e": "a", "n": 3}]
        wait_for(lambda: [event["after"] for event in file_events(out)] == rows[:1])  # by the catalog as it is now
        database.execute("alter table t add n int", "insert into t values (2, 'a', 3)")
        wait_for(lambda: [event["after"] for event in file_events(out)] == rows)
        assert "deltaforge_source_definitions_taken_over_total" in plane.call("GET", "/metrics")[1]
        plane.call("DELETE", f"/pipelines/{NAME}")
