"""The ``avro`` encoding: Confluent's format of messages, with schemas in a registry (contract 03 section 5).

A message is a zero, the id of its schema and the record. Keys are records, too. What happens without a registry, and
with one that refuses: :mod:`deltaforge.encodings.registered`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret
from deltaforge.core.encoded import NO_RULES, EncodedMessage, EncodedMessages, MessageRules
from deltaforge.core.errors import RecordError, SpecError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import row_key_bytes
from deltaforge.core.table import TableSchema
from deltaforge.encodings.base import DestinationEncoder, EncoderContext, Run
from deltaforge.encodings.registered import RecordCompiler, RegisteredRecords
from deltaforge.encodings.registry_meter import NO_METER, RegistryMeter
from deltaforge.encodings.schema_ids import SchemaIds
from deltaforge.encodings.schema_registry import SchemaRegistry
from deltaforge.encodings.subjects import SubjectStrategy
from deltaforge.envelopes.base import Envelope, RecordForm
from deltaforge.records.avro_schema import avro_schema
from deltaforge.records.cdc import compile_cdc, naming_unavailable
from deltaforge.records.compiled import Compiled
from deltaforge.records.plan import RecordPlan
from deltaforge.records.schema import Schema
from deltaforge.records.types import CdcModes


class RegistrySettings(StrictModel):
    """A schema registry and how to get in."""

    schema_registry_url: Dsn = Field(
        min_length=1, description="HTTP address of the schema registry, with the path of its API, if any."
    )
    subject_strategy: SubjectStrategy = Field("topic_name", description="What a subject is named after.")
    username: str | None = Field(None, description="User of the registry.")
    password: Secret | None = Field(None, description="Password of `username`.")
    ca_file: str | None = Field(
        None, description="PEM file with the certificates that the registry's is checked with, instead of the system's."
    )

    def local_uses(self) -> Iterator[LocalUse]:
        if self.ca_file is not None:
            yield LocalUse(("ca_file",), self.ca_file)

    def registry(self, meter: RegistryMeter = NO_METER) -> SchemaRegistry:
        """A client of it; connects when it asks.

        Raises:
            SinkError: Address or file cannot be used.
        """
        return SchemaRegistry(
            self.schema_registry_url.get_secret_value(),
            self.username,
            None if self.password is None else self.password.get_secret_value(),
            ca_file=self.ca_file,
            note=meter.note_request,
        )


class AvroEncodingSpec(RegistrySettings):
    """Avro with schemas in a registry."""

    type: Literal["avro"]
    unsigned_bigint_mode: Literal["string", "long"] = Field("string", description="Form of `bigint unsigned`.")
    enum_mode: Literal["string", "enum"] = Field("string", description="Form of enum columns.")
    naive_timestamp_mode: Literal["string", "timestamp"] = Field(
        "string", description="Form of date and time without a time zone."
    )

    def build(self, envelope: Envelope | RecordForm, rules: MessageRules = NO_RULES) -> DestinationEncoder:
        """The encoder of an envelope.

        Raises:
            SpecError: The envelope has no records.
        """
        if isinstance(envelope, RecordForm):
            return AvroEncoder(self, FormCompiler(envelope), rules)
        if envelope.identity != ("native",):
            raise SpecError(
                f"avro has no records of envelope {envelope.identity[0]}",
                hint="use envelope: native or {type: debezium, dialect: connect}, or encoding: json",
            )
        modes = CdcModes(self.unsigned_bigint_mode, self.enum_mode, self.naive_timestamp_mode)
        return AvroEncoder(self, CdcCompiler(modes), rules)


class FormCompiler:
    """The records of an envelope, with the schemas that Kafka Connect's converters make of them."""

    def __init__(self, form: RecordForm) -> None:
        self._form = form

    def compile(self, event: ChangeEvent, _table: TableSchema, /) -> Compiled:
        return self._form.compiled(event, "avro")

    def written(self, compiled: Compiled, _event: ChangeEvent, _table: TableSchema, /) -> RecordPlan:
        return compiled.plan  # it has bytes for all events

    def key_of(self, _event: ChangeEvent, _index: int, /) -> None:
        return None  # a table without a key has messages without one

    def schema_text(self, schema: Schema) -> str:
        return avro_schema(schema, "connect")


class CdcCompiler:
    """The records ``deltaforge.cdc.*``."""

    def __init__(self, modes: CdcModes) -> None:
        self._modes = modes

    def compile(self, event: ChangeEvent, table: TableSchema, /) -> Compiled:
        return compile_cdc(event, table, self._modes)

    def written(self, compiled: Compiled, event: ChangeEvent, table: TableSchema, /) -> RecordPlan:
        return naming_unavailable(compiled, event, table, self._modes)

    def key_of(self, event: ChangeEvent, index: int, /) -> bytes:
        return row_key_bytes(event, index)

    def schema_text(self, schema: Schema) -> str:
        return avro_schema(schema, "plain")


class AvroEncoder:
    """Encodes events as records with the ids of their schemas."""

    content_type = "application/avro"

    def __init__(self, settings: RegistrySettings, compiler: RecordCompiler, rules: MessageRules = NO_RULES) -> None:
        self._settings, self._compiler, self._rules = settings, compiler, rules
        self._meter: RegistryMeter = NO_METER
        self._opened: RegisteredRecords | None = None

    def open(self, context: EncoderContext) -> None:
        del context
        self._records().doubt()

    def encode(self, runs: Sequence[Run], now_ns: int) -> EncodedMessages:
        records, found = self._records(), EncodedMessages()
        for run in runs:
            for event in (event for group in run.groups for event in group.events()):
                try:
                    messages = records.messages(event, run.destination, now_ns)
                except RecordError as error:
                    error.index = found.event_count
                    raise
                found.append(
                    [
                        EncodedMessage(
                            message.key or self._compiler.key_of(event, found.event_count),
                            message.value,
                            message.headers,
                        )
                        for message in messages
                    ]
                )
        return found

    def close(self) -> None:
        """Ids stay known: the sink that asks again is the same."""

    def _records(self) -> RegisteredRecords:
        if self._opened is None:
            ids = SchemaIds(self._settings.registry(self._meter), "AVRO", self._meter)
            self._opened = RegisteredRecords(self._compiler, ids, self._settings.subject_strategy, time.monotonic)
        return self._opened
