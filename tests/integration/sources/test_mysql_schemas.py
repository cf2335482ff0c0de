"""Each row is labelled with the version of its own table definition, however often it is read."""

import pytest

from tests.fixtures.database import MySqlServer
from tests.fixtures.fix_mysql import SCRIPTS
from tests.fixtures.fix_servers import private_servers
from tests.reading import brief, mysql_reader

KINDS = [("mysql", None), ("mariadb", None), ("mysql", "MINIMAL"), ("mariadb-10", "NO_LOG")]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(filter(None, kind)).lower())
def server(request, server_room):
    name, metadata = request.param
    if metadata is None:
        yield request.getfixturevalue(name)
        return
    with private_servers(server_room) as servers:
        servers.append(MySqlServer.ours(server_room.start(name, SCRIPTS[name], f"--binlog-row-metadata={metadata}")))
        yield servers[-1]


@pytest.fixture
def database(server):
    with server.fresh_database() as database:
        yield database


@pytest.fixture
def reader(database, tmp_path):
    database.execute("create table t (id int primary key, v varchar(9) default 'x')")
    reader = mysql_reader(database, tmp_path / "state").open()
    yield reader
    reader.close()


CHANGES = [
    *(f"insert into t (id) values ({n})" for n in range(5)),
    "alter table t add column w int not null default 7 after id",
    *(f"insert into t (id) values ({n})" for n in range(5, 10)),
    "alter table t drop column w",
    *(f"insert into t (id) values ({n})" for n in range(10, 15)),
]


def labels(events):
    return [(event.schema_version, event.schema_sequence) for event in events]


def versions_of(reader, database):
    return reader.registry.versions((database.name, "t"))


def test_a_definition_that_comes_back_is_a_version_of_its_own_and_replays_as_it_was(reader, database):
    start = reader.position
    database.execute(*CHANGES)
    events = reader.read(15)
    versions = versions_of(reader, database)
    assert [version.version for version in versions] == [1, 2, 3]
    assert versions[0].hash == versions[2].hash != versions[1].hash
    assert labels(events) == [(v.hash, v.sequence) for v in versions for _ in range(5)]
    assert [event.schema for event in events] == [v.schema for v in versions for _ in range(5)]
    assert [sorted(event.after) for event in events] == [["id", "v"]] * 5 + [["id", "v", "w"]] * 5 + [["id", "v"]] * 5
    for again in (reader.open(start).read(15), reader.restart().open(start).read(15)):
        assert labels(again) == labels(events)
        assert brief(again) == brief(events)
    assert versions_of(reader, database) == versions


def test_one_row_between_two_changes(reader, database):
    insert = "insert into t (id) values ({})"
    changes = [insert.format(n) for n in range(20)] + [
        "alter table t add column w int", insert.format(20), "alter table t drop column w", insert.format(21)
    ]  # fmt: skip
    database.execute(*changes)
    assert [event.schema_sequence for event in reader.read(22)] == [1] * 20 + [2, 3]


def test_a_replay_from_between_two_changes_has_the_same_labels(reader, database):
    database.execute(*CHANGES[:8])
    first = reader.read(7)
    middle = reader.position
    database.execute(*CHANGES[8:])
    rest = reader.read(8)
    reader.restart().open(middle)
    assert labels(reader.read(8)) == labels(rest)
    assert len(set(labels(first + rest))) == 3


def test_a_reader_that_is_behind_gives_each_row_its_own_version(reader, database):
    reader.close()
    start = reader.position
    database.execute(*CHANGES, "alter table t add column z int")
    reader.restart().open()
    (catalog, loaded) = versions_of(reader, database)
    assert [column.name for column in loaded.schema.columns] == ["id", "v", "z"]
    database.execute("insert into t (id) values (15)")
    events = reader.read(16)
    assert [sorted(event.after) for event in events] == (
        [["id", "v"]] * 5 + [["id", "v", "w"]] * 5 + [["id", "v"]] * 5 + [["id", "v", "z"]]
    )
    sequences = [event.schema_sequence for event in events]
    assert sequences[0] == catalog.sequence
    assert sequences[15] == loaded.sequence
    assert len({sequences[0], sequences[5], sequences[10], sequences[15]}) == 4
    assert labels(reader.restart().open(start).read(16)) == labels(events)
    assert len(versions_of(reader, database)) == 4


def test_catalog_that_went_back_while_the_reader_was_away_changes_no_row(reader, database):
    reader.close()
    start = reader.position
    database.execute(*CHANGES)
    events = reader.restart().open().read(15)
    assert [event.schema_sequence for event in events] == [1] * 5 + [2] * 5 + [3] * 5
    database.execute("insert into t (id) values (15)")
    assert labels(reader.read(1)) == labels(events[-1:])
    assert labels(reader.restart().open(start).read(16)[:15]) == labels(events)


def test_rows_behind_a_registration_ahead_find_it_although_their_map_is_known(reader, database):
    before = reader.position
    database.execute("insert into t (id) values (1)")
    reader.read(1)
    # The table becomes another one and is loaded, and becomes what it was without a row in between.
    database.execute("alter table t add column w int")
    (reloaded,) = reader.stream.reload([(database.name, "t")])
    assert (reloaded.status, reloaded.changed) == ("ok", True)
    behind = reader.position
    database.execute("alter table t drop column w", *(f"insert into t (id) values ({n})" for n in range(2, 9)))
    events = reader.read(7)
    assert {event.schema_sequence for event in events} == {3}
    assert labels(reader.restart().open(behind).read(7)) == labels(events)
    assert [event.schema_sequence for event in reader.restart().open(before).read(8)] == [1] + [3] * 7


def test_new_version_is_described_by_the_catalog(reader, database):
    database.execute("alter table t add column w int unsigned not null default 5", "insert into t (id) values (1)")
    (event,) = reader.read(1)
    column = event.schema.columns[2]
    assert (column.name, column.nullable, column.default) == ("w", False, "5")
    assert column.type in ("int unsigned", "int(10) unsigned")


def test_table_that_matches_is_registered_with_its_first_row(reader, database):
    database.execute(
        "create table late (id int primary key)", "insert into late values (1)", "insert into t (id) values (1)"
    )
    events = reader.read(2)
    assert [event.schema_sequence for event in events] == [2, 1]
    assert reader.registry.tables == [(database.name, "late"), (database.name, "t")]


def test_reload_reports_each_table(reader, database):
    database.execute("create table other (id int)", "drop table t")
    found = reader.stream.reload(None)
    assert [(table.table, table.status, table.changed) for table in found] == [
        ("other", "ok", True),
        ("t", "missing", False),
    ]
