"""A database address that leads to another server while a pipeline runs."""

from tests.fixtures.database import Database
from tests.integration.e2e.test_rest import ControlPlane, control_plane, document  # noqa: F401 - a fixture
from tests.pipelines import file_events, file_sink, mysql_source, wait_for

TABLES = ("create database shop", "create table shop.t (id int primary key)")


def test_fresh_server_behind_the_address_is_unhealthy_and_the_old_one_resumes(
    control_plane,  # noqa: F811
    private_mysql,
    fault_proxy,
    tmp_path,
):
    old, new = (Database(private_mysql(), "shop") for _ in range(2))
    for database in (old, new):
        Database(database.server, "information_schema").execute(*TABLES)
    proxy, out = fault_proxy(old.server.port), tmp_path / "out.jsonl"
    source = mysql_source(old, url=old.url(port=proxy.port), on_schema_drift="halt")
    assert control_plane.call("POST", "/pipelines", document(source, file_sink(out)))[1]["status"] == "running"
    old.execute("insert into t values (1)")
    wait_for(lambda: len(file_events(out)) == 1)
    new.execute("insert into t values (2)")
    proxy.lead_to(new.server.port)
    _, health = wait_for(lambda: (answer := control_plane.call("GET", "/health"))[0] == 503 and answer)
    assert health["failed_pipelines"] == ["orders-cdc"]
    assert "position lost after failover" in health["reasons"]["orders-cdc"]
    assert "Re-snapshot required" in health["reasons"]["orders-cdc"]
    assert control_plane.call("POST", "/pipelines/orders-cdc/resume")[1]["status"] == "failed"
    proxy.lead_to(old.server.port)
    old.execute("insert into t values (3)")
    assert control_plane.call("POST", "/pipelines/orders-cdc/resume")[1]["status"] == "running"
    wait_for(lambda: len(file_events(out)) == 2)
    assert [event["after"]["id"] for event in file_events(out)] == [1, 3]
    assert control_plane.call("GET", "/health")[0] == 200
