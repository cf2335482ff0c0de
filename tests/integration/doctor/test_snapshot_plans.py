"""How tables would be copied: what an examination says of real servers."""

from contextlib import contextmanager

import pytest

from deltaforge.doctor import examine
from tests.pipelines import wait_for
from tests.set_ups import mysql_set_up, postgres_set_up


def said(case, check):
    findings = examine(case.document(), case.folder / "state", patience_secs=10)
    return [(finding.level, finding.what, finding.remedy) for finding in findings if finding.check == check]


@contextmanager
def kept_for(database, secs):
    """The server keeps its log for so long."""
    ((before,),) = database.rows("select @@global.binlog_expire_logs_seconds")
    database.execute(f"set global binlog_expire_logs_seconds = {secs}")
    try:
        yield
    finally:
        database.execute(f"set global binlog_expire_logs_seconds = {before}")


@pytest.mark.parametrize(
    ("server", "method"), [("postgres", "by its pages"), ("mysql", "by its key"), ("mariadb", "by its key")]
)
def test_the_plan_has_every_table_and_what_to_expect(request, server, method, tmp_path):
    make = postgres_set_up if server == "postgres" else mysql_set_up
    with make(request.getfixturevalue(server), tmp_path) as case:
        numbers = ", ".join(f"({n}, {n})" for n in range(2500))
        analyze = "analyze t" if server == "postgres" else "analyze table t"
        case.database.execute(f"insert into t values {numbers}", analyze)
        assert said(case, "snapshot.plan") == []
        case.config["snapshot"] = {"mode": "initial", "chunk_size": 1000, "max_rows_per_second": 10}
        ((level, what, _),) = said(case, "snapshot.table")
        name = "public.t" if server == "postgres" else f"{case.database.name}.t"
        assert (level, what.startswith(f"{name}: {method}, about 3 chunks, 2,")) == ("ok", True), what
        ((level, what, _),) = said(case, "snapshot.plan")
        assert (level, what.startswith("1 table, about 2,")) == ("ok", True), what
        assert what.endswith("; expect 4 min or less")
        assert {entry.name for entry in tmp_path.iterdir()} == set()
        if server == "mysql":  # 250 s of the time for which a log is kept
            for kept, said_of_it in ((600, 0), (400, "half"), (300, "80 %")):
                with kept_for(case.database, kept):
                    found = [what for level, what, _ in said(case, "snapshot.plan") if level == "warning"]
                assert [f"may take {said_of_it} " in what for what in found] == [True] * bool(said_of_it), found


def test_the_size_of_all_tables_is_compared_with_the_wal_that_is_kept(postgres, tmp_path):
    with postgres_set_up(postgres, tmp_path) as case:
        database = case.database
        database.execute(
            "create table t2 (id int primary key)", "alter publication pub add table t2",
            "insert into t select n, n from generate_series(1, 30000) n", "insert into t2 select generate_series(1, 30000)",
        )  # fmt: skip
        case.config.update(tables=["public.*"], snapshot={"mode": "initial"})
        ((size,),) = database.rows("select (pg_table_size('t') + pg_table_size('t2')) / 1048576.0")
        try:
            for share, said_of_it in ((5, None), (3, "half"), (2.2, "80 %")):
                kept = f"{round(share * float(size))}MB"
                database.execute(f"alter system set max_slot_wal_keep_size = '{kept}'", "select pg_reload_conf()")
                wait_for(lambda kept=kept: database.rows("show max_slot_wal_keep_size") == [(kept,)])
                found = [(what, remedy) for level, what, remedy in said(case, "snapshot.plan") if level == "warning"]
                told = [f"tables is {said_of_it} or more" in what for what, _ in found]
                assert told == [True] * bool(said_of_it), found
                assert all("max_slot_wal_keep_size" in remedy for _, remedy in found)
        finally:
            database.execute("alter system set max_slot_wal_keep_size = '10GB'", "select pg_reload_conf()")


@pytest.mark.parametrize("server", ["mysql", "mariadb"])
def test_tables_whose_changes_the_log_does_not_have_in_order_are_warned_of(request, server, tmp_path):
    with mysql_set_up(request.getfixturevalue(server), tmp_path) as case:
        case.database.execute(
            "create table m (k int primary key) engine = myisam",
            "create table c (k int primary key, foreign key (k) references t (id) on delete cascade)",
            "create table r (k int primary key, foreign key (k) references t (id))",
        )
        case.config["snapshot"] = {"mode": "initial"}
        warned = [what.partition(".")[2] for level, what, _ in said(case, "snapshot.table") if level == "warning"]
        expected = ["m: engine MyISAM has no transactions"]
        if server == "mariadb":  # MySQL has such rows in its log from 9.6 on
            expected.insert(0, "c: rows that foreign key c_ibfk_1 changes")
        assert [what[: len(text)] for what, text in zip(sorted(warned), expected, strict=True)] == expected


def test_a_table_that_must_not_be_read_is_an_error_with_its_remedy(postgres, tmp_path):
    with postgres_set_up(postgres, tmp_path) as case:
        case.config["snapshot"] = {"mode": "initial"}
        role = f"c_{case.database.name}"
        case.database.execute(f"create role {role} login replication password 'pass'")
        try:
            case.config["dsn"] = case.database.url(user=role, password="pass")
            ((level, what, remedy),) = said(case, "snapshot.table") or said(case, "snapshot.ready")
            assert (level, "t" in what, bool(remedy)) == ("error", True, True)
            case.database.execute(f"grant select on t to {role}")
            assert [level for level, _, _ in said(case, "snapshot.table")] == ["ok"]
        finally:
            case.database.execute(f"drop owned by {role}", f"drop role {role}")
