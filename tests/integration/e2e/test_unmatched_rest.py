"""Table patterns that mean no table, over REST."""

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_sink, mysql_source, wait_for


@pytest.fixture
def control_plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def test_a_pattern_without_a_table_is_in_ops_and_health_until_there_is_one(control_plane, mysql_database, tmp_path):
    mysql_database.execute("create table orders (id int primary key)")
    patterns = [f"{mysql_database.name}.{name}" for name in ("orders", "Orders", "items")]
    body = document(mysql_source(mysql_database, tables=patterns), file_sink(tmp_path / "out.jsonl"))
    assert control_plane.call("POST", "/pipelines", body)[0] == 200

    def shown():
        return control_plane.call("GET", "/pipelines/orders-cdc")[1]["ops"].get("unmatched_patterns", {})

    wait_for(lambda: set(shown()) == set(patterns[1:]))
    assert f"there is `{patterns[0]}`" in shown()[patterns[1]]
    # it has no details of a process that has much to do
    status, health = wait_for(lambda: "unmatched_patterns" in (a := control_plane.call("GET", "/health"))[1] and a)
    assert (status, health["status"]) == (200, "healthy")
    assert health["unmatched_patterns"] == {"orders-cdc": shown()}
    gauge = 'deltaforge_source_unmatched_patterns{pipeline="orders-cdc"'
    wait_for(lambda: gauge in control_plane.call("GET", "/metrics")[1])
    mysql_database.execute("create table items (id int primary key)", "insert into items values (1)")
    wait_for(lambda: set(shown()) == {patterns[1]})
