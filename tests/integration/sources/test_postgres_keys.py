"""One row of PostgreSQL has one key for all its events, whatever its replica identity and its values."""

import json

import pytest

from deltaforge.core.errors import RecordError
from deltaforge.core.routing import Destination, MessageKey, row_key
from tests.reading import ENCODERS, postgres_reader, readers_of

LONG, OTHER = "https://example.org/" + "x" * 2300, "https://example.org/" + "y" * 2300
MARKER = {"_unchanged": True}


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute("create publication pub for all tables")
    return any_postgres_database


@pytest.fixture
def reader_of(tmp_path):
    with readers_of(postgres_reader, tmp_path) as make:
        yield make


def keys_of(events):
    return [(event.op, json.loads(row_key(event))) for event in events]


@pytest.mark.parametrize("toast", ["fill", "marker"])
@pytest.mark.parametrize("identity", ["default", "full", "using index urls_pkey"])
def test_a_toasted_key_is_the_key_of_every_event(database, reader_of, identity, toast):
    database.execute(
        "create table urls (url text primary key, hits int)", "alter table urls alter url set storage external",
        f"alter table urls replica identity {identity}",
    )  # fmt: skip
    reader = reader_of(database, toast=toast)
    database.execute(
        f"insert into urls values ('{LONG}', 0), ('{OTHER}', 0)", "update urls set hits = 1", "delete from urls",
    )  # fmt: skip
    events = reader.read(6)
    assert keys_of(events) == [(op, {"url": url}) for op in "cud" for url in (LONG, OTHER)]
    assert [event.after for event in events[2:4]] == [{"url": url, "hits": 1} for url in (LONG, OTHER)]
    assert len({row_key(event) for event in events}) == 2


def test_a_toasted_part_of_a_key_and_of_an_array_is_filled(database, reader_of):
    database.execute(
        "create table k (a int, b text, c bytea, n int, primary key (c, a))", "alter table k alter c set storage external",
        "create table f (id int primary key, j jsonb, l text[], n int)", "alter table f replica identity full",
        "alter table f alter j set storage external", "alter table f alter l set storage external",
    )  # fmt: skip
    reader = reader_of(database)
    database.execute(
        "insert into k values (1, 'b', decode(repeat('ab', 2300), 'hex'), 0)", "update k set n = 1", "delete from k",
        "insert into f select 1, jsonb_agg(n), array_agg(n::text), 0 from generate_series(1, 3000) n",
        "update f set n = 1",
    )  # fmt: skip
    events = reader.read(5)
    assert len({row_key(event) for event in events[:3]}) == 1
    assert list(json.loads(row_key(events[0]))) == ["c", "a"]
    assert events[1].after == events[0].after | {"n": 1}
    assert events[4].after == events[3].after | {"n": 1} == events[4].before | {"n": 1}


@pytest.mark.parametrize(("toast", "expected"), [("fill", "x" * 9000), ("marker", MARKER)])
def test_unchanged_toast_under_full_is_filled_or_marked_as_the_document_says(database, reader_of, toast, expected):
    database.execute(
        "create table big (id int primary key, v text, w text, n int)", "alter table big replica identity full",
        "alter table big alter v set storage external", "alter table big alter w set storage external",
    )  # fmt: skip
    reader = reader_of(database, toast=toast)
    database.execute(
        "insert into big values (1, repeat('x', 9000), repeat('z', 9000), 0)", "update big set n = 1",
        "update big set w = null", "update big set v = repeat('y', 9000)", "update big set w = repeat('q', 9000), n = 3",
    )  # fmt: skip
    _, first, second, third, fourth = reader.read(5)
    whole = {"id": 1, "v": "x" * 9000, "w": "z" * 9000}
    assert first.before == whole | {"n": 0}
    assert first.after == (whole | {"n": 1} if toast == "fill" else {"id": 1, "v": MARKER, "w": MARKER, "n": 1})
    assert (second.after["v"], second.after["w"]) == (expected, None)
    assert third.after["v"] == "y" * 9000
    assert fourth.after == {"id": 1, "v": "y" * 9000 if toast == "fill" else MARKER, "w": "q" * 9000, "n": 3}


def test_a_template_does_not_take_the_marker_for_text(database, reader_of):
    database.execute(
        "create table big (id int primary key, v text, n int)", "alter table big alter v set storage external"
    )
    reader = reader_of(database)
    database.execute("insert into big values (1, repeat('x', 9000), 0)", "update big set n = 1")
    inserted, updated = reader.read(2)
    assert updated.after["v"] == MARKER
    for target in (Destination("t.${after.v}", "topic"), MessageKey("${after.v}", row_key, pytest.fail)):
        assert target.of(inserted, 0)
        with pytest.raises(RecordError, match="log does not hold"):
            target.of(updated, 0)


