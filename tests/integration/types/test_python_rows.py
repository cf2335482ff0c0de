"""Rows that the compiled kernel leaves to Python: those alone, and with the reason."""

import time

import pytest

from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.kernel import compiled
from tests.reading import mysql_reader, postgres_reader

NATIVE = JsonEncoder(NativeEnvelope())


def python_rows(reader, count):
    """What is counted once ``count`` events have been read and encoded."""
    events, deadline = 0, time.monotonic() + 60
    while events < count:
        assert time.monotonic() < deadline, f"after {events} events no more came"
        for batch in reader.stream.poll(0.1):
            events += len(batch.encoded(NATIVE)) if batch.event_count else 0
    reader.close()
    assert events == count
    return reader.metrics.python_row_counts()


@pytest.fixture
def expected():
    return lambda count, **reasons: reasons if compiled is not None else {"no_kernel": count}


def test_a_value_that_is_left_to_python_takes_its_own_row_along(postgres_database, tmp_path, expected):
    postgres_database.execute(
        "create table t (id int primary key, j json, s jsonb)", "create publication pub for all tables"
    )
    reader = postgres_reader(postgres_database, tmp_path / "state").open()
    postgres_database.execute(
        "insert into t select n, '{}', jsonb_build_object('score', n / 8.0) from generate_series(1, 50) n",
        """insert into t values (51, '{"a":1,"a":2}', null), (52, '[]', null), (53, '{"b":1,"b":2}', null)""",
    )
    assert python_rows(reader, 53) == expected(53, first_row=1, value=2)


def test_rows_of_mysql_are_counted_with_their_reason(mysql_database, tmp_path, expected):
    mysql_database.execute(
        "create table t (id int primary key, j json, g varchar(20) character set gbk)",
        "create table deep (id int primary key, c varchar(20) character set gb18030)",
    )
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    with mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            """insert into t values (1, '{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxx"}', '\u4e2d\u6587'), (2, '[1.25]', 'b')"""
        )
        cursor.execute("insert into deep values (1, '\u4e2d'), (2, '\U0001f600'), (3, 'c')")
        cursor.execute("set binlog_row_value_options = 'PARTIAL_JSON'")
        cursor.execute("update t set j = json_set(j, '$.a', 2) where id = 1")
    assert python_rows(reader, 6) == expected(6, value=1, partial_json=1)
