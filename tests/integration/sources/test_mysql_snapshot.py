"""Chunks of MySQL and MariaDB tables beside the log, against real servers."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.sources.mysql.snapshot import reader
from deltaforge.sources.mysql.snapshot.marks import MysqlMark
from tests.copied_chunks import copied_events, copier_of
from tests.pipelines import mysql_source
from tests.reading import mysql_reader, readers_of
from tests.stepped import SteppedCopy, source_spec

KEYS = {
    "int_unsigned": ("k bigint unsigned", "primary key (k)", ["0", "1", "18446744073709551615", "9223372036854775808"]),
    "negative": ("k int", "primary key (k)", ["-5", "0", "-2147483648", "7", "-1"]),
    "falls": ("k int", "primary key (k desc)", ["-5", "0", "8", "7", "-1"]),
    "decimals": ("k decimal(20,4)", "primary key (k)", ["-1.5000", "0", "1.4999", "1.5", "9999999999999999.9999"]),
    "varchar_ci": ("k varchar(20)", "primary key (k)", ["'a'", "'B'", "'c'", "''", "'z'", "'ae'", "'it''s'"]),
    "varchar_bin": ("k varchar(20) collate utf8mb4_bin", "primary key (k)", ["'a'", "'A'", "'b'", "'B'"]),
    "latin": ("k varchar(20) character set latin1", "primary key (k)", ["'a'", "'é'", "'z'", "'\\\\'", "'ß'"]),
    "gbk": ("k varchar(20) character set gbk", "primary key (k)", ["'a'", "'中'", "'文'", "'z'", "'誠'"]),
    "wide": ("k varchar(20)", "primary key (k)", ["'😀'", "'a😀'", "'x'"]),
    "char_pad": ("k char(9)", "primary key (k)", ["'a'", "'b'", "'bb'", "''", "'c'"]),
    "binaries": ("k binary(4)", "primary key (k)", ["x'00'", "x'0001'", "x'ff'", "x'61'", "x'ffffffff'"]),
    "varbinaries": ("k varbinary(9)", "primary key (k)", ["x''", "x'00'", "x'0000'", "x'ff'", "x'5c27'"]),
    "enums": ("k enum('z','b','a')", "primary key (k)", ["'z'", "'b'", "'a'"]),
    "sets": ("k set('z','b','a')", "primary key (k)", ["''", "'z'", "'z,a'", "'b'", "'b,a'"]),
    "bits": ("k bit(40)", "primary key (k)", ["b'0'", "b'1'", "b'111'", "1099511627775", "7000000000"]),
    "years": ("k year", "primary key (k)", ["1901", "2024", "2155", "0000"]),
    "dates": ("k date", "primary key (k)", ["'0000-00-00'", "'2024-00-15'", "'2024-05-00'", "'9999-12-31'"]),
    "datetimes": ("k datetime(3)", "primary key (k)", ["'2024-01-01 00:00:00.001'", "'2024-01-01'", "'1000-01-01'"]),
    "timestamps": ("k timestamp(6)", "primary key (k)", ["'2024-01-01 00:00:00.000001'", "'2024-01-01'", "'1999-09-09'"]),
    "times": ("k time(2)", "primary key (k)", ["'-838:59:59'", "'-00:00:00.01'", "'00:00:00'", "'838:59:59'"]),
    "two": ("k int, l varchar(5)", "primary key (k, l)", ["1,'a'", "1,'b'", "1,'c'", "1,''", "2,'a'", "0,'z'"]),
    "three": ("k int, l int, m date", "primary key (k, l, m)", [f"1,{n % 2},'2024-01-0{n}'" for n in range(1, 8)]),
    "unique_not_null": ("k int not null, l int", "unique (l), unique (k)", ["1,null", "2,null", "3,5", "4,6"]),
    "nullable_unique": ("k int", "unique (k)", ["null", "null", "1", "2"]),
    "prefixed": ("k varchar(50) not null", "unique (k(2))", ["'ab'", "'cd'", "'ef'"]),
    "floats": ("k float", "primary key (k)", ["0.1", "-0.5", "1e20"]),
    "none": ("k int", "", ["1", "1", "2"]),
}  # fmt: skip
TWO_DIGITS = {"two_digits": ("k year(2)", "primary key (k)", ["1955", "2000", "1999", "1970", "2069"])}  # MariaDB
WHOLE = {"nullable_unique", "prefixed", "floats", "none", "two_digits"}


@pytest.fixture
def database(any_mysql_database):
    return any_mysql_database


@pytest.fixture
def copier(database, tmp_path):
    """A copier beside an open reader."""
    opened = []
    with readers_of(mysql_reader, tmp_path) as make:

        def copier(**config):
            opened.append(copier_of(make(database, **config)))
            return opened[-1]

        yield copier
        for copy in opened:
            copy.chunks.close()


def create(database, tables):
    """Tables with numbered rows, under any ``sql_mode``."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = '', time_zone = '+00:00', names utf8mb4")
        for name, (columns, key, rows) in tables.items():
            keys = f", {key}" if key else ""
            cursor.execute(f"create table {name} ({columns}, n int not null{keys}) character set utf8mb4")
            cursor.execute(f"insert into {name} values " + ", ".join(f"({row}, {n})" for n, row in enumerate(rows)))
        connection.commit()


