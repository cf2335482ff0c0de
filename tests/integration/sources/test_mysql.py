"""The MySQL and MariaDB source against real servers."""

import json

import pytest

from deltaforge.core.errors import PositionLostError, SchemaError, SourceError
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.positions.gtid import GtidSet
from tests.pipelines import wait_for
from tests.reading import brief, mysql_reader, readers_of, wire


@pytest.fixture
def reader_of(tmp_path):
    """``reader_of(database, …)``: an open reader; all are closed with the test."""
    with readers_of(mysql_reader, tmp_path) as make:
        yield make


def test_rows_of_every_kind_with_their_source_block(any_mysql_database, reader_of):
    database = any_mysql_database
    database.execute("create table t (id int primary key, v varchar(9))")
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
        ("u", {"id": 1, "v": "a"}, {"id": 3, "v": "b"}),
        ("d", {"id": 2, "v": None}, None),
    ]
    assert [event.tx_end for event in events] == [False, True, True, True]
    assert [event.source.row for event in events] == [0, 1, 0, 0]
    assert events[0].source.server_id == database.server.port
    assert events[0].source.pos == events[1].source.pos > 0
    assert events[0].transaction.id == events[0].source.gtid == events[1].source.gtid != events[2].source.gtid
    assert len({event.event_id for event in events}) == 4
    assert next(column.type for column in events[0].schema.columns) in ("int", "int(11)")
    assert events[0].schema.primary_key == ("id",)


def test_reading_again_gives_the_same_events_with_the_same_ids(any_mysql_database, reader_of):
    database = any_mysql_database
    database.execute("create table t (id int primary key)")
    reader = reader_of(database)
    start = reader.position
    database.execute("insert into t values (1)", "flush binary logs", "insert into t values (2)", "delete from t")
    first = reader.read(4)
    again = reader.open(start).read(4)
    assert [event.event_id for event in again] == [event.event_id for event in first]
    assert brief(again) == brief(first)


def test_resume_by_file_and_offset(any_mysql_database, reader_of):
    database = any_mysql_database
    database.execute("create table t (id int primary key)")
    reader = reader_of(database)
    database.execute("insert into t values (1)")
    reader.read(1)
    at = reader.position
    database.execute("insert into t values (2)", "flush binary logs", "insert into t values (3)")
    reader.open(MysqlPosition(at.file, at.pos, "", at.flavor, at.server_uuid))
    assert [event.after["id"] for event in reader.read(2)] == [2, 3]


def test_gap_in_the_saved_set_is_read_later(mysql_database, reader_of):
    database = mysql_database
    database.execute("create table t (id int primary key)")
    reader = reader_of(database)
    before = reader.position
    database.execute(*(f"insert into t values ({number})" for number in range(3)))
    events = reader.read(3)
    gtids = GtidSet(before.gtid_set)
    gtids.add(events[0].source.gtid)
    gtids.add(events[2].source.gtid)
    reader.open(MysqlPosition(before.file, before.pos, str(gtids), "mysql", before.server_uuid))
    assert [event.after["id"] for event in reader.read(1)] == [1]
    reader.read_nothing()


def test_tagged_gtids_are_read_saved_and_resumed(mysql_database, reader_of):
    database = mysql_database
    database.execute("create table t (id int primary key)")
    reader = reader_of(database)
    database.execute("set gtid_next = 'AUTOMATIC:shop'", "insert into t values (1)")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set gtid_next = 'AUTOMATIC:shop'")
        cursor.execute("insert into t values (2)")
    events = reader.read(2)
    assert ":shop:" in events[1].source.gtid
    assert "shop" in reader.position.gtid_set
    database.execute("insert into t values (3)")
    assert [event.after["id"] for event in reader.open().read(1)] == [3]


