"""The data model of Kafka Connect: what schemas with a registry, and schemas inside of messages, are made of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Type(StrEnum):
    """The kinds of values; the texts are those of Connect's JSON schemas."""

    BOOLEAN = "boolean"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float"
    FLOAT64 = "double"
    STRING = "string"
    BYTES = "bytes"
    STRUCT = "struct"
    ARRAY = "array"
    MAP = "map"


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """A type with what is said of its values.

    Attributes:
        type: Kind of the values.
        optional: Whether null is a value.
        name: What the values mean (``io.debezium.time.Date``), or of a struct, its full name.
        version: Of that name.
        parameters: Of that name, e.g. ``scale``.
        default: A value in the form that records have; None: there is none.
        has_default: Whether there is one; None may be one.
        doc: For people.
        fields: Of a struct.
        items: Of an array, and the values of a map, whose keys are strings.
    """

    type: Type
    optional: bool = False
    name: str | None = None
    version: int | None = None
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    default: Any = None
    has_default: bool = False
    doc: str | None = None
    fields: tuple[Field, ...] = ()
    items: Schema | None = None


class Field(msgspec.Struct, frozen=True):
    """A field of a struct."""

    name: str
    schema: Schema
