"""The records of Debezium 3.6: what its connectors for MySQL, MariaDB and PostgreSQL write of a row.

Source: ``SchemaFactory``, ``TableSchemaBuilder``, ``BinlogSourceInfoStructMaker`` and ``PostgresSourceInfoStructMaker``
of Debezium.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from deltaforge.core.event import SourceInfo
from deltaforge.core.table import TableSchema
from deltaforge.records.avro_schema import avro_field_names
from deltaforge.records.compile import (
    Constant,
    Group,
    Image,
    Known,
    NamedColumn,
    Part,
    image_bounds,
    planned,
    schema_of,
    steps_of,
    struct_of,
    with_old_columns,
)
from deltaforge.records.compiled import Compiled
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.names import NameAdjustment, adjusted_field_name, adjusted_schema_name
from deltaforge.records.plan import Fact, RecordPlan, Writer
from deltaforge.records.schema import Field, Schema, Type
from deltaforge.records.selection import Selection, instead_of
from deltaforge.records.types import ConnectOptions, record_column

STRING, INT32, INT64 = Schema(type=Type.STRING), Schema(type=Type.INT32), Schema(type=Type.INT64)
OPTIONAL_STRING = Schema(type=Type.STRING, optional=True)
OPTIONAL_INT64 = Schema(type=Type.INT64, optional=True)
_SNAPSHOT = Schema(
    type=Type.STRING,
    optional=True,
    name="io.debezium.data.Enum",
    version=1,
    parameters={"allowed": "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},
    default="false",
    has_default=True,
)
_TRANSACTION = Group(
    Schema(type=Type.STRUCT, optional=True, name="event.block", version=1),
    (
        ("id", Known(STRING, Fact.TRANSACTION_ID)),
        ("total_order", Known(INT64, Fact.TOTAL_ORDER)),
        ("data_collection_order", Known(INT64, Fact.TABLE_ORDER)),
    ),
    is_of_transaction=True,
)
_DATES = ("date", "timestamp")
"""MySQL's types, dates of which may have a zero part."""
_MAX_TOPIC = 249
_INVALID_IN_TOPIC = re.compile(r"[^a-zA-Z0-9._-]")


class DebeziumOptions(msgspec.Struct, frozen=True):
    """What can be chosen of the records.

    Attributes:
        types: Of the columns.
        topic_prefix: What topics, and names of schemas, begin with; None: the name of the pipeline.
        unavailable: What stands for a TOAST value that the log does not hold.
        connector: The one that records say they are of; None: the one of the source.
        defaults_for_null: Whether NULL is written as the default of its column.
        marks_deletes: Whether a tombstone follows a delete.
        selection: Of the columns.
        schema_names, field_names: How names become those that Avro allows.
        skipped_ops: No messages are made of these.
        skips_unchanged: Nor of an update that changes none of the columns.
        heartbeat_prefix: Beginning of the topic of heartbeats.
        transactions: Whether events say where they stand in their transaction.
        has_context_headers: Whether every message says which connector it would be of.
    """

    types: ConnectOptions = ConnectOptions()
    topic_prefix: str | None = None
    unavailable: str = "__debezium_unavailable_value"
    connector: str | None = None
    defaults_for_null: bool = False
    marks_deletes: bool = True
    selection: Selection = Selection()
    schema_names: NameAdjustment = "none"
    field_names: NameAdjustment = "none"
    skipped_ops: frozenset[str] = frozenset({"t"})
    skips_unchanged: bool = False
    heartbeat_prefix: str = "__debezium-heartbeat"
    transactions: bool = False
    has_context_headers: bool = False

    def prefix_of(self, source: SourceInfo) -> str:
        """The logical name of the server that a row is of."""
        return self.topic_prefix or source.name


def topic_name(prefix: str, source: SourceInfo) -> str:
    """The topic of a table, in letters that Kafka allows."""
    return sanitized_topic(f"{prefix}.{source.qualified_table}")


def sanitized_topic(name: str) -> str:
    """A name that a topic can have: other letters become ``_``, and it is cut where it is too long."""
    name = _INVALID_IN_TOPIC.sub("_", name)[:_MAX_TOPIC]
    return name.replace(".", "_") if name in {".", ".."} else name


