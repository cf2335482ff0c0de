"""Encoders with schemas in a registry: rows by the kernel wherever it can."""

from __future__ import annotations

import time
from collections.abc import Sequence

from deltaforge.core.batch import EventGroup
from deltaforge.core.encoded import EncodedMessage, EncodedValues, MessageRules
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.event import ChangeEvent
from deltaforge.encodings.base import EncoderContext, Run
from deltaforge.encodings.record_compilers import RecordCompiler
from deltaforge.encodings.record_rows import RecordValues, add_records, no_records
from deltaforge.encodings.registered import RegisteredRecords, RegisteredTable
from deltaforge.encodings.registry_meter import PipelineRegistryMeter
from deltaforge.encodings.registry_settings import RegistrySettings
from deltaforge.encodings.schema_ids import SchemaIds
from deltaforge.encodings.schema_registry import RejectedSchemaError, SchemaType
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import RecordProgram, RowGroup

_SCHEMA_TYPES: dict[str, SchemaType] = {"avro": "AVRO", "json": "JSON"}


class RegistryEncoder:
    """Encodes events as records with the ids of their schemas.

    Args:
        settings: Of the registry.
        compiler: Of the records.
        rules: Of the sink; they win over those of the records.
        content_type: Of the values.
    """

    def __init__(
        self, settings: RegistrySettings, compiler: RecordCompiler, rules: MessageRules, content_type: str
    ) -> None:
        self.content_type = content_type
        self._settings, self._compiler, self._rules = settings, compiler, rules
        self._records: RegisteredRecords | None = None
        self._meter: PipelineRegistryMeter | None = None

    def open(self, context: EncoderContext) -> None:
        if self._records is not None:
            self._records.doubt()
            return
        self._meter = meter = PipelineRegistryMeter(context.metrics, context.pipeline, context.sink)
        registry = self._settings.registry(meter.note_request)
        ids = SchemaIds(registry, _SCHEMA_TYPES[self._compiler.writer], meter, waiting=context.waiting)
        self._records = RegisteredRecords(
            self._compiler, ids, self._settings.subject_strategy, self._rules, time.monotonic
        )

    def encode(self, runs: Sequence[Run], now_ns: int) -> EncodedValues:
        records, meter = self._records, self._meter
        if records is None or meter is None:
            raise SinkError("the encoder is not open", kind="connect")
        records.inferred_count = 0
        values = no_records()
        try:
            for run in runs:
                self._add(records, values, run, now_ns)
        except RecordError as error:
            error.index = values.event_count
            meter.note_failure("schema_mismatch")
            raise
        except SinkError:
            meter.note_failure("sr_unavailable")
            raise
        meter.note_encoded("inferred", records.inferred_count)
        meter.note_encoded("ddl", values.event_count - records.inferred_count)
        return values

    def close(self) -> None:
        """Ids stay known: the sink that asks again is the same."""

    @staticmethod
    def _add(records: RegisteredRecords, values: RecordValues, run: Run, now_ns: int) -> None:
        table = _table(records, run)

        def program_of(group: RowGroup) -> RecordProgram | None:
            return None if table is None else table.program(group.table)

        def messages_of(event: ChangeEvent, _index: int) -> Sequence[EncodedMessage]:
            return records.messages(event, run.destination, now_ns)

        headers = {} if table is None else dict(table.plan.headers)
        add_records(values, run.groups, program_of, messages_of, now_ns, headers_of_rows=lambda: headers)


def _table(records: RegisteredRecords, run: Run) -> RegisteredTable | None:
    """The table of a run, with ids; None where each event is looked at: it has none, or its schema is refused."""
    event = run.head()
    if event.schema is None or not _has_rows(run.groups):
        return None
    try:
        return records.table(event, run.destination)
    except RejectedSchemaError:
        return None


def _has_rows(groups: Sequence[EventGroup]) -> bool:
    return compiled is not None and any(isinstance(group, compiled.RowGroup) for group in groups)
