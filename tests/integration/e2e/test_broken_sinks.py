"""A sink that does not work shows at the start of its pipeline, before there is a row for it."""

import socket

import pytest

from tests.fixtures.ports import free_port
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, postgres_source, wait_for

NAME = "orders-cdc"


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    plane = ControlPlane(tmp_path_factory.mktemp("broken-sinks")).start()
    yield plane
    plane.stop()


@pytest.fixture
def pipelines(plane):
    """``plane``, without the pipeline of the test when it is over."""
    yield plane
    plane.call("DELETE", f"/pipelines/{NAME}")


@pytest.fixture
def source(postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    return postgres_source(postgres_database)


@pytest.fixture
def redis_with_password(private_redis):
    server = private_redis()
    with server.connect() as admin:
        admin.config_set("requirepass", "right")
    return server


def kafka_sink(bootstrap="127.0.0.1:1", **config):
    return {"type": "kafka", "config": {"id": "k", "brokers": bootstrap, "topic": "orders", **config}}


def redis_sink(server, *, password="wrong", **config):  # noqa: S107 - of a server of the tests
    uri = f"redis://:{password}@{server.host}:{server.port}"
    return {"type": "redis", "config": {"id": "r", "uri": uri, "stream": "s", **config}}


def ops(plane):
    return plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]


def wait_for_degraded(plane):
    """The answer about health in which a pipeline is degraded: it has no details of a process that has much to do."""
    return wait_for(lambda: "degraded_pipelines" in (answer := plane.call("GET", "/health"))[1] and answer)


def create(plane, source, *sinks):
    status, info = plane.call("POST", "/pipelines", document(source, *sinks, name=NAME))
    assert status == 200, info
    return info["status"]


def test_servers_that_are_away_show_at_once_and_are_waited_for(pipelines, source):
    away = kafka_sink(), kafka_sink(exactly_once=True), redis_sink(type("Nobody", (), {"host": "127.0.0.1", "port": 1}))
    for number, sink in enumerate(away):
        sink["config"]["id"] = f"s{number}"
    assert create(pipelines, source, *away) == "running"
    shown = ops(pipelines)
    assert set(shown["sink_errors"]) == {"s0", "s1", "s2"}
    assert all("refused" in error for error in shown["sink_errors"].values()), shown["sink_errors"]
    assert shown["degraded"] == {f"sink {sink}": error for sink, error in shown["sink_errors"].items()}
    degraded = wait_for(lambda: pipelines.call("GET", "/ready")[1].get("degraded"))
    assert set(degraded) == {NAME}
    assert set(degraded[NAME]) == {"sink s0", "sink s1", "sink s2"}
    status, health = wait_for_degraded(pipelines)
    assert (status, health) == (200, {"status": "healthy", "pipelines": 1, "degraded_pipelines": [NAME]})


def test_a_sink_that_is_back_is_healthy_without_a_row(pipelines, source, server_room):
    port = free_port()
    create(pipelines, source, redis_sink(type("Later", (), {"host": "127.0.0.1", "port": port}), password=""))
    assert set(ops(pipelines)["degraded"]) == {"sink r"}
    server = server_room.start("redis", "redis.sh", port=port)
    try:
        wait_for(lambda: ops(pipelines)["sink_errors"] == {})
        assert "degraded" not in ops(pipelines)
        assert "degraded" not in pipelines.call("GET", "/ready")[1]
        assert "degraded_pipelines" not in pipelines.call("GET", "/health")[1]
    finally:
        server_room.end(server)


@pytest.mark.parametrize("is_required", [True, False])
def test_a_wrong_password_fails_at_once(pipelines, source, redis_with_password, tmp_path, is_required):
    healthy = file_sink("healthy.jsonl")
    status = create(pipelines, source, healthy, redis_sink(redis_with_password, required=is_required))
    shown = ops(pipelines)
    if is_required:
        assert status == "failed"
        assert "redis refused the login" in shown["error"] or "WRONGPASS" in shown["error"], shown
        assert pipelines.call("GET", "/health")[0] == 503
    else:
        assert status == "running"
        assert set(shown["degraded"]) == {"sink r"}
        assert wait_for_degraded(pipelines)[1]["degraded_pipelines"] == [NAME]
        metrics = pipelines.call("GET", "/metrics")[1]
        for sink_id, is_up in (("file", 1.0), ("r", 0.0)):
            assert f'deltaforge_sink_up{{pipeline="{NAME}",sink="{sink_id}"}} {is_up}' in metrics


def test_a_missing_folder_fails_at_once(pipelines, source):
    assert create(pipelines, source, file_sink("no/such/folder/t.jsonl")) == "failed"
    assert "no/such/folder" in ops(pipelines)["error"]


