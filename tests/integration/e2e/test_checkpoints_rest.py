"""Checkpoints over REST: what they show, and a reset that real databases then carry out."""

import pytest

from tests.databases import begin_log_anew, database_with, drop_slots
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, wait_for
from tests.trial import source_of

NAME = "orders-cdc"
CHECKPOINTS = f"/pipelines/{NAME}/checkpoints"
RESET = f"{CHECKPOINTS}/reset"


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    if plane.process.poll() is not None:
        plane.start()
    plane.stop()


@pytest.fixture(params=["mysql", "mariadb", "postgres"])
def database(request):
    with database_with(request, "create table t (id int primary key)") as database:
        yield database


def create(plane, database, *sinks):
    status, info = plane.call("POST", "/pipelines", document(source_of(database), *sinks))
    assert (status, info["status"]) == (200, "running"), info


def do(plane, verb, expected):
    status, info = plane.call("POST", f"/pipelines/{NAME}/{verb}")
    assert (status, info["status"]) == (200, expected), info


def insert(database, *numbers):
    database.execute(*(f"insert into t values ({number})" for number in numbers))


def ids(path):
    return [event["after"]["id"] for event in file_events(path)]


def delivered(path, *expected):
    try:
        wait_for(lambda: len(ids(path)) >= len(expected))
    finally:
        assert ids(path) == list(expected)


def test_running_pipeline_shows_ages_and_bytes_behind(plane, database, tmp_path):
    out = tmp_path / "out"
    create(plane, database, file_sink(out))
    insert(database, 1, 2)
    delivered(out, 1, 2)
    (shown,) = wait_for(lambda: plane.call("GET", CHECKPOINTS)[1])
    assert shown["sink_id"] == "file"
    assert 0 <= shown["age_seconds"] < 60
    assert shown["lag_bytes"] >= 0
    ops = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
    assert ops["lag_bytes"] >= 0
    assert ops["lag_seconds"] >= 0
    do(plane, "stop", "stopped")
    (stopped,) = plane.call("GET", CHECKPOINTS)[1]
    assert "lag_bytes" not in stopped
    assert "lag_bytes" not in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]


def test_latest_leaves_out_what_was_written_meanwhile(plane, database, tmp_path):
    out = tmp_path / "out"
    create(plane, database, file_sink(out))
    insert(database, 1)
    delivered(out, 1)
    do(plane, "stop", "stopped")
    insert(database, 2)
    status, answer = plane.call("POST", RESET, {"to": "latest"})
    assert (status, answer["reset"], answer["status"]) == (200, {"to": "latest"}, "stopped")
    assert "rows before it are not delivered" in answer["message"]
    assert plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["pending_reset"] == {"to": "latest"}
    do(plane, "resume", "running")
    insert(database, 3)
    delivered(out, 1, 3)
    assert "pending_reset" not in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
    do(plane, "stop", "stopped")
    do(plane, "resume", "running")
    insert(database, 4)
    delivered(out, 1, 3, 4)


def test_mysql_replays_from_earliest_and_from_a_position(plane, request, tmp_path):
    for flavor in ("mysql", "mariadb"):
        with request.getfixturevalue(flavor).fresh_database() as database:
            out = tmp_path / flavor
            begin_log_anew(database)
            database.execute("create table t (id int primary key)", "insert into t values (1)")
            create(plane, database, file_sink(out))
            insert(database, 2)
            delivered(out, 2)
            do(plane, "stop", "stopped")
            (behind_2,) = plane.call("GET", CHECKPOINTS)[1]
            do(plane, "resume", "running")
            insert(database, 3)
            delivered(out, 2, 3)
            do(plane, "stop", "stopped")
            status, answer = plane.call("POST", RESET, {"to": behind_2["position"]})
            assert (status, answer["reset"]) == (200, {"to": behind_2["position"]}), answer
            do(plane, "resume", "running")
            delivered(out, 2, 3, 3)
            do(plane, "stop", "stopped")
            assert plane.call("POST", RESET, {"to": "earliest"})[0] == 200
            do(plane, "resume", "running")
            delivered(out, 2, 3, 3, 1, 2, 3)
            insert(database, 4)
            delivered(out, 2, 3, 3, 1, 2, 3, 4)
            assert plane.call("DELETE", f"/pipelines/{NAME}")[0] == 204


