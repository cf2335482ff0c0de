"""JSON of records (:mod:`deltaforge.records`) as Connect's JsonConverter writes it, without schemas or with them."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import Literal

from deltaforge.core.batch import EventGroup
from deltaforge.core.encoded import NO_RULES, EncodedMessage, EncodedMessages, EncodedValues, MessageRules
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.envelopes.base import RecordForm
from deltaforge.records.compiled import Compiled, Typed
from deltaforge.records.connect_schema import connect_schema
from deltaforge.records.plan import Bytes, RecordPlan
from deltaforge.records.taking import RecordMessage, messages_of
from deltaforge.records.whole import json_of

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

    def encode(self, event: ChangeEvent) -> bytes:
        return self._messages(event, 0, time.time_ns())[0].value or b""

    def encode_groups(self, groups: Sequence[EventGroup], now_ns: int = 0) -> EncodedValues:
        events = [event for group in groups for event in group.events()]
        values = EncodedMessages()
        for index, event in enumerate(events):
            values.append([EncodedMessage(*message) for message in self._messages(event, index, now_ns)])
        return values

    def _messages(self, event: ChangeEvent, index: int, now_ns: int) -> Sequence[RecordMessage]:
        try:
            extra = self._form.extra_message(event, now_ns)
            if extra is not None:
                return [RecordMessage(self._whole(extra.key), self._whole(extra.value), {})]
            plan = self._plan(event)
            return messages_of(plan, event, now_ns)
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
            compiled = self._form.compiled(event, "json", defaults_for_null=self._defaults_for_null)
            plan = compiled.plan if self._schemas == "none" else with_inline_schemas(compiled)
            if self._rules.tombstones is not None:
                plan = plan._replace(marks_deletes=self._rules.tombstones)
            if self._rules.splits_key_changes is not None:
                plan = plan._replace(splits_key_changes=self._rules.splits_key_changes)
            found = self._plans[place] = event.schema, plan
        return found[1]


def with_inline_schemas(compiled: Compiled) -> RecordPlan:
    """The plan of messages that say their schema."""
    plan = compiled.plan
    value = (Bytes(_before_payload(connect_schema(compiled.value))), *plan.value, Bytes(b"}"))
    if compiled.key is None:
        return plan._replace(value=value)
    prefix = _before_payload(connect_schema(compiled.key)) + plan.key_prefix
    return plan._replace(value=value, key_prefix=prefix, key_suffix=plan.key_suffix + b"}")


def _before_payload(schema: bytes) -> bytes:
    return b'{"schema":' + schema + b',"payload":'
