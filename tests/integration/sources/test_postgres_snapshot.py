"""Chunks of PostgreSQL tables beside the log, against real servers."""

import time
from contextlib import closing, contextmanager
from itertools import pairwise

import pytest

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.sources.postgres.client import connect
from deltaforge.sources.postgres.snapshot.log import have_flushed
from tests.copied_chunks import copied_events, copier_of
from tests.pipelines import wait_for
from tests.reading import brief, postgres_reader, readers_of, wire


@pytest.fixture
def database(any_postgres_database):
    return any_postgres_database


@pytest.fixture
def copier(database, tmp_path):
    """``copier(**config)``: beside an open reader."""
    opened = []
    with readers_of(postgres_reader, tmp_path) as make:

        def copier(**config):
            reader = make(database, **config)
            opened.append(copier_of(reader))
            return opened[-1]

        yield copier
        for copy in opened:
            copy.chunks.close()


def ids_of(events):
    return sorted(event.after["id"] for event in events)


@contextmanager
def altered(server, name, value):
    """A setting of the server is another one for a while."""
    with closing(server.connect()) as admin:

        def takes(statement, is_so):
            admin.execute(statement)
            admin.execute("select pg_reload_conf()")
            deadline = time.monotonic() + 20
            while (admin.execute(f"show {name}").fetchone()[0] == value) is not is_so:
                assert time.monotonic() < deadline
                time.sleep(0.01)

        takes(f"alter system set {name} = '{value}'", True)
        try:
            yield
        finally:
            takes(f"alter system reset {name}", False)


def test_a_table_is_copied_page_by_page(database, copier):
    database.execute(
        "create publication pub for all tables",
        "create table t (id int primary key, v text)",
        "insert into t select g, repeat('x', g % 90) || E'\\t\\\\ \\n' from generate_series(1, 5000) g",
        "update t set v = null where id % 7 = 0",
    )
    copy = copier()
    chunks = copy.all(copy.plan("t"), max_rows=700)
    events = copied_events(chunks)
    assert {event.after["id"]: event.after["v"] for event in events} == dict(database.rows("select id, v from t"))
    assert (len(events), sum(chunk.row_count for chunk in chunks)) == (5000, 5000)
    assert len(chunks) > 4
    assert {(event.op, event.source.snapshot, event.before, event.transaction) for event in events} == {
        ("r", "true", None, None)
    }
    assert len({event.event_id for event in events}) == 5000
    fractions = [chunk.fraction for chunk in chunks]
    assert fractions == sorted(fractions)
    assert (fractions[-1], copy.chunks.tables()) == (1.0, [("public", "t")])
    again = copy.read(copy.plan("t"), chunks[0].reached, high=chunks[1].reached, max_rows=1)
    assert ids_of(copied_events([again])) == ids_of(copied_events([chunks[1]]))
    wanted = [f'{{"id":{n}}}' for n in (3, 4000, 77, 9999)]
    assert ids_of(copied_events([copy.read(copy.plan("t"), reread=tuple(wanted))])) == [3, 77, 4000]


def test_stripes_hold_each_row_once_and_can_be_split(database, copier):
    database.execute(
        "create publication pub for all tables",
        "create table t (id int, v text) with (fillfactor = 10)",
        "insert into t select g, repeat('x', 200) from generate_series(1, 5000) g",
        "alter table t replica identity full", "delete from t where id between 1000 and 2999", "vacuum analyze t",
    )  # fmt: skip
    copy = copier()
    plan = copy.plan("t", stripe_count=3)
    assert (len(plan.stripes), plan.estimated_rows) == (3, 3000)
    chunks = copy.all(plan)
    assert ids_of(copied_events(chunks)) == [n for n in range(1, 5001) if not 1000 <= n <= 2999]
    (whole,) = copy.plan("t").stripes
    assert 500 < int(copy.chunks.split(plan, whole)) < 2500


def test_update_moves_row_between_ctid_ranges(database, copier):
    database.execute(
        "create publication pub for all tables",
        "create table t (id int primary key, v text)",
        "insert into t select g, repeat('x', 100) from generate_series(1, 2000) g",
        "delete from t where id < 50", "vacuum t",
    )  # fmt: skip
    copy = copier()
    plan = copy.plan("t")
    first = copy.read(plan, max_rows=500)
    database.execute("update t set v = repeat('m', 150) where id = 1000")
    reader_events = copy.reader.read(1)
    rest = copy.read(plan, first.reached)
    assert 1000 not in ids_of(copied_events([first, rest]))
    assert wire(reader_events[0].after) == {"id": 1000, "v": "m" * 150}
    assert rest.mark.sees(reader_events[0].source)
    assert not first.mark.sees(reader_events[0].source)