def test_what_no_retry_can_mend_names_the_sink(pipelines, source, redis_with_password, kafka):
    with redis_with_password.connect(password="right") as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+ping")
    no_right = redis_sink(redis_with_password, uri=f"redis://reader:pw@127.0.0.1:{redis_with_password.port}")
    never = {
        "NOPERM": no_right,
        "compression.codec": kafka_sink(kafka.bootstrap, client_conf={"compression.codec": "nonsense"}),
        "no topic name": kafka_sink(kafka.bootstrap, topic="a topic"),
        "transactions": kafka_sink(
            kafka.bootstrap, exactly_once=True, client_conf={"transaction.timeout.ms": "2000000000"}
        ),
    }
    for reason, sink in never.items():
        status = create(pipelines, source, sink)
        shown = ops(pipelines)
        assert (status, reason in shown["error"]) == ("failed", True), shown
        assert f"sink {sink['config']['id']}" in shown["error"]
        pipelines.call("DELETE", f"/pipelines/{NAME}")


def test_a_server_that_never_answers_shows_although_nothing_failed(pipelines, source):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = type("Silent", (), {"host": "127.0.0.1", "port": silent.getsockname()[1]})
        waits = redis_sink(server, send_timeout_secs=60, connect_timeout_secs=60, required=False)
        assert create(pipelines, source, waits) == "running"
        assert "no answer for" in ops(pipelines)["degraded"]["sink r"]


def test_a_missing_topic_is_named_at_once(pipelines, source, private_kafka):
    broker = private_kafka("auto.create.topics.enable=false")
    assert create(pipelines, source, kafka_sink(broker.bootstrap, send_timeout_secs=2)) == "failed"
    assert "kafka has no topic orders" in ops(pipelines)["error"]


def test_a_patch_that_breaks_a_sink_is_rolled_back(pipelines, source, postgres_database, redis_with_password, plane):
    out = plane._folder / "patched.jsonl"
    create(pipelines, source, file_sink(out.name))
    wrong = redis_sink(redis_with_password)
    patches = [
        ({"sinks": [{"config": {"path": "no/folder/t.jsonl"}}]}, "no/folder"),
        ({"sinks": [{}, wrong]}, "sink r"),
        ({"sinks": [{}, {**wrong, "config": {**wrong["config"], "required": False}}]}, "sink r"),
    ]
    for patch, reason in patches:
        status, answer = pipelines.call("PATCH", f"/pipelines/{NAME}", {"spec": patch})
        assert (status, reason in answer["message"]) == (400, True), answer
        assert "the old one runs again" in answer["message"]
        info = pipelines.call("GET", f"/pipelines/{NAME}")[1]
        assert (info["status"], info["ops"]["sink_errors"]) == ("running", {})
        assert len(info["spec"]["spec"]["sinks"]) == 1
    postgres_database.execute("insert into t values (1)")
    wait_for(lambda: [event["after"]["id"] for event in file_events(out)] == [1])


def test_a_sink_that_was_broken_before_keeps_no_patch_back(pipelines, source, redis_with_password):
    create(pipelines, source, file_sink("other.jsonl"), redis_sink(redis_with_password, required=False))
    status, answer = pipelines.call("PATCH", f"/pipelines/{NAME}", {"spec": {"batch": {"max_events": 7}}})
    assert (status, answer["spec"]["spec"]["batch"]["max_events"]) == (200, 7)
    mended = redis_sink(redis_with_password, password="right", required=False)
    assert pipelines.call("PATCH", f"/pipelines/{NAME}", {"spec": {"sinks": [{}, mended]}})[0] == 200
    assert ops(pipelines)["sink_errors"] == {}


def test_a_log_level_is_given_back_as_it_was_set_and_reaches_pipelines(pipelines, source, plane):
    create(pipelines, source, file_sink("levels.jsonl"))
    log = plane._folder / "state/pipelines" / NAME / "pipeline.log"
    before = pipelines.call("GET", "/log-level")[1]
    level = "deltaforge=debug,sources=info,sinks=info,warn"
    try:
        assert pipelines.call("PUT", "/log-level", {"level": level}) == (200, {"level": level})
        assert pipelines.call("GET", "/log-level") == (200, {"level": level})
        for verb in ("stop", "resume"):  # the process that runs has it, and so has the next one
            pipelines.call("POST", f"/pipelines/{NAME}/{verb}")
        assert "INFO  deltaforge.sources" in log.read_text()
        assert pipelines.call("PUT", "/log-level", {"level": "error"})[0] == 200
        size = len(log.read_text())
        pipelines.call("POST", f"/pipelines/{NAME}/stop")
        assert "INFO" not in log.read_text()[size:]
    finally:
        assert pipelines.call("PUT", "/log-level", before) == (200, before)