def numbers(events):
    return [event.after["n"] for event in events]


def test_keys(database, copier):
    create(database, keys := KEYS | (TWO_DIGITS if "MariaDB" in database.rows("select version()")[0][0] else {}))
    copy = copier()
    for name, (_, _, rows) in keys.items():
        plan = copy.plan(name, database.name)
        assert (plan.method == "whole") is (name in WHOLE), name
        chunks = copy.all(plan, max_rows=2)
        found = numbers(copied_events(chunks))
        assert sorted(found) == list(range(len(rows))), name
        if plan.method == "whole":
            continue
        assert [chunk.row_count for chunk in chunks if chunk.row_count] == [2] * (len(rows) // 2) + [1] * (
            len(rows) % 2
        )
        low = None
        for chunk in chunks:  # what was delivered is read again up to the same row
            if chunk.reached is not None:
                again = copy.read(plan, low, None, max_rows=1 << 31, high=chunk.reached)
                assert numbers(copied_events([again])) == numbers(copied_events([chunk])), name
            low = chunk.reached


def test_stripes_and_their_splits_have_all_rows_once(database, copier):
    rows = [f"{n * n - 5000}" for n in range(200)]
    create(database, {"t": ("k bigint", "primary key (k)", rows), "two": ("k int, l int", "primary key (k, l)", [f"{n // 50}, {n}" for n in range(200)])})  # fmt: skip
    copy = copier()
    for name in ("t", "two"):
        plan = copy.plan(name, database.name, stripe_count=4)
        assert len(plan.stripes) == (4 if name == "t" else 1)  # a first column with few values is not divided
        assert sorted(numbers(copied_events(copy.all(plan, max_rows=30)))) == list(range(200)), name
        if name == "t":
            assert copy.chunks.split(plan, plan.stripes[-1]) not in {None, plan.stripes[-1].at}


SECOND = {
    "varchar(9)": ["''", "'it''s'", "'é'", "'😀'"],
    "varchar(9) character set gbk": ["''", "'中'", "'z'", "'誠'"],
    "varbinary(9)": ["x''", "x'00'", "x'ff27'", "x'5c'"],
    "decimal(20,4)": ["-1.5", "0", "1.4999", "9999999999999999.9999"],
    "datetime(3)": ["'2024-01-01 00:00:00.001'", "'2024-01-01'", "'0000-00-00'", "'2024-00-05'"],
    "date": ["'0000-00-00'", "'2024-05-00'", "'2024-05-06'", "'9999-12-31'"],
    "time(2)": ["'-838:59:59'", "'-00:00:00.01'", "'00:00:00'", "'838:59:59'"],
    "enum('z','b','a','d')": ["'z'", "'b'", "'a'", "'d'"],
    "set('z','b','a')": ["''", "'z'", "'z,a'", "'b,a'"],
    "bit(40)": ["0", "1", "1099511627775", "7000000000"],
    "year": ["1901", "2024", "2155", "0000"],
}


