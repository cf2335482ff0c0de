"""What a SELECT gives for a row is what the log gives for it, byte by byte: every type, in the kernel and in Python, on
servers that have other settings for their clients.
"""

import random
from contextlib import contextmanager
from decimal import Decimal

import msgspec
import pytest

from deltaforge.core.routing import row_key
from tests.copying import copied_events, image
from tests.integration.sources.test_mariadb_hidden import TABLES as VERSIONED
from tests.integration.types.test_mariadb_old_times import TABLE as OLD_TIMES
from tests.integration.types.test_mariadb_old_times import fill as fill_old_times
from tests.integration.types.test_mariadb_old_times import settings
from tests.integration.types.test_mysql_types import COMMON, MARIADB, MYSQL
from tests.reading import ENCODERS, mysql_reader

ODD_SETTINGS = {
    "time_zone": "'-07:30'",
    "sql_mode": "'ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION'",
    "character_set_client": "latin1",
    "character_set_results": "utf8mb4",
    "collation_connection": "latin1_swedish_ci",
    "sql_select_limit": "2",
    "transaction_isolation": "'READ-UNCOMMITTED'",
    "sql_auto_is_null": "1",
    "wait_timeout": "5",
}
ZEROS = [
    ("date", ["'0000-00-00'", "'2024-00-10'", "'2024-10-00'"]),
    ("datetime", ["'0000-00-00'", "'2024-00-10 00:00:00'", "'2024-02-00 10:00:00'", "'2024-02-01'"]),
    ("datetime(5)", ["'0000-00-00'", "'2024-00-10 01:02:03.00001'", "'2024-01-01 00:00:00.5'"]),
    ("timestamp(2) null", ["0", "'1970-01-01 00:00:01.01'", "'2000-02-29 12:00:00'", "'2038-01-19 03:14:07.99'"]),
    ("time(4)", ["'0'", "'-00:00:00.0001'", "'24:00:00'", "'838:59:59'"]),
    ("year", ["0", "1970"]),
    ("decimal(20,5) zerofill", ["1.5", "0"]),
    ("decimal(3,3)", ["-0.001", "0", "0.999"]),
    ("int(9) zerofill", ["42"]),
    ("float", ["-0e0", "16777217", "1e-40"]),
    ("double", ["-0e0", "1e16", "123456789012345680000"]),
    ("char(9)", ["'a '", "''"]),
    ("enum('a','b')", ["0", "'b'"]),
    ("set('a','b','c','d','e','f','g','h','i')", ["0", "511"]),
    (f"set({','.join(repr(str(n)) for n in range(64))})", ["18446744073709551615", "9223372036854775808"]),
    ("geometry", ["st_geomfromtext('POINT(1 -2.5)')", "null"]),
    ("varchar(10) invisible", ["'seen'"]),
    ("bit(9) default b'100000001'", ["default"]),
]  # fmt: skip
ADDRESSES = [
    ("uuid", ["'3e11fa47-71ca-11e1-9e33-c80aa9429562'", "'018f3a3e-7b1c-7abc-8def-0123456789ab'", "uuid()"]),
    ("inet4", ["'1.2.3.4'"]),
    ("year(2)", ["'00'", "'0000'", "1901", "1970", "69", "2155"]),
    ("inet6", ["'::1.2.3.4'"]),
    ("varchar(300) compressed", ["repeat('x', 300)", "''", "'\u00e9'"]),
    ("blob compressed", ["repeat('x', 3000)", "x'00'"]),
    ("text compressed character set latin1", ["repeat('\u00e9', 3000)"]),
]  # fmt: skip
DOCUMENTS = [
    ("json", [
        "json_array(1.10, 1.0, -0.0, 0.00, 1e-7, 0.0000001, 1e300, 1e15, 1e16, 12345678901234567890123, 1.5e-10)",
        "json_array(cast(1.10 as decimal(5,2)), cast(0.000000100 as decimal(30,20)), cast(-0.00 as decimal(4,2)), cast(7 as decimal(3,0)))",
        "json_array(18446744073709551615, -9223372036854775808, cast(1e22 as double), cast(5e-324 as double), cast(0.1 as float))",
        "cast(x'00ff' as json)", "json_array(cast(x'00ff' as binary), b'101', cast(2024 as year), point(1, 2))",
        "cast(timestamp'2024-01-02 03:04:05.678' as json)", "cast(time'-837:59:59.5' as json)", "cast('null' as json)", "null",
        """cast('"\\\\u0001\\\\u007f\\\\/\\\\"\\\\ud83d\\\\ude00\\\\b\\\\f\\\\n\\\\r\\\\t"' as json)""",
        "cast(concat(repeat('[', 100), repeat(']', 100)) as json)", "json_object('bb', 1, 'a', 2, '', 3)",
     ]),
]  # fmt: skip


