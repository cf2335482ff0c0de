"""The table of types: what each declared type becomes. Adding a type is one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from deltaforge.records.conversion import Form
from deltaforge.records.schema import Type
from deltaforge.records.types import cdc, connect
from deltaforge.records.types.cdc import CdcMapping


class Row(NamedTuple):
    """Types that become the same.

    Attributes:
        names: As the catalog declares them, without arguments; by commas.
        connect: Debezium's field.
        cdc: The field of a ``deltaforge.cdc`` record.
        samples: Declarations with arguments that change something, for ``docs/types``; by semicolons.
    """

    names: str
    connect: connect.Mapping
    cdc: CdcMapping
    samples: str = ""


_MYSQL_TIME = connect.time("adaptive_time_microseconds", 0)

MYSQL_ROWS = (
    Row("tinyint", connect.INT16, cdc.INT),
    Row("smallint", connect.integer(Type.INT16, Type.INT32), cdc.INT, "smallint unsigned"),
    Row("mediumint", connect.INT32, cdc.INT),
    Row("int", connect.integer(Type.INT32, Type.INT64), cdc.integer, "int unsigned"),
    Row("bigint", connect.bigint, cdc.bigint, "bigint unsigned"),
    Row("float", connect.mysql_float, cdc.SINGLE, "float(7,4)"),
    Row("double", connect.DOUBLE, cdc.DOUBLE),
    Row("decimal", connect.decimal(10, 0), cdc.decimal(10, 0), "decimal(10,2)"),
    Row("bit", connect.bits(is_padded=True), cdc.bits, "bit(9)"),
    Row("year", connect.YEAR, cdc.INT),
    Row("date", connect.date, cdc.DATE),
    Row("time", _MYSQL_TIME, cdc.time, "time(6)"),
    Row("datetime", connect.stamp(0), cdc.naive(0), "datetime(6)"),
    Row("timestamp", connect.instant(0), cdc.instant, "timestamp(6)"),
    Row("char,varchar", connect.TEXT, cdc.STRING),
    Row("tinytext,text,mediumtext,longtext", connect.TEXT, cdc.STRING),
    Row("binary,varbinary", connect.binary, cdc.BYTES),
    Row("tinyblob,blob,mediumblob,longblob", connect.binary, cdc.BYTES),
    Row("enum", connect.labelled("io.debezium.data.Enum", "\\,"), cdc.enum, "enum('a','b')"),
    Row("set", connect.labelled("io.debezium.data.EnumSet"), cdc.STRING),
    Row("json", connect.JSON, cdc.JSON),
    Row("point", connect.point, cdc.JSON),
    Row(
        "geometry,linestring,polygon,multipoint,multilinestring,multipolygon,geometrycollection,geomcollection",
        connect.geometry,
        cdc.JSON,
    ),
    Row("vector", connect.vector(Type.FLOAT32, Form.SINGLE, "io.debezium.data.FloatVector"), cdc.vector),
    Row("uuid", connect.STORED_UUID, cdc.STORED_UUID),
    Row("inet4,inet6", connect.binary, cdc.BYTES),
)

POSTGRES_ROWS = (
    Row("boolean", connect.BOOLEAN, cdc.BOOLEAN),
    Row("smallint", connect.INT16, cdc.INT),
    Row("integer", connect.INT32, cdc.INT, "integer[]"),
    Row("bigint", connect.INT64, cdc.LONG),
    Row("oid", connect.INT64, cdc.LONG),
    Row("xid,cid,xid8", connect.unknown, cdc.LONG),
    Row("real", connect.SINGLE, cdc.SINGLE),
    Row("double precision", connect.DOUBLE, cdc.DOUBLE),
    Row("numeric", connect.decimal(None, 0), cdc.decimal(None, 0), "numeric(10,2)"),
    Row("money", connect.money, cdc.STRING),
    Row("bit,bit varying", connect.bits(is_padded=False), cdc.bits, "bit(9)"),
    Row("bytea", connect.binary, cdc.BYTES),
    Row("json,jsonb", connect.JSON, cdc.JSON),
    Row("xml", connect.XML, cdc.STRING),
    Row("uuid", connect.UUID, cdc.UUID),
    Row('character varying,character,text,"char",name,citext', connect.TEXT, cdc.STRING),
    Row("inet,cidr,macaddr,macaddr8", connect.TEXT, cdc.STRING),
    Row("date", connect.date, cdc.DATE),
    Row("time without time zone", connect.time("adaptive", 6), cdc.TIME_MICROS, "time(3) without time zone"),
    Row("time with time zone", connect.ZONED_TIME, cdc.STRING),
    Row("timestamp without time zone", connect.stamp(6), cdc.naive(6), "timestamp(3) without time zone"),
    Row("timestamp with time zone", connect.instant(6), cdc.MICROS),
    Row("interval", connect.interval, cdc.STRING),
    Row("enum", connect.labelled("io.debezium.data.Enum"), cdc.enum, "enum('a','b')"),
    Row("hstore", connect.hstore, cdc.hstore),
    Row("point", connect.point, cdc.STRING),
    Row("int4range,int8range,numrange,tsrange,tstzrange,daterange", connect.TEXT, cdc.STRING),
    Row("tsvector", connect.TSVECTOR, cdc.STRING),
    Row("ltree", connect.LTREE, cdc.STRING),
    Row("isbn", connect.TEXT, cdc.STRING),
    Row("geometry,geography", connect.geometry, cdc.STRING),
    Row("vector", connect.vector(Type.FLOAT64, Form.DOUBLE, "io.debezium.data.DoubleVector"), cdc.vector),
    Row("halfvec", connect.vector(Type.FLOAT32, Form.SINGLE, "io.debezium.data.FloatVector"), cdc.vector),
)
UNKNOWN = Row("", connect.unknown, cdc.STRING)
"""All types that no row names."""


def _by_name(rows: tuple[Row, ...]) -> Mapping[str, Row]:
    return {name: row for row in rows for name in row.names.split(",")}


ROWS = {"mysql": _by_name(MYSQL_ROWS), "mariadb": _by_name(MYSQL_ROWS), "postgresql": _by_name(POSTGRES_ROWS)}
"""By connector and name."""