def test_mysql_sets_one_sink_back(plane, mysql_database, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    begin_log_anew(mysql_database)
    mysql_database.execute("create table t (id int primary key)")
    create(plane, mysql_database, file_sink(one, id="one"), file_sink(two, id="two"))
    insert(mysql_database, 1, 2)
    delivered(two, 1, 2)
    delivered(one, 1, 2)
    do(plane, "stop", "stopped")
    assert plane.call("POST", RESET, {"to": "earliest", "sink_id": "one"})[0] == 200
    do(plane, "resume", "running")
    delivered(one, 1, 2, 1, 2)
    insert(mysql_database, 3)
    delivered(one, 1, 2, 1, 2, 3)
    delivered(two, 1, 2, 3)


def test_postgres_position_before_the_slot_is_refused_at_the_start_and_earliest_mends_it(
    plane, postgres_database, tmp_path
):
    out = tmp_path / "out"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    create(plane, postgres_database, file_sink(out))
    insert(postgres_database, 1)
    delivered(out, 1)
    do(plane, "stop", "stopped")
    assert plane.call("POST", RESET, {"to": {"lsn": "0/1000", "tx_id": None}})[0] == 200
    do(plane, "resume", "failed")
    error = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["error"]
    assert "position lost: replication slot" in error
    assert "reset its checkpoint to earliest" in error
    insert(postgres_database, 2)
    assert plane.call("POST", RESET, {"to": "earliest"})[0] == 200
    do(plane, "resume", "running")
    wait_for(lambda: ids(out)[-1] == 2)
    assert ids(out) in ([1, 2], [1, 1, 2])  # the slot may begin before row 1: the stop confirms nothing more


def test_postgres_begins_at_a_position_ahead(plane, postgres_database, tmp_path):
    out = tmp_path / "out"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    create(plane, postgres_database, file_sink(out))
    insert(postgres_database, 1)
    delivered(out, 1)
    do(plane, "stop", "stopped")
    insert(postgres_database, 2)
    ((lsn,),) = postgres_database.rows("select pg_current_wal_insert_lsn()::text")
    insert(postgres_database, 3)
    assert plane.call("POST", RESET, {"to": {"lsn": "FFFF/0", "tx_id": None}})[0] == 200
    do(plane, "resume", "failed")
    assert "behind the end of the WAL" in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["error"]
    assert plane.call("POST", RESET, {"to": {"lsn": lsn, "tx_id": None}})[0] == 200
    do(plane, "resume", "running")
    delivered(out, 1, 3)


def test_postgres_slot_that_is_gone_is_made_again_by_a_reset(plane, postgres_database, tmp_path):
    out = tmp_path / "out"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    create(plane, postgres_database, file_sink(out))
    do(plane, "stop", "stopped")
    drop_slots(postgres_database)
    do(plane, "resume", "failed")
    assert plane.call("GET", "/health")[0] == 503
    assert plane.call("POST", RESET, {"to": "earliest"})[0] == 200
    do(plane, "resume", "running")
    insert(postgres_database, 7)
    delivered(out, 7)
    assert plane.call("GET", "/health")[0] == 200


def test_purged_binlog_is_mended_by_earliest(plane, private_mysql, tmp_path):
    out = tmp_path / "out"
    with private_mysql().fresh_database() as database:
        database.execute("create table t (id int primary key)")
        create(plane, database, file_sink(out))
        insert(database, 1)
        delivered(out, 1)
        do(plane, "stop", "stopped")
        database.execute(
            "insert into t values (2)", "flush binary logs", "insert into t values (3)", "flush binary logs"
        )
        _, newer, _ = database.rows("show binary logs")[-3:]
        database.execute(f"purge binary logs to '{newer[0]}'")
        do(plane, "resume", "failed")
        assert plane.call("POST", RESET, {"to": "earliest"})[0] == 200
        do(plane, "resume", "running")
        delivered(out, 1, 3)
        insert(database, 4)
        delivered(out, 1, 3, 4)


def test_earliest_without_row_metadata_is_refused_with_the_remedy(plane, private_mysql, tmp_path):
    out = tmp_path / "out"
    with private_mysql("--binlog-row-metadata=MINIMAL").fresh_database() as database:
        database.execute("create table t (id int primary key)")
        create(plane, database, file_sink(out))
        do(plane, "stop", "stopped")
        assert plane.call("POST", RESET, {"to": "earliest"})[0] == 200
        do(plane, "resume", "failed")
        assert "reset the checkpoint to latest" in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["error"]
        assert plane.call("POST", RESET, {"to": "latest"})[0] == 200
        do(plane, "resume", "running")
        insert(database, 1)
        delivered(out, 1)


def test_reset_is_refused_while_running_or_paused_and_for_wrong_bodies(plane, postgres_database, tmp_path):
    out = tmp_path / "out"
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    create(plane, postgres_database, file_sink(out))
    for verb, status in (("resume", "running"), ("pause", "paused")):
        do(plane, verb, status)
        found, body = plane.call("POST", RESET, {"to": "latest"})
        assert (found, body["code"]) == (409, "PIPELINE_STATE_CONFLICT")
        assert f"is {status}" in body["message"]
    do(plane, "stop", "stopped")
    for raw in (b"{", b"[]", b"{}", b'{"to": "now"}', b'{"to": {"file": "b.1", "pos": 4}}', b'{"to": {"lsn": "x"}}',
                b'{"to": "latest", "sink_id": "none"}', b'{"to": "latest", "sink_id": "file"}'):  # fmt: skip
        found, body = plane.call("POST", RESET, raw=raw)
        assert (found, body["code"]) == (400, "PIPELINE_NAME_MISMATCH"), (raw, body)
    assert plane.call("POST", "/pipelines/none/checkpoints/reset", {"to": "latest"})[0] == 404
    assert "pending_reset" not in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
