"""JSON of records (:mod:`deltaforge.records`) as Connect's JsonConverter writes it, without schemas or with them."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Literal

import msgspec

from deltaforge.core.batch import EventGroup
from deltaforge.core.encoded import NO_RULES, EncodedMessage, EncodedValues, MessageRules
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.table import TableId, TableSchema
from deltaforge.encodings.record_rows import add_records, no_records
from deltaforge.envelopes.base import RecordForm
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import RecordProgram, RowGroup
from deltaforge.kernel.captured import CapturedTable
from deltaforge.records.compiled import Compiled, Typed, with_rules
from deltaforge.records.connect_schema import connect_schema
from deltaforge.records.plan import Bytes, RecordPlan
from deltaforge.records.taking import UnplannedError, messages_of
from deltaforge.records.whole import json_of
from deltaforge.records.widening import widened

MAX_PLANS = 10_000


class JsonRecordEncoder:
    """Encodes events as JSON by the plan of their table.

    Args:
        form: The records.
        schemas: ``inline``: a message is ``{"schema": …, "payload": …}``.
        rules: Of the sink; they win over those of the form.
        defaults_for_null: Whether NULL is written as the default of its column.
    """

    content_type = "application/json"

    def __init__(
        self,
        form: RecordForm,
        schemas: Literal["none", "inline"],
        rules: MessageRules = NO_RULES,
        *,
        defaults_for_null: bool,
    ) -> None:
        self.identity: Hashable = ("json", *form.identity, schemas, defaults_for_null, rules)
        self._rules = rules
        self._form, self._schemas, self._defaults_for_null = form, schemas, defaults_for_null
        self._plans: dict[Hashable, tuple[object, RecordPlan]] = {}
        self._programs: dict[CapturedTable, RecordProgram | None] = {}
        self._headers: dict[str, bytes] = {}  # which all tables of a source have

    def encode(self, event: ChangeEvent) -> bytes:
        messages = self._messages(event, 0, time.time_ns())
        return (messages[0].value if messages else None) or b""

    def encode_groups(self, groups: Sequence[EventGroup], now_ns: int = 0) -> EncodedValues:
        def messages_of(event: ChangeEvent, index: int) -> Sequence[EncodedMessage]:
            return self._messages(event, index, now_ns)

        values = no_records()
        add_records(values, list(groups), self._program, messages_of, now_ns, headers_of_rows=lambda: self._headers)
        return values

    def _program(self, group: RowGroup) -> RecordProgram | None:
        """The plan of a table as the kernel has it; None: its rows are left to Python."""
        table = group.table
        if table not in self._programs:
            if len(self._programs) >= MAX_PLANS:
                self._programs.clear()
            try:
                plan, rows = self._plan(group.head()), table.plan
            except ValueError:  # which each event says then
                return None
            if compiled is None or not isinstance(rows, compiled.RowPlan):
                self._programs[table] = None
            else:
                self._programs[table], self._headers = compiled.RecordProgram(plan, rows), dict(plan.headers)
        return self._programs[table]

    def _messages(self, event: ChangeEvent, index: int, now_ns: int) -> Sequence[EncodedMessage]:
        try:
            if self._form.skips(event):
                return []
            extra = self._form.extra_message(event, now_ns)
            if extra is not None:
                return [EncodedMessage(self._whole(extra.key), self._whole(extra.value), dict(extra.headers))]
            if event.op == "t" and event.schema is None and self._schemas == "none":
                event = _of_some_table(event)
            try:
                return messages_of(self._plan(event), event, now_ns)
            except UnplannedError:
                wider = widened(event)
                if wider is None:
                    raise
                return messages_of(self._plan(wider), wider, now_ns)
        except (ValueError, OverflowError) as exc:
            raise RecordError(
                f"cannot encode an event of {event.source.qualified_table} as JSON: {exc}",
                index=index,
                event_id=event.event_id,
            ) from exc

    def _whole(self, typed: Typed) -> bytes:
        value = json_of(*typed)
        return value if self._schemas == "none" else _before_payload(connect_schema(typed.schema)) + value + b"}"

    def _plan(self, event: ChangeEvent) -> RecordPlan:
        source = event.source
        # a definition is one object as long as it is valid; it is kept, so that its place in memory stays its own
        place = (id(event.schema), source.connector, source.name, source.db, source.schema, source.table)
        found = self._plans.get(place)
        if found is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            made = self._form.compiled(event, "json", defaults_for_null=self._defaults_for_null)
            plan = nullable(made.plan) if self._schemas == "none" else with_inline_schemas(made)
            found = self._plans[place] = event.schema, with_rules(plan, self._rules)
        return found[1]


def _of_some_table(event: ChangeEvent) -> ChangeEvent:
    """A truncate that came without a definition, with an empty one: its message has no columns."""
    source = event.source
    return msgspec.structs.replace(event, schema=_empty(source.db, source.schema or None, source.table))


@lru_cache(maxsize=1024)
def _empty(db: str, schema: str | None, table: str) -> TableSchema:
    return TableSchema(TableId(db, schema, table), ())


def nullable(plan: RecordPlan) -> RecordPlan:
    """The plan of messages without a schema: NULL is null, whatever the definition says."""
    return plan._replace(columns=tuple(column._replace(null=column.null or b"null") for column in plan.columns))


def with_inline_schemas(made: Compiled) -> RecordPlan:
    """The plan of messages that say their schema."""
    plan = made.plan
    value = (Bytes(_before_payload(connect_schema(made.value))), *plan.value, Bytes(b"}"))
    if made.key is None:
        return plan._replace(value=value)
    prefix = _before_payload(connect_schema(made.key)) + plan.key_prefix
    return plan._replace(value=value, key_prefix=prefix, key_suffix=plan.key_suffix + b"}")


def _before_payload(schema: bytes) -> bytes:
    return b'{"schema":' + schema + b',"payload":'
