"""Types that somebody made: named like built-in ones, and dropped before their rows are read."""

from itertools import pairwise

import pytest

from tests.reading import postgres_reader, wire


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute("create publication pub for all tables", "create schema app")
    return any_postgres_database


@pytest.fixture
def reader(database, tmp_path):
    found = postgres_reader(database, tmp_path / "state").open()
    yield found
    found.close()


# what a type is made with, literals, what an event has
NAMED = [
    ("create type app.bool as enum ('yes', 'no')", "app.bool", "'yes'", "yes"),
    ("create type app.timestamp as enum ('a b')", "app.timestamp", "'a b'", "a b"),
    ("create type app.timestamptz as enum ('x y+00')", "app.timestamptz", "'x y+00'", "x y+00"),
    ("create type app.int4 as enum ('1')", "app.int4", "'1'", "1"),
    ("create type app.float8 as enum ('1e5')", "app.float8", "'1e5'", "1e5"),
    ("create type app.json as enum ('{}')", "app.json", "'{}'", "{}"),
    ("create type app.bytea as range (subtype = int4)", "app.bytea", "'[1,5)'", "[1,5)"),
    ("create type app.hstore as (a text)", "app.hstore", "row('x')", "(x)"),
    ("create domain app.jsonb as text", "app.jsonb", "'[1]'", "[1]"),
    ("create domain app.numeric as bool", "app.numeric", "true", True),
    ("create domain app.text as app.bool", "app.text", "'no'", "no"),
    ("create domain app.oid as app.int4[]", "app.oid", "'{1,NULL}'", ["1", None]),
    ("select 1", "app.bool[]", "'{yes,no}'", ["yes", "no"]),
    ("select 1", "app.bytea[]", "array['[1,5)'::app.bytea]", ["[1,5)"]),
    ("select 1", "app.numeric[]", "array[true]::app.numeric[]", [True]),
    ("select 1", "app.hstore[]", "array[row('x,y')::app.hstore]", ['("x,y")']),
    ("select 1", "app.timestamp[]", "'{a b}'", ["a b"]),
]


def test_types_with_the_names_of_built_in_ones_are_what_they_are(database, reader):
    columns = ", ".join(f"c{n} {case[1]}" for n, case in enumerate(NAMED))
    literals = ", ".join(case[2] for case in NAMED)
    database.execute(
        *(case[0] for case in NAMED), f"create table t (id int primary key, {columns})",
        f"insert into t values (1, {literals})",
    )  # fmt: skip
    (event,) = reader.read(1)
    assert wire(event.after) == {"id": 1} | {f"c{n}": case[3] for n, case in enumerate(NAMED)}


def test_an_extension_is_known_in_whatever_schema_it_is(database, reader):
    if not database.rows("select 1 from pg_available_extensions where name = 'hstore'"):
        return  # the types test says what of it can be seen without
    database.execute("create extension hstore schema app", "create table t (id int primary key, h app.hstore)")
    database.execute("insert into t values (1, 'a=>1')")
    assert reader.read(1)[0].after == {"id": 1, "h": {"a": "1"}}


MADE = (
    "create type app.mood as enum ('so so', 'ok')", "create domain app.positive as int4 check (value > 0)",
    "create domain app.many as numeric[]", "create type app.pair as (a int, b text)",
    "create domain app.feeling as app.mood",
)  # fmt: skip
COLUMNS = "id int primary key, m app.mood, ms app.mood[], p app.positive, l app.many, r app.pair, f app.feeling"
VALUES = "'so so', '{\"so so\",ok}', 7, '{1.50,NULL}', row(1, 'x'), 'ok'"
GONE = {"id": 1, "m": "so so", "ms": '{"so so",ok}', "p": 7, "l": ["1.50", None], "r": "(1,x)", "f": "ok"}


def test_values_of_types_that_are_gone_are_text_and_those_of_domains_what_they_are_over(database, reader):
    start = reader.position
    reader.close()
    database.execute(*MADE, f"create table t ({COLUMNS})", f"insert into t values (1, {VALUES})")
    database.execute("update t set p = 8", "drop table t", "drop schema app cascade")
    inserted, updated = reader.open(start).read(2)
    assert inserted.after == GONE
    assert updated.after == GONE | {"p": 8}
    types = {column.name: column.type for column in inserted.schema.columns}
    assert (types["m"], types["p"], types["l"], types["r"]) == ("app.mood", "integer", "numeric[]", "app.pair")
    assert inserted.schema.table.qualified == "public.t"


def test_a_type_that_is_dropped_in_the_transaction_of_its_last_row_ends_nothing(database, reader):
    database.execute(*MADE[:1], "create table t (id int primary key, m app.mood)")
    with database.connect() as connection, connection.transaction():
        connection.execute("insert into t values (1, 'ok')")
        connection.execute("alter table t alter m type text")
        connection.execute("drop type app.mood")
        connection.execute("insert into t values (2, 'anything')")
    assert [event.after["m"] for event in reader.read(2)] == ["ok", "anything"]


def test_columns_labels_and_schemas_that_are_gone(database, reader):
    database.execute(*MADE[:1], "create table app.t (id int primary key, m app.mood, gone text)")
    start = reader.position
    reader.close()
    database.execute(
        "insert into app.t values (1, 'ok', 'x')", "alter table app.t drop column gone",
        "alter type app.mood rename value 'ok' to 'fine'", "insert into app.t values (2, 'fine')",
        "alter table app.t rename to u", "insert into app.u values (3, 'so so')", "drop schema app cascade",
    )  # fmt: skip
    reader.open(start)
    # the server decodes with the catalog of the row's place: its label of then, too
    assert [(event.source.table, event.after) for event in reader.read(3)] == [
        ("t", {"id": 1, "m": "ok", "gone": "x"}), ("t", {"id": 2, "m": "fine"}), ("u", {"id": 3, "m": "so so"}),
    ]  # fmt: skip


def test_a_replay_has_the_same_ids_where_types_are_described_again(database, reader):
    database.execute(*MADE, f"create table t ({COLUMNS})")
    starts, events = [reader.position], []
    for n in range(3):
        database.execute(f"insert into t values ({n}, {VALUES})")
        events += reader.read(1)
        starts.append(reader.position)
    for n, (start, _) in enumerate(pairwise(starts)):
        again = reader.open(start).read(3 - n)
        assert [wire(event) for event in again] == [wire(event) for event in events[n:]]
