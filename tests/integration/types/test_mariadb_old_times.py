"""Columns in MariaDB's old temporal formats: ``mysql56_temporal_format=OFF``, or tables that are older than it."""

from contextlib import contextmanager

import pytest

from deltaforge.core.errors import SchemaError
from tests.reading import mysql_reader, wire

STAMP = "date_format({0}, '%Y-%m-%dT%H:%i:%s.%f')"
LITERALS = {
    "datetime": ["'0001-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'", "'2024-01-02 03:04:05.678901'", "'2024-00-15'", "null"],
    "time": ["'-838:59:59.999999'", "'838:59:59.999999'", "'-00:00:00.000001'", "'12:34:56.789012'", "null"],
    "timestamp": ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-01-02 03:04:05.678901'", "0", "null"],
}  # fmt: skip
PRINTED = {
    "datetime": f"if(month({{0}}) * day({{0}}), {STAMP}, null)",
    "time": "cast(cast({} as time(6)) as char)",
    "timestamp": f"if({{0}}, concat({STAMP}, 'Z'), null)",
}
COLUMNS = [(f"{kind}{n}", kind, f"{kind}({n}) null") for kind in LITERALS for n in range(7)]
TABLE = f"id int primary key, {', '.join(f'{name} {declared}' for name, _, declared in COLUMNS)}, behind varchar(9)"


@contextmanager
def settings(server, **values):
    """Global settings of a server that other tests share."""
    with server.connect() as connection, connection.cursor() as cursor:
        before = {}
        for name, value in values.items():
            cursor.execute(f"select @@global.{name}")
            (before[name],) = cursor.fetchone()
            cursor.execute(f"set global {name} = %s", [value])
        try:
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"set global {name} = %s", [value])


@pytest.fixture(params=["mariadb", "mariadb_10"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


def fill(database):
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00', sql_mode = ''")
        for id_ in range(5):
            values = ", ".join(LITERALS[kind][id_] for _, kind, _ in COLUMNS)
            cursor.execute(f"insert into t values ({id_}, {values}, 'end')")
        cursor.execute("update t set behind = 'moved'")


def selected(database):
    expressions = ", ".join(PRINTED[kind].format(name) for name, kind, _ in COLUMNS)
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00'")
        cursor.execute(f"select id, {expressions}, behind from t order by id")
        names = ["id", *(name for name, _, _ in COLUMNS), "behind"]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("metadata", ["FULL", "NO_LOG"])
@pytest.mark.parametrize("is_on_when_read", [False, True])
def test_old_times_with_fractions_are_what_the_server_prints(database, tmp_path, metadata, is_on_when_read):
    server = database.server
    with settings(server, binlog_row_metadata=metadata):
        with settings(server, mysql56_temporal_format=0):
            database.execute(f"create table t ({TABLE})")
            if not is_on_when_read:
                reader = mysql_reader(database, tmp_path / "state").open()
                fill(database)
                events = reader.read(10)
        if is_on_when_read:
            reader = mysql_reader(database, tmp_path / "state").open()
            fill(database)
            events = reader.read(10)
            database.execute("alter table t force", "update t set behind = 'new'")
            assert [wire(event.after) for event in reader.read(5)] == selected(database)
            database.execute("update t set behind = 'moved'")
        assert [wire(event.after) for event in events[5:]] == selected(database)
        assert [wire(event.before) for event in events[5:]] == [wire(event.after) for event in events[:5]]
        reader.close()


def test_rows_read_again_after_their_columns_changed_their_format(database, tmp_path):
    with settings(database.server, mysql56_temporal_format=0):
        database.execute("create table t (id int primary key, a datetime(6), b time(3))")
    reader = mysql_reader(database, tmp_path / "state").open()
    start = reader.position
    database.execute("insert into t values (1, '2024-01-02 03:04:05.678901', '-12:34:56.789')")
    database.execute("alter table t modify b time(5)")
    database.execute("insert into t values (2, '2024-01-02 03:04:05.678901', '-12:34:56.789')")
    expected = {"a": "2024-01-02T03:04:05.678901", "b": "-12:34:56.789000"}
    for _ in range(2):
        events = reader.open(start).read(2)
        assert [wire(event.after) for event in events] == [{"id": 1, **expected}, {"id": 2, **expected}]
    reader.close()


def test_fraction_digits_that_nobody_knows_are_refused(database, tmp_path):
    with settings(database.server, mysql56_temporal_format=0):
        database.execute("create table t (id int primary key, a datetime(6))")
        reader = mysql_reader(database, tmp_path / "state")
        start = reader.open().position
        reader.close()
        database.execute("create table other (id int primary key, hour time(2))")
        database.execute("insert into other values (1, '1:2:3.45')", "drop table other")
    reader.open(start)
    with pytest.raises(SchemaError, match=r"column hour of .*other .*old format of time.*mysql56_temporal_format=ON"):
        reader.read(1)
    reader.close()
