"""The connection that selects rows for a snapshot: whole and partial results, long packets, parameters, errors."""

import threading
from contextlib import closing, contextmanager

import pytest

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.protocol.mysql.types import Code, ColumnType
from deltaforge.sources.mysql.rows_connection import RowsConnection

INT = ColumnType(code=Code.LONG, unsigned=False)
BIGINT = ColumnType(code=Code.LONGLONG, unsigned=False)
DOUBLE = ColumnType(code=Code.DOUBLE, unsigned=False)
BLOB = ColumnType(code=Code.BLOB, length=4, charset="binary")
TEXT = ColumnType(code=Code.VARCHAR, length=80, charset="utf8mb4")
LONGEST_PART = 0xFFFFFF
KEYS = [
    ("tinyint", "-128", -128), ("bigint unsigned", "18446744073709551615", 2**64 - 1), ("mediumint", "-5", -5),
    ("year", "2024", 2024), ("bit(40)", "b'101'", 5), ("enum('b','a')", "'a'", 2), ("set('a','b')", "'a,b'", 3),
    ("decimal(40,20)", "-1.5", "-1.50000000000000000000"), ("double", "0.1", 0.1), ("date", "'2024-02-29'", "2024-02-29"),
    ("datetime(3)", "'2024-01-02 03:04:05.678'", "2024-01-02 03:04:05.678000"), ("time(6)", "'-838:59:58.999999'", "-838:59:58.999999"),
    ("timestamp(1) null", "'2024-01-02 03:04:05.6'", "2024-01-02 03:04:05.600000"), ("varbinary(9)", "x'00ff'", b"\0\xff"),
    ("varchar(9) character set utf8mb4", "'\u00e9'", "\u00e9".encode()), ("binary(3)", "'a'", b"a\0\0"),
]  # fmt: skip
ADDRESSES = [
    ("uuid", "'3e11fa47-71ca-11e1-9e33-c80aa9429562'", "3e11fa47-71ca-11e1-9e33-c80aa9429562"),
    ("inet6", "'::1'", "::1"), ("inet4", "'1.2.3.4'", "1.2.3.4"),
]  # fmt: skip


@contextmanager
def connected(database, mode="preferred"):
    with closing(RowsConnection(f"{database.url()}?ssl-mode={mode}")) as connection:
        connection.query(f"use {database.name}")
        yield connection


def rows_of(connection, sql, columns, values=(), max_bytes=1 << 40):
    """The parts of a result."""
    result = connection.execute(connection.prepare(sql), values, columns)
    parts = []
    while not result.is_end:
        parts.append(result.read(max_bytes))
    return parts


@pytest.mark.parametrize("mode", ["disabled", "preferred"])
def test_a_result_is_the_same_in_parts_with_tls_and_without(any_mysql_database, mode):
    any_mysql_database.execute(
        "create table t (id int primary key, v varchar(80) character set utf8mb4)",
        "insert into t with recursive n (n) as (select 1 union all select n + 1 from n where n < 900)"
        " select n, repeat('x', n % 80) from n",
    )
    columns, sql = [("id", INT), ("v", TEXT)], "select id, v from t order by id"
    with connected(any_mysql_database, mode) as connection:
        (whole,) = rows_of(connection, sql, columns)
        parts = rows_of(connection, sql, columns, max_bytes=1000)
    assert (whole.row_count, whole.last_row, whole.is_end) == (900, (900, b"x" * 20), True)
    assert b"".join(part.images for part in parts) == whole.images
    assert all(1000 <= len(part.images) < 1100 for part in parts[:-1])
    assert sum(part.row_count for part in parts) == 900
    assert parts[0].last_row == (parts[0].row_count, b"x" * (parts[0].row_count % 80))


