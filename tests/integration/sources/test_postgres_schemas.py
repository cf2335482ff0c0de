"""Each row is labelled with the version of its own table definition, however often it is read."""

import pytest

from deltaforge.sources.postgres.definitions import signature_of
from tests.reading import brief, postgres_reader


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute(
        "create table t (id int primary key, v text default 'x')", "create publication pub for all tables"
    )
    return any_postgres_database


@pytest.fixture
def reader(database, tmp_path):
    reader = postgres_reader(database, tmp_path / "state").open()
    yield reader
    reader.close()


T = ("public", "t")
CHANGES = [
    *(f"insert into t (id) values ({n})" for n in range(5)),
    "alter table t add column w int not null default 7",
    *(f"insert into t (id) values ({n})" for n in range(5, 10)),
    "alter table t drop column w",
    *(f"insert into t (id) values ({n})" for n in range(10, 15)),
]


def labels(events):
    return [(event.schema_version, event.schema_sequence) for event in events]


def test_a_definition_that_comes_back_is_a_version_of_its_own_and_replays_as_it_was(reader, database):
    start = reader.position
    database.execute(*CHANGES)
    events = reader.read(15)
    versions = reader.registry.versions(T)
    assert [version.version for version in versions] == [1, 2, 3]
    assert versions[0].hash == versions[2].hash
    assert labels(events) == [(v.hash, v.sequence) for v in versions for _ in range(5)]
    assert [sorted(event.after) for event in events] == [["id", "v"]] * 5 + [["id", "v", "w"]] * 5 + [["id", "v"]] * 5
    for again in (reader.open(start).read(15), reader.restart().open(start).read(15)):
        assert labels(again) == labels(events)
        assert brief(again) == brief(events)
        assert [event.schema for event in again] == [event.schema for event in events]
    assert reader.registry.versions(T) == versions


def test_a_change_inside_a_transaction_divides_its_rows_and_others_are_not_touched(reader, database):
    start = reader.position
    database.execute("create table u (id int primary key)")
    with database.connect() as connection, connection.transaction():
        connection.execute("insert into t values (1)")
        database.execute("insert into u values (1)")
        connection.execute("alter table t add column w int")
        database.execute("insert into u values (2)")
        connection.execute("insert into t values (2)")
        connection.execute("alter table t drop column w")
        connection.execute("insert into t values (3)")
    database.execute("insert into t values (4)", "insert into u values (3)")
    events = reader.read(7)
    assert [(e.source.table, e.after["id"], e.schema_sequence) for e in events] == [
        ("u", 1, 2), ("u", 2, 2), ("t", 1, 1), ("t", 2, 3), ("t", 3, 4), ("t", 4, 4), ("u", 3, 2),
    ]  # fmt: skip
    assert labels(reader.restart().open(start).read(7)) == labels(events)


def test_a_transaction_begun_before_the_catalog_was_read_keeps_its_labels(reader, database):
    with database.connect() as connection:
        with connection.transaction():
            connection.execute("insert into t values (1)")
            reader.read_nothing(0.2)
            start = reader.position
            reader.restart().open()
            connection.execute("insert into t values (2)")
        database.execute("insert into t values (3)")
    events = reader.read(3)
    assert labels(reader.restart().open(start).read(3)) == labels(events)
    assert len(set(labels(events))) == 1


def test_a_reader_that_is_behind_gives_each_row_its_own_version(reader, database):
    reader.close()
    start = reader.position
    database.execute(*CHANGES, "alter table t add column z int", "insert into t values (15)")
    reader.restart().open()
    loaded = reader.registry.latest(T)
    assert [column.name for column in loaded.schema.columns] == ["id", "v", "z"]
    events = reader.read(16)
    sequences = [event.schema_sequence for event in events]
    assert (sequences[0], sequences[15]) == (1, loaded.sequence)
    assert len({sequences[0], sequences[5], sequences[10], sequences[15]}) == 4
    assert labels(reader.restart().open(start).read(16)) == labels(events)


def test_replay_has_the_key_and_nullability_of_then(reader, database):
    database.execute("alter table t replica identity full")
    reader.read_nothing(0.2)
    start = reader.position
    database.execute("insert into t values (1)")
    (before,) = reader.read(1)
    assert before.schema.primary_key == ("id",)
    database.execute("alter table t drop constraint t_pkey", "alter table t alter column id drop not null")
    (reloaded,) = reader.stream.reload([T])
    assert (reloaded.status, reloaded.changed) == ("ok", True)
    database.execute("insert into t values (2)")
    (after,) = reader.read(1)
    assert after.schema.primary_key == ()
    assert after.schema.columns[0].nullable
    assert after.schema_sequence > before.schema_sequence
    again = reader.restart().open(start).read(2)
    assert labels(again) == labels([before, after])
    assert [event.schema for event in again] == [before.schema, after.schema]


