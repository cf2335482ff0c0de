"""Columns that MariaDB keeps for itself, and tables that keep a history of their rows."""

import pytest

from deltaforge.core.errors import SchemaError
from deltaforge.core.routing import row_key
from tests.integration.types.test_mariadb_old_times import settings
from tests.reading import brief, mysql_reader, wire

HISTORY = "select count(*) from t for system_time all"


@pytest.fixture(params=["mariadb", "mariadb_10"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def reader(database, tmp_path):
    reader = mysql_reader(database, tmp_path / "state")
    yield reader
    reader.close()


def names(event):
    return [column.name for column in event.schema.columns]


def test_hash_of_a_long_unique_key_is_in_no_event(database, reader):
    database.execute("create table t (v text unique, id int primary key, DB_ROW_HASH_1 bigint unsigned, w text unique)")
    reader.open()
    start = reader.position
    database.execute(
        "insert into t values ('a', 1, 7, 'b')",
        "update t set v = 'c'",
        "alter table t add column x int, add unique (x, v)",
        "update t set x = 3, w = null",
        "delete from t",
    )
    first = {"v": "a", "id": 1, "DB_ROW_HASH_1": 7, "w": "b"}
    second, third = {**first, "v": "c"}, {**first, "v": "c", "w": None, "x": 3}
    expected = [
        ("c", None, first),
        ("u", first, second),
        ("u", {**second, "x": None}, third),
        ("d", third, None),
    ]
    events = reader.read(4)
    assert brief(events) == expected
    assert [row_key(event) for event in events] == ['{"id":1}'] * 4
    assert names(events[0]) == list(first)
    assert names(events[3]) == [*first, "x"]
    database.execute("drop table t")
    assert brief(reader.restart().open(start).read(4)) == expected


def test_hash_of_a_long_unique_key_is_in_no_event_of_the_schema_history(database, reader):
    with settings(database.server, binlog_row_metadata="NO_LOG"):
        database.execute("create table t (id int primary key, v text unique, n bigint unsigned, w text unique)")
        reader.open()
        database.execute("insert into t values (1, 'a', 7, 'b')", "update t set v = 'c'", "delete from t")
        first, second = ({"id": 1, "v": v, "n": 7, "w": "b"} for v in "ac")
        assert brief(reader.read(3)) == [("c", None, first), ("u", first, second), ("d", second, None)]


TABLES = {
    "hidden": "create table t (id int primary key, v varchar(9)) with system versioning",
    "named": (
        "create table t (id int primary key, v varchar(9), s timestamp(6) generated always as row start,"
        " e timestamp(6) generated always as row end, period for system_time(s, e)) with system versioning"
    ),
    "invisible": (
        "create table t (id int primary key, s timestamp(6) generated always as row start invisible, v varchar(9),"
        " e timestamp(6) generated always as row end invisible, period for system_time(s, e)) with system versioning"
    ),
    "without key": "create table t (id int, v varchar(9)) with system versioning",
    "long unique": "create table t (id int primary key, v text unique) with system versioning",
    "partitioned": (
        "create table t (id int primary key, v varchar(9)) with system versioning"
        " partition by system_time (partition h history, partition c current)"
    ),
    "in part": "create table t (id int primary key, v varchar(9), n int without system versioning) with system versioning",
}


@pytest.fixture(params=["FULL", "NO_LOG"])
def metadata(request, database):
    with settings(database.server, binlog_row_metadata=request.param):
        yield request.param


@pytest.mark.parametrize("kind", TABLES)
def test_events_of_a_versioned_table_are_those_of_its_current_rows(database, metadata, reader, kind):
    database.execute(TABLES[kind])
    reader.open()
    start = reader.position
    change(
        database,
        "update t set v = 'r' where id = 1" if kind == "without key" else "replace into t (id, v) values (1, 'r')",
    )
    assert database.rows(HISTORY) == [(0,)]
    ((version,),) = database.rows("select version()")
    is_updated = kind == "without key" or not version.startswith("10.")  # older servers delete and insert
    expected = [
        ("c", None, (1, "a")),
        ("c", None, (2, "b")),
        ("u", (1, "a"), (1, "x")),
        ("u", (1, "x"), (1, "y")),
        ("u", (2, "b"), (3, "b")),
        ("d", (3, "b"), None),
        ("c", None, (4, "d")),
        *((("u", (1, "y"), (1, "r")),) if is_updated else (("d", (1, "y"), None), ("c", None, (1, "r")))),
        ("d", (1, "r"), None),
        ("d", (4, "d"), None),
    ]
    events = reader.read(len(expected))
    found = [(op, *((image["id"], image["v"]) if image else None for image in images)) for op, *images in brief(events)]
    assert found == expected
    columns = [
        row[0]
        for row in database.rows(
            "select column_name from information_schema.columns where table_schema = database() order by ordinal_position"
        )
    ]
    assert names(events[0]) == list(wire(events[0].after)) == columns
    if kind != "without key":
        assert [row_key(event) for event in events] == [
            f'{{"id":{n}}}' for n in (1, 2, 1, 1, 3, 3, 4, *[1] * (2 if is_updated else 3), 4)
        ]
    assert brief(reader.restart().open(start).read(len(expected))) == brief(events)
    reader.read_nothing(0.3)


def change(database, replacement):
    """Every way in which rows come, change and go."""
    with database.connect() as connection, connection.cursor() as cursor:
        for sql in (
            "insert into t (id, v) values (1, 'a'), (2, 'b')",
            "begin",
            "update t set v = 'x' where id = 1",
            "update t set v = 'y' where id = 1",
            "commit",
            "update t set id = 3 where id = 2",
            "delete from t where id = 3",
            "insert into t (id, v) values (4, 'd')",
            replacement,
            "delete from t where v = 'r'",
            "delete from t",
            "delete history from t",
        ):
            cursor.execute(sql)


def test_versioning_that_comes_and_goes(database, reader):
    database.execute("create table t (id int primary key, v int)")
    reader.open()
    database.execute("insert into t values (1, 1)", "alter table t add system versioning", "update t set v = 2")
    first = [("c", None, {"id": 1, "v": 1}), ("u", {"id": 1, "v": 1}, {"id": 1, "v": 2})]
    events = reader.read(2)
    assert brief(events) == first
    assert events[0].schema_version == events[1].schema_version
    database.execute("set @@system_versioning_alter_history = keep", "delete from t", "insert into t values (2, 1)")
    second = [("d", {"id": 1, "v": 2}, None), ("c", None, {"id": 2, "v": 1})]
    assert brief(reader.read(2)) == second
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set @@system_versioning_alter_history = keep")
        cursor.execute("alter table t add column w int default 7")
        cursor.execute("update t set w = 8")
    third = ("u", {"id": 2, "v": 1, "w": 7}, {"id": 2, "v": 1, "w": 8})
    assert brief(reader.read(1)) == [third]
    database.execute("alter table t drop system versioning", "delete from t")
    assert brief(reader.read(1)) == [("d", third[2], None)]


def test_rows_of_periods_and_sequences_are_those_that_the_server_selects(database, metadata, reader):
    reader.open()
    database.execute(
        "create sequence q start with 5",
        "create table t (room int, since date, till date, n int default nextval(q), period for stay(since, till),"
        " unique (room, stay without overlaps))",
        "insert into t (room, since, till) values (1, '2024-01-01', '2024-02-01'), (2, '2024-01-01', '2024-02-01')",
        "update t for portion of stay from '2024-01-05' to '2024-01-09' set room = room + 4",
        "delete from t for portion of stay from '2024-01-20' to '2024-03-01'",
        "insert into t (room, since, till) values (9, '2025-01-01', '2025-02-01')",
    )
    left = {"q": [], "t": []}
    for event in reader.read_until(lambda events: any(wire(event.after or {}).get("room") == 9 for event in events)):
        if event.before is not None:
            left[event.source.table].remove(wire(event.before))
        if event.after is not None:
            left[event.source.table].append(wire(event.after))
    selected = database.rows("select room, cast(since as char), cast(till as char), n from t")
    assert sorted(tuple(row.values()) for row in left["t"]) == sorted(selected)
    assert tuple(left["q"][-1].values()) == database.rows("select * from q")[0]


def test_own_columns_of_the_same_names_are_columns(database, reader):
    own = "s timestamp(6) not null, row_start timestamp(6) not null, row_end timestamp(6) not null"
    database.execute(f"create table t (id int primary key, {own})", f"create table u ({own})")
    reader.open()
    database.execute(
        "insert into t values (1, '2024-01-02', '2024-01-02', '2024-01-03')",
        "insert into u values ('2024-01-02', '2024-01-02', '2024-01-03')",
        "delete from t",
    )
    assert [(event.op, names(event)[-2:]) for event in reader.read(3)] == [
        ("c", ["row_start", "row_end"]), ("c", ["row_start", "row_end"]), ("d", ["row_start", "row_end"]),
    ]  # fmt: skip


def test_a_table_that_is_gone_and_may_have_been_versioned_is_not_guessed_at(database, reader):
    database.execute("create table before_it (id int)")
    reader.open()
    database.execute("create table t (id int) with system versioning", "insert into t values (1)", "drop table t")
    with pytest.raises(SchemaError, match="does not tell whether it was system-versioned"):
        reader.read(1)
