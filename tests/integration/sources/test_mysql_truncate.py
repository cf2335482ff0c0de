"""TRUNCATE in each spelling and session: the event names the table as its rows do."""

import pytest

from tests.reading import brief, mysql_reader


def session(database, *statements, charset="utf8mb4"):
    connection = database.connect(charset=charset)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def truncated(reader, count):
    """The tables of the next events, all of which are truncates."""
    events = reader.read(count)
    assert brief(events) == [("t", None, None)] * count
    return [event.source.table for event in events]


def test_truncate_in_each_spelling_and_session(any_mysql_database, tmp_path):
    database = any_mysql_database
    is_mariadb = "MariaDB" in database.rows("select version()")[0][0]
    database.execute(
        "create table t (id int primary key)", "create table `größe` (id int primary key)",
        "create table `值` (id int primary key)", 'create table `a``b "c"` (id int primary key)',
        "create table `table` (id int primary key)", "create table `set` (id int primary key)",
        "create table part (id int primary key) partition by range (id) (partition p0 values less than (10), "
        "partition p1 values less than maxvalue)", "create table seen (id int primary key)",
    )  # fmt: skip
    reader = mysql_reader(database, tmp_path / "state").open()
    session(database, "set sql_mode = 'ANSI_QUOTES'", 'truncate table "t"', 'truncate "a`b ""c"""', 'truncate "table"')
    session(database, "truncate größe", "truncate table `größe` /* ü */", charset="latin1")
    session(database, "truncate 值", "truncate table `值`", charset="gbk")
    session(
        database, "truncate t", "/* a */ truncate -- b\n table # c\n t ;", f"truncate table {database.name}.t",
        f'truncate table `{database.name}` . `a``b "c"`', "truncate/*!50000 table*/`table`", "TRUNCATE TABLE `set`",
        "prepare s from 'truncate t'", "execute s", "truncate part",
    )  # fmt: skip
    expected = ["t", 'a`b "c"', "table", "größe", "größe", "值", "值",
                "t", "t", "t", 'a`b "c"', "table", "set", "t", "part"]  # fmt: skip
    if is_mariadb:
        session(
            database, "set statement max_statement_time = 10, lock_wait_timeout = 5 for truncate table t",
            "truncate t wait 5", "truncate table t nowait", "/*M! truncate */ `set`",
        )  # fmt: skip
        expected += ["t", "t", "t", "set"]
    assert truncated(reader, len(expected)) == expected
    # none of these is a truncate of a captured table
    session(
        database, "alter table part truncate partition p0", "set session binlog_format = 'STATEMENT'",
        "create temporary table t (id int)", "truncate t", "insert into t values (1)", "drop table t",
        "create temporary table if not exists t (id int)", "truncate table t", "drop temporary table t",
    )  # fmt: skip
    database.execute("insert into seen values (1)")
    assert [event.source.table for event in reader.read(1)] == ["seen"]
    reader.close()


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_truncate_where_the_server_folds_names(private_mysql, tmp_path, name):
    server = private_mysql("--lower-case-table-names=1", name=name)
    with server.fresh_database() as database:
        database.execute("create table T1 (id int primary key)", "create table `GRÖSSE` (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state", tables=[f"{database.name}.t1", f"{database.name}.grösse"])
        reader.open()
        database.execute(
            "insert into T1 values (1)", "truncate table T1", "truncate T1", f"truncate {database.name.upper()}.T1",
            "insert into t1 values (2)", "truncate `GRÖSSE`",
        )  # fmt: skip
        events = reader.read(6)
        assert [(event.op, event.source.db, event.source.table) for event in events] == [
            ("c", database.name, "t1"), *[("t", database.name, "t1")] * 3, ("c", database.name, "t1"),
            ("t", database.name, "grösse"),
        ]  # fmt: skip
        reader.close()
