"""Which rows and columns of which PostgreSQL tables are in chunks, and what cannot be copied."""

import time
from contextlib import closing, contextmanager

import pytest

from deltaforge.core.errors import SourceError, TableChangedError
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


@contextmanager
def altered(server, name, value):
    """A setting of the server is another one for a while."""
    with closing(server.connect()) as admin:

        def takes(statement, is_so):
            admin.execute(statement)
            admin.execute("select pg_reload_conf()")
            deadline = time.monotonic() + 60
            while (admin.execute(f"show {name}").fetchone()[0] == value) is not is_so:
                assert time.monotonic() < deadline
                time.sleep(0.01)

        takes(f"alter system set {name} = '{value}'", True)
        try:
            yield
        finally:
            takes(f"alter system reset {name}", False)


def test_partition_root_and_leaf_names(database, copier):
    database.execute(
        "create table p (id int, at date, v text, primary key (id, at)) partition by range (at)",
        "create table p1 partition of p for values from ('2024-01-01') to ('2024-02-01')",
        "create table p2 (v text, gone int, at date not null, id int not null)",
        "alter table p2 drop column gone",
        "alter table p attach partition p2 for values from ('2024-02-01') to ('2024-03-01')",
        "create table p3 partition of p for values from ('2024-03-01') to ('2024-04-01')",
        "insert into p select g, '2024-01-01'::date + g % 60, 'v' || g from generate_series(1, 900) g",
        "create table none (id int primary key) partition by hash (id)",
        "create publication pub for table p, none with (publish_via_partition_root = true)",
    )
    copy = copier()
    assert copy.chunks.tables() == [("public", "none"), ("public", "p")]
    assert [(chunk.row_count, chunk.reached) for chunk in copy.all(copy.plan("none"))] == [(0, None)]
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
        "true), false) or coalesce((true",
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
    with altered(database.server, "max_slot_wal_keep_size", "2MB"):
        wait_for(lambda: copy.chunks.kept() == (None, 2 << 20))  # its session hears of it by itself
    with pytest.raises(TableChangedError):
        copy.plan("u")


def test_publish_without_update_refused(database, copier):
    database.execute("create table t (id int primary key)", "create publication pub for all tables")
    copy = copier()
    database.execute("alter publication pub set (publish = 'insert, delete')")
    with pytest.raises(SourceError, match="does not publish update") as caught:
        copy.chunks.tables()
    assert "alter publication pub set (publish =" in caught.value.hint
    database.execute("drop publication pub")
    with pytest.raises(SourceError, match="does not exist"):
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


def test_a_narrow_condition_makes_no_large_chunks(database, copier):
    database.execute(
        "create table t (id int primary key)", "insert into t select generate_series(1, 9000)",
        "create publication pub for all tables",
    )  # fmt: skip
    copy = copier()
    narrow = copy.all(copy.plan("t", where="id = 1"), where="id = 1", max_rows=100)
    assert [chunk.row_count for chunk in narrow if chunk.row_count] == [1]
    assert copy.read(copy.plan("t"), max_rows=100).row_count < 500
