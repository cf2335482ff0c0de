"""What the compilers of records make of a table, for encodings of every kind."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from deltaforge.core.encoded import MessageRules
from deltaforge.records.plan import Bytes, RecordPlan
from deltaforge.records.schema import Schema


class Compiled(NamedTuple):
    """A table's plan and the schemas of its messages; the plan writes no ids of schemas.

    Attributes:
        key: None: messages have no key.
    """

    plan: RecordPlan
    value: Schema
    key: Schema | None


class Typed(NamedTuple):
    """A value with its schema, to be written whole (:mod:`deltaforge.records.whole`)."""

    schema: Schema
    value: Any


class ExtraMessage(NamedTuple):
    """A message that is of no row."""

    topic: str
    key: Typed
    value: Typed
    headers: Mapping[str, bytes] = MappingProxyType({})


def with_rules(plan: RecordPlan, rules: MessageRules) -> RecordPlan:
    """The plan of a sink: what that wants wins over what the records say."""
    if rules.tombstones is not None:
        plan = plan._replace(marks_deletes=rules.tombstones)
    if rules.splits_key_changes is not None:
        plan = plan._replace(splits_key_changes=rules.splits_key_changes)
    return plan


def schema_prefix(schema_id: int) -> bytes:
    """What stands before a message whose schema is in a registry: a zero and the id, big-endian."""
    return struct.pack(">bI", 0, schema_id)


def with_schema_ids(plan: RecordPlan, value_id: int, key_id: int | None) -> RecordPlan:
    """The plan with the ids of the schemas before values and keys."""
    value = (Bytes(schema_prefix(value_id)), *plan.value)
    key_prefix = b"" if key_id is None else schema_prefix(key_id)
    return plan._replace(value=value, key_prefix=key_prefix + plan.key_prefix)
