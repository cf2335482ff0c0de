"""What schemas say of the types at the source: the values are those that Debezium 3.6.1 wrote."""

import pytest

from deltaforge.core.event import SourceInfo
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.envelopes.debezium import DebeziumEnvelopeSpec
from deltaforge.records.debezium import compile_debezium
from deltaforge.records.types.source_types import source_type

MYSQL = [
    ("int", "INT", None, None), ("bigint unsigned", "BIGINT UNSIGNED", None, None), ("tinyint(1)", "TINYINT", 1, None),
    ("int(7) unsigned zerofill", "INT UNSIGNED ZEROFILL", 7, None), ("decimal(10,2)", "DECIMAL", 10, 2),
    ("decimal", "DECIMAL", 10, 0), ("float(7,3)", "FLOAT", 7, 3), ("varchar(40)", "VARCHAR", 40, None), ("text", "TEXT", None, None),
    ("datetime(6)", "DATETIME", 6, None), ("bit", "BIT", 1, None), ("enum('a','b')", "ENUM", 1, None), ("set('a','b','c')", "SET", 5, None),
]  # fmt: skip
POSTGRES = [
    ("integer", "INT4", 10, 0), ("double precision", "FLOAT8", 17, 17), ("numeric(10,2)", "NUMERIC", 10, 2), ("numeric", "NUMERIC", 131089, 0),
    ("character varying(40)", "VARCHAR", 40, 0), ("character varying", "VARCHAR", 2147483647, 0), ("text", "TEXT", 2147483647, 0),
    ("character(10)", "BPCHAR", 10, 0), ("bit(5)", "BIT", 5, 0), ("bit varying", "VARBIT", 2147483647, 0), ("date", "DATE", 13, 0),
    ("time(3) without time zone", "TIME", 12, 3), ("time with time zone", "TIMETZ", 21, 6), ("timestamp(0) without time zone", "TIMESTAMP", 22, 0),
    ("timestamp with time zone", "TIMESTAMPTZ", 35, 6), ("interval", "INTERVAL", 49, 6), ("uuid", "UUID", 2147483647, 0),
    ("numeric(10,2)[]", "_NUMERIC", 10, 2), ("timestamp without time zone[]", "_TIMESTAMP", 29, 6), ('"char"', "CHAR", 1, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("connector", "type_", "name", "length", "scale"),
    [("mysql", *case) for case in MYSQL] + [("postgresql", *case) for case in POSTGRES],
)
def test_types_of_the_source(connector, type_, name, length, scale):
    assert source_type(connector, Column("c", type_))[:3] == (name, length, scale)


def test_a_domain_has_its_own_name_and_the_length_of_what_is_below():
    assert source_type("postgresql", Column("c", "price", underlying="numeric(7,2)"))[:3] == ("PRICE", 7, 2)
    assert source_type("postgresql", Column("c", "mood", underlying="enum('a')"))[:3] == ("MOOD", 2147483647, 0)


def test_schemas_say_it_of_columns_and_of_types_that_were_asked_for_and_that_nothing_hides():
    table = TableSchema(
        TableId("d", None, "t"), tuple(Column(name, type_) for name, type_ in (("a", "int"), ("b", "varchar(5)"), ("c", "varchar(5)"), ("d", "int"))), ("a",)
    )  # fmt: skip
    options = DebeziumEnvelopeSpec(
        dialect="connect", column_propagate_source_type=[r"d\.t\.a"], datatype_propagate_source_type=[r"d\..*\.VARCHAR"],
        column_mask=[{"columns": [r"d\.t\.c"], "length": 3}],
    ).build().options  # fmt: skip
    source = SourceInfo(version="v", connector="mysql", name="p", ts_ms=1, db="d", table="t")
    made = compile_debezium(source, table, options, "json")
    columns = {field.name: field.schema.parameters for field in made.value.fields[0].schema.fields}
    prefix = "__debezium.source.column."
    assert columns == {
        "a": {f"{prefix}type": "INT", f"{prefix}name": "a"},
        "b": {f"{prefix}type": "VARCHAR", f"{prefix}length": "5", f"{prefix}name": "b"},
        "c": {"masked": "true"},
        "d": {},
    }
    assert made.key is not None
    assert not made.key.fields[0].schema.parameters
