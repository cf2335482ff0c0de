"""Debezium's fields: how a declared type becomes a schema of Kafka Connect, and its values the form of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.schema import Field, Schema, Type
from deltaforge.records.types.declared import Declared
from deltaforge.records.types.options import ConnectOptions, TimePrecision


class Mapped(NamedTuple):
    """A schema without its optionality, and the form of its values."""

    schema: Schema
    conversion: Conversion


Mapping = Callable[[Declared, ConnectOptions], Mapped | None]
"""None: Debezium does not know the type."""

_MILLIS_DIGITS = 3
DECIMAL = "org.apache.kafka.connect.data.Decimal"
_BINARY_TEXT = {"base64": Form.BASE64, "base64-url-safe": Form.BASE64_URL, "hex": Form.HEX}


def plain(type_: Type, form: Form, name: str | None = None, **parameters: str) -> Mapping:
    """One schema, whatever the options; a name of Debezium's has the version 1."""
    schema = Schema(type=type_, name=name, version=1 if name else None, parameters=parameters)
    return lambda _declared, _options: Mapped(schema, Conversion(form))


def integer(signed: Type, unsigned: Type) -> Mapping:
    """An integer of the width that holds it."""
    signed_, unsigned_ = plain(signed, Form.INTEGER), plain(unsigned, Form.INTEGER)
    return lambda declared, options: (unsigned_ if declared.is_unsigned else signed_)(declared, options)


BOOLEAN = plain(Type.BOOLEAN, Form.BOOLEAN)
INT16 = plain(Type.INT16, Form.INTEGER)
INT32 = plain(Type.INT32, Form.INTEGER)
INT64 = plain(Type.INT64, Form.INTEGER)
SINGLE = plain(Type.FLOAT32, Form.SINGLE)
DOUBLE = plain(Type.FLOAT64, Form.DOUBLE)
TEXT = plain(Type.STRING, Form.TEXT)
JSON = plain(Type.STRING, Form.JSON_TEXT, "io.debezium.data.Json")
XML = plain(Type.STRING, Form.TEXT, "io.debezium.data.Xml")
UUID = plain(Type.STRING, Form.TEXT, "io.debezium.data.Uuid")
STORED_UUID = plain(Type.STRING, Form.UUID_TEXT, "io.debezium.data.Uuid")
YEAR = plain(Type.INT32, Form.INTEGER, "io.debezium.time.Year")
LTREE = plain(Type.STRING, Form.TEXT, "io.debezium.data.Ltree")
TSVECTOR = plain(Type.STRING, Form.TEXT, "io.debezium.data.Tsvector")
ZONED_TIME = plain(Type.STRING, Form.ZONED_TIME, "io.debezium.time.ZonedTime")


_WIDENED = plain(Type.FLOAT64, Form.WIDENED_SINGLE)


def mysql_float(declared: Declared, options: ConnectOptions) -> Mapped | None:
    """32 bits, which Debezium widens where digits are declared."""
    return (_WIDENED if declared.numbers else SINGLE)(declared, options)


def bigint(declared: Declared, options: ConnectOptions) -> Mapped:
    """MySQL's 64 bits, which Connect has with a sign only."""
    if not declared.is_unsigned:
        return Mapped(Schema(type=Type.INT64), Conversion(Form.INTEGER))
    if options.bigint_unsigned_handling == "precise":
        return exact(20, 0)
    return Mapped(Schema(type=Type.INT64), Conversion(Form.WRAPPED_INTEGER))


def exact(precision: int | None, scale: int) -> Mapped:
    """Connect's decimal; the precision is for those who want to know it."""
    parameters = {"scale": str(scale)}
    if precision is not None:
        parameters["connect.decimal.precision"] = str(precision)
    schema = Schema(type=Type.BYTES, name=DECIMAL, version=1, parameters=parameters)
    return Mapped(schema, Conversion(Form.DECIMAL, scale=scale))


def decimal(precision: int | None, scale: int) -> Mapping:
    """A decimal; the arguments are what a type says that has none. ``precision`` None: any number of digits."""

    def mapped(declared: Declared, options: ConnectOptions) -> Mapped:
        if options.decimal_handling == "string":
            return Mapped(Schema(type=Type.STRING), Conversion(Form.TEXT))
        if options.decimal_handling == "double":
            return Mapped(Schema(type=Type.FLOAT64), Conversion(Form.DOUBLE))
        if precision is None and not declared.numbers:
            return _VARIABLE_DECIMAL
        digits, after = declared.number(0, precision or 0), declared.number(1, 0 if declared.numbers else scale)
        return exact(digits, after) if after >= 0 else exact(digits - after, 0)

    return mapped


