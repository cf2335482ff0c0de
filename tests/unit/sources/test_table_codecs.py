"""Captured tables as plain data: the tables again, and nothing else."""

import random

import pytest

from deltaforge.core.errors import StorageError
from deltaforge.sources.mysql.table_codec import MysqlTableSchemaCodec
from deltaforge.sources.postgres.table_codec import PostgresTableSchemaCodec
from tests.fuzz import mysql_rows, postgres_rows

MYSQL, POSTGRES = MysqlTableSchemaCodec('p"', "acm\u00e9"), PostgresTableSchemaCodec("p", "acm\u00e9")


@pytest.mark.parametrize("seed", range(30))
def test_a_table_of_mysql_is_the_same_again(seed):
    table = mysql_rows.Case(random.Random(seed), 0).table
    found = MYSQL.unpack(table.packed)
    assert found.registered == table.registered
    assert (found.name, found.version, found.sequence) == (table.name, table.version, table.sequence)
    assert (list(found.columns), found.is_outbox) == (list(table.columns), table.is_outbox)
    for op in "cud":
        assert found.mapper.event_of(found, op) == table.mapper.event_of(table, op)


@pytest.mark.parametrize("seed", range(30))
def test_a_table_of_postgres_is_the_same_again(seed):
    table = postgres_rows.Case(random.Random(seed), 0).table
    found = POSTGRES.unpack(table.packed)
    assert (found.relation, found.registered, found.types) == (table.relation, table.registered, table.types)
    assert [name for name, _ in found.decoders] == [name for name, _ in table.decoders]
    for op in "cud":
        assert found.mapper.event_of(found, op) == table.mapper.event_of(table, op)


def test_a_table_is_packed_with_the_types_of_its_columns_only():
    case = postgres_rows.Case(random.Random(3), 0)
    assert len(case.table.types) < len(postgres_rows.TYPES | postgres_rows.ARRAY_TYPES)
    assert {column.type_oid for column in case.table.relation.columns} <= set(case.table.types)


@pytest.mark.parametrize(
    ("codec", "other"),
    [(MYSQL, postgres_rows), (POSTGRES, mysql_rows)],
    ids=["mysql", "postgres"],
)
def test_other_bytes_are_refused(codec, other):
    other_codec = MYSQL if codec is POSTGRES else POSTGRES
    packed = other.Case(random.Random(1), 0).table.packed
    later = packed.replace(b" 1", b" 2")
    assert later != packed
    for data in (b"", b"{}", packed, packed[:-1], b"\xff"):
        with pytest.raises(StorageError):
            codec.unpack(data)
    with pytest.raises(StorageError, match=r"Invalid value '(mysql|postgres) 2'"):
        other_codec.unpack(later)
