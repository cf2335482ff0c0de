"""The messages of Debezium that are of no row: logical messages, heartbeats, and what begins and ends transactions."""

from __future__ import annotations

import base64
from collections.abc import Callable

from deltaforge.core.event import ChangeEvent, LoggedMessage
from deltaforge.records.compile import evaluated, schema_of
from deltaforge.records.compiled import ExtraMessage, Typed
from deltaforge.records.debezium import (
    INT64,
    OPTIONAL_INT64,
    OPTIONAL_STRING,
    STRING,
    DebeziumOptions,
    named_struct,
    sanitized_topic,
    source_part,
    transaction_part,
)
from deltaforge.records.debezium_schema_changes import schema_change_message
from deltaforge.records.facts import fact_of
from deltaforge.records.plan import Fact
from deltaforge.records.schema import Field, Schema, Type


def extra_message(event: ChangeEvent, options: DebeziumOptions, now_ns: int) -> ExtraMessage | None:
    """The message of an event that is about no row; None: it is about one."""
    origin = event.origin
    if origin is None or event.schema is not None:
        return None
    if origin.message is not None:
        return _logical_message(event, origin.message, options, now_ns)
    if origin.definition is not None:
        return schema_change_message(event, origin.definition, options, now_ns)
    match origin.notice:
        case "heartbeat":
            return _heartbeat(event, options, now_ns)
        case "begin" | "end":
            return _transaction(event, origin.table_counts, options)
    return None


_CONTENT_TEXT: dict[str, Callable[[bytes], str]] = {
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64-url-safe": lambda raw: base64.urlsafe_b64encode(raw).decode(),
    "hex": bytes.hex,
}


def _logical_message(event: ChangeEvent, message: LoggedMessage, options: DebeziumOptions, now_ns: int) -> ExtraMessage:
    """Source: ``LogicalDecodingMessageMonitor``."""
    as_text = _CONTENT_TEXT.get(options.types.binary_handling)
    content = Schema(type=Type.BYTES if as_text is None else Type.STRING, optional=True)
    block = named_struct(options, "io.debezium.connector.postgresql.Message", prefix=OPTIONAL_STRING, content=content)
    source = source_part(event.source, options, of_table=False)
    transaction = transaction_part(options)
    schema = named_struct(
        options,
        "io.debezium.connector.postgresql.MessageValue",
        op=STRING,
        ts_ms=OPTIONAL_INT64,
        source=schema_of(source),
        transaction=schema_of(transaction),
        message=block,
    )
    value = {
        "op": "m",
        "ts_ms": now_ns // 1_000_000,
        "source": evaluated(source, event, now_ns),
        "transaction": evaluated(transaction, event, now_ns),
        "message": {
            "prefix": message.prefix,
            "content": message.content if as_text is None else as_text(message.content),
        },
    }
    key = named_struct(options, "io.debezium.connector.postgresql.MessageKey", prefix=OPTIONAL_STRING)
    topic = f"{options.prefix_of(event.source)}.message"
    return ExtraMessage(topic, Typed(key, {"prefix": message.prefix}), Typed(schema, value))


def _heartbeat(event: ChangeEvent, options: DebeziumOptions, now_ns: int) -> ExtraMessage:
    """Source: ``HeartbeatImpl``."""
    prefix = options.prefix_of(event.source)
    key = named_struct(options, "io.debezium.connector.common.ServerNameKey", serverName=STRING)
    value = named_struct(options, "io.debezium.connector.common.Heartbeat", ts_ms=INT64)
    topic = sanitized_topic(f"{options.heartbeat_prefix}.{prefix}")
    return ExtraMessage(topic, Typed(key, {"serverName": prefix}), Typed(value, {"ts_ms": now_ns // 1_000_000}))


def _transaction(event: ChangeEvent, counts: dict[str, int] | None, options: DebeziumOptions) -> ExtraMessage:
    """Where a transaction begins, or with counts, where it ends. Source: ``AbstractTransactionStructMaker``."""
    transaction = fact_of(event, Fact.TRANSACTION_ID)
    key = named_struct(options, "io.debezium.connector.common.TransactionMetadataKey", id=STRING)
    fields = (Field("data_collection", STRING), Field("event_count", INT64))
    counted = Schema(type=Type.STRUCT, name="event.collection", version=1, optional=True, fields=fields)
    schema = named_struct(
        options,
        "io.debezium.connector.common.TransactionMetadataValue",
        status=STRING,
        id=STRING,
        event_count=OPTIONAL_INT64,
        data_collections=Schema(type=Type.ARRAY, items=counted, optional=True),
        ts_ms=INT64,
    )
    value = {"status": "BEGIN", "id": transaction, "ts_ms": event.source.ts_ms}
    if counts is not None:
        collections = [{"data_collection": table, "event_count": count} for table, count in counts.items()]
        value |= {"status": "END", "event_count": sum(counts.values()), "data_collections": collections}
    topic = f"{options.prefix_of(event.source)}.transaction"
    return ExtraMessage(topic, Typed(key, {"id": transaction}), Typed(schema, value))
