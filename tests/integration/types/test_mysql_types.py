"""Every column type: inserted through SQL, decoded from the log, compared with what the server prints."""

import json

import pytest

from tests import printed
from tests.reading import mysql_reader, wire

# type, literals, SELECT expression that prints the value in our form ({} is the column), and how to read that text
NUMBER, TEXT, JSON = int, str, json.loads
HEX, STAMP = printed.base64_of_hex, printed.MYSQL_STAMP
COMMON = [
    ("tinyint", ["-128", "127", "0", "null"], "{}", NUMBER),
    ("tinyint(1)", ["0", "1"], "{}", NUMBER),
    ("tinyint unsigned", ["0", "255"], "{}", NUMBER),
    ("smallint", ["-32768", "32767"], "{}", NUMBER),
    ("smallint unsigned", ["65535"], "{}", NUMBER),
    ("mediumint", ["-8388608", "8388607", "-1"], "{}", NUMBER),
    ("mediumint unsigned", ["16777215"], "{}", NUMBER),
    ("int", ["-2147483648", "2147483647"], "{}", NUMBER),
    ("int unsigned", ["4294967295"], "{}", NUMBER),
    ("bigint", ["-9223372036854775808", "9223372036854775807"], "{}", NUMBER),
    ("bigint unsigned", ["18446744073709551615", "0"], "{}", NUMBER),
    ("float", ["0.1", "-1.5", "0", "3.4028235e38"], "{}+0e0", printed.single),
    ("double", ["0.1", "-1.7976931348623157e308", "5e-324", "0"], "cast({} as char)", float),
    ("decimal(10,2)", ["-99999999.99", "0.01", "-0.01", "0"], "cast({} as char)", TEXT),
    ("decimal(65,30)", ["12345678901234567890123456789012345.123456789012345678901234567890", "-1"], "cast({} as char)", TEXT),
    ("decimal(9,0)", ["-999999999", "5"], "cast({} as char)", TEXT),
    ("decimal(5,5)", ["0.12345", "-0.00001"], "cast({} as char)", TEXT),
    ("bit(1)", ["b'1'", "b'0'"], "{}+0", NUMBER),
    ("bit(64)", ["b'1'", "18446744073709551615"], "{}+0", NUMBER),
    ("year", ["1901", "2155", "0"], "{}", NUMBER),
    ("date", ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"], "cast({} as char)", TEXT),
    ("time", ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"], "cast(cast({} as time(6)) as char)", TEXT),
    ("time(6)", ["'-00:00:00.000001'", "'12:34:56.789012'", "'-12:34:56.789012'"], "cast({} as char)", TEXT),
    ("time(1)", ["'-01:02:03.5'", "'01:02:03.5'"], "cast(cast({} as time(6)) as char)", TEXT),
    ("datetime", ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"], STAMP, TEXT),
    ("datetime(3)", ["'2024-02-29 12:34:56.789'"], STAMP, TEXT),
    ("datetime(6)", ["'2024-02-29 12:34:56.789012'", "'0001-01-01 00:00:00.000001'"], STAMP, TEXT),
    ("timestamp null", ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"], f"concat({STAMP}, 'Z')", TEXT),
    ("timestamp(6) null", ["'2024-02-29 12:34:56.789012'"], f"concat({STAMP}, 'Z')", TEXT),
    ("char(10)", ["''", "'ab'", "'h\u00e9\U0001f600'"], "{}", TEXT),
    ("varchar(20)", ["''", "'a b '", "'\u20ac\U0001f600'"], "{}", TEXT),
    ("varchar(300)", ["repeat('\u00fc', 300)"], "{}", TEXT),
    ("char(5) character set latin1", ["'\u20ac\u00e9'"], "{}", TEXT),
    ("varchar(9) character set cp1251", ["'\u043f\u0440\u0438'"], "{}", TEXT),
    ("varchar(9) character set gbk", ["'\u4e2d\u6587'"], "{}", TEXT),
    ("varchar(9) character set sjis", ["'\u65e5\u672c'"], "{}", TEXT),
    ("varchar(9) character set ucs2", ["'\u65e5a'"], "{}", TEXT),
    ("varchar(9) character set utf16", ["'\U0001f600a'"], "{}", TEXT),
    ("varchar(9) character set utf32", ["'\U0001f600a'"], "{}", TEXT),
    ("varchar(9) character set koi8r", ["'\u043f'"], "{}", TEXT),
    ("tinytext", ["'x'", "''"], "{}", TEXT),
    ("text", ["repeat('x', 60000)"], "{}", TEXT),
    ("mediumtext", ["repeat('\u00e9', 70000)"], "{}", TEXT),
    ("longtext", ["'z'"], "{}", TEXT),
    ("binary(5)", ["'ab'", "x'0001020000'"], "hex({})", HEX),
    ("varbinary(9)", ["x'00ff00'", "''"], "hex({})", HEX),
    ("varbinary(300)", ["x'00ff'"], "hex({})", HEX),
    ("tinyblob", ["x'00ff'"], "hex({})", HEX),
    ("blob", ["'text in a blob'"], "hex({})", HEX),
    ("mediumblob", ["x'80'"], "hex({})", HEX),
    ("longblob", ["x'80'"], "hex({})", HEX),
    ("enum('a','b''c','\u00fc')", ["'a'", "'b''c'", "'\u00fc'", "null"], "{}", TEXT),
    ("set('a','b','c')", ["''", "'a,c'", "'a,b,c'"], "{}", TEXT),
    ("enum('a','\u00e9') character set latin1", ["'\u00e9'"], "{}", TEXT),
    ("set('\u043f','b') character set utf32", ["'\u043f,b'"], "{}", TEXT),
    ("point", ["st_geomfromtext('POINT(1 -2.5)')"], "hex(st_aswkb({}))", printed.geometry(0)),
    ("geometry", ["st_geomfromtext('LINESTRING(0 0,1 1)')"], "hex(st_aswkb({}))", printed.geometry(0)),
]  # fmt: skip
MYSQL = [
    ("json", ["'{\"a\":[1,-2,3.5,null,true,false,\"x\"],\"b\":{\"c\":{}},\"d\":[]}'", "'1'", "'\"\U0001f600\"'", "'null'",
              "'18446744073709551615'", "'-9223372036854775808'", "'1e300'",
              "json_object('k', repeat('x', 70000), 'n', 70000)", "json_array(-40000, 40000, 3000000000)"], "cast({} as char)", JSON),
    ("json", [("json_object('t', cast('2024-01-02 03:04:05.6' as datetime(6)), 'd', cast('2024-01-02' as date),"
              " 'm', cast('-01:02:03.5' as time(6)), 'n', cast(1.50 as decimal(5,2)))")], "cast({} as char)", JSON),
    ("vector(3)", ["to_vector('[1,-2.5,0.1]')"], "hex({})", printed.singles_of_hex),
    ("varchar(9) character set gbk", ["'\u4e2d\u6587'"], "{}", TEXT),  # the log counts vectors among texts
    ("point srid 4326", ["st_geomfromtext('POINT(1 2)', 4326)"], "hex(st_aswkb({}, 'axis-order=long-lat'))",
     printed.geometry(4326)),
]  # fmt: skip
MARIADB = [("json", ["'{\"a\": 1}'"], "{}", TEXT)]


def check(database, tmp_path, cases):
    columns = [f"c{n}" for n in range(len(cases))]
    definitions = ", ".join(f"{c} {case[0]}" for c, case in zip(columns, cases, strict=True))
    database.execute(f"create table t (id int primary key auto_increment, {definitions})")
    reader = mysql_reader(database, tmp_path / "state").open()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00', sql_mode = ''")
        for column, case in zip(columns, cases, strict=True):
            for literal in case[1]:
                cursor.execute(f"insert into t ({column}) values ({literal})")
        expressions = ", ".join(case[2].format(c) for c, case in zip(columns, cases, strict=True))
        cursor.execute(f"select {expressions} from t order by id")
        printed = cursor.fetchall()
    events = reader.read(len(printed))
    reader.close()
    for event, row in zip(events, printed, strict=True):
        expected = {
            c: None if text is None else case[3](text if isinstance(text, str | int) else str(text))
            for c, text, case in zip(columns, row, cases, strict=True)
        }
        found = wire(event.after)
        del found["id"]
        assert found == expected


@pytest.mark.parametrize("half", [0, 1])
def test_common_types_are_what_the_server_prints(any_mysql_database, tmp_path, half):
    check(any_mysql_database, tmp_path, COMMON[half::2])


def test_types_of_mysql_are_what_the_server_prints(mysql_database, tmp_path):
    check(mysql_database, tmp_path, MYSQL)


def test_types_of_mariadb_are_what_the_server_prints(mariadb_database, tmp_path):
    check(mariadb_database, tmp_path, MARIADB)


def test_an_enum_is_never_a_number_an_unsigned_never_negative_and_a_text_never_base64(any_mysql_database, tmp_path):
    columns = "e enum('no','yes'), u bigint unsigned, w tinyint unsigned, t text, j varchar(9) character set sjis"
    any_mysql_database.execute(f"create table t (id int primary key, {columns})")
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    any_mysql_database.execute("insert into t values (1, 'yes', 18446744073709551615, 255, 'tëxt', '\u65e5\u672c')")
    (event,) = reader.read(1)
    reader.close()
    expected = {"id": 1, "e": "yes", "u": 2**64 - 1, "w": 255, "t": "tëxt", "j": "\u65e5\u672c"}
    assert wire(event.after) == expected


def test_zero_dates_become_null_and_are_counted(any_mysql_database, tmp_path):
    any_mysql_database.execute("create table t (id int primary key, d date, t datetime, s timestamp(3) null)")
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    with any_mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        cursor.execute("insert into t values (1, '0000-00-00', '2024-00-01 10:00:00', 0)")
    (event,) = reader.read(1)
    reader.close()
    assert event.after == {"id": 1, "d": None, "t": None, "s": None}
    table = f"{any_mysql_database.name}.t"
    assert f'table="{table}"}} 3.0' in reader.metrics.text()
