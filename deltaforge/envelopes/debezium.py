"""The ``debezium`` envelope: the native document in Debezium's wrapping, or with ``dialect: connect`` the messages of
Debezium itself.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Annotated, Literal

import msgspec
from pydantic import AfterValidator, Field, field_validator, model_validator

from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Secret
from deltaforge.core.event import Asked, ChangeEvent
from deltaforge.envelopes.base import EnvelopeSettings
from deltaforge.envelopes.native import NativeDocument, NativeEnvelope
from deltaforge.records.compiled import Compiled, ExtraMessage
from deltaforge.records.debezium import DebeziumOptions, compile_debezium
from deltaforge.records.debezium_extra import extra_message
from deltaforge.records.masking import hash_name
from deltaforge.records.names import NameAdjustment
from deltaforge.records.plan import Writer
from deltaforge.records.selection import Cut, Hash, Mask, Selection, SourceTypes, key_rules
from deltaforge.records.types import ConnectOptions


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"no regular expression: {exc}") from None
    return text


Expression = Annotated[str, Field(min_length=1), AfterValidator(_expression)]


class ColumnMask(StrictModel):
    """Columns whose texts become asterisks."""

    columns: list[Expression] = Field(min_length=1, description="Regular expressions over `schema.table.column`.")
    length: int = Field(ge=0, le=1 << 16, description="How many of them.")

    def rule(self) -> Mask:
        """As records know it."""
        return Mask(tuple(self.columns), self.length)


class ColumnHash(StrictModel):
    """Columns whose texts become their hashes."""

    columns: list[Expression] = Field(min_length=1, description="Regular expressions over `schema.table.column`.")
    algorithm: str = Field(description="A hash by Java's name, e.g. `SHA-256`.")
    salt: Secret = Field(description="What is hashed before each text.")
    version: Literal[1, 2] = Field(2, description="`1`: Debezium's first way, with Java's serialization of the text.")

    @field_validator("algorithm")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if hash_name(name) is None:
            raise ValueError("take MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512 or one of SHA3")
        return name

    def rule(self) -> Hash:
        """As records know it."""
        return Hash(tuple(self.columns), self.algorithm, self.salt.get_secret_value(), is_serialized=self.version == 1)


class ColumnTruncation(StrictModel):
    """Columns whose texts and bytes are cut."""

    columns: list[Expression] = Field(min_length=1, description="Regular expressions over `schema.table.column`.")
    length: int = Field(ge=0, le=1 << 30, description="The most letters, or bytes.")

    def rule(self) -> Cut:
        """As records know it."""
        return Cut(tuple(self.columns), self.length)


SkippedOperation = Literal["c", "u", "d", "t", "none"]


def _truncates() -> list[SkippedOperation]:
    return ["t"]


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

    skipped_operations: list[SkippedOperation] = Field(
        default_factory=_truncates,
        description="No messages are made of these: `c` inserts, `u` updates, `d` deletes, `t` truncates. Copied rows "
        "always have one, and so has an update of the key.",
    )
    skip_messages_without_change: bool = Field(
        False, description="No message of an update that leaves all columns of the message as they were."
    )
    column_include_list: list[Expression] | None = Field(
        None, description="Columns that messages have; regular expressions over `schema.table.column`; absent: all."
    )
    column_exclude_list: list[Expression] = Field(
        default_factory=list, description="Columns that messages do not have. Keys have theirs all the same."
    )
    column_mask: list[ColumnMask] = Field(default_factory=list, description="Columns whose texts nobody may read.")
    column_hash: list[ColumnHash] = Field(
        default_factory=list, description="Columns whose texts can only be compared with each other."
    )
    column_truncate: list[ColumnTruncation] = Field(default_factory=list, description="Columns that are cut.")
    column_propagate_source_type: list[Expression] = Field(
        default_factory=list,
        description="Columns whose schemas say what they are at the source: the parameters "
        "`__debezium.source.column.type`, `.length`, `.scale` and `.name`.",
    )
    datatype_propagate_source_type: list[Expression] = Field(
        default_factory=list,
        description="The same for columns of types: regular expressions over `schema.table.TYPE`, e.g. `.*[.]VARCHAR`.",
    )
    message_key_columns: str | None = Field(
        None,
        description="Columns of keys, where they are others than those of the primary key: `table:column,column`, with "
        "`;` between tables; both are regular expressions.",
    )
    schema_name_adjustment: NameAdjustment = Field(
        "none", description="Names of schemas in letters that Avro allows: `_`, or `_u` and the number, for others."
    )
    field_name_adjustment: NameAdjustment = Field("none", description="The same for names of fields.")

    provide_transaction_metadata: bool = Field(
        False,
        description="Where events stand in their transaction, and messages of where transactions begin and end, on the "
        "topic `<topic_prefix>.transaction`. Of MySQL servers with GTIDs.",
    )
    include_query: bool = Field(
        False, description="`source.query`: the statement that changed the row, where MySQL writes it into its log."
    )
    include_schema_changes: bool = Field(
        False, description="Messages of statements that define tables, on the topic `<topic_prefix>`."
    )
    extended_headers: bool = Field(
        False,
        description="Headers of every message of a row, which say what connector it would be of. They are often longer "
        "than the row.",
    )
    heartbeat_topics_prefix: str = Field(
        "__debezium-heartbeat",
        pattern=r"^[a-zA-Z0-9._-]+$",
        max_length=249,
        description="Beginning of the topic of heartbeats, which the source makes with `heartbeat_interval_ms`.",
    )

    @property
    def asks(self) -> frozenset[Asked]:
        """What the envelope has of a source beside rows."""
        if self.dialect is None:
            return frozenset()
        found: set[Asked] = {"message", "heartbeat"}
        if self.include_query:
            found.add("query")
        if self.include_schema_changes:
            found.add("definition")
        if self.provide_transaction_metadata:
            found |= {"begin", "end"}
            if "t" not in self.skipped_operations:
                found.add("truncate")
        return frozenset(found)

    @field_validator("message_key_columns")
    @classmethod
    def _are_key_rules(cls, text: str | None) -> str | None:
        for pattern, columns in key_rules(text) if text else ():
            for column in columns:
                _expression(f"{pattern}.{column}")
        return text

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
        skipped = set(self.skipped_operations)
        return DebeziumOptions(
            types=types,
            topic_prefix=self.topic_prefix,
            unavailable=self.unavailable_value_placeholder,
            connector=self.connector,
            marks_deletes=self.tombstones_on_delete,
            selection=self._selection(),
            schema_names=self.schema_name_adjustment,
            field_names=self.field_name_adjustment,
            skipped_ops=frozenset(skipped - {"none"}),
            skips_unchanged=self.skip_messages_without_change,
            heartbeat_prefix=self.heartbeat_topics_prefix,
            transactions=self.provide_transaction_metadata,
            has_context_headers=self.extended_headers,
        )

    def _selection(self) -> Selection:
        return Selection(
            included=None if self.column_include_list is None else tuple(self.column_include_list),
            excluded=tuple(self.column_exclude_list),
            rules=(
                *(rule.rule() for rule in self.column_truncate),
                *(rule.rule() for rule in self.column_mask),
                *(rule.rule() for rule in self.column_hash),
            ),
            source_types=SourceTypes(
                tuple(self.column_propagate_source_type), tuple(self.datatype_propagate_source_type)
            ),
            keys=key_rules(self.message_key_columns) if self.message_key_columns else (),
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

    def skips(self, event: ChangeEvent) -> bool:
        return event.op == "t" and "t" in self.options.skipped_ops

    def extra_message(self, event: ChangeEvent, now_ns: int) -> ExtraMessage | None:
        return extra_message(event, self.options, now_ns)

    def compiled(self, event: ChangeEvent, writer: Writer, *, defaults_for_null: bool = False) -> Compiled:
        if event.schema is None:
            raise ValueError("no row of a table; take an envelope without a schema for what processors make")
        options = msgspec.structs.replace(self.options, defaults_for_null=defaults_for_null)
        return compile_debezium(event.source, event.schema, options, writer)