def test_reload_without_a_change_changes_nothing(reader, database):
    database.execute("insert into t values (1)")
    reader.read(1)
    assert [(table.table, table.status, table.changed) for table in reader.stream.reload(None)] == [("t", "ok", False)]
    database.execute("alter table t alter column v set default 'y'")
    assert [(table.status, table.changed) for table in reader.stream.reload([T])] == [("ok", True)]
    (version,) = reader.registry.versions(T)
    assert version.schema.columns[1].default == "'y'::text"
    database.execute("drop table t")
    assert [(table.status, table.changed) for table in reader.stream.reload(None)] == [("missing", False)]


TABLES = [
    "create table plain (id bigint generated always as identity primary key, n numeric(7,2)[], at timestamptz(3))",
    "create table full_ (id int primary key, v varchar(5))", "alter table full_ replica identity full",
    "create table nothing (id int primary key)", "alter table nothing replica identity nothing",
    "create table by_index (a int not null, b int not null, c text)", "create unique index by_b on by_index (b) include (a)",
    "alter table by_index replica identity using index by_b",
    "create table covering (a int, b int, c int, primary key (c, a) include (b))",
    "create table late (a int primary key deferrable initially deferred, b int)",
    "create table without_key (a int)",
    "create table computed (a int primary key, b int generated always as (a * 2) stored, c int)",
    "create table dropped (a int primary key, b int, c int)", "alter table dropped drop column b",
    "create table parts (a int primary key) partition by range (a)",
    "create table part_1 partition of parts for values from (0) to (10)",
]  # fmt: skip
ROWS = {
    "plain": "insert into plain default values", "full_": "insert into full_ values (1)",
    "nothing": "insert into nothing values (1)", "by_index": "insert into by_index values (1, 2)",
    "covering": "insert into covering values (1, 2, 3)", "late": "insert into late values (1)",
    "without_key": "insert into without_key values (1)", "computed": "insert into computed (a) values (1)",
    "dropped": "insert into dropped values (1)", "part_1": "insert into parts values (1)",
}  # fmt: skip


def test_catalog_and_relation_messages_say_the_same(any_postgres_database, tmp_path):
    any_postgres_database.execute(*TABLES, "create publication pub for all tables")
    reader = postgres_reader(any_postgres_database, tmp_path / "state").open()
    loaded = {name: reader.registry.versions(("public", name)) for name in ROWS}
    any_postgres_database.execute(*ROWS.values())
    events = reader.read(len(ROWS))
    reader.close()
    assert [event.source.table for event in events] == list(ROWS)
    for event in events:
        assert reader.registry.versions(("public", event.source.table)) == loaded[event.source.table]
        assert event.schema == loaded[event.source.table][0].schema


def test_published_columns_and_roots_are_what_the_catalog_says(any_postgres_database, tmp_path):
    any_postgres_database.execute(
        *TABLES, "create publication pub for table plain (n, id), parts with (publish_via_partition_root = true)"
    )
    reader = postgres_reader(any_postgres_database, tmp_path / "state").open()
    assert reader.registry.tables == [("public", "parts"), ("public", "plain")]
    any_postgres_database.execute(ROWS["plain"], ROWS["part_1"])
    events = reader.read(2)
    reader.close()
    assert [(event.source.table, event.schema_sequence) for event in events] == [("plain", 2), ("parts", 1)] or [
        (event.source.table, event.schema_sequence) for event in events
    ] == [("plain", 1), ("parts", 2)]
    assert all(len(reader.registry.versions(table)) == 1 for table in reader.registry.tables)
    assert [column.name for column in events[0].schema.columns] == ["id", "n"]


def test_signature_leaves_out_the_oid(reader, database):
    database.execute("insert into t values (1)")
    (event,) = reader.read(1)
    before = reader.registry.latest(T)
    database.execute(
        "drop table t", "create table t (id int primary key, v text default 'x')", "insert into t values (1)"
    )
    (again,) = reader.read(1)
    assert labels([again]) == labels([event])
    assert (
        signature_of(reader.stream._relations._described[max(reader.stream._relations._described)]) == before.signature
    )
