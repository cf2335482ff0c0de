"""The PostgreSQL source against real servers."""

import time

import pytest

from deltaforge.core.errors import PositionLostError, SourceError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.positions.postgres import text_from_lsn
from tests.pipelines import wait_for
from tests.reading import brief, postgres_reader, readers_of, wire


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute(
        "create table t (id int primary key, v text)", "create publication pub for all tables"
    )
    return any_postgres_database


@pytest.fixture
def reader_of(tmp_path):
    with readers_of(postgres_reader, tmp_path) as make:
        yield make


def slot_facts(database, column):
    return database.rows(f"select {column} from pg_replication_slots where database = current_database()")[0][0]


def test_rows_of_every_kind_with_their_source_block(database, reader_of):
    reader = reader_of(database)
    database.execute(
        "insert into t values (1, 'a'), (2, null)",
        "update t set v = 'b', id = 3 where id = 1",
        "delete from t where id = 2",
    )
    events = reader.read(4)
    assert brief(events) == [
        ("c", None, {"id": 1, "v": "a"}),
        ("c", None, {"id": 2, "v": None}),
        ("u", {"id": 1, "v": None}, {"id": 3, "v": "b"}),
        ("d", {"id": 2, "v": None}, None),
    ]
    assert [event.tx_end for event in events] == [False, True, True, True]
    assert (events[0].source.db, events[0].source.schema) == (database.name, "public")
    assert events[0].transaction.id == str(events[0].source.txId)
    assert events[0].source.lsn == events[1].source.lsn != events[2].source.lsn
    assert len({event.event_id for event in events}) == 4
    assert (events[0].schema.primary_key, events[0].schema.columns[1].type) == (("id",), "text")


def test_reading_again_gives_the_same_events_with_the_same_ids(database, reader_of):
    reader = reader_of(database)
    start = reader.position
    database.execute("insert into t values (1, 'a')", "delete from t")
    first = reader.read(2)
    again = reader.open(start).read(2)
    assert [event.event_id for event in again] == [event.event_id for event in first]
    assert brief(again) == brief(first)


def test_resume_continues_behind_the_position(database, reader_of):
    reader = reader_of(database)
    database.execute("insert into t values (1, 'a')")
    reader.read(1)
    database.execute("insert into t values (2, 'b')")
    assert [event.after["id"] for event in reader.open().read(1)] == [2]
    reader.read_nothing()


def test_replica_identities(database, reader_of):
    database.execute(
        "create table f (id int primary key, v text)", "alter table f replica identity full",
        "create table n (id int, v text)", "alter table n replica identity nothing",
        "create table i (a int not null, b int not null, v text)", "create unique index ib on i (b)",
        "alter table i replica identity using index ib",
    )  # fmt: skip
    reader = reader_of(database)
    database.execute(
        "insert into f values (1, 'a')", "update f set v = 'b'", "delete from f", "insert into n values (1, 'a')",
        "insert into i values (1, 2, 'a')", "update i set b = 3", "delete from i",
    )  # fmt: skip
    assert brief(reader.read(7)) == [
        ("c", None, {"id": 1, "v": "a"}),
        ("u", {"id": 1, "v": "a"}, {"id": 1, "v": "b"}),
        ("d", {"id": 1, "v": "b"}, None),
        ("c", None, {"id": 1, "v": "a"}),
        ("c", None, {"a": 1, "b": 2, "v": "a"}),
        ("u", {"a": None, "b": 2, "v": None}, {"a": 1, "b": 3, "v": "a"}),
        ("d", {"a": None, "b": 3, "v": None}, None),
    ]


def test_unchanged_toast_is_a_marker_and_never_null(database, reader_of):
    database.execute(
        "create table big (id int primary key, v text, n int)", "alter table big alter v set storage external"
    )
    database.execute("insert into big values (1, repeat('x', 10000), 0)")
    reader = reader_of(database)
    database.execute("update big set n = 1")
    database.execute("alter table big replica identity full", "update big set n = 2")
    first, second = reader.read(2)
    assert first.after == {"id": 1, "v": {"_unchanged": True}, "n": 1}
    assert second.before["v"] == "x" * 10000


def test_truncate_of_several_tables(database, reader_of):
    database.execute("create table u (id int)")
    reader = reader_of(database, tables=["public.t", "u"])
    database.execute("truncate t, u restart identity cascade")
    events = reader.read(2)
    assert [(event.op, event.source.table, event.before, event.after) for event in events] == [
        ("t", "t", None, None), ("t", "u", None, None),
    ]  # fmt: skip
    assert events[0].ddl == {"sql": "TRUNCATE", "cascade": True, "restart_identity": True}
    assert [event.tx_end for event in events] == [False, True]