def test_bounds_of_stripes_have_whole_keys(database, copier):
    tables = {
        f"t{number}": (
            f"k int, l {kind}",
            "primary key (k, l)",
            [f"{k}, {value}" for k in range(10) for value in values],
        )
        for number, (kind, values) in enumerate(SECOND.items())
    }
    create(database, tables)
    copy = copier()
    for name, (columns, _, rows) in tables.items():
        plan = copy.plan(name, database.name, stripe_count=3)
        assert len(plan.stripes) == 3, columns
        found = numbers(copied_events(copy.all(plan, max_rows=3)))
        assert sorted(found) == list(range(len(rows))), columns


def test_a_condition_and_rows_by_their_keys(database, copier):
    create(database, {"t": KEYS["two"], "b": KEYS["varbinaries"], "d": KEYS["datetimes"]})
    copy = copier()
    plan = copy.plan("t", database.name, where="l = 'a' or k = 0")
    assert sorted(numbers(copied_events(copy.all(plan, where="l = 'a' or k = 0")))) == [0, 4, 5]
    with pytest.raises(SourceError):
        copy.plan("t", database.name, where="nothing = 1")
    for name, keys, expected in [
        ("t", ('{"k":1,"l":"b"}', '{"k":9,"l":"b"}', '{"k":2,"l":"a"}'), [1, 4]),
        ("b", ('{"k":{"_base64":"XCc="}}',), [4]),
        ("d", ('{"k":"2024-01-01T00:00:00.001"}',), [0]),
    ]:
        chunk = copy.read(copy.plan(name, database.name), reread=keys)
        assert sorted(numbers(copied_events([chunk]))) == expected, name


def test_where_is_read_only(database, copier):
    create(database, {"t": KEYS["negative"]})
    copy = copier()
    for where in (
        "k > 0) or (1 = 1", "k > 0) limit 1 -- ", "1 = 1; delete from t", "1 = 1 /*", "k in (select 1 for update", "1 = 1 limit 1",
        "1 = 1) into outfile '/tmp/t' -- ", "delete from t",
    ):  # fmt: skip
        with pytest.raises(SourceError):
            copy.plan("t", database.name, where=where)
    for where in ("k > 0 -- ) or (1 = 1", "k > 0 # )", "')' <> '(' and k > 0", "k > 0 /* ) */"):
        plan = copy.plan("t", database.name, where=where)
        assert numbers(copied_events(copy.all(plan, where=where, max_rows=1))) == [3], where
    assert database.rows("select count(*) from t") == [(5,)]


def test_a_table_that_is_another_one_now_is_planned_again(database, copier):
    create(database, {"t": KEYS["negative"]})
    copy = copier()
    plan = copy.plan("t", database.name)
    request = copy.request(plan)
    count = copy.stream.definition_count(plan.table)
    database.execute("alter table t add column more int")
    with pytest.raises(TableChangedError):
        copy.read(plan)
    database.execute("alter table t drop column more, drop column n")
    with pytest.raises(TableChangedError):
        copy.chunks.read(request)
    database.execute("insert into t values (99)")
    copy.reader.read(1)
    assert copy.stream.definition_count(plan.table) >= count + 2
    database.execute("drop table t")
    with pytest.raises(TableChangedError):
        copy.plan("t", database.name)


def test_prepared_xa_is_unseen(database, copier):
    create(database, {"t": KEYS["negative"]})
    copy = copier()
    plan, before = copy.plan("t", database.name), copy.stream.since()
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in ("xa start 'x'", "update t set n = n + 100", "xa end 'x'", "xa prepare 'x'"):
            cursor.execute(statement)
    since, chunk = copy.stream.since(), copy.read(plan)
    waiting = copy.chunks.unsettled(chunk.mark, since)
    assert copy.chunks.unsettled(chunk.mark, before) is None  # it is noted
    assert chunk.mark.doubts_provisional
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("xa commit 'x'")
    assert "XA" in waiting
    chunk = copy.read(plan)
    assert copy.chunks.unsettled(chunk.mark, since) is None
    assert not chunk.mark.doubts_provisional
    assert min(numbers(copied_events([chunk]))) == 100


