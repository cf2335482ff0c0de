from decimal import Decimal

import pytest

from deltaforge.core.event import UNCHANGED_TOAST
from deltaforge.core.table import Column
from deltaforge.sensing.declared import CANONICAL, FITTING, rule_of

BYTES = {"_base64": "AP8="}

# What this engine makes of a column, as docs/types says: never drift.
OUR_ENCODINGS = [
    ("tinyint(1)", 1),
    ("bigint unsigned", 18446744073709551615),
    ("float", 0.1),
    ("double precision", "NaN"),
    ("real", "-Infinity"),
    ("decimal(10,2)", "99.99"),
    ("numeric", "NaN"),
    ("money", "$1.00"),
    ("bit(11)", 1025),
    ("bit varying(4)", "1010"),
    ("year", 0),
    ("date", "2024-02-29"),
    ("time(6)", "-838:59:59.000000"),
    ("datetime(6)", "2024-01-02T03:04:05.678000"),
    ("timestamp with time zone", "2024-02-29T10:34:56.789Z"),
    ("interval", "1 day"),
    ("varchar(20)", "x"),
    ("varchar(20)", BYTES),
    ("character varying(40)", "x"),
    ("text", UNCHANGED_TOAST),
    ("numeric(1000,2)", UNCHANGED_TOAST),
    ("varbinary(3)", BYTES),
    ("longblob", BYTES),
    ("bytea", BYTES),
    ("uuid", BYTES),
    ("enum('a','b')", "a"),
    ("set('a','b')", "a,b"),
    ("json", {"a": [1, None]}),
    ("json", True),
    ("jsonb", 1),
    ("jsonb", UNCHANGED_TOAST),
    ("geometry", {"_base64": "AQEAAAA", "srid": 0}),
    ("vector(2)", [1.0, -2.5]),
    ("integer[]", [1, None, 3]),
    ("text[]", UNCHANGED_TOAST),
    ("hstore", {"a": "1"}),
    ("boolean", True),
    ("oid", 4294967295),
    ("xid8", 1 << 40),
    ("point", "(1,2.5)"),
    ("tsvector", "'a':1"),
    ("int4range", "[1,5)"),
    ("my_domain", 7),
    ('"Mixed Case"', {"x": 1}),
]


@pytest.mark.parametrize(("declared", "value"), OUR_ENCODINGS)
def test_our_own_encodings_are_no_drift(declared, value):
    rule = rule_of(Column("c", declared))
    assert rule.fits(value)
    assert rule.is_in_range(value)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("integer", "7"),
        ("bigint(20) unsigned", 7.5),
        ("double", "7"),
        ("double precision", "nan"),
        ("varchar(20)", 7),
        ("varchar(20)", True),
        ("varchar(20)", ["x"]),
        ("text", {"_base64": 1}),
        ("boolean", 1),
        ("decimal(10,2)", BYTES),
        ("decimal(10,2)", {"a": 1}),
        ("timestamp", 1700000000),
        ("integer[]", "{1}"),
        ("bytea", {"a": 1}),
    ],
)
def test_other_encodings_are_drift(declared, value):
    assert not rule_of(Column("c", declared)).fits(value)


@pytest.mark.parametrize(
    ("declared", "inside", "outside"),
    [
        ("tinyint", -128, -129),
        ("tinyint unsigned", 255, -1),
        ("smallint", 32767, 32768),
        ("mediumint unsigned", 16777215, 16777216),
        ("int(11)", -2147483648, 2147483648),
        ("bigint", 9223372036854775807, 9223372036854775808),
        ("bigint(20) unsigned", 18446744073709551615, 18446744073709551616),
        ("decimal(5,2)", "999.99", "1000.00"),
        ("decimal(5,2)", Decimal("-999.99"), Decimal(-1000)),
        ("decimal(5,2) unsigned", 0, -1),
        ("numeric(3)", 999, 1000),
        ("bit(4)", 15, 16),
        ("year(4)", 2155, 2156),
    ],
)
def test_numbers_have_the_range_of_their_type(declared, inside, outside):
    rule = rule_of(Column("c", declared))
    assert rule.is_in_range(inside)
    assert not rule.is_in_range(outside)


@pytest.mark.parametrize("declared", ["numeric", "double", "text", "json", "timestamp(3)"])
def test_types_without_a_range_take_every_number(declared):
    assert rule_of(Column("c", declared)).is_in_range(10**30)


def test_json_columns_may_hold_a_json_null_although_not_null():
    assert rule_of(Column("c", "jsonb", nullable=False)).takes_null
    assert not rule_of(Column("c", "text", nullable=False)).takes_null


def test_both_tables_name_types_in_small_letters_and_say_why():
    assert all(name == name.lower() for types in FITTING.values() for name in types)
    assert all(why and types for why, types in CANONICAL.values())
