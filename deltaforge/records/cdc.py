"""The records ``deltaforge.cdc.*``: native events with a schema (contract 03 section 5).

A record and its key are named after the table: ``deltaforge.cdc.{connector}.{schema or db}.{table}.Envelope`` and
``….Key``. In ``BeforeValue`` every column may be null: most logs hold the key of an old row and no more.

A column whose value the log does not hold, such as one that lies in PostgreSQL's TOAST storage and was not touched, is
named in the last field, ``unavailable``: what stands for it in ``after`` means nothing. Few rows have one; they are
written with a plan of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, RowImage
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.records.avro_schema import avro_full_name
from deltaforge.records.compiled import Compiled
from deltaforge.records.conversion import Form
from deltaforge.records.plan import Bytes, Fact, FactStep, ImageStep, PlannedColumn, RecordPlan, Step
from deltaforge.records.schema import Field, Schema, Type
from deltaforge.records.taking import key_image
from deltaforge.records.types import CdcModes, RecordColumn, cdc_column
from deltaforge.records.writers import AvroWriter, avro_block, avro_bytes

NAMESPACE = "deltaforge.cdc"
NULL, VALUE = b"\x00", b"\x02"
"""Branches of Avro's ``["null", T]``."""
_STRING, _LONG = Schema(type=Type.STRING), Schema(type=Type.INT64)
_TEXT_OR_NULL = Schema(type=Type.STRING, optional=True)
_INT_OR_NULL = Schema(type=Type.INT32, optional=True)
_LONG_OR_NULL = Schema(type=Type.INT64, optional=True)
_WRITER = AvroWriter()
_POSITIONS: dict[str, tuple[tuple[str, Schema, Fact, Form], ...]] = {
    "mysql": (
        ("server_id", _LONG_OR_NULL, Fact.SERVER_ID, Form.INTEGER),  # 32 bits without a sign: no int of Avro
        ("file", _TEXT_OR_NULL, Fact.BINLOG_FILE, Form.TEXT),
        ("pos", _LONG_OR_NULL, Fact.BINLOG_END, Form.INTEGER),
        ("gtid", _TEXT_OR_NULL, Fact.GTID, Form.TEXT),
        ("row", _INT_OR_NULL, Fact.BINLOG_ROW, Form.INTEGER),
    ),
    "postgresql": (
        ("lsn", _TEXT_OR_NULL, Fact.COMMIT_LSN_TEXT, Form.TEXT),
        ("tx_id", _LONG_OR_NULL, Fact.TX_ID, Form.INTEGER),
        ("xmin", _LONG_OR_NULL, Fact.XMIN, Form.INTEGER),
    ),
}


def compile_cdc(event: ChangeEvent, table: TableSchema, modes: CdcModes) -> Compiled:
    """The plan and the schemas of a table.

    Args:
        event: Any one of it: names of source and table, and the version of the definition, are those of all.
        table: The definition that rows are of.
        modes: How types are written.
    """
    mapped = [(column.name, cdc_column(event.source.connector, column, modes)) for column in table.columns]
    namespace = record_namespace(event)
    before, after = [], []
    for place, (name, column) in enumerate(mapped):
        before.append(_before_column(place, name, column))
        after.append(_after_column(place, name, column))
    key = _key(table, mapped)
    plan = RecordPlan("avro", tuple(_steps(event, tuple(before))), tuple(after), key)
    return Compiled(plan, _envelope(event, namespace, mapped), _key_schema(namespace, mapped, key))


def inferred_table(event: ChangeEvent) -> TableSchema:
    """The definition that an event without one seems to have, such as a logical message of PostgreSQL: its values say
    the types, and every column may be null. Lists and objects are JSON text.
    """
    source, image = event.source, event.after or event.before or {}
    columns = tuple(Column(name, _inferred_type(value)) for name, value in image.items())
    return TableSchema(TableId(source.db, source.schema or None, source.table), columns)


def _inferred_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint"
    if isinstance(value, (float, Decimal)):
        return "double precision"
    return "json" if isinstance(value, (list, dict)) else "text"


def record_namespace(event: ChangeEvent) -> str:
    """Of the records of an event's table. A dot in a name is a part of it: it is written ``_``."""
    source = event.source
    return f"{NAMESPACE}.{avro_full_name(source.connector, source.schema or source.db, source.table)}"


def _key(table: TableSchema, mapped: Sequence[tuple[str, RecordColumn]]) -> tuple[PlannedColumn, ...] | None:
    """The columns of the key, none of which can be null; None: the table has no key."""
    places = {name: place for place, (name, _) in enumerate(mapped)}
    key = [places[name] for name in table.primary_key]
    return tuple(PlannedColumn(place, mapped[place][0], mapped[place][1].conversion) for place in key) or None


def _key_schema(
    namespace: str, mapped: Sequence[tuple[str, RecordColumn]], key: Sequence[PlannedColumn] | None
) -> Schema | None:
    if key is None:
        return None
    schemas = [(column.column, mapped[column.place][1].schema) for column in key]
    fields = [Field(name, msgspec.structs.replace(schema, optional=False)) for name, schema in schemas]
    return _struct(f"{namespace}.Key", fields)


