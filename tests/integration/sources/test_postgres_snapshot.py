"""Chunks of PostgreSQL tables beside the log, against real servers."""

from contextlib import closing
from itertools import pairwise

import pytest

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.sources.postgres.client import connect
from deltaforge.sources.postgres.snapshot.log import have_flushed
from tests.copied_chunks import copied_events, copiers_of
from tests.pipelines import wait_for
from tests.reading import brief, wire


@pytest.fixture
def database(any_postgres_database):
    return any_postgres_database


@pytest.fixture
def copier(database, tmp_path):
    """``copier(**config)``: beside an open reader."""
    with copiers_of(database, tmp_path) as make:
        yield make


def ids_of(events):
    return sorted(event.after["id"] for event in events)


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
    ((last_page,),) = database.rows("select pg_relation_size('t') / 8192 - 1")
    for low in (str(last_page), str(last_page), None):  # the end of a table does not say how full its pages are
        chunk = copy.read(copy.plan("t"), low, max_rows=700)
        assert chunk.row_count < 800, low
    assert chunk.row_count > 100
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
    plan = copy.plan("t")
    captured = copy.captured(plan)
    for before, chunk in pairwise(chunks):
        again = copy.read(plan, before.reached, high=chunk.reached, captured=captured)
        assert again.row_count == chunk.row_count


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
        f"alter database {database.name} set statement_timeout = '500ms'",
    )  # fmt: skip
    copy = copier()
    request = copy.request(copy.plan("t"))
    longer = copy.request(copy.plan("t"), where="pg_sleep(0.6) is not null")
    assert copy.chunks.read(longer).row_count == 1
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
        wait_for(lambda: connection.execute(flushed, [end]).fetchone()[0], 12)


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