def test_logical_messages(database, reader_of):
    reader = reader_of(database, outbox={"prefixes": ["outbox_%"]})
    with database.connect() as connection:
        connection.execute("select pg_logical_emit_message(false, 'other', '{\"n\": 0}')")
        with connection.transaction():
            connection.execute("insert into t values (1, 'a')")
            connection.execute("select pg_logical_emit_message(true, 'outbox_x', '{\"n\": 1}')")
            connection.execute("select pg_logical_emit_message(true, 'outbox_x', 'not json')")
    events = reader.read(3)
    assert [(e.source.schema, e.source.table, e.after) for e in events] == [
        ("__wal_message", "other", {"n": 0}), ("public", "t", {"id": 1, "v": "a"}), ("__outbox", "outbox_x", {"n": 1}),
    ]  # fmt: skip
    assert [event.tx_end for event in events] == [True, False, True]
    reader.open()
    reader.read_nothing()


def test_a_replay_of_messages_outside_of_transactions_is_equal_in_every_byte(database, reader_of):
    reader = reader_of(database)
    emit = "select pg_logical_emit_message(false, 'm', '{}')"
    starts, events = [], []
    for statement in (emit, "insert into t values (1, 'a')", emit, emit, "truncate t", emit):
        starts.append(reader.position)
        database.execute(statement)
        events += reader.read(1)
    times = [event.ts_ms for event in events]
    assert times[1] == times[2] == times[3] <= times[4] == times[5]
    for n, start in enumerate(starts):
        again = reader.open(start).read(len(events) - n)
        assert [wire(event) for event in again] == [wire(event) for event in events[n:]]


def test_what_stands_right_behind_a_message_outside_of_transactions_is_read_after_a_restart(database, reader_of):
    reader = reader_of(database)
    emit = "select pg_logical_emit_message(false, 'm', '{}')"
    for n in range(3):  # other records may come between, but hardly every time
        with database.connect() as connection, connection.transaction():
            connection.execute("insert into t values (%s, 'a')", [n])
            database.execute(emit)
            (message,) = reader.read(1)
            assert message.source.table == "m"
            reader.close()
        (row,) = reader.open().read(1)
        assert row.after["id"] == n
        assert row.event_id != message.event_id


def test_alter_table_while_streaming_replays_with_each_rows_own_columns(database, reader_of):
    reader = reader_of(database)
    start = reader.position
    database.execute(
        "insert into t values (1, 'a')", "alter table t add column w int default 7", "insert into t values (2, 'b')",
        "alter table t drop column v", "insert into t values (3, 8)",
    )  # fmt: skip
    for events in (reader.read(3), reader.open(start).read(3)):
        assert [event.after for event in events] == [
            {"id": 1, "v": "a"},
            {"id": 2, "v": "b", "w": 7},
            {"id": 3, "w": 8},
        ]
        assert len({event.schema_version for event in events}) == 3


def test_transaction_that_is_open_over_a_restart_is_read_whole(database, reader_of):
    reader = reader_of(database)
    with database.connect() as connection:
        with connection.transaction():
            connection.execute("insert into t values (1, 'a')")
            database.execute("insert into t values (2, 'other')")
            assert [event.after["id"] for event in reader.read(1)] == [2]
            reader.open()
            reader.read_nothing(0.3)
            connection.execute("insert into t values (3, 'b')")
        assert [event.after["id"] for event in reader.read(2)] == [1, 3]


def test_rows_of_one_lsn_are_all_read(database, reader_of):
    reader = reader_of(database)
    database.execute("copy (select 1) to '/dev/null'", "insert into t select n, 'x' from generate_series(1, 5000) n")
    events = reader.read(5000)
    assert len({event.event_id for event in events}) == 5000
    assert {event.source.lsn for event in events} == {events[0].source.lsn}


def test_nothing_is_confirmed_that_was_not_handed_in(database, reader_of):
    reader = reader_of(database)
    start = reader.position
    database.execute("insert into t values (1, 'a')")
    reader.read(1)
    assert slot_facts(database, "confirmed_flush_lsn::text") == text_from_lsn(start.lsn)

    # nor by another connection, which begins behind what was read and is not saved so far
    stream = reader.open().stream
    stream.keep_alive(start)
    told = "select 1 from pg_stat_replication join pg_replication_slots on pid = active_pid"
    wait_for(lambda: database.rows(f"{told} where database = current_database() and write_lsn is not null"))
    assert slot_facts(database, "confirmed_flush_lsn::text") == text_from_lsn(start.lsn)
    deadline = time.monotonic() + 60
    while slot_facts(database, "confirmed_flush_lsn::text") != text_from_lsn(reader.position.lsn):
        assert time.monotonic() < deadline
        stream.keep_alive(reader.position)
        stream.poll(0.1)


def test_idle_database_moves_the_position_with_the_keepalives(database, reader_of):
    database.execute("create table other (id int)")
    reader = reader_of(database, tables=["t"])
    start = reader.position
    database.execute("insert into other select generate_series(1, 1000)")
    reader.read_until_moved(start)
    assert reader.position.lsn > start.lsn