def naming_unavailable(compiled: Compiled, event: ChangeEvent, table: TableSchema, modes: CdcModes) -> RecordPlan:
    """The plan of one event whose new row is not whole: it names what is missing. A row with NULL in its key, which
    was one when its definition was read, has none.
    """
    image = event.after or {}
    mapped = {column.name: cdc_column(event.source.connector, column, modes) for column in table.columns}
    nothing = {name: _nothing(column) for name, column in mapped.items() if _is_unavailable(image, name, column)}
    columns = tuple(
        column._replace(null=stands, missing=stands, unavailable=stands)
        if (stands := nothing.get(column.column))
        else column
        for column in compiled.plan.columns
    )
    row, key = key_image(event), compiled.plan.key
    if key is not None and any(column.column in row and row[column.column] is None for column in key):
        key = None
    *steps, none_unavailable = compiled.plan.value
    last = Bytes(VALUE + avro_block([_text(name) for name in nothing])) if nothing else none_unavailable
    return compiled.plan._replace(value=(*steps, last), columns=columns, key=key)


def _is_unavailable(image: RowImage, name: str, column: RecordColumn) -> bool:
    if name not in image or image[name] == UNCHANGED_TOAST:
        return True
    return image[name] is None and not column.schema.optional  # a date that is none


def _nothing(column: RecordColumn) -> bytes:
    return NULL if column.schema.optional else _WRITER.value(column.conversion, column.fallback)


def _before_column(place: int, name: str, column: RecordColumn) -> PlannedColumn:
    """What the log does not hold of an old row is null, as in JSON."""
    return PlannedColumn(place, name, column.conversion, b"", VALUE, null=NULL, missing=NULL, unavailable=NULL)


def _after_column(place: int, name: str, column: RecordColumn) -> PlannedColumn:
    if column.schema.optional:
        return PlannedColumn(place, name, column.conversion, prefix=VALUE, null=NULL)
    return PlannedColumn(place, name, column.conversion)


def _steps(event: ChangeEvent, before: tuple[PlannedColumn, ...]) -> Iterator[Step]:
    source = event.source
    yield ImageStep(is_before=True, prefix=VALUE, null=NULL, columns=before)
    yield ImageStep(is_before=False, prefix=VALUE, null=NULL)
    yield Bytes(_text(source.version) + _text(source.connector) + _text(source.name))
    yield FactStep(Fact.TS_MS, Form.INTEGER)
    schema = VALUE + _text(source.schema) if source.schema else NULL
    yield Bytes(_text(source.db) + schema + _text(source.table))
    yield FactStep(Fact.SNAPSHOT, Form.TEXT, VALUE, NULL)
    yield Bytes(VALUE)
    for _, _, fact, form in _POSITIONS[source.connector]:
        yield FactStep(fact, form, VALUE, NULL)
    yield FactStep(Fact.OP, Form.TEXT)
    yield FactStep(Fact.TS_MS, Form.INTEGER)
    yield FactStep(Fact.EVENT_ID, Form.TEXT, VALUE, NULL)
    yield Bytes(VALUE + _text(event.schema_version) if event.schema_version else NULL)
    # sources do not count the events of a transaction for this record
    yield FactStep(Fact.NATIVE_TRANSACTION_ID, Form.TEXT, VALUE, NULL, suffix=NULL + NULL)
    yield Bytes(NULL)  # nothing is unavailable


def _text(text: str) -> bytes:
    return avro_bytes(text.encode())


def _envelope(event: ChangeEvent, namespace: str, columns: Sequence[tuple[str, RecordColumn]]) -> Schema:
    before = [Field(name, _optional(column.schema)) for name, column in columns]
    after = [Field(name, column.schema) for name, column in columns]
    transaction = _record("Transaction", id=_STRING, total_order=_LONG_OR_NULL, data_collection_order=_LONG_OR_NULL)
    fields = {
        "before": _optional(_struct(f"{namespace}.BeforeValue", before)),
        "after": _optional(_struct(f"{namespace}.AfterValue", after)),
        "source": _source(event.source.connector),
        "op": _STRING,
        "ts_ms": _LONG,
        "event_id": _TEXT_OR_NULL,
        "schema_version": _TEXT_OR_NULL,
        "transaction": _optional(transaction),
        "unavailable": Schema(type=Type.ARRAY, items=_STRING, optional=True),
    }
    return _struct(f"{namespace}.Envelope", [Field(name, schema) for name, schema in fields.items()])


def _source(connector: str) -> Schema:
    position = _record("Position", **{name: schema for name, schema, _, _ in _POSITIONS[connector]})
    return _record(
        "Source",
        version=_STRING,
        connector=_STRING,
        name=_STRING,
        ts_ms=_LONG,
        db=_STRING,
        schema=_TEXT_OR_NULL,
        table=_STRING,
        snapshot=_TEXT_OR_NULL,
        position=_optional(position),
    )


def _record(name: str, /, **fields: Schema) -> Schema:
    return _struct(f"{NAMESPACE}.{name}", [Field(field, schema) for field, schema in fields.items()])


def _struct(name: str, fields: Sequence[Field]) -> Schema:
    return Schema(type=Type.STRUCT, name=name, fields=tuple(fields))


def _optional(schema: Schema) -> Schema:
    return msgspec.structs.replace(schema, optional=True)