_VARIABLE_DECIMAL = Mapped(
    Schema(
        type=Type.STRUCT,
        name="io.debezium.data.VariableScaleDecimal",
        version=1,
        doc="Variable scaled decimal",
        fields=(Field("scale", Schema(type=Type.INT32)), Field("value", Schema(type=Type.BYTES))),
    ),
    Conversion(Form.VARIABLE_DECIMAL),
)


def money(_declared: Declared, options: ConnectOptions) -> Mapped:
    """PostgreSQL's ``money``."""
    if options.decimal_handling == "string":
        return Mapped(Schema(type=Type.STRING), Conversion(Form.MONEY_TEXT))
    if options.decimal_handling == "double":
        return Mapped(Schema(type=Type.FLOAT64), Conversion(Form.MONEY_DOUBLE))
    mapped = exact(None, options.money_fraction_digits)
    return mapped._replace(conversion=Conversion(Form.MONEY, scale=options.money_fraction_digits))


def binary(_declared: Declared, options: ConnectOptions) -> Mapped:
    """Bytes, or a text of them."""
    form = _BINARY_TEXT.get(options.binary_handling)
    if form is None:
        return Mapped(Schema(type=Type.BYTES), Conversion(Form.BYTES))
    return Mapped(Schema(type=Type.STRING), Conversion(form))


def bits(*, is_padded: bool) -> Mapping:
    """``bit(n)``: one is a boolean. Without a length it has one on both databases, ``bit varying`` any number.

    Args:
        is_padded: Whether zeros at the end are written.
    """
    return lambda declared, _options: _bits(declared, is_padded=is_padded)