VECTORS = [("vector(3) not null", ["vec_fromtext('[1,-2.5,0.1]')"])]
UNSAID = [
    ("enum('a','b') not null", ["'b'"]),
    ("varchar(9) not null default 'd'", ["default"]),
]
"""What other rows do not give a value to."""
UNSAID_OF_MARIADB = [*UNSAID, ("point not null", ["point(1, 2)"])]


@contextmanager
def odd_settings(database):
    """What the server gives to clients that set nothing."""
    names = [name for name in ODD_SETTINGS if database.rows(f"show global variables like '{name}'")]
    before = {name: database.rows(f"select @@global.{name}")[0][0] for name in names}
    with database.connect() as connection, connection.cursor() as cursor:
        try:
            for name in names:
                cursor.execute(f"set global {name} = {ODD_SETTINGS[name]}")
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"set global {name} = %s", (value,))


def assert_copied(database, events, table):
    """Rows of a captured table are copied as the newest event of each has them: values, key, and every document."""
    newest = {row_key(event): event for event in events}
    copied = copied_events(database.url(), table)
    assert len(copied) == len(newest)
    for selected in copied:
        logged = newest[row_key(selected)]
        assert image(selected) == image(logged)
        again = msgspec.structs.replace(logged, after=selected.after, zero_dates=selected.zero_dates)
        for encoder in ENCODERS:
            assert encoder.encode(again) == encoder.encode(logged)


def captured(reader):
    """The table whose rows came last."""
    group = reader.batches[-1].groups[-1]
    return group.table or next(reversed(reader.stream._tables._completed.values()))  # of a versioned table


CASES = {
    "mysql": [case[:2] for case in COMMON + MYSQL] + ZEROS + DOCUMENTS + UNSAID,
    "mariadb": [case[:2] for case in COMMON + MARIADB] + ZEROS + ADDRESSES + VECTORS + UNSAID_OF_MARIADB,
    "mariadb_10": [case[:2] for case in COMMON + MARIADB] + ZEROS + ADDRESSES + UNSAID_OF_MARIADB,
}


@pytest.mark.parametrize("server", CASES)
def test_snapshot_value_is_stream_value(server, request, tmp_path):
    with request.getfixturevalue(server).fresh_database() as database:
        literals = fill(database, reader := mysql_reader(database, tmp_path / "state"), CASES[server])
        events = reader.read(literals)
        reader.close()
        with odd_settings(database):
            assert_copied(database, events, captured(reader))


def fill(database, reader, cases):
    """Insert rows with a value for one column each; their number."""
    columns = ", ".join(f"c{n} {declared}" for n, (declared, _) in enumerate(cases))
    database.execute(
        f"create table t (id int primary key, {columns}, twice bigint generated always as (id * 2) virtual,"
        " thrice varchar(30) generated always as (concat(id, 'x')) stored)"
    )
    reader.open()
    literals = [(n, literal) for n, (_, literals) in enumerate(cases) for literal in literals]
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00', sql_mode = ''")
        for number, (n, literal) in enumerate(literals):
            cursor.execute(f"insert into t (id, c{n}) values ({number}, {literal})")
    return len(literals)


