"""Which records and schemas encodings with a registry make of events."""

from __future__ import annotations

from typing import Protocol

from deltaforge.core.event import ChangeEvent
from deltaforge.core.table import TableSchema
from deltaforge.envelopes.base import RecordForm
from deltaforge.records.avro_schema import avro_schema
from deltaforge.records.cdc import compile_cdc, inferred_table, naming_unavailable
from deltaforge.records.compiled import Compiled, ExtraMessage
from deltaforge.records.json_schema import json_schema
from deltaforge.records.plan import RecordPlan, Writer
from deltaforge.records.schema import Schema
from deltaforge.records.types import CdcModes


class RecordCompiler(Protocol):
    """Makes the records of tables.

    Attributes:
        writer: Of the values.
    """

    writer: Writer

    def compile(self, event: ChangeEvent, table: TableSchema, /) -> Compiled:
        """Plan and schemas of a table; ``event`` is any of its events."""

    def written(self, compiled: Compiled, event: ChangeEvent, table: TableSchema, /) -> RecordPlan:
        """The plan of one event that the compiled plan has no bytes for; that plan again if there is none."""

    def extra_message(self, event: ChangeEvent, now_ns: int, /) -> ExtraMessage | None:
        """The message of an event that is no row of a table; None: it is one."""

    def inferred(self, event: ChangeEvent, /) -> TableSchema | None:
        """The definition of an event that has none; None: there is no record of it."""

    def schema_text(self, schema: Schema, /) -> str:
        """A schema as the registry gets it."""


class FormCompiler:
    """The records of an envelope, with the schemas that Kafka Connect's converters make of them."""

    def __init__(self, form: RecordForm, writer: Writer, *, defaults_for_null: bool) -> None:
        self._form, self.writer, self._defaults_for_null = form, writer, defaults_for_null

    def compile(self, event: ChangeEvent, _table: TableSchema, /) -> Compiled:
        return self._form.compiled(event, self.writer, defaults_for_null=self._defaults_for_null)

    def written(self, compiled: Compiled, _event: ChangeEvent, _table: TableSchema, /) -> RecordPlan:
        return compiled.plan  # it has bytes for all events

    def extra_message(self, event: ChangeEvent, now_ns: int, /) -> ExtraMessage | None:
        return self._form.extra_message(event, now_ns)

    def inferred(self, _event: ChangeEvent, /) -> TableSchema | None:
        return None

    def schema_text(self, schema: Schema, /) -> str:
        return avro_schema(schema, "connect") if self.writer == "avro" else json_schema(schema)


class CdcCompiler:
    """The records ``deltaforge.cdc.*``."""

    writer: Writer = "avro"

    def __init__(self, modes: CdcModes) -> None:
        self._modes = modes

    def compile(self, event: ChangeEvent, table: TableSchema, /) -> Compiled:
        return compile_cdc(event, table, self._modes)

    def written(self, compiled: Compiled, event: ChangeEvent, table: TableSchema, /) -> RecordPlan:
        return naming_unavailable(compiled, event, table, self._modes)

    def extra_message(self, _event: ChangeEvent, _now_ns: int, /) -> ExtraMessage | None:
        return None

    def inferred(self, event: ChangeEvent, /) -> TableSchema | None:
        is_row = event.after is not None or event.before is not None
        return inferred_table(event) if is_row and event.source.connector == "postgresql" else None

    def schema_text(self, schema: Schema, /) -> str:
        return avro_schema(schema, "plain")