def compile_debezium(source: SourceInfo, table: TableSchema, options: DebeziumOptions, writer: Writer) -> Compiled:
    """The plan and the schemas of a table.

    Args:
        source: Of any of its events: the names are those of all.
        table: The definition that rows are of.
        options: How they are written.
        writer: Of the values.
    """
    columns, key_columns = _columns(source, table, options)
    topic = topic_name(options.prefix_of(source), source)
    value = _envelope(source, topic, columns, options)
    key = None
    if key_columns:
        key = struct_of(adjusted_schema_name(f"{topic}.Key", options.schema_names), key_columns, optional=False)
    begin, end = image_bounds(key, writer) if key is not None else (b"", b"")
    before = planned(columns, writer, "before", defaults_for_null=options.defaults_for_null)
    after = planned(columns, writer, "after", defaults_for_null=options.defaults_for_null)
    plan = RecordPlan(
        writer,
        with_old_columns(steps_of(value, writer), before),
        after,
        planned(key_columns, writer, "key") if key_columns else None,
        begin,
        end,
        marks_deletes=options.marks_deletes,
        splits_key_changes=True,
        header_key=planned([_in_header(column) for column in key_columns], "json", "key"),
        skipped_ops=options.skipped_ops,
        skips_unchanged=options.skips_unchanged,
        headers=tuple(context_headers(source, options).items()),
        table_columns=frozenset(column.name for column in table.columns),
    )
    return Compiled(plan, schema_of(value), key)


def _in_header(column: NamedColumn) -> NamedColumn:
    """A column of the key as headers have it: Connect's own dates and times are texts there."""
    schema, conversion, _ = column.record
    if schema.name not in _CONNECT_MOMENTS:
        return column
    return column._replace(record=column.record._replace(conversion=Conversion(Form.HEADER_MOMENT, items=conversion)))


_CONNECT_MOMENTS = {f"org.apache.kafka.connect.data.{name}" for name in ("Date", "Time", "Timestamp")}


def context_headers(source: SourceInfo, options: DebeziumOptions) -> dict[str, bytes]:
    """The headers of every message. Debezium's fourth, the id of a run, is left out."""
    if not options.has_context_headers:
        return {}
    values = {
        "connectorLogicalName": options.prefix_of(source),
        "taskId": "0",
        "connectorName": options.connector or source.connector,
    }
    return {f"__debezium.context.{name}": value.encode() for name, value in values.items()}


def _columns(
    source: SourceInfo, table: TableSchema, options: DebeziumOptions
) -> tuple[Sequence[NamedColumn], Sequence[NamedColumn]]:
    """The columns of images, and those of the key, which are as they are: not left out and not masked."""
    connector, selection = options.connector or source.connector, options.selection
    columns, whole = [], {}
    fields = _field_names(table, options)
    for place, column in enumerate(table.columns):
        record = record_column(connector, column, options.types)
        if record is None:
            continue
        field = fields[column.name]
        is_date = column.type.lower().startswith(_DATES) and connector != "postgresql"
        whole[column.name] = NamedColumn(place, column.name, field, record, may_be_nothing=is_date)
        if selection.has(table, column):
            treated = selection.treated(connector, table, column, record)
            stands = _unavailable(treated.schema, options.unavailable)
            stands = None if stands is None else instead_of(treated.conversion, stands)
            is_masked = treated.conversion.form is Form.MASK
            named = NamedColumn(place, column.name, field, treated, stands, may_be_nothing=is_date or is_masked)
            columns.append(named)
    return columns, [whole[name] for name in selection.key_columns(table) if name in whole]


def _field_names(table: TableSchema, options: DebeziumOptions) -> dict[str, str]:
    """The fields of columns, no two of them equal: Debezium ends at a table where ``a-b`` and ``a_b`` would be."""
    chosen = sorted(table.columns, key=lambda column: not options.selection.has(table, column))
    names = [column.name for column in chosen]
    if options.field_names == "none":
        return dict(zip(names, names, strict=True))
    adjusted = [adjusted_field_name(name, options.field_names) for name in names]
    return dict(zip(names, avro_field_names(adjusted), strict=True))


def _unavailable(schema: Schema, placeholder: str) -> Any:
    """What stands for a value that the log does not hold; None: what stands for NULL does."""
    if schema.type is Type.STRING:
        return placeholder
    if schema.type is Type.BYTES and schema.name is None:
        return placeholder.encode()
    if schema.type is Type.MAP:
        return {placeholder: placeholder}
    if schema.type is Type.ARRAY and schema.items is not None:
        return _unavailable_items(schema.items, placeholder)
    return None


def _unavailable_items(items: Schema, placeholder: str) -> list[Any] | None:
    if items.name == "io.debezium.data.Uuid":
        return [str(_name_based(placeholder.encode()))]
    if items.type in (Type.INT32, Type.INT64):
        return list(placeholder.encode())
    inner = _unavailable(items, placeholder)
    return None if inner is None else [inner]