def test_compressed_transactions_are_read(mysql_database, reader_of):
    mysql_database.execute("create table t (id int primary key, v text)")
    reader = reader_of(mysql_database)
    mysql_database.execute(
        "set session binlog_transaction_compression = on",
        "insert into t values (1, repeat('z', 5000)), (2, 'q')",
        "delete from t where id = 1",
    )
    events = reader.read(3)
    assert [(event.op, event.tx_end) for event in events] == [("c", False), ("c", True), ("d", True)]
    assert events[0].after["v"] == "z" * 5000
    assert reader.open().position.pos >= events[2].source.pos


def test_partial_json_updates_give_the_whole_document(mysql_database, reader_of):
    mysql_database.execute("create table t (id int primary key, j json, k json)")
    reader = reader_of(mysql_database)
    with mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set session binlog_row_value_options = 'PARTIAL_JSON'")
        cursor.execute("""insert into t values (1, '{"a": {"b": 1}, "c": [1, 2, 3], "z": "x"}', '[1]')""")
        cursor.execute(
            "update t set j = json_set(json_remove(json_array_insert(j, '$.c[1]', 9), '$.z'), '$.a.b', 'new', '$.a.k', 2.5),"
            " k = json_array_append(k, '$', 2)"
        )
    (_, update) = reader.read(2)
    assert update.after == {"id": 1, "j": {"a": {"b": "new", "k": 2.5}, "c": [1, 9, 2, 3]}, "k": [1, 2]}


def test_partial_json_updates_may_count_places_from_the_end(mysql_database, reader_of):
    mysql_database.execute(
        "create table t (id int primary key, j json)", "insert into t values (1, '[1, 2, [3, 4], 5]')"
    )
    reader = reader_of(mysql_database)
    changes = (
        "json_remove(j, '$[last]')", "json_set(j, '$[last][last-1]', 'x')", "json_array_insert(j, '$[last]', null)",
        "json_array_insert(j, '$[last-9]', 0)", "json_replace(j, '$[last-2]', true)",
    )  # fmt: skip
    selected = []
    with mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set session binlog_row_value_options = 'PARTIAL_JSON'")
        for change in changes:
            cursor.execute(f"update t set j = {change}")
            cursor.execute("select j from t")
            selected.append(json.loads(cursor.fetchone()[0]))
    assert [event.after["j"] for event in reader.read(len(changes))] == selected


def test_minimal_images_hold_the_columns_that_the_server_logged(mysql_database, reader_of):
    mysql_database.execute("create table t (id int primary key, v int, w int)", "insert into t values (1, 1, 1)")
    reader = reader_of(mysql_database)
    mysql_database.execute(
        "set session binlog_row_image = 'MINIMAL'",
        "update t set v = 2",
    )
    (event,) = reader.read(1)
    assert (event.before, event.after) == ({"id": 1}, {"v": 2})


def test_new_images_that_hold_only_changes_are_completed_by_whole_old_ones(mariadb_database, reader_of):
    mariadb_database.execute("create table t (id int primary key, d date, v int, w text, x json)")
    reader = reader_of(mariadb_database)
    mariadb_database.execute(
        "set session binlog_row_image = 'FULL_NODUP', sql_mode = ''",
        "insert into t values (1, '0000-00-00', 1, null, '[1]'), (2, null, null, 'w', null)",
        "update t set v = coalesce(v, 1) + 1, w = concat(w, 'x')",
        "update t set d = '2024-01-01', x = null where id = 1",
        "update t set id = 3 where id = 1",
    )
    events = reader.read(6)
    assert [list(wire(event.after).values()) for event in events[2:]] == [
        [1, None, 2, None, "[1]"], [2, None, 2, "wx", None], [1, "2024-01-01", 2, None, None],
        [3, "2024-01-01", 2, None, None],
    ]  # fmt: skip
    assert [event.key() for event in events[4:]] == [{"id": 1}, {"id": 3}]