def test_keys_with_zero_dates_are_those_of_the_log(any_mysql_database, tmp_path):
    any_mysql_database.execute("create table t (d date, s datetime(2), n int, primary key (s, d))")
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    with any_mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        cursor.execute(
            "insert into t values (0, 0, 1), ('2024-00-10', 0, 2), ('2024-01-10', '2024-00-10 01:02:03.25', 3)"
        )
    assert_copied(any_mysql_database, reader.read(3), captured(reader))
    reader.close()


def test_json_numbers_one_writer(mysql_database, tmp_path):
    rnd = random.Random(23)
    mysql_database.execute("create table t (id int primary key, j json)")
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    rows = ", ".join(f"({n}, json_array({', '.join(json_number(rnd) for _ in range(20))}))" for n in range(200))
    mysql_database.execute(f"insert into t values {rows}")
    assert_copied(mysql_database, reader.read(200), captured(reader))
    reader.close()


def json_number(rnd):
    """An expression of a number of every kind that a document holds."""
    digits = rnd.getrandbits(rnd.choice((1, 8, 30, 60, 64, 100))) * 10 ** rnd.choice((0, 0, 1, 5))
    scale = rnd.randint(0, 30)
    decimal = f"{Decimal(str(digits)[-60:]).scaleb(-rnd.randint(0, scale)) * rnd.choice((1, -1)):f}"
    return rnd.choice(
        (
            f"cast({decimal} as decimal(65, {scale}))", f"cast({decimal} as double)", f"cast('{decimal}' as json)",
            f"cast({rnd.getrandbits(64)} as unsigned)", f"cast({rnd.getrandbits(63) * -1} as signed)",
            f"cast('{rnd.uniform(-10, 10)}e{rnd.randint(-300, 300)}' as json)", f"{rnd.random()}e{rnd.randint(-20, 20)}",
        )
    )  # fmt: skip


def test_a_document_that_is_not_there_is_null(mysql_database, tmp_path):
    """As in rows that are older than a column that may not be null."""
    mysql_database.execute("create table t (id int primary key, n int)", "insert into t values (1, 1)")
    mysql_database.execute("alter table t add column j json not null")
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    mysql_database.execute("update t set n = 2")
    events = reader.read(1)
    assert events[0].after == {"id": 1, "n": 2, "j": None}
    assert_copied(mysql_database, events, captured(reader))
    reader.close()


def test_an_invisible_key_of_the_server_is_copied(mysql_database, tmp_path):
    with mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_generate_invisible_primary_key = 1")
        cursor.execute("create table t (v varchar(9))")
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    mysql_database.execute("insert into t values ('a'), ('b')")
    events = reader.read(2)
    assert [event.after["my_row_id"] for event in events] == [1, 2]
    assert_copied(mysql_database, events, captured(reader))
    reader.close()


@pytest.mark.parametrize("any_mysql_database", ["mariadb", "mariadb_10"], indirect=True)
@pytest.mark.parametrize("kind", ["hidden", "named", "invisible", "long unique", "partitioned", "in part"])
def test_current_rows_of_a_versioned_table_are_copied(any_mysql_database, tmp_path, kind):
    any_mysql_database.execute(VERSIONED[kind])
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    any_mysql_database.execute(
        "insert into t (id, v) values (1, 'a'), (2, 'b'), (3, 'c')", "update t set v = 'x' where id = 1",
        "delete from t where id = 2",
    )  # fmt: skip
    events = reader.read(5)
    current = [event for event in events if event.op != "d" and event.after["id"] != 2]
    with any_mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set global system_versioning_asof = '2000-01-01 00:00:00'")
        try:
            assert_copied(any_mysql_database, current, captured(reader))
        finally:
            cursor.execute("set global system_versioning_asof = default")
    reader.close()


@pytest.mark.parametrize("any_mysql_database", ["mariadb", "mariadb_10"], indirect=True)
def test_old_temporal_formats_are_copied(any_mysql_database, tmp_path):
    with settings(any_mysql_database.server, mysql56_temporal_format=0):
        any_mysql_database.execute(f"create table t ({OLD_TIMES})")
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    fill_old_times(any_mysql_database)
    assert_copied(any_mysql_database, reader.read(10)[5:], captured(reader))
    reader.close()