def test_vacuum_full_in_mid_table(database, copier):
    database.execute(
        "create publication pub for all tables",
        "create table t (id int primary key)", "insert into t select generate_series(1, 2000)",
    )  # fmt: skip
    copy = copier()
    plan = copy.plan("t")
    first = copy.read(plan, max_rows=300)
    database.execute("vacuum full t")
    with pytest.raises(TableChangedError, match="rewritten"):
        copy.read(plan, first.reached)
    assert ids_of(copied_events(copy.all(copy.plan("t")))) == list(range(1, 2001))


def test_drop_and_recreate_table(database, copier):
    create = "create table t (id int primary key, v text)"
    database.execute("create publication pub for all tables", create, "insert into t values (1)")
    copy = copier()
    plan = copy.plan("t")
    request = copy.request(plan)
    changes = (
        ("alter table t add column w int", "definition"), ("alter table t alter column v type varchar(9)", "definition"),
        ("alter table t rename to u; create table t (id int, v text, w int)", "anew"), ("drop table t", "does not exist"),
    )  # fmt: skip
    for change, reason in changes:
        database.execute(change)
        with pytest.raises(TableChangedError, match=reason):
            copy.chunks.read(request)
        if "drop" not in change:
            plan = copy.plan("t")
            request = copy.request(plan)
            copy.chunks.read(request)
    assert copy.stream.tables_to_copy([("public", "t")]) == {}
    with pytest.raises(TableChangedError, match="is not in publication"):
        copy.plan("t")


def test_partition_root_and_leaf_names(database, copier):
    database.execute(
        "create table p (id int, at date, v text, primary key (id, at)) partition by range (at)",
        "create table p1 partition of p for values from ('2024-01-01') to ('2024-02-01')",
        "create table p2 (v text, gone int, at date not null, id int not null)",
        "alter table p2 drop column gone",
        "alter table p attach partition p2 for values from ('2024-02-01') to ('2024-03-01')",
        "create table p3 partition of p for values from ('2024-03-01') to ('2024-04-01')",
        "insert into p select g, '2024-01-01'::date + g % 60, 'v' || g from generate_series(1, 900) g",
        "create publication pub for table p with (publish_via_partition_root = true)",
    )
    copy = copier()
    assert copy.chunks.tables() == [("public", "p")]
    chunks = copy.all(copy.plan("p"), max_rows=100)
    events = copied_events(chunks)
    expected = dict(database.rows("select id, v from p"))
    assert {event.after["id"]: event.after["v"] for event in events} == expected
    assert ({event.source.table for event in events}, len(events)) == ({"p"}, 900)
    exact = copy.read(copy.plan("p"), chunks[0].reached, high="2/0" if "2/0" in {c.reached for c in chunks} else "1/0")
    assert exact.row_count
    reread = copy.read(copy.plan("p"), reread=('{"id":7,"at":"2024-01-08"}', '{"id":40,"at":"2024-02-10"}'))
    assert ids_of(copied_events([reread])) == [7, 40]
    plan = copy.plan("p")
    database.execute("create table p4 partition of p for values from ('2024-04-01') to ('2024-05-01')")
    with pytest.raises(TableChangedError):
        copy.read(plan)
    database.execute("alter publication pub set (publish_via_partition_root = false)")
    assert copy.chunks.tables() == [("public", f"p{n}") for n in (1, 2, 3, 4)]
    events = copied_events(copy.all(copy.plan("p2")))
    assert {event.source.table for event in events} == {"p2"}
    assert ids_of(events) == [row[0] for row in database.rows("select id from p2 order by id")]


def test_inherited_only(database, copier):
    database.execute(
        "create table parent (id int primary key, v text)", "create table child (w int) inherits (parent)",
        "insert into parent values (1, 'a')", "insert into child values (2, 'b', 3)",
        "create publication pub for all tables",
    )  # fmt: skip
    copy = copier()
    assert brief(copied_events(copy.all(copy.plan("parent")))) == [("r", None, {"id": 1, "v": "a"})]
    assert brief(copied_events(copy.all(copy.plan("child")))) == [("r", None, {"id": 2, "v": "b", "w": 3})]


