"""Sources of MySQL and MariaDB that are broken for real: the examination finds each of them."""

from contextlib import contextmanager

import pytest

from deltaforge.sources.mysql.client import DumpConnection
from tests.pipelines import PipelineProcess, file_events, wait_for
from tests.set_ups import changed, expect, mysql_set_up


@contextmanager
def global_set(database, name, value):
    """``set global``, and back."""
    ((before,),) = database.rows(f"select @@global.{name}")
    database.execute(f"set global {name} = {value}")
    try:
        yield
    finally:
        database.execute(f"set global {name} = {before!r}")


@contextmanager
def user_with(database, *grants):
    user = f"u_{database.name[-8:]}"
    database.execute(f"create user '{user}'@'%' identified by 'pass'")
    database.execute(*(f"grant {grant} to '{user}'@'%'" for grant in grants))
    try:
        yield database.server.url(user=user, password="pass")
    finally:
        database.execute(f"drop user '{user}'@'%'")


@contextmanager
def no_replication_right(case):
    with user_with(case.database, f"select on `{case.database.name}`.*", "replication client on *.*") as url:
        case.config["dsn"] = url
        yield


@contextmanager
def unseen_table(case):
    with user_with(case.database, "replication slave, replication client on *.*") as url:
        case.config["dsn"] = url
        yield


@contextmanager
def another_reader(case):
    dump = DumpConnection(case.config["dsn"], case.config["id"])
    dump._register()
    try:
        yield
    finally:
        dump.close()


@contextmanager
def wrong_clock(case):
    """Every session of a user without all rights begins an hour ago."""
    with global_set(case.database, "init_connect", "'set timestamp = unix_timestamp() - 3600'"):
        yield


def setting(name, value):
    return lambda case: global_set(case.database, name, value)


@contextmanager
def keyless(case):
    case.database.execute("create table `no key` (a int)")
    yield


MYSQL = {
    "statements in the log": (setting("binlog_format", "'STATEMENT'"), "mysql.format", "error", "binlog_format is STATEMENT"),
    "half row images": (setting("binlog_row_image", "'MINIMAL'"), "mysql.image", "warning", "MINIMAL"),
    "no row metadata": (setting("binlog_row_metadata", "'MINIMAL'"), "mysql.metadata", "warning", "MINIMAL"),
    "logs that are soon gone": (setting("binlog_expire_logs_seconds", 3600), "mysql.retention", "warning", "3600 s"),
    "a server without an id": (setting("server_id", 0), "mysql.server_id", "error", "server_id is 0"),
    "a clock that is wrong": (wrong_clock, "mysql.clock", "warning", "behind ours"),
    "no right to replicate": (no_replication_right, "mysql.rights", "error", "may not read"),
    "no right to see the tables": (unseen_table, "mysql.tables", "error", "no table is captured"),
    "a pattern without a table": (
        lambda case: changed(case, tables=[f"{case.database.name}.t", "shop.orders"]), "mysql.tables", "warning", "shop.orders",
    ),
    "a table without a primary key": (keyless, "mysql.keys", "warning", "no key"),
    "a wrong password": (
        lambda case: changed(case, dsn=case.database.server.url(user="cdc", password="no")), "mysql.connect", "error", "denied",
    ),
    "a variable that is not set": (
        lambda case: changed(case, dsn=case.config["dsn"].replace(":cdc@", ":${DB_PASSWORD}@")), "document.variable", "error",
        "DB_PASSWORD",
    ),
    "a port where nobody listens": (
        lambda case: changed(case, dsn="mysql://cdc:cdc@127.0.0.1:1/"), "mysql.connect", "error", "127.0.0.1:1",
    ),
    "another reader with the same id": (another_reader, "mysql.reader", "warning", "another process"),
}  # fmt: skip


ON_MARIADB = ("statements in the log", "logs that are soon gone", "no right to replicate", "a wrong password")


@pytest.mark.parametrize(
    ("mysql_case", "name"),
    [*(("mysql", name) for name in MYSQL), *(("mariadb", name) for name in ON_MARIADB)],
    indirect=["mysql_case"],
)
def test_a_broken_source_of_mysql_is_found(mysql_case, name):
    break_it, check, level, text = MYSQL[name]
    with break_it(mysql_case):
        expect(mysql_case, check, level, text)


@pytest.mark.parametrize("mysql_case", ["mysql"], indirect=True)
def test_a_saved_position_that_is_purged_is_found(mysql_case, tmp_path):
    database = mysql_case.database
    pipeline = PipelineProcess(tmp_path, mysql_case.source, mysql_case.sinks).start()
    database.execute("insert into t values (1, 1)")
    wait_for(lambda: file_events(tmp_path / "out.jsonl"))
    pipeline.stop()
    assert {finding.check for finding in mysql_case.found()} <= {"mysql.reader"}  # the server forgets it a little later
    database.execute("insert into t values (2, 2)", "flush binary logs")
    newest = database.rows("show binary logs")[-1][0]

    def is_purged():
        database.execute(f"purge binary logs to '{newest}'")  # which leaves a log that is still read
        return database.rows("show binary logs")[0][0] == newest

    wait_for(is_purged)
    expect(mysql_case, "mysql.position", "error", "purged")


def test_a_server_without_a_log_and_one_that_leaves_a_database_out(private_mysql, tmp_path):
    without = private_mysql("--skip-log-bin", name="mariadb")
    with mysql_set_up(without, tmp_path) as case:
        expect(case, "mysql.log", "error", "no binary log")
    without.stop()
    without.start("--log-bin=binlog", "--binlog-ignore-db=left_out")
    with mysql_set_up(without, tmp_path) as case:
        case.database.execute("create database left_out", "create table left_out.t (id int primary key)")
        assert case.found() == []
        case.config["tables"] = ["left_out.t"]
        expect(case, "mysql.filter", "error", "left_out")
