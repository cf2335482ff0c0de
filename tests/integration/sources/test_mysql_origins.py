"""What the log of MySQL and MariaDB says of an event beside its native form."""

from contextlib import closing

import pytest

from tests.reading import mysql_reader

ROW_EVENTS = ("write_rows", "update_rows", "delete_rows")
QUERIES = {"mysql": "binlog_rows_query_log_events", "mariadb": "binlog_annotate_row_events"}
TABLES = ("create table t (id int primary key, v varchar(20))", "create table u (id int primary key)")


def logged(database):
    """Where the row events and TRUNCATEs of the newest file begin, or what is around those that do not say where they
    are: the compressed transaction, or the GTID of MariaDB.
    """
    file = database.rows("show binary logs")[-1][0]
    found, payload, gtid = [], None, None
    for _, pos, kind, _, end, text in database.rows(f"show binlog events in '{file}'"):
        if kind == "Gtid":
            gtid = pos
        elif kind == "Transaction_payload":
            payload, until = pos, end
        elif kind.lower().startswith(ROW_EVENTS):
            found.append(gtid if not end else payload if payload is not None and end == until else pos)
        elif kind == "Query" and "truncate" in text.lower():
            found.append(pos)
    return file, found


@pytest.fixture(params=["asked", "not asked"])
def asked(request):
    return frozenset({"query"}) if request.param == "asked" else frozenset()


def test_origins_are_what_the_server_says(any_mysql_database, tmp_path, asked):
    database = any_mysql_database
    database.execute("flush binary logs", *TABLES)
    with closing(mysql_reader(database, tmp_path / "state", asked=asked).open()) as reader:
        is_mariadb = reader.stream._server.flavor == "mariadb"
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("select connection_id(), round(unix_timestamp(sysdate(6)) * 1000000)")
            ((thread, before),) = cursor.fetchall()

            def run(*statements, logs_queries=False):
                cursor.execute(f"set session {QUERIES[reader.stream._server.flavor]} = {logs_queries:d}")
                for statement in statements:
                    cursor.execute(statement)

            first = "insert into t /* \u00fc */ values (1, 'a'), (2, 'b')"
            run("begin", "insert into u values (7)", "insert into t values (9, 'x')", "commit")
            run(
                "begin",
                first,
                "insert into u values (1)",
                "update t set v = 'c' where id = 1",
                "commit",
                logs_queries=True,
            )
            run("delete from t where id = 2")
            if not is_mariadb:
                run("set session binlog_transaction_compression = 1")
            run("begin", "insert into u values (2)", "insert into u values (3)", "commit", logs_queries=True)
            run("truncate u")
            cursor.execute("select round(unix_timestamp(sysdate(6)) * 1000000)")
            ((after,),) = cursor.fetchall()
        events = reader.read(10)
    assert [column.name for column in events[-1].schema.columns] == ["id"]
    file, begins = logged(database)
    assert {event.source.file for event in events} == {file}
    rows_of = [0, 1, 2, 2, 3, 4, 5, 6, 7, 8]
    assert [event.origin.pos_begin for event in events] == [begins[number] for number in rows_of]
    assert all(event.origin.pos_begin < event.source.pos for event in events)
    threads = [None] * 10 if is_mariadb else [thread] * 9 + [None]
    assert [event.origin.thread for event in events] == threads
    queries = [
        None, None, first, first, "insert into u values (1)", "update t set v = 'c' where id = 1", None,
        "insert into u values (2)", "insert into u values (3)", None,
    ]  # fmt: skip
    assert [event.origin.query for event in events] == (queries if asked else [None] * 10)
    assert all(event.origin.ts_us // 1000 == event.ts_ms for event in events)
    for event in events:
        least = before // 1_000_000 * 1_000_000 if is_mariadb or event.op == "t" else before
        assert least <= event.origin.ts_us <= after
    assert any(event.origin.ts_us % 1000 for event in events) is not is_mariadb
