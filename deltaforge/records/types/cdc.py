"""The fields of ``deltaforge.cdc`` records (contract 03 section 5); the name of a schema is Avro's logical type."""

from __future__ import annotations

import re
from collections.abc import Callable

from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.schema import Schema, Type
from deltaforge.records.types.connect import Mapped
from deltaforge.records.types.declared import Declared
from deltaforge.records.types.options import CdcModes

CdcMapping = Callable[[Declared, CdcModes], Mapped]

_MILLIS_DIGITS = 3
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def plain(type_: Type, form: Form, name: str | None = None) -> CdcMapping:
    """One schema, whatever the modes."""
    return lambda _declared, _modes: Mapped(Schema(type=type_, name=name), Conversion(form))


BOOLEAN = plain(Type.BOOLEAN, Form.BOOLEAN)
INT = plain(Type.INT32, Form.INTEGER)
LONG = plain(Type.INT64, Form.INTEGER)
SINGLE = plain(Type.FLOAT32, Form.SINGLE)
DOUBLE = plain(Type.FLOAT64, Form.DOUBLE)
STRING = plain(Type.STRING, Form.TEXT)
JSON = plain(Type.STRING, Form.JSON_TEXT)
BYTES = plain(Type.BYTES, Form.BYTES)
DATE = plain(Type.INT32, Form.DAYS, "date")
UUID = plain(Type.STRING, Form.TEXT, "uuid")
STORED_UUID = plain(Type.STRING, Form.UUID_TEXT, "uuid")
MICROS = plain(Type.INT64, Form.MICROS, "timestamp-micros")
TIME_MICROS = plain(Type.INT64, Form.DAY_MICROS, "time-micros")


def integer(declared: Declared, _modes: CdcModes) -> Mapped:
    """32 bits and a sign, or without a sign more than that."""
    return Mapped(Schema(type=Type.INT64 if declared.is_unsigned else Type.INT32), Conversion(Form.INTEGER))


def bigint(declared: Declared, modes: CdcModes) -> Mapped:
    """64 bits; without a sign in a string."""
    if declared.is_unsigned and modes.unsigned_bigint_mode == "string":
        return Mapped(Schema(type=Type.STRING), Conversion(Form.NUMBER_TEXT))
    return Mapped(Schema(type=Type.INT64), Conversion(Form.INTEGER))


def decimal(precision: int | None, scale: int) -> CdcMapping:
    """A decimal; the arguments are what a type says that has none. Of unknown size: a string."""

    def mapped(declared: Declared, _modes: CdcModes) -> Mapped:
        if not declared.numbers and precision is None:
            return Mapped(Schema(type=Type.STRING), Conversion(Form.TEXT))
        digits = declared.number(0, precision or 0)
        after = declared.number(1, 0 if declared.numbers else scale)
        digits, after = (
            max(digits, after, digits - after),
            max(after, 0),
        )  # PostgreSQL's scales may be outside of Avro's
        parameters = {"precision": str(digits), "scale": str(after)}
        return Mapped(
            Schema(type=Type.BYTES, name="decimal", parameters=parameters), Conversion(Form.DECIMAL, scale=after)
        )

    return mapped


def bits(declared: Declared, _modes: CdcModes) -> Mapped:
    """``bit(1)`` is a boolean, more are bytes."""
    if declared.name == "bit" and declared.number(0, 1) == 1:
        return Mapped(Schema(type=Type.BOOLEAN), Conversion(Form.BIT))
    size = 0 if declared.name == "bit varying" else (declared.number(0, 1) + 7) // 8
    return Mapped(Schema(type=Type.BYTES), Conversion(Form.BITS, size=size))


def time(declared: Declared, _modes: CdcModes) -> Mapped:
    """MySQL's time: milliseconds, or what its digits need."""
    if declared.number(0, 0) <= _MILLIS_DIGITS:
        return Mapped(Schema(type=Type.INT32, name="time-millis"), Conversion(Form.DAY_MILLIS))
    return Mapped(Schema(type=Type.INT64, name="time-micros"), Conversion(Form.DAY_MICROS))


def instant(declared: Declared, _modes: CdcModes) -> Mapped:
    """MySQL's timestamp."""
    return _moment(declared, 0)


def naive(digits: int) -> CdcMapping:
    """A date and time without a zone; ``digits``: of a type that names none."""

    def mapped(declared: Declared, modes: CdcModes) -> Mapped:
        if modes.naive_timestamp_mode == "string":
            return Mapped(Schema(type=Type.STRING), Conversion(Form.TEXT))
        return _moment(declared, digits)

    return mapped


def _moment(declared: Declared, digits: int) -> Mapped:
    if declared.number(0, digits) <= _MILLIS_DIGITS:
        return Mapped(Schema(type=Type.INT64, name="timestamp-millis"), Conversion(Form.MILLIS))
    return Mapped(Schema(type=Type.INT64, name="timestamp-micros"), Conversion(Form.MICROS))


def enum(declared: Declared, modes: CdcModes) -> Mapped:
    """A string, or Avro's enum where every label is a name."""
    labels = declared.labels
    if modes.enum_mode == "string" or not labels or not all(map(_NAME.fullmatch, labels)):
        return Mapped(Schema(type=Type.STRING), Conversion(Form.TEXT))
    schema = Schema(type=Type.STRING, name="enum", parameters={"allowed": ",".join(labels)})
    return Mapped(schema, Conversion(Form.LABEL, labels=labels))


def hstore(_declared: Declared, _modes: CdcModes) -> Mapped:
    """A map of strings."""
    return Mapped(Schema(type=Type.MAP, items=Schema(type=Type.STRING, optional=True)), Conversion(Form.MAP))


def vector(_declared: Declared, _modes: CdcModes) -> Mapped:
    """Numbers of 32 bits, as which also those of pgvector are stored."""
    schema = Schema(type=Type.ARRAY, items=Schema(type=Type.FLOAT32))
    return Mapped(schema, Conversion(Form.ARRAY, items=Conversion(Form.SINGLE), has_nulls=False))