def test_an_identity_index_on_other_columns_is_the_key_of_every_event(database, reader_of):
    database.execute(
        "create table i (id int primary key, b int not null, a text not null, v text)",
        "create unique index ib on i (b, a)", "alter table i replica identity using index ib",
        "create table j (id int, code text not null, v text)", "create unique index jc on j (code)",
        "alter table j replica identity using index jc",
        "create table f (id int, v text)", "alter table f replica identity full",
    )  # fmt: skip
    reader = reader_of(database)
    database.execute(
        "insert into i values (1, 2, 'x', 'a')", "update i set v = 'b'", "delete from i",
        "insert into j values (1, 'c', 'a')", "update j set v = 'b'", "update j set id = 2", "delete from j",
        "insert into f values (1, 'a')", "update f set v = 'b'", "delete from f",
    )  # fmt: skip
    events = reader.read(10)
    assert keys_of(events[:3]) == [(op, {"b": 2, "a": "x"}) for op in "cud"]
    assert keys_of(events[3:7]) == [(op, {"code": "c"}) for op in "cuud"]
    # nothing tells two equal rows without a key apart: each event has a key of its own
    assert len({row_key(event) for event in events[7:]}) == 3


def test_a_key_that_was_changed_while_the_pipeline_was_behind_is_that_of_its_rows(database, reader_of):
    database.execute("create table t (a int, b int not null unique, v text, primary key (a))", "create table n (a int)")
    reader = reader_of(database)
    start = reader.position
    reader.close()
    database.execute(
        "insert into t values (1, 10, 'x')", "update t set v = 'y'", "update t set a = 2", "insert into n values (1)",
        "alter table t drop constraint t_pkey, add primary key (b)", "alter table n add primary key (a)",
        "update t set v = 'z'", "delete from t", "insert into n values (2)",
    )  # fmt: skip
    for events in (reader.open(start).read(7), reader.open(start).read(7)):
        of_t = [event for event in events if event.source.table == "t"]
        assert keys_of(of_t) == [("c", {"a": 1}), ("u", {"a": 1}), ("u", {"a": 2}), ("u", {"b": 10}), ("d", {"b": 10})]
        old, new = (event for event in events if event.source.table == "n")
        assert row_key(old).endswith(old.event_id)
        assert row_key(new) == '{"a":2}'


def test_a_key_that_the_log_does_not_hold_is_an_error_of_the_event_and_never_null(database, reader_of):
    database.execute(
        "create table p (id int, b int not null, v text, primary key (id)) partition by range (id)",
        "create table p1 partition of p for values from (0) to (10)",
        "create unique index p1_b on p1 (b)", "alter table p1 replica identity using index p1_b",
        "drop publication pub", "create publication pub for table p with (publish_via_partition_root)",
    )  # fmt: skip
    reader = reader_of(database)
    database.execute("insert into p values (1, 5, 'a')")
    assert keys_of(reader.read(1)) == [("c", {"id": 1})]
    database.execute("delete from p")
    stream, events = reader.stream, []
    while not events:
        (batch, *_) = stream.poll(0.1) or [None]
        events = batch.events() if batch else []
    assert events[0].before["id"] is None
    values = batch.encoded(ENCODERS[0])
    assert b'"id":null' in values[0]
    with pytest.raises(RecordError, match="key column id"):
        values.key(0)


def test_a_part_of_a_key_is_no_key(database, reader_of):
    database.execute(
        "create table g (a int, b int generated always as (a * 2) stored, c int, primary key (c, b))",
        "create table l (a int, b int, v text, primary key (a, b))", "drop publication pub",
        "create publication pub for table g, l (a, v) with (publish = 'insert')",
    )  # fmt: skip
    reader = reader_of(database)
    database.execute(
        "insert into l values (1, 1, 'x'), (1, 2, 'x')", "insert into g values (1, default, 7), (2, default, 7)"
    )
    events = reader.read(4)
    assert [row_key(event).rpartition("|")[2] for event in events] == [event.event_id for event in events]
    assert len({row_key(event) for event in events}) == 4
    # the catalog as a whole, which a first start or a reload reads, says the same
    assert {table.changed for table in reader.stream.reload(None)} == {False}


def test_a_key_that_changes_under_full_is_told_and_taken_over_by_a_reload(database, reader_of, caplog):
    database.execute("create table f (a int primary key, b int not null)", "alter table f replica identity full")
    reader = reader_of(database)
    database.execute("insert into f values (1, 10)")
    assert keys_of(reader.read(1)) == [("c", {"a": 1})]
    database.execute("alter table f drop constraint f_pkey, add primary key (b)", "update f set a = 2")
    assert keys_of(reader.read(1)) == [("u", {"a": 2})]
    assert "its primary key is (b) now; its events keep the key (a)" in caplog.text
    reader.read_nothing(0.1)  # it has caught up
    reader.stream.reload([("public", "f")])
    database.execute("delete from f")
    assert keys_of(reader.read(1)) == [("d", {"b": 10})]