def _bits(declared: Declared, *, is_padded: bool) -> Mapped:
    length = declared.number(0, _ANY_LENGTH if declared.name == "bit varying" else 1)
    if length == 1 and declared.name == "bit":
        return Mapped(Schema(type=Type.BOOLEAN), Conversion(Form.BIT))
    schema = Schema(type=Type.BYTES, name="io.debezium.data.Bits", version=1, parameters={"length": str(length)})
    return Mapped(schema, Conversion(Form.BITS, size=(length + 7) // 8 if is_padded else 0))


_ANY_LENGTH = 2147483647


def labelled(name: str, comma: str = ",") -> Mapping:
    """An enum or set, whose labels are in a parameter; ``comma``: one inside of a label."""

    def mapped(declared: Declared, _options: ConnectOptions) -> Mapped:
        parameters = {"allowed": ",".join(label.replace(",", comma) for label in declared.labels)}
        return Mapped(Schema(type=Type.STRING, name=name, version=1, parameters=parameters), Conversion(Form.TEXT))

    return mapped


_DATES: dict[TimePrecision, Mapping] = {
    "connect": plain(Type.INT32, Form.DAYS, "org.apache.kafka.connect.data.Date"),
    "isostring": plain(Type.STRING, Form.ISO_DATE, "io.debezium.time.IsoDate"),
}
_DATE = plain(Type.INT32, Form.DAYS, "io.debezium.time.Date")
_TIME_MILLIS = plain(Type.INT32, Form.MILLIS, "io.debezium.time.Time")
_TIME_MICROS = plain(Type.INT64, Form.MICROS, "io.debezium.time.MicroTime")
_TIMES: dict[TimePrecision, Mapping] = {
    "adaptive_time_microseconds": _TIME_MICROS,
    "microseconds": _TIME_MICROS,
    "nanoseconds": plain(Type.INT64, Form.NANOS, "io.debezium.time.NanoTime"),
    "connect": plain(Type.INT32, Form.DAY_MILLIS, "org.apache.kafka.connect.data.Time"),
    "isostring": plain(Type.STRING, Form.ISO_TIME, "io.debezium.time.IsoTime"),
}
_STAMP_MILLIS = plain(Type.INT64, Form.MILLIS, "io.debezium.time.Timestamp")
_STAMP_MICROS = plain(Type.INT64, Form.MICROS, "io.debezium.time.MicroTimestamp")
_STAMPS: dict[TimePrecision, Mapping] = {
    "microseconds": _STAMP_MICROS,
    "nanoseconds": plain(Type.INT64, Form.NANOS, "io.debezium.time.NanoTimestamp"),
    "connect": plain(Type.INT64, Form.MILLIS, "org.apache.kafka.connect.data.Timestamp"),
    "isostring": plain(Type.STRING, Form.ISO_STAMP, "io.debezium.time.IsoTimestamp"),
}


def date(declared: Declared, options: ConnectOptions) -> Mapped | None:
    """A date."""
    return _DATES.get(_precision(options, "adaptive"), _DATE)(declared, options)


def time(default: TimePrecision, digits: int) -> Mapping:
    """A time of day; ``default``: how it is handled unasked, ``digits`` those of a type that names none."""

    def mapped(declared: Declared, options: ConnectOptions) -> Mapped | None:
        adaptive = _TIME_MILLIS if declared.number(0, digits) <= _MILLIS_DIGITS else _TIME_MICROS
        return _TIMES.get(_precision(options, default), adaptive)(declared, options)

    return mapped


def stamp(digits: int) -> Mapping:
    """A date with a time and without a zone; ``digits`` of a type that names none."""

    def mapped(declared: Declared, options: ConnectOptions) -> Mapped | None:
        adaptive = _STAMP_MILLIS if declared.number(0, digits) <= _MILLIS_DIGITS else _STAMP_MICROS
        return _STAMPS.get(_precision(options, "adaptive"), adaptive)(declared, options)

    return mapped


def instant(digits: int) -> Mapping:
    """A date and time with a zone; ``digits`` of a type that names none."""
    schema = Schema(type=Type.STRING, name="io.debezium.time.ZonedTimestamp", version=1)
    return lambda declared, _: Mapped(schema, Conversion(Form.ZONED_TEXT, size=declared.number(0, digits)))


def _precision(options: ConnectOptions, default: TimePrecision) -> TimePrecision:
    return options.time_precision or default


def interval(_declared: Declared, options: ConnectOptions) -> Mapped:
    """PostgreSQL's interval."""
    if options.interval_handling == "string":
        return Mapped(
            Schema(type=Type.STRING, name="io.debezium.time.Interval", version=1), Conversion(Form.ISO_INTERVAL)
        )
    schema = Schema(type=Type.INT64, name="io.debezium.time.MicroDuration", version=1)
    return Mapped(schema, Conversion(Form.INTERVAL_MICROS))


def hstore(_declared: Declared, options: ConnectOptions) -> Mapped:
    """A map of texts, or a text with it as JSON."""
    if options.hstore_handling == "json":
        return Mapped(Schema(type=Type.STRING, name="io.debezium.data.Json", version=1), Conversion(Form.JSON_TEXT))
    values = Schema(type=Type.STRING, optional=True)
    return Mapped(Schema(type=Type.MAP, items=values), Conversion(Form.MAP))


def vector(items: Type, form: Form, name: str) -> Mapping:
    """Numbers of one width."""
    schema = Schema(type=Type.ARRAY, name=name, version=1, items=Schema(type=items))
    conversion = Conversion(Form.ARRAY, items=Conversion(form), has_nulls=False)
    return lambda _declared, _options: Mapped(schema, conversion)


_SRID = Field("srid", Schema(type=Type.INT32, optional=True))
GEOMETRY_SCHEMA = Schema(
    type=Type.STRUCT,
    name="io.debezium.data.geometry.Geometry",
    version=1,
    doc="Geometry",
    fields=(Field("wkb", Schema(type=Type.BYTES)), _SRID),
)
POINT_SCHEMA = Schema(
    type=Type.STRUCT,
    name="io.debezium.data.geometry.Point",
    version=1,
    doc="Geometry (POINT)",
    fields=(
        Field("x", Schema(type=Type.FLOAT64)),
        Field("y", Schema(type=Type.FLOAT64)),
        Field("wkb", Schema(type=Type.BYTES, optional=True)),
        _SRID,
    ),
)


def geometry(_declared: Declared, _options: ConnectOptions) -> Mapped:
    """A shape, as WKB."""
    return Mapped(GEOMETRY_SCHEMA, Conversion(Form.GEOMETRY))


def point(_declared: Declared, _options: ConnectOptions) -> Mapped:
    """A point, also with its coordinates."""
    return Mapped(POINT_SCHEMA, Conversion(Form.POINT))


def unknown(_declared: Declared, options: ConnectOptions) -> Mapped | None:
    """What Debezium leaves out unasked."""
    if not options.include_unknown_datatypes:
        return None
    form = _BINARY_TEXT.get(options.binary_handling)
    if form is None:
        return Mapped(Schema(type=Type.BYTES), Conversion(Form.TEXT_BYTES))
    return Mapped(Schema(type=Type.STRING), Conversion(form))
