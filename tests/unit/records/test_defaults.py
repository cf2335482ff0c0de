"""Defaults of columns as those of schemas."""

import pytest

from deltaforge.core.table import Column
from deltaforge.records.types import ConnectOptions, record_column

CASES = [  # connector, type, default as the catalog prints it, what the schema says
    ("mysql", "tinyint(1)", "1", 1),
    ("mysql", "bigint unsigned", "18446744073709551615", b"\x00" + b"\xff" * 8),
    ("mysql", "decimal(10,2)", "1.5", b"\x00\x96"),
    ("mysql", "decimal(5,2)", "-1.555", b"\xff\x64"),
    ("mysql", "float(5,3)", "1.100", 1.1),
    ("mysql", "bit(1)", "b'1'", True),
    ("mysql", "bit(9)", "b'100000001'", b"\x01\x01"),
    ("mysql", "bit(9)", "0x1f", b"\x1f\x00"),
    ("mysql", "year", "2024", 2024),
    ("mysql", "date", "2024-2-9", 19762),
    ("mysql", "date", "0000-00-00", None),
    ("mysql", "time(6)", "-01:02:03.5", -3723500000),
    ("mysql", "time(3)", "100:00:00", 360000000000),
    ("mysql", "datetime", "2024-02-29 12:34:56.789", 1709210097000),
    ("mysql", "datetime", "2024-02-29", 1709164800000),
    ("mysql", "datetime(6)", "CURRENT_TIMESTAMP(6)", 0),
    ("mysql", "timestamp(6)", "2024-02-29 12:34:56.7", "2024-02-29T12:34:56.700000Z"),
    ("mysql", "timestamp", "current_timestamp()", "1970-01-01T00:00:00Z"),
    ("mysql", "varchar(20)", "x'y", "x'y"),
    ("mysql", "enum('a','b')", "b", "b"),
    ("mysql", "varbinary(9)", "0x", None),
    ("mysql", "varbinary(9)", "", b""),
    ("postgresql", "integer", "'-3'::integer", -3),
    ("postgresql", "integer", "nextval('t_id_seq'::regclass)", 0),
    ("postgresql", "integer", "(1 + 2)", None),
    ("postgresql", "boolean", "true", True),
    ("postgresql", "numeric(10,2)", "1.5", b"\x00\x96"),
    ("postgresql", "numeric", "1.50", None),
    ("postgresql", "text", "'it''s a::b'::text", "it's a::b"),
    ("postgresql", "character varying", "NULL::character varying", None),
    ("postgresql", "text", "upper('a'::text)", ""),
    ("postgresql", "bytea", "'\\x00ff'::bytea", None),
    ("postgresql", "jsonb", "'{\"a\": 1}'::jsonb", '{"a":1}'),
    ("postgresql", "uuid", "gen_random_uuid()", "00000000-0000-0000-0000-000000000000"),
    ("postgresql", "date", "CURRENT_DATE", 0),
    ("postgresql", "timestamp without time zone", "(now() AT TIME ZONE 'utc'::text)", 0),
    ("postgresql", "timestamp with time zone", "'2024-02-29 10:34:56+00'::timestamp with time zone", "2024-02-29T10:34:56.000000Z"),
    ("postgresql", "timestamp with time zone", "now()", "1970-01-01T00:00:00.000000Z"),
    ("postgresql", "interval", "'1 day'::interval", 86400000000),
    ("postgresql", "bit(4)", "'1010'::\"bit\"", b"\x0a"),
    ("postgresql", "bit(4)", "B'1010'::\"bit\"", b"\x0a"),
    ("postgresql", "inet", "'10.0.0.1'::inet", None),
]  # fmt: skip


@pytest.mark.parametrize(("connector", "type_", "default", "expected"), CASES)
def test_a_constant_default_is_in_the_schema(connector, type_, default, expected):
    schema = record_column(connector, Column("x", type_, default=default), ConnectOptions()).schema
    assert (schema.has_default, schema.default) == (expected is not None, expected)


def test_what_a_form_cannot_hold_is_no_default():
    column = Column("x", "time(6)", default="-01:02:03.500000")
    assert not record_column("mysql", column, ConnectOptions(time_precision="connect")).schema.has_default


def test_expressions_and_domains_have_none():
    for extra in ("DEFAULT_GENERATED", "STORED GENERATED"):
        column = Column("x", "varchar(40)", default="uuid()", extra=extra)
        assert not record_column("mysql", column, ConnectOptions()).schema.has_default
    domain = Column("x", "positive", default="7", underlying="integer")
    assert not record_column("postgresql", domain, ConnectOptions()).schema.has_default


def test_null_in_a_column_that_has_none_is_the_default_else_the_zero_of_the_type():
    column = Column("x", "date", nullable=False, default="2024-02-29")
    assert record_column("mysql", column, ConnectOptions()).fallback == 19782
    for type_, zero in (("date", 0), ("numeric(10,2)", b"\0"), ("timestamp with time zone", "1970-01-01T00:00:00Z")):
        assert record_column("postgresql", Column("x", type_, nullable=False), ConnectOptions()).fallback == zero
