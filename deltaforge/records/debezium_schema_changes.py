"""Debezium's messages of schema changes: the statement, and what the tables are behind it.

Source: ``ConnectTableChangeSerializer`` and ``SchemaChangeEvent`` of Debezium, and what 3.6 writes of every type.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from deltaforge.core.event import ChangeEvent, DefinitionChange, TableChange
from deltaforge.core.table import Column
from deltaforge.records.compile import evaluated, schema_of
from deltaforge.records.compiled import ExtraMessage, Typed
from deltaforge.records.debezium import (
    INT32,
    INT64,
    OPTIONAL_STRING,
    STRING,
    DebeziumOptions,
    context_headers,
    named_struct,
    source_part,
)
from deltaforge.records.schema import Schema, Type
from deltaforge.records.types.source_types import mysql_type

_OPTIONAL_INT32, _OPTIONAL_BOOLEAN = (Schema(type=kind, optional=True) for kind in (Type.INT32, Type.BOOLEAN))
_JDBC = {
    "TINYINT": 5, "SMALLINT": 5, "MEDIUMINT": 4, "INT": 4, "BIGINT": -5, "FLOAT": 6, "DOUBLE": 8, "DECIMAL": 3,
    "BIT": -7, "YEAR": 4, "DATE": 91, "TIME": 92, "DATETIME": 93, "TIMESTAMP": 2014, "CHAR": 1, "VARCHAR": 12,
    "TINYTEXT": 12, "TEXT": 12, "MEDIUMTEXT": 12, "LONGTEXT": 12, "BINARY": -2, "VARBINARY": -3,
    "TINYBLOB": 2004, "BLOB": 2004, "MEDIUMBLOB": 2004, "LONGBLOB": 2004, "ENUM": 1, "SET": 1,
}  # fmt: skip
_OTHER_JDBC = 1111
_CHARACTERS = frozenset({"CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET"})
_NOW = re.compile(r"(?:current_timestamp|now|localtime|localtimestamp)\b", re.IGNORECASE)
_BEGINNING = "1970-01-01 00:00:00"


def schema_change_message(
    event: ChangeEvent, change: DefinitionChange, options: DebeziumOptions, now_ns: int
) -> ExtraMessage:
    """The message of a statement that defines tables or a database."""
    connector = options.connector or event.source.connector
    source = source_part(event.source, options)
    prefix = f"io.debezium.connector.{connector}.SchemaChange"
    key = named_struct(options, f"{prefix}Key", databaseName=STRING)
    schema = named_struct(
        options,
        f"{prefix}Value",
        source=schema_of(source),
        ts_ms=INT64,
        databaseName=OPTIONAL_STRING,
        schemaName=OPTIONAL_STRING,
        ddl=OPTIONAL_STRING,
        tableChanges=Schema(type=Type.ARRAY, items=_change_schema(options)),
    )
    value = {
        "source": {**evaluated(source, event, now_ns), "table": change.tables},
        "ts_ms": now_ns // 1_000_000,
        "databaseName": change.database,
        "schemaName": None,
        "ddl": change.ddl,
        "tableChanges": [_table_change(one) for one in change.changes],
    }
    return ExtraMessage(
        options.prefix_of(event.source),
        Typed(key, {"databaseName": change.database}),
        Typed(schema, value),
        context_headers(event.source, options),
    )


def _change_schema(options: DebeziumOptions) -> Schema:
    strings = Schema(type=Type.ARRAY, items=STRING, optional=True)
    fields = {
        "name": STRING,
        "jdbcType": INT32,
        "nativeType": _OPTIONAL_INT32,
        "typeName": STRING,
        "typeExpression": OPTIONAL_STRING,
        "charsetName": OPTIONAL_STRING,
        "length": _OPTIONAL_INT32,
        "scale": _OPTIONAL_INT32,
        "position": INT32,
        "optional": _OPTIONAL_BOOLEAN,
        "autoIncremented": _OPTIONAL_BOOLEAN,
        "generated": _OPTIONAL_BOOLEAN,
        "comment": OPTIONAL_STRING,
        "defaultValueExpression": OPTIONAL_STRING,
        "enumValues": strings,
    }
    column = named_struct(options, "io.debezium.connector.schema.Column", **fields)
    table = named_struct(
        options,
        "io.debezium.connector.schema.Table",
        defaultCharsetName=OPTIONAL_STRING,
        primaryKeyColumnNames=strings,
        columns=Schema(type=Type.ARRAY, items=column),
        comment=OPTIONAL_STRING,
    )
    is_optional = msgspec.structs.replace(table, optional=True)
    return named_struct(options, "io.debezium.connector.schema.Change", type=STRING, id=STRING, table=is_optional)


def _table_change(change: TableChange) -> dict[str, Any]:
    table, schema = change.table, change.definition
    described = None
    if schema is not None:
        pairs = zip(schema.columns, change.column_charsets, strict=True)
        described = {
            "defaultCharsetName": change.charset,
            "primaryKeyColumnNames": list(schema.primary_key),
            "columns": [_column(column, charset, place) for place, (column, charset) in enumerate(pairs, 1)],
            "comment": None,
        }
    return {"type": change.kind, "id": f'"{table.db}"."{table.name}"', "table": described}


def _column(column: Column, charset: str | None, place: int) -> dict[str, Any]:
    name, length, scale, base, labels = mysql_type(column)
    counts = "auto_increment" in column.extra.lower()
    return {
        "name": column.name,
        "jdbcType": _JDBC.get(base, _OTHER_JDBC),
        "nativeType": None,
        "typeName": name,
        "typeExpression": name,
        "charsetName": charset if base in _CHARACTERS else None,
        "length": length,
        "scale": scale,
        "position": place,
        "optional": column.nullable,
        "autoIncremented": counts,
        "generated": counts,
        "comment": None,
        "defaultValueExpression": _default(column, base),
        "enumValues": labels,
    }


def _default(column: Column, base: str) -> str | None:
    """The default as Debezium prints it: quotes inside of a text are doubled, and now is the beginning of time."""
    text = column.default
    if text is None or text.upper() == "NULL":
        return None
    if _NOW.match(text):
        return _BEGINNING
    if base == "BIT" and text.lower().startswith("b'"):
        return text[2:-1]
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    return text.replace("'", "''")