def test_mariadb_compressed_events_are_read(mariadb_database, reader_of):
    mariadb_database.execute("create table t (id int primary key, v text)", "set global log_bin_compress = 1")
    try:
        reader = reader_of(mariadb_database)
        mariadb_database.execute("insert into t values (1, repeat('z', 5000))", "update t set v = repeat('y', 5000)")
        assert [event.after["v"][0] for event in reader.read(2)] == ["z", "y"]
    finally:
        mariadb_database.execute("set global log_bin_compress = 0")


def test_row_beyond_16_megabytes(any_mysql_database, reader_of):
    any_mysql_database.execute(
        "create table t (id int primary key, v longtext)", "set global max_allowed_packet = 67108864"
    )
    reader = reader_of(any_mysql_database)
    any_mysql_database.execute("insert into t values (1, repeat('x', 20000000))", "insert into t values (2, 'y')")
    first, second = reader.read(2)
    assert (len(first.after["v"]), second.after["v"]) == (20_000_000, "y")


def test_rollback_and_savepoint_leave_nothing(any_mysql_database, reader_of):
    database = any_mysql_database
    database.execute("create table t (id int primary key)")
    reader = reader_of(database)
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in (
            "begin", "insert into t values (1)", "rollback",
            "begin", "insert into t values (2)", "savepoint a", "insert into t values (3)", "rollback to a", "commit",
        ):  # fmt: skip
            cursor.execute(statement)
    (event,) = reader.read(1)
    assert (event.after, event.tx_end) == ({"id": 2}, True)


def test_truncate_and_ddl_while_streaming(any_mysql_database, reader_of):
    database = any_mysql_database
    database.execute("create table t (id int primary key)")
    reader = reader_of(database)
    start = reader.position
    database.execute(
        "insert into t values (1)", "alter table t add column v varchar(5) default 'd'", "insert into t (id) values (2)",
        "truncate table t", "alter table t drop column v", "insert into t values (3)",
    )  # fmt: skip
    for events in (reader.read(4), reader.open(start).read(4)):
        assert brief(events) == [
            ("c", None, {"id": 1}), ("c", None, {"id": 2, "v": "d"}), ("t", None, None), ("c", None, {"id": 3}),
        ]  # fmt: skip
        assert events[0].schema_version == events[3].schema_version != events[1].schema_version


def test_only_captured_tables_are_read_and_the_position_moves_over_the_others(any_mysql_database, reader_of):
    database = any_mysql_database
    database.execute("create table a (id int primary key)", "create table b (id int primary key)")
    reader = reader_of(database, tables=[f"{database.name}.a"])
    start = reader.position
    database.execute("insert into b values (1)")
    reader.read_until_moved(start)
    assert reader.position.gtid_set != start.gtid_set
    database.execute("insert into a values (1)")
    assert [event.source.table for event in reader.read(1)] == ["a"]


def test_xa_transaction_arrives_with_its_prepare(mysql_database, reader_of):
    mysql_database.execute("create table t (id int primary key)")
    reader = reader_of(mysql_database)
    with mysql_database.connect() as connection, connection.cursor() as cursor:
        for statement in ("xa start 'x'", "insert into t values (1)", "xa end 'x'", "xa prepare 'x'"):
            cursor.execute(statement)
    assert brief(reader.read(1)) == [("c", None, {"id": 1})]
    mysql_database.execute("xa commit 'x'", "insert into t values (2)")
    assert brief(reader.read(1)) == [("c", None, {"id": 2})]


def test_rows_logged_as_a_statement_stop_the_reading(any_mysql_database, reader_of):
    any_mysql_database.execute("create table t (id int primary key)")
    reader = reader_of(any_mysql_database)
    any_mysql_database.execute(
        "set session binlog_format = 'STATEMENT'",
        "insert into t values (1)",
    )
    with pytest.raises(SourceError, match="logged as a statement"):
        reader.read(1)