def _name_based(name: bytes) -> uuid.UUID:
    """As Java's ``UUID.nameUUIDFromBytes``: without a namespace."""
    return uuid.UUID(bytes=hashlib.md5(name, usedforsecurity=False).digest(), version=3)


def _envelope(source: SourceInfo, topic: str, columns: Sequence[NamedColumn], options: DebeziumOptions) -> Group:
    row = struct_of(adjusted_schema_name(f"{topic}.Value", options.schema_names), columns, optional=True)
    fields: tuple[tuple[str, Part], ...] = (
        ("before", Image(row, is_before=True)),
        ("after", Image(row, is_before=False)),
        ("source", source_part(source, options)),
        ("transaction", transaction_part(options)),
        ("op", Known(STRING, Fact.OP)),
        ("ts_ms", Known(OPTIONAL_INT64, Fact.NOW_MS)),
        ("ts_us", Known(OPTIONAL_INT64, Fact.NOW_US)),
        ("ts_ns", Known(OPTIONAL_INT64, Fact.NOW_NS)),
    )
    return Group(
        Schema(type=Type.STRUCT, name=adjusted_schema_name(f"{topic}.Envelope", options.schema_names), version=2),
        fields,
    )


def named_struct(options: DebeziumOptions, full_name: str, /, **fields: Schema) -> Schema:
    """A struct of version 1, of a message that is of no row."""
    parts = tuple(Field(field, schema) for field, schema in fields.items())
    name = adjusted_schema_name(full_name, options.schema_names)
    return Schema(type=Type.STRUCT, name=name, version=1, fields=parts)


def transaction_part(options: DebeziumOptions) -> Part:
    """Where an event stands in its transaction."""
    return _TRANSACTION if options.transactions else Constant(schema_of(_TRANSACTION), None)


def source_part(source: SourceInfo, options: DebeziumOptions, *, of_table: bool = True) -> Group:
    """Where a row comes from; without ``of_table``, where something comes from that is in no table."""
    connector = options.connector or source.connector
    is_postgres = connector == "postgresql"
    sequence = Known(OPTIONAL_STRING, Fact.SEQUENCE) if is_postgres else Constant(OPTIONAL_STRING, None)
    fields: tuple[tuple[str, Part], ...] = (
        ("version", Constant(STRING, source.version)),
        ("connector", Constant(STRING, connector)),
        ("name", Constant(STRING, options.prefix_of(source))),
        ("ts_ms", Known(INT64, Fact.TS_MS)),
        ("snapshot", Known(_SNAPSHOT, Fact.SNAPSHOT)),
        ("db", Constant(STRING, source.db)),
        ("sequence", sequence),
        ("ts_us", Known(OPTIONAL_INT64, Fact.TS_US)),
        ("ts_ns", Known(OPTIONAL_INT64, Fact.TS_NS)),
        *(_postgres_fields(source, of_table=of_table) if is_postgres else _mysql_fields(source, of_table=of_table)),
    )
    return Group(Schema(type=Type.STRUCT, name=f"io.debezium.connector.{connector}.Source", version=1), fields)


def _mysql_fields(source: SourceInfo, *, of_table: bool) -> tuple[tuple[str, Part], ...]:
    return (
        ("table", Constant(OPTIONAL_STRING, source.table if of_table else None)),
        ("server_id", Known(INT64, Fact.SERVER_ID)),
        ("gtid", Known(OPTIONAL_STRING, Fact.GTID)),
        ("file", Known(STRING, Fact.BINLOG_FILE)),
        ("pos", Known(INT64, Fact.BINLOG_POS)),
        ("row", Known(INT32, Fact.BINLOG_ROW)),
        ("thread", Known(OPTIONAL_INT64, Fact.THREAD)),
        ("query", Known(OPTIONAL_STRING, Fact.QUERY)),
    )


def _postgres_fields(source: SourceInfo, *, of_table: bool) -> tuple[tuple[str, Part], ...]:
    return (
        ("schema", Constant(STRING, (of_table and source.schema) or "")),
        ("table", Constant(STRING, source.table if of_table else "")),
        ("txId", Known(OPTIONAL_INT64, Fact.TX_ID)),
        ("lsn", Known(OPTIONAL_INT64, Fact.LSN)),
        ("xmin", Known(OPTIONAL_INT64, Fact.XMIN)),
        ("origin", Constant(OPTIONAL_STRING, None)),
        ("origin_lsn", Constant(OPTIONAL_INT64, None)),
    )