def test_the_mark_is_of_the_server_that_is_read(database, copier):
    create(database, {"t": KEYS["negative"]})
    copy = copier()
    chunk = copy.read(copy.plan("t", database.name))
    assert isinstance(chunk.mark, MysqlMark)
    assert chunk.mark.server == copy.stream.server()
    database.execute("insert into t values (50, 50)")
    event = copy.reader.read(1)[0]
    assert not chunk.mark.sees(event.source)
    assert copy.read(copy.plan("t", database.name)).mark.sees(event.source)


def test_gtid_off_waits_for_commits_under_way(private_mysql, tmp_path):
    server = private_mysql("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
    with server.fresh_database() as database, readers_of(mysql_reader, tmp_path) as make:
        create(database, {"t": KEYS["negative"]})
        copy = copier_of(make(database))
        plan, since = copy.plan("t", database.name), copy.stream.since()
        chunk = copy.read(plan)
        assert chunk.mark.gtids is None
        assert copy.chunks.unsettled(chunk.mark, since) is None
        database.execute("insert into t values (50, 50)")
        event = copy.reader.read(1)[0]
        assert not chunk.mark.sees(event.source)
        assert copy.chunks.unsettled(chunk.mark, copy.stream.since()) is not None
        later = copy.read(plan)
        assert later.mark.sees(event.source)
        assert sorted(numbers(copied_events([later]))) == [0, 1, 2, 3, 4, 50]
        with database.connect() as connection, connection.cursor() as cursor, ThreadPoolExecutor() as pool:
            cursor.execute("flush tables with read lock")  # holds the lock that a commit under way holds
            request = copy.request(plan)
            found = pool.submit(copy.chunks.read, request)
            with pytest.raises(TimeoutError):
                found.result(0.5)
            cursor.execute("unlock tables")
            assert found.result(20).row_count == 6
        copy.chunks.close()


def test_table_without_key_mysql(database, copier):
    rows = [f"{'null' if n % 3 else n}, 'same'" for n in range(1, 41)]
    create(database, {"t": ("k int, v varchar(20), unique (k)", "", rows)})
    database.execute("alter table t drop column n")
    copy = copier()
    plan = copy.plan("t", database.name, stripe_count=3)
    assert (plan.method, len(plan.stripes)) == ("whole", 1)
    assert "no key" in plan.warnings[0]
    (chunk,) = copy.all(plan, max_rows=7)
    events = copied_events([chunk])
    assert sorted(event.after["k"] or -1 for event in events) == sorted(n if n % 3 == 0 else -1 for n in range(1, 41))
    assert len({event.event_id for event in events}) == 40  # rows that are alike are told apart, and are the same again
    assert [event.event_id for event in copied_events(copy.all(plan))] == [event.event_id for event in events]
    assert copy.chunks.split(plan, plan.stripes[0]) is None


def test_table_without_key_that_is_too_large_fails_alone(database, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_KEYLESS_BYTES", 1000)
    database.execute("create table a (n int, v mediumtext)", "create table p (id int primary key, v int)")
    database.execute("insert into a values " + ", ".join(["(1, repeat('x', 100000))"] * 60))
    database.execute("insert into p values (1, 1), (2, 1)")
    with steps_of(database, tmp_path / "state") as steps:
        steps.request()
        assert sorted(versions(steps.finish())) == [("r", 1, 1), ("r", 2, 1)]
        (job,) = steps.state.ended
    assert {table.name: table.status for table in job.tables} == {"a": "failed", "p": "completed"}
    (reason,) = [table.error for table in job.tables if table.error]
    assert "no key that it can be read by" in reason
    assert "add a primary key" in reason


def test_huge_rows_cut_but_never_by_their_keys(database, copier, monkeypatch):
    monkeypatch.setattr(reader, "CUT_BYTES", 1000)
    database.execute("create table t (n int primary key, v mediumtext)")
    database.execute("insert into t values " + ", ".join(f"({n}, repeat('x', 100000))" for n in range(60)))
    copy = copier()
    plan = copy.plan("t", database.name)
    chunks = copy.all(plan)
    assert len(chunks) > 1
    assert numbers(copied_events(chunks)) == list(range(60))
    assert copy.read(plan, reread=tuple(f'{{"n":{n}}}' for n in range(60))).row_count == 60


def looked_at(copy):
    """How many entries of indexes the connection of a copier has read."""
    found = copy.chunks._connected().query("show session status like 'Handler_read%'")
    return sum(int(value) for name, value in found if not str(name).startswith("Handler_read_rnd"))


def test_row_constructor_is_not_used(database, copier):
    create(database, {"t": ("k int, l int", "primary key (k, l)", [f"1, {n}" for n in range(3000)])})
    copy = copier()
    plan = copy.plan("t", database.name)
    first = copy.read(plan, max_rows=2900)
    before = looked_at(copy)
    chunk = copy.read(plan, first.reached, max_rows=10)
    assert numbers(copied_events([chunk])) == list(range(2900, 2910))
    assert looked_at(copy) - before < 200  # what lies before the cursor is not read


def test_sparse_keys_one_dive_per_gap(database, copier):
    rows = [str(n + 10**15 * (n // 1000)) for n in range(3000)]
    create(database, {"t": ("k bigint", "primary key (k)", rows)})
    copy = copier()
    plan = copy.plan("t", database.name)
    copy.read(plan, max_rows=1)
    before = looked_at(copy)
    middle = copy.chunks.split(plan, plan.stripes[0])
    assert middle == f"[{rows[1499]}]"
    assert looked_at(copy) - before < 50
    before = looked_at(copy)
    chunk = copy.read(plan, f"[{rows[999]}]", max_rows=10)
    assert numbers(copied_events([chunk])) == list(range(1000, 1010))
    assert looked_at(copy) - before < 200


@pytest.fixture
def held_commits(private_mysql):
    """A database of a server whose commits wait, once ``hold`` is called, for a replica that is never there: they stand
    in the binary log, and nobody sees them before ``release``.
    """
    server = private_mysql()
    with server.fresh_database() as database, ThreadPoolExecutor() as pool:
        database.execute("create table p (id int primary key, v int)")
        database.execute("install plugin rpl_semi_sync_source soname 'semisync_source.so'")
        database.execute("set global rpl_semi_sync_source_wait_point = after_sync")
        database.execute("set global rpl_semi_sync_source_timeout = 600000")
        commits = []

        def hold(statement):
            database.execute("set global rpl_semi_sync_source_enabled = on")
            commits.append(pool.submit(database.execute, statement))

        def release():
            database.execute("set global rpl_semi_sync_source_enabled = off")
            for commit in commits:
                commit.result(20)

        try:
            yield database, hold, release
        finally:
            release()


def versions(events):
    return [(event.op, event.after["id"], event.after["v"]) for event in events]


@contextmanager
def steps_of(database, folder):
    """A copy of the tables of a database, step by step."""
    steps = SteppedCopy(source_spec(mysql_source(database)), folder, chunk_size=1)
    try:
        yield steps
    finally:
        steps.close()


def test_semi_sync_commit_in_log_but_invisible(held_commits, tmp_path):
    database, hold, release = held_commits
    database.execute("insert into p (id, v) values (1, 1), (2, 1), (3, 1)")
    with steps_of(database, tmp_path / "state") as steps:
        steps.request()
        steps.read_chunk()
        assert versions(steps.deliver_chunk()) == [("r", 1, 1)]
        hold("update p set v = 2 where id = 2")
        steps.follow(lambda event: event.op == "u")
        steps.read_chunk()
        assert database.rows("select id, v from p") == [(1, 1), (2, 1), (3, 1)]
        assert versions(steps.deliver_chunk()) == []  # the old row does not come behind the newer event
        assert versions(steps.finish()) == [("r", 3, 1)]
        steps.request()  # what takes notes only now has none of the commit: no chunk leaves before it is seen
        for _ in range(20):
            steps.merge()
            steps.work()
            steps._poll(0.02)
        assert database.rows("select v from p where id = 2") == [(1,)]
        assert not steps.is_over()
        release()
        assert sorted(versions(steps.finish())) == [("r", 1, 1), ("r", 2, 2), ("r", 3, 1)]