@pytest.mark.parametrize(
    ("change", "kind"), [({"password": "wrong"}, "auth"), ({"user": "nobody"}, "auth"), ({"port": 1}, "connect")]
)
def test_connection_failures_have_their_kind_and_no_secrets(mysql_database, tmp_path, change, kind):
    reader = mysql_reader(mysql_database, tmp_path / "state", url=mysql_database.url(**change))
    with pytest.raises(SourceError) as caught:
        reader.open()
    assert caught.value.kind == kind
    assert "wrong" not in str(caught.value)


def test_purged_log_and_reset_history_are_a_lost_position(private_mysql, tmp_path):
    server = private_mysql()
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state").open()
        reader.close()
        database.execute(
            "insert into t values (1)", "flush binary logs", "insert into t values (2)", "flush binary logs"
        )
        newest = database.rows("show binary logs")[-1][0]

        def is_purged():
            database.execute(f"purge binary logs to '{newest}'")  # which leaves a log that is still read
            return database.rows("show binary logs")[0][0] == newest

        wait_for(is_purged)
        with pytest.raises(PositionLostError, match="purged"):
            reader.open()
        without_gtids = MysqlPosition(
            reader.position.file, reader.position.pos, "", "mysql", reader.position.server_uuid
        )
        with pytest.raises(PositionLostError, match="purged"):
            reader.open(without_gtids)
        database.execute("reset binary logs and gtids")
        with pytest.raises(PositionLostError, match="history was reset"):
            reader.open()


def test_position_of_another_server_without_its_transactions_is_lost(mysql_database, mariadb_database, tmp_path):
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    reader.close()
    foreign = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    with pytest.raises(PositionLostError, match="after failover"):
        reader.open(MysqlPosition("b.1", 4, f"{foreign}:1-5", "mysql", foreign))
    with pytest.raises(PositionLostError, match="after failover"):
        reader.open(MysqlPosition("b.1", 4, "", "mysql", foreign))
    with pytest.raises(PositionLostError, match="mysql"):
        mysql_reader(mariadb_database, tmp_path / "other").open(reader.position)


def test_rows_without_metadata_are_decoded_by_the_history(private_mysql, tmp_path):
    server = private_mysql("--binlog-row-metadata=MINIMAL")
    with server.fresh_database() as database:
        database.execute(
            "create table t (id bigint unsigned primary key, e enum('a','b'), v varchar(9), b varbinary(9))"
        )
        reader = mysql_reader(database, tmp_path / "state").open()
        start = reader.position
        database.execute("insert into t values (18446744073709551615, 'b', 'é', x'00')")
        expected = [("c", None, {"id": 2**64 - 1, "e": "b", "v": "é", "b": {"_base64": "AA=="}})]
        assert brief(reader.read(1)) == expected
        assert brief(reader.open(start).read(1)) == expected
        assert reader.batches[0].events()[0].schema.primary_key == ("id",)
        reader.close()


def test_rows_without_metadata_and_without_history_are_never_guessed(private_mysql, tmp_path):
    server = private_mysql("--binlog-row-metadata=MINIMAL")
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state").open()
        reader.close()
        database.execute("insert into t values (1)")
        stranger = mysql_reader(database, tmp_path / "empty").open(reader.position)
        with pytest.raises(SchemaError, match="is not known"):
            stranger.read(1)
        stranger.close()


def test_user_that_must_use_tls(mysql_database, tmp_path):
    user = f"tls{mysql_database.name[-8:]}"
    mysql_database.execute(f"create user {user}@'%' identified by 'p' require ssl", f"grant all on *.* to {user}@'%'")
    try:
        url = mysql_database.url(user=user, password="p")
        reader = mysql_reader(mysql_database, tmp_path / "state", url=f"{url}?ssl-mode=required").open()
        reader.close()
        plain = mysql_reader(mysql_database, tmp_path / "state", url=f"{url}?ssl-mode=disabled")
        with pytest.raises(SourceError) as caught:
            plain.open()
        assert caught.value.kind == "auth"
    finally:
        mysql_database.execute(f"drop user {user}@'%'")