def test_publication_column_list_and_row_filter(database, copier):
    database.execute(
        "create table t (id int primary key, secret text, v text)",
        "insert into t select g, 's', 'v' || g from generate_series(1, 20) g",
        "create publication pub for table t (id, v) where (id > 5 or v = 'v2')",
    )
    copy = copier()
    plan = copy.plan("t", where="id < 8 or false")
    events = copied_events([copy.read(plan, where="id < 8 or false")])
    assert [wire(event.after) for event in events] == [{"id": n, "v": f"v{n}"} for n in (2, 6, 7)]
    database.execute("alter publication pub set table t (id, v) where (id > 6)")
    with pytest.raises(TableChangedError):
        copy.read(plan)


def test_where_is_read_only(database, copier):
    database.execute(
        "create table t (id int primary key)", "insert into t values (1), (2)", "create publication pub for all tables"
    )
    copy = copier()
    for where in (
        "true); drop table t; --",
        "true) union all select 7 where (true",
        "id =",
        "nobody = 1",
        "id = 1 /*",
        "",
    ):
        with pytest.raises(SourceError) as caught:
            copy.plan("t", where=where)
        assert caught.value.kind == "incompatible"
    plan = copy.plan("t", where="id = 1 -- the first")
    assert ids_of(copied_events([copy.read(plan, where="id = 1 -- the first")])) == [1]
    database.execute("create sequence s")
    plan = copy.plan("t", where="nextval('s') > 0")
    with pytest.raises(SourceError, match="read-only"):
        copy.read(plan, where="nextval('s') > 0")


def test_generated_columns_not_in_r(database, copier):
    database.execute(
        "create table t (id int primary key, doubled int generated always as (id * 2) stored)",
        "insert into t values (1)", "create publication pub for all tables",
    )  # fmt: skip
    copy = copier()
    database.execute("insert into t values (2)")
    (logged,) = copy.reader.read(1)
    first, second = copied_events(copy.all(copy.plan("t")))
    assert (wire(first.after), wire(second.after)) == ({"id": 1}, wire(logged.after))
    if database.rows("show server_version_num")[0][0] >= "180000":
        database.execute("alter publication pub set (publish_generated_columns = stored)", "insert into t values (3)")
        (logged,) = copy.reader.read(1)
        assert [wire(event.after) for event in copied_events(copy.all(copy.plan("t")))][2] == wire(logged.after)
        assert wire(logged.after) == {"id": 3, "doubled": 6}


def test_tables_that_cannot_be_copied_say_why(database, copier):
    database.execute(
        "create table t (id int primary key)", "create unlogged table u (id int primary key)",
        "create table n (id int)", "alter table n replica identity nothing",
        "create table k (id int)", "create publication pub for table t, n, k",
    )  # fmt: skip
    copy = copier()
    for name in ("n", "k"):
        assert "no replica identity" in copy.plan(name).warnings[0]
    assert copy.plan("t").warnings == ()
    database.execute("insert into t select generate_series(1, 30000)")
    with altered(database.server, "max_slot_wal_keep_size", "2MB"):
        assert "max_slot_wal_keep_size (2 MB)" in copy.plan("t").warnings[0]
    with pytest.raises(TableChangedError):
        copy.plan("u")
    database.execute("alter publication pub set (publish = 'insert, delete')")
    with pytest.raises(SourceError, match="does not publish update"):
        copy.chunks.tables()


def test_row_security_is_an_error(database, copier, tmp_path):
    database.execute(
        "create table t (id int primary key)", "insert into t values (1)", "create publication pub for all tables",
        "drop role if exists plain_copier", "create role plain_copier login replication password 'pw'",
        "grant select on t to plain_copier",
    )  # fmt: skip
    copy = copier(url=database.url(user="plain_copier", password="pw"))
    plan = copy.plan("t")
    assert copy.read(plan).row_count == 1
    database.execute("alter table t enable row level security")
    with pytest.raises(SourceError, match="row-level security") as caught:
        copy.read(plan)
    assert "bypassrls" in caught.value.hint
    with pytest.raises(SourceError, match="row-level security"):
        copy.plan("t")
    database.execute("alter table t disable row level security", "revoke select on t from plain_copier")
    with pytest.raises(SourceError, match="permission denied"):
        copy.plan("t")
    copy.chunks.close()
    copy.reader.close()
    database.execute("drop owned by plain_copier", "drop role plain_copier")


def test_huge_rows_cut(database, copier, monkeypatch):
    monkeypatch.setattr("deltaforge.sources.postgres.snapshot.reader.CUT_BYTES", 300_000)
    database.execute(
        "create publication pub for all tables",
        "create table t (id int primary key, v text)",
        "insert into t select g, case when g % 100 = 50 then repeat('x', 100000) end from generate_series(1, 2000) g",
        "insert into t select g, repeat('y', 400000) from generate_series(2001, 2010) g",
    )
    copy = copier()
    chunks = copy.all(copy.plan("t"), max_bytes=40_000)
    assert ids_of(copied_events(chunks)) == list(range(1, 2011))
    assert max(chunk.byte_count for chunk in chunks if chunk.row_count > 1) < 800_000
    assert any("." in (chunk.reached or "") for chunk in chunks)
    for before, chunk in pairwise(chunks):
        again = copy.read(copy.plan("t"), before.reached, high=chunk.reached)
        assert again.row_count == chunk.row_count