def test_a_row_may_be_longer_than_a_packet(mysql_database):
    overhead = 1 + 1 + 4 + 9  # mark, nulls, id, length
    sizes = [
        LONGEST_PART - overhead + 5 - n for n in range(4, 7)
    ] + [LONGEST_PART - overhead, 2 * LONGEST_PART - overhead, 3 * 10**7, 0]  # fmt: skip
    mysql_database.execute("create table t (id int primary key, b longblob)")
    with connected(mysql_database, "disabled") as connection:
        for number, size in enumerate(sizes):
            sql = f"select cast({number} as signed), cast(repeat('y', {size}) as binary)"
            (part,) = rows_of(connection, sql, [("id", BIGINT), ("b", BLOB)])
            image = b"\0" + number.to_bytes(8, "little") + size.to_bytes(4, "little") + b"y" * size
            assert (part.row_count, part.images == image) == (1, True), size
        (part,) = rows_of(connection, "select 1, 2 from t", [("a", BIGINT), ("b", BIGINT)])
    assert (part.images, part.row_count, part.last_row, part.is_end) == (b"", 0, None, True)


def test_an_error_in_the_middle_of_a_result_has_the_number_of_the_server(any_mysql_database):
    any_mysql_database.execute(
        "create table t (id int primary key)",
        "insert into t with recursive n (n) as (select 1 union all select n + 1 from n where n < 800) select n from n",
    )
    with connected(any_mysql_database) as connection:
        result = connection.execute(connection.prepare("select id, exp(id) from t"), (), [("id", INT), ("e", DOUBLE)])
        with pytest.raises(SourceError, match=r"middle of a select.*out of range") as caught:
            list(map(result.read, [1000] * 99))
        assert caught.value.context["code"] == 1690
        assert connection.query("select 1") == [(1,)]
        with pytest.raises(SourceError) as caught:
            connection.prepare("select nothing from t")
        assert (caught.value.context["code"], caught.value.kind) == (1054, "incompatible")
        with pytest.raises(SourceError) as caught:
            connection.query("insert into t values (1)")
        assert caught.value.context["code"] == 1792  # the session is read-only


def assert_found_again(database, keys):
    for declared, literal, value in keys:
        database.execute(f"create table t (k {declared}, n int)")
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("set time_zone = '+00:00'")
            cursor.execute(f"insert into t values ({literal}, 7), (null, 8)")
        with connected(database) as connection:
            statement = connection.prepare("select n from t where k = ?")
            part = connection.execute(statement, (value,), [("n", INT)]).read(1 << 20)
        assert part.last_row == (7,), declared
        database.execute("drop table t")


def test_values_of_a_row_are_parameters(any_mysql_database):
    assert_found_again(any_mysql_database, KEYS)


def test_values_of_addresses_are_parameters(mariadb_database):
    assert_found_again(mariadb_database, ADDRESSES)


def test_a_result_of_other_columns_is_a_changed_table(any_mysql_database):
    any_mysql_database.execute("create table t (i int unsigned, v varchar(80) character set latin1)")
    unsigned, latin1 = (
        ColumnType(code=Code.LONG, unsigned=True),
        ColumnType(code=Code.VARCHAR, length=80, charset="latin1"),
    )
    for columns, told in (
        ([("i", unsigned)], "2 columns, expected 1"),
        ([("i", INT), ("v", latin1)], "column i .*unsigned"),
        ([("i", unsigned), ("v", TEXT)], "column v .*latin1"),
        ([("i", BIGINT), ("v", latin1)], "column i .*LONGLONG"),
        ([("i", unsigned), ("v", INT)], "column v .*LONG"),
    ):
        with connected(any_mysql_database) as connection:
            statement = connection.prepare("select i, v from t")
            with pytest.raises(TableChangedError, match=told):
                connection.execute(statement, (), columns)


def test_a_wait_can_be_ended_and_a_result_cannot_be_left(mysql_database):
    for mode in ("disabled", "required"):
        with connected(mysql_database, mode) as connection:
            threading.Timer(0.2, connection.interrupt).start()
            with pytest.raises(SourceError) as caught:
                rows_of(connection, "select sleep(30)", [("s", INT)])
            assert caught.value.kind == "connect"
    with connected(mysql_database) as connection:
        sql = "select 1 union all select 2"
        connection.execute(connection.prepare(sql), (), [("a", BIGINT)]).read(1)
        with pytest.raises(SourceError, match="not read to its end"):
            connection.query("select 1")
