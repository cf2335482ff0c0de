"""Declared types as fields of records."""

import pytest

from deltaforge.core.table import Column
from deltaforge.records.schema import Type
from deltaforge.records.types import CdcModes, ConnectOptions, cdc_column, record_column
from deltaforge.records.types.declared import Declared, declared
from deltaforge.records.values import converted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bigint(20) unsigned zerofill", Declared("bigint", (20,), is_unsigned=True)),
        ("int unsigned", Declared("int", is_unsigned=True)),
        ("decimal(10,2) unsigned", Declared("decimal", (10, 2), is_unsigned=True)),
        ("enum('a','b''c','d,e','(x)')", Declared("enum", labels=("a", "b'c", "d,e", "(x)"))),
        ("datetime(6) /* mariadb-5.3 */", Declared("datetime", (6,))),
        ("varchar(20) /*M!100301 COMPRESSED*/", Declared("varchar", (20,))),
        ("timestamp(3) without time zone", Declared("timestamp without time zone", (3,))),
        ("character varying(40)[]", Declared("array", items=Declared("character varying", (40,)))),
        ("numeric(10,-2)", Declared("numeric", (10, -2))),
        ('"char"', Declared('"char"')),
        ('ext."My.""Type"""', Declared('My."Type"')),
        ("ext.hstore", Declared("hstore")),
        ("interval day to second(3)", Declared("interval day to second", (3,))),
        ("geometry(Point,4326)", Declared("geometry", (4326,))),
    ],
)
def test_a_declared_type_is_read_in_parts(text, expected):
    assert declared(text) == expected


@pytest.mark.parametrize(
    ("connector", "type_", "value", "expected"),
    [
        ("mysql", "bigint unsigned", 2**64 - 1, b"\x00" + b"\xff" * 8),
        ("mysql", "decimal(10,2)", "-1.50", b"\xff\x6a"),
        ("mysql", "time(6)", "-838:59:59.000001", -3020399000001),
        ("mysql", "datetime(6)", "1969-12-31T23:59:59.999999", -1),
        ("mysql", "datetime(3)", "1970-01-01T00:00:01.500000", 1500),
        ("mysql", "date", "0001-01-01", -719162),
        ("mysql", "bit(9)", 257, b"\x01\x01"),
        ("mysql", "bit(1)", 1, True),
        ("postgresql", "bit(9)", "100000001", b"\x01\x01"),
        ("postgresql", "date", "0044-03-15 BC", -735160),
        ("postgresql", "timestamp(3) without time zone", "0001-12-31 23:59:59.999 BC", -62135596800001),
        ("postgresql", "timestamp without time zone", "294276-12-31T23:59:59.999999", 9224318015999999999),
        ("postgresql", "numeric", "1.50", {"scale": 2, "value": b"\x00\x96"}),
        ("postgresql", "numeric(10,2)[]", ["1.50", None], [b"\x00\x96", None]),
        ("postgresql", "money", "-$1,000.12", b"\xfe\x79\x54"),
        ("postgresql", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ],
)
def test_a_value_takes_the_form_of_its_type(connector, type_, value, expected):
    column = record_column(connector, Column("x", type_), ConnectOptions())
    assert converted(column.conversion, value) == expected


def test_a_column_that_cannot_be_null_has_something_to_stand_for_null():
    optional = record_column("mysql", Column("x", "date"), ConnectOptions())
    required = record_column("mysql", Column("x", "date", nullable=False), ConnectOptions())
    assert (optional.schema.optional, optional.fallback) == (True, None)
    assert (required.schema.optional, required.fallback) == (False, 0)


def test_unsigned_bigints_beyond_63_bits_are_refused_where_they_do_not_fit():
    column = Column("x", "bigint unsigned")
    text = cdc_column("mysql", column, CdcModes())
    assert (text.schema.type, converted(text.conversion, 2**64 - 1)) == (Type.STRING, "18446744073709551615")
    long = cdc_column("mysql", column, CdcModes(unsigned_bigint_mode="long"))
    assert converted(long.conversion, 2**63 - 1) == 2**63 - 1
    with pytest.raises(ValueError, match="beyond 63 bits; take the mode"):
        converted(long.conversion, 2**63)
    wrapped = record_column("mysql", column, ConnectOptions(bigint_unsigned_handling="long"))
    assert converted(wrapped.conversion, 2**64 - 1) == -1


def test_what_debezium_does_not_know_is_left_out_or_bytes():
    column = Column("x", "pg_lsn")
    assert record_column("postgresql", column, ConnectOptions()) is None
    known = record_column("postgresql", column, ConnectOptions(include_unknown_datatypes=True))
    assert converted(known.conversion, "0/16B6C50") == b"0/16B6C50"