def test_table_without_key_postgres(database, copier):
    database.execute(
        "create table t (v text)", "insert into t select 'same' from generate_series(1, 3000)",
        "create publication pub for all tables",
    )  # fmt: skip
    copy = copier()
    plan = copy.plan("t")
    chunks = copy.all(plan, max_rows=400)
    events = copied_events(chunks)
    assert len({event.event_id for event in events}) == len(events) == 3000
    again = copied_events([copy.read(plan, chunks[0].reached, high=chunks[1].reached)])
    assert {event.event_id for event in again} == {event.event_id for event in copied_events([chunks[1]])}


def test_lock_timeout_behind_alter(database, copier, monkeypatch):
    database.execute("create table t (id int primary key)", "create publication pub for all tables")
    monkeypatch.setattr("deltaforge.sources.postgres.snapshot.connection.LOCK_TIMEOUT", "100ms")
    copy = copier()
    request = copy.request(copy.plan("t"))
    with closing(database.connect()) as other:
        other.execute("begin")
        other.execute("lock table t in access exclusive mode")
        with pytest.raises(SourceError) as caught:
            copy.chunks.read(request)
        assert caught.value.kind == "timeout"
    assert copy.chunks.read(request).row_count == 0


def test_statement_timeout_and_killed_query_retry(database, copier):
    database.execute(
        "create table t (id int primary key)", "insert into t values (1)", "create publication pub for all tables",
        f"alter database {database.name} set statement_timeout = '1ms'",
    )  # fmt: skip
    copy = copier()
    request = copy.request(copy.plan("t"))
    assert copy.chunks.read(request).row_count == 1
    for function in ("pg_terminate_backend", "pg_cancel_backend"):
        pid = copy.chunks._connected().side.info.backend_pid
        slow = copy.request(copy.plan("t"), where=f"{function}({pid}) and pg_sleep(5) is not null")
        with pytest.raises(SourceError) as caught:
            copy.chunks.read(slow)
        assert caught.value.kind == "connect"
        assert copy.chunks.read(request).row_count == 1


def test_the_end_of_the_log_of_a_quiet_server_is_flushed(postgres_database):
    postgres_database.execute("create table t (id int)")
    with connect(postgres_database.url()) as connection, connect(postgres_database.url()) as other, other.transaction():
        other.execute("insert into t values (1)")
        (end,) = connection.execute("select pg_current_wal_insert_lsn()").fetchone()
        have_flushed(connection)
        # by itself the server does so after 15 seconds
        flushed = "select pg_current_wal_flush_lsn() >= %s::pg_lsn"
        wait_for(lambda: connection.execute(flushed, [end]).fetchone()[0], 5)


def test_changes_of_definitions_are_counted(database, copier):
    database.execute("create table t (id int primary key)", "create publication pub for all tables")
    copy = copier()
    counts = []

    def counted(*statements):
        database.execute(*statements)
        copy.reader.read(1)
        counts.append([copy.stream.definition_count(("public", name)) for name in "tu"])

    copy.stream.tables_to_copy([("public", "t")])
    counted("insert into t values (1)")
    counted("insert into t values (2)")
    counted("alter table t add v int", "insert into t values (3)")
    counted("alter table t rename to u", "insert into u values (4)")
    counted("create table t (id int primary key, v int)", "insert into t values (5)")
    assert counts == [[0, 0], [0, 0], [1, 0], [2, 0], [3, 0]]


def test_copied_rows_have_the_version_of_the_rows_of_the_log(database, copier):
    database.execute("create table t (id int primary key, v text)", "create publication pub for all tables")
    copy = copier()
    database.execute("insert into t values (1, 'a')", "alter table t add w int default 7")
    (late,) = copied_events(copy.all(copy.plan("t")))  # the log is not read yet
    database.execute("insert into t values (2, 'b', 8)")
    old, new = copy.reader.read(2)
    assert (late.schema_version, late.schema_sequence) == (new.schema_version, new.schema_sequence)
    assert old.schema_version != new.schema_version
    assert brief([old, late]) == [("c", None, {"id": 1, "v": "a"}), ("r", None, {"id": 1, "v": "a", "w": 7})]
