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
        ("interval day to second(3)", Declared("interval", (3,))),
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
        ("postgresql", "timestamp(3) without time zone", "294276-12-31T23:59:59.999", 9224318015999999),
        ("postgresql", "timestamp without time zone", "infinity", 9223372036825200000),
        ("postgresql", "timestamp(3) without time zone", "-infinity", -9223372036832400),
        ("postgresql", "timestamp with time zone", "2024-02-29T10:34:56.789Z", "2024-02-29T10:34:56.789000Z"),
        ("postgresql", "timestamp(3) with time zone", "2024-02-29T12:34:56Z", "2024-02-29T12:34:56.000Z"),
        ("postgresql", "timestamp with time zone", "infinity", "infinity"),
        ("postgresql", "timestamp with time zone", "0044-03-15 01:02:03+00 BC", "-0043-03-15T01:02:03.000000Z"),
        ("postgresql", "timestamp with time zone", "10000-01-01T00:00:00Z", "+10000-01-01T00:00:00.000000Z"),
        ("postgresql", "time with time zone", "12:00:00.5+05:30", "06:30:00.5Z"),
        ("postgresql", "time with time zone", "23:59:59.999999-12", "11:59:59.999999Z"),
        ("postgresql", "time without time zone", "24:00:00", 86400000000),
        ("postgresql", "interval", "1 year 2 mons -3 days +04:05:06.789", 36572706789000),
        ("postgresql", "interval", "-1 mons +2 days -00:00:00.000001", -2457000000001),
        ("postgresql", "interval", "1 mon", 2629800000000),
        ("postgresql", "bit(12)", "000000000001", b"\x01"),
        ("postgresql", "bit varying", "", b""),
        ("postgresql", "numeric", "1.500", {"scale": 1, "value": b"\x0f"}),
        ("postgresql", "numeric", "100", {"scale": 0, "value": b"\x64"}),
        ("postgresql", "numeric", "-0.0010", {"scale": 3, "value": b"\xff"}),
        ("postgresql", "numeric(3,-2)", "12300", b"\x30\x0c"),
        (
            "postgresql",
            "geometry(Point,4326)",
            "0101000020E6100000000000000000F03F0000000000000040",
            {"wkb": bytes.fromhex("0101000020E6100000000000000000F03F0000000000000040"), "srid": 4326},
        ),
        (
            "mysql",
            "point",
            {"_base64": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": 0},
            {"x": 1.0, "y": 2.0, "wkb": bytes.fromhex("0101000000000000000000F03F0000000000000040"), "srid": None},
        ),
        ("mysql", "float(10,2)", 1.1, 1.100000023841858),
        ("mysql", "timestamp(3)", "2024-02-29T12:34:56.780000Z", "2024-02-29T12:34:56.780Z"),
        ("mysql", "timestamp", "2024-02-29T12:34:56.000000Z", "2024-02-29T12:34:56Z"),
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


@pytest.mark.parametrize(
    ("type_", "options", "value", "expected"),
    [
        ("interval", ConnectOptions(interval_handling="string"), "1 year 2 mons -3 days 04:05:06.789", "P1Y2M-3DT4H5M6.789S"),
        ("interval", ConnectOptions(interval_handling="string"), "-1 mons +2 days -00:00:00.000001", "P0Y-1M2DT0H0M-0.000001S"),
        ("numeric", ConnectOptions(decimal_handling="double"), "NaN", pytest.approx(float("nan"), nan_ok=True)),
        ("numeric", ConnectOptions(decimal_handling="string"), "Infinity", "Infinity"),
        ("money", ConnectOptions(decimal_handling="string"), "-$92,233,720,368,547,758.08", "-92233720368547758.08"),
        ("money", ConnectOptions(decimal_handling="double"), "($1.50)", -1.5),
        ("money", ConnectOptions(money_fraction_digits=1), "-$1,234.56", b"\xcf\xc6"),
        ("money", ConnectOptions(), "1.234,56 \u20ac", b"\x01\xe2\x40"),
        ("bytea", ConnectOptions(binary_handling="hex"), {"_base64": "AP8="}, "00ff"),
        ("bytea", ConnectOptions(binary_handling="base64-url-safe"), {"_base64": "+/8="}, "-_8="),
        ("hstore", ConnectOptions(), {"a": "1", "b": None}, '{"a":"1","b":null}'),
        ("hstore", ConnectOptions(hstore_handling="map"), {"a": "1", "b": None}, {"a": "1", "b": None}),
        ("date", ConnectOptions(time_precision="isostring"), "0044-03-15 BC", "-0043-03-15Z"),
        ("date", ConnectOptions(time_precision="isostring"), "infinity", "infinity"),
        ("time(3) without time zone", ConnectOptions(time_precision="isostring"), "12:34:56.78", "12:34:56.78Z"),
        ("timestamp without time zone", ConnectOptions(time_precision="isostring"), "10000-01-01T00:00:00", "+10000-01-01T00:00:00Z"),
        ("timestamp without time zone", ConnectOptions(time_precision="nanoseconds"), "1969-12-31T23:59:59.999999", -1000),
        ("timestamp without time zone", ConnectOptions(time_precision="nanoseconds"), "infinity", 2**63 - 1),
        ("timestamp without time zone", ConnectOptions(time_precision="connect"), "1969-12-31T23:59:59.999999", -1),
        ("line", ConnectOptions(include_unknown_datatypes=True, binary_handling="hex"), "{1,2,3}", "7b312c322c337d"),
    ],
)  # fmt: skip
def test_a_value_takes_the_form_that_is_chosen(type_, options, value, expected):
    column = record_column("postgresql", Column("x", type_), options)
    assert converted(column.conversion, value) == expected


@pytest.mark.parametrize(
    ("connector", "type_", "options", "value", "remedy"),
    [
        ("postgresql", "numeric", ConnectOptions(), "NaN", "decimal_handling string"),
        ("postgresql", "numeric(10,2)", ConnectOptions(), "Infinity", "decimal_handling string"),
        ("postgresql", "date", ConnectOptions(), "infinity", "isostring"),
        ("postgresql", "timestamp without time zone", ConnectOptions(), "294276-12-31T23:59:59.999999", "connect or isostring"),
        ("postgresql", "timestamp without time zone", ConnectOptions(time_precision="nanoseconds"), "2300-01-01T00:00:00", "microseconds"),
        ("postgresql", "interval", ConnectOptions(), "178000000 years", "interval_handling string"),
        ("postgresql", "integer[]", ConnectOptions(), [[1], [2]], "exclude the column"),
        ("postgresql", "money", ConnectOptions(), "1,234", "lc_monetary"),
        ("postgresql", "text", ConnectOptions(), {"_base64": "/w=="}, "exclude the column"),
        ("postgresql", "text", ConnectOptions(), "\ud83d", "exclude the column"),
        ("mysql", "time", ConnectOptions(time_precision="connect"), "25:00:00.000000", "microseconds"),
        ("mysql", "time", ConnectOptions(time_precision="isostring"), "-00:00:01.000000", "microseconds"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_with_the_remedy(connector, type_, options, value, remedy):
    column = record_column(connector, Column("x", type_), options)
    with pytest.raises(ValueError, match=remedy):
        converted(column.conversion, value)
