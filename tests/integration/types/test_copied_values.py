"""What a SELECT gives for a row is what the log gives for it, byte by byte: every type, in the kernel and in Python, on
servers that have other settings for their clients.
"""

from contextlib import contextmanager

import pytest

from tests.copying import copied_events, image
from tests.integration.types.test_mysql_types import COMMON, MARIADB, MYSQL
from tests.reading import mysql_reader

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


def assert_copied(database, tmp_path, cases):
    """Rows with these literals, one column each, are copied as they were logged."""
    columns = ", ".join(f"c{n} {declared}" for n, (declared, _) in enumerate(cases))
    database.execute(
        f"create table t (id int primary key, {columns}, twice bigint generated always as (id * 2) virtual,"
        " thrice varchar(30) generated always as (concat(id, 'x')) stored)"
    )
    reader = mysql_reader(database, tmp_path / "state").open()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00', sql_mode = ''")
        literals = [(n, literal) for n, (_, literals) in enumerate(cases) for literal in literals]
        for number, (n, literal) in enumerate(literals):
            cursor.execute(f"insert into t (id, c{n}) values ({number}, {literal})")
    events = reader.read(len(literals))
    reader.close()
    with odd_settings(database):
        copied = copied_events(database.url(), reader.batches[-1].groups[0].table, "order by id")
    assert len(copied) == len(events)
    for logged, selected in zip(events, copied, strict=True):
        assert image(selected) == image(logged)


def test_common_types_are_copied_as_they_are_logged(any_mysql_database, tmp_path):
    assert_copied(any_mysql_database, tmp_path, [case[:2] for case in COMMON] + ZEROS)


def test_types_of_mysql_are_copied_as_they_are_logged(mysql_database, tmp_path):
    assert_copied(mysql_database, tmp_path, [case[:2] for case in MYSQL] + DOCUMENTS)


@pytest.mark.parametrize("any_mysql_database", ["mariadb", "mariadb_10"], indirect=True)
def test_types_of_mariadb_are_copied_as_they_are_logged(any_mysql_database, tmp_path):
    assert_copied(any_mysql_database, tmp_path, [case[:2] for case in MARIADB] + ADDRESSES)