@pytest.mark.parametrize("where", ["earliest", "latest", "lsn"])
def test_start_position_is_honoured(database, reader_of, where):
    database.execute(
        f"select pg_create_logical_replication_slot('slot_{database.name}', 'pgoutput')",
        "insert into t values (1, 'a')",
    )
    lsn = database.rows("select pg_current_wal_insert_lsn()::text")[0][0]
    database.execute("insert into t values (2, 'b')")
    reader = reader_of(database, start_position={"lsn": lsn} if where == "lsn" else where)
    database.execute("insert into t values (3, 'c')")
    expected = {"earliest": [1, 2, 3], "latest": [3], "lsn": [2, 3]}[where]
    assert [event.after["id"] for event in reader.read(len(expected))] == expected


def test_missing_publication_is_waited_for(any_postgres_database, reader_of):
    reader = reader_of(any_postgres_database, opens=False)
    with pytest.raises(SourceError, match="does not exist yet") as caught:
        reader.open()
    assert caught.value.kind == "connect"
    any_postgres_database.execute("create publication pub for all tables")
    reader.open()


def test_dropped_and_recreated_slots_are_a_lost_position(database, reader_of):
    reader = reader_of(database)
    reader.close()
    drop = f"select pg_drop_replication_slot('slot_{database.name}')"
    deadline = time.monotonic() + 60
    while slot_facts(database, "active"):
        assert time.monotonic() < deadline
    database.execute("insert into t values (1, 'lost')", drop)
    with pytest.raises(PositionLostError, match="does not exist any more"):
        reader.open()
    database.execute(f"select pg_create_logical_replication_slot('slot_{database.name}', 'pgoutput')")
    with pytest.raises(PositionLostError, match="created again"):
        reader.open()


def test_slot_of_another_plugin_is_refused(postgres_database, reader_of):
    postgres_database.execute(
        "create publication pub for all tables",
        f"select pg_create_logical_replication_slot('slot_{postgres_database.name}', 'test_decoding')",
    )
    with pytest.raises(SourceError, match="test_decoding") as caught:
        reader_of(postgres_database)
    assert caught.value.kind == "incompatible"


def test_slot_with_prepared_transactions_is_refused_by_name(database, reader_of):
    slot = f"slot_{database.name}"
    database.execute(f"select pg_create_logical_replication_slot('{slot}', 'pgoutput', false, true)")
    with pytest.raises(SourceError, match=f"{slot} was made with two_phase") as caught:
        reader_of(database)
    assert caught.value.kind == "incompatible"


def test_slot_in_use_is_retried(database, reader_of):
    reader_of(database)
    with pytest.raises(SourceError) as caught:
        reader_of(database)
    assert caught.value.kind == "connect"


@pytest.mark.parametrize(
    ("change", "kind"), [({"password": "wrong"}, "auth"), ({"user": "nobody"}, "auth"), ({"port": 1}, "connect")]
)
def test_connection_failures_have_their_kind_and_no_secrets(postgres_database, reader_of, change, kind):
    with pytest.raises(SourceError) as caught:
        reader_of(postgres_database, url=postgres_database.url(**change))
    assert caught.value.kind == kind
    assert "wrong" not in str(caught.value)


def test_database_that_is_not_there_and_a_server_without_logical_wal(postgres_database, private_postgres, reader_of):
    missing = postgres_database.url().replace(postgres_database.name, "absent")
    with pytest.raises(SourceError) as caught:
        reader_of(postgres_database, url=missing)
    assert caught.value.kind == "not_found"
    server = private_postgres("-c", "wal_level=replica")
    with server.fresh_database() as database, pytest.raises(SourceError, match="wal_level") as caught:
        reader_of(database)
    assert caught.value.kind == "incompatible"


def test_slot_that_the_server_invalidated_is_a_lost_position(private_postgres, reader_of):
    server = private_postgres("-c", "max_slot_wal_keep_size=1MB", "-c", "min_wal_size=32MB", "-c", "max_wal_size=32MB")
    with server.fresh_database() as database:
        database.execute("create table t (id int, v text)", "create publication pub for all tables")
        reader = reader_of(database)
        reader.close()
        deadline = time.monotonic() + 60
        while slot_facts(database, "wal_status") != "lost":
            assert time.monotonic() < deadline
            database.execute(
                "insert into t select n, repeat('x', 2000) from generate_series(1, 5000) n",
                "select pg_switch_wal()",
                "checkpoint",
            )
        with pytest.raises(PositionLostError, match="invalidated"):
            reader.open()


def test_key_value_dsn_and_defaults(database, reader_of):
    server = database.server
    dsn = f"host={server.host} port={server.port} password={server.password} dbname={database.name}"
    reader = reader_of(database, url=dsn)
    database.execute("insert into t values (1, 'a')")
    assert brief(reader.read(1)) == [("c", None, {"id": 1, "v": "a"})]
    assert isinstance(reader.position, PostgresPosition)
