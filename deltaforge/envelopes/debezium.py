"""The ``debezium`` envelope: the native document in Debezium's wrapping, or with ``dialect: connect`` the messages of
Debezium itself.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import msgspec
from pydantic import Field, model_validator

from deltaforge.core.event import ChangeEvent
from deltaforge.envelopes.base import EnvelopeSettings
from deltaforge.envelopes.native import NativeDocument, NativeEnvelope
from deltaforge.records.compiled import Compiled
from deltaforge.records.debezium import DebeziumOptions, compile_debezium
from deltaforge.records.plan import Writer
from deltaforge.records.types import ConnectOptions

_OF_BOTH = {"type", "dialect"}


class DebeziumEnvelopeSpec(EnvelopeSettings):
    """The form that readers of Debezium topics know, or with `dialect: connect` its messages themselves."""

    type: Literal["debezium"] = "debezium"
    dialect: Literal["connect"] | None = Field(
        None,
        description="`connect`: keys, values and headers as Debezium 3.6 writes them. Absent: the native document as "
        "the payload of a message without a schema. The options below are of `connect` alone.",
    )
    topic_prefix: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9._-]+$",
        max_length=249,
        description="Beginning of topics and of names of schemas, `source.name`; absent: the name of the pipeline.",
    )
    connector: Literal["mysql", "mariadb"] | None = Field(
        None, description="`mariadb`: messages are those of Debezium's connector for MariaDB; absent: of the source."
    )
    decimal_handling: Literal["precise", "string", "double"] = Field(
        "precise", description="Decimals as bytes of their digits, as text, or as the nearest double."
    )
    time_precision: (
        Literal["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"] | None
    ) = Field(
        None,
        description="Form of dates and times; absent: `adaptive` on PostgreSQL, `adaptive_time_microseconds` on MySQL.",
    )
    bigint_unsigned_handling: Literal["precise", "long"] = Field(
        "precise", description="`bigint unsigned` as a decimal, or as a long, in which large numbers become negative."
    )
    binary_handling: Literal["bytes", "base64", "base64-url-safe", "hex"] = Field(
        "bytes", description="Bytes as they are, or as text."
    )
    interval_handling: Literal["numeric", "string"] = Field(
        "numeric", description="PostgreSQL's intervals as microseconds, with months of 30.4375 days, or as ISO 8601."
    )
    hstore_handling: Literal["json", "map"] = Field("json", description="PostgreSQL's hstore as JSON text or a map.")
    money_fraction_digits: int = Field(2, ge=0, le=18, description="Digits after the point of PostgreSQL's money.")
    include_unknown_datatypes: bool = Field(
        False, description="Write columns of types that Debezium does not know as bytes, instead of leaving them out."
    )
    tombstones_on_delete: bool = Field(True, description="A message without a value behind each delete.")
    unavailable_value_placeholder: str = Field(
        "__debezium_unavailable_value", description="What stands for a TOAST value that the log does not hold."
    )

    @model_validator(mode="after")
    def _are_options_of_the_dialect(self) -> DebeziumEnvelopeSpec:
        options = sorted(self.model_fields_set - _OF_BOTH)
        if self.dialect is None and options:
            raise ValueError(f"{', '.join(options)}: of the connect dialect alone; add `dialect: connect`")
        return self

    def build(self) -> DebeziumEnvelope | ConnectEnvelope:
        """The envelope of these settings."""
        return DebeziumEnvelope() if self.dialect is None else ConnectEnvelope(self.options())

    def options(self) -> DebeziumOptions:
        """What is chosen, as records know it."""
        types = ConnectOptions(
            decimal_handling=self.decimal_handling,
            time_precision=self.time_precision,
            bigint_unsigned_handling=self.bigint_unsigned_handling,
            binary_handling=self.binary_handling,
            interval_handling=self.interval_handling,
            hstore_handling=self.hstore_handling,
            money_fraction_digits=self.money_fraction_digits,
            include_unknown_datatypes=self.include_unknown_datatypes,
        )
        return DebeziumOptions(
            types=types,
            topic_prefix=self.topic_prefix,
            unavailable=self.unavailable_value_placeholder,
            connector=self.connector,
            marks_deletes=self.tombstones_on_delete,
        )


class DebeziumDocument(msgspec.Struct):
    """A native document as the payload of a message without a schema."""

    schema: None
    payload: NativeDocument


class DebeziumEnvelope:
    """Wraps the native document."""

    identity = ("debezium",)

    def __init__(self) -> None:
        self._payload = NativeEnvelope().document

    def document(self, event: ChangeEvent) -> DebeziumDocument:
        return DebeziumDocument(None, self._payload(event))


class ConnectEnvelope:
    """Describes the messages of Debezium, of which encodings make bytes."""

    def __init__(self, options: DebeziumOptions) -> None:
        self.options = options
        self.identity: tuple[Hashable, ...] = ("debezium", "connect", options)

    def compiled(self, event: ChangeEvent, writer: Writer, *, defaults_for_null: bool = False) -> Compiled:
        if event.schema is None:
            raise ValueError("no row of a table")
        options = msgspec.structs.replace(self.options, defaults_for_null=defaults_for_null)
        return compile_debezium(event.source, event.schema, options, writer)
