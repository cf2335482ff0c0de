"""The table definitions in the catalog of a server."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sources.mysql.client import execute
from deltaforge.sources.mysql.column_types import column_type_from_text
from deltaforge.sources.mysql.ddl_columns import charset_from_collation
from deltaforge.sources.mysql.ddl_table import TableDefinition

log = logging.getLogger(__name__)

SYSTEM_DATABASES = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


class Catalog(msgspec.Struct, frozen=True):
    """The tables of a server now, and the default character sets of its databases (``""``: of the server)."""

    tables: dict[tuple[str, str], TableDefinition]
    charsets: dict[str, str | None]


def load_catalog(connection: Connection[Any]) -> Catalog:
    """Everything but the system's own databases, as the catalog has it now."""
    keys: dict[tuple[str, str], list[str]] = {}
    for db, table, column in execute(
        connection,
        "select table_schema, table_name, column_name from information_schema.key_column_usage"
        " where constraint_name = 'PRIMARY' order by table_schema, table_name, ordinal_position",
    ):
        keys.setdefault((db, table), []).append(column)
    columns: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in execute(
        connection,
        "select table_schema, table_name, column_name, column_type, is_nullable, column_default, extra,"
        " character_set_name from information_schema.columns order by table_schema, table_name, ordinal_position",
    ):
        columns.setdefault((row[0], row[1]), []).append(row)
    tables = {}
    for db, table, collation in execute(
        connection,
        "select table_schema, table_name, table_collation from information_schema.tables"
        " where table_type in ('BASE TABLE', 'SYSTEM VERSIONED')",
    ):
        key = (db, table)
        if db.lower() not in SYSTEM_DATABASES and key in columns:
            charset = charset_from_collation(_text(collation or "default"))
            try:
                tables[key] = _definition(key, columns[key], tuple(keys.get(key, ())), charset)
            except SchemaError as error:  # its rows, if they are captured, will stop with the remedy
                log.warning("table %s.%s stays out of the schema history: %s", db, table, error)
    charsets = dict(
        execute(connection, "select schema_name, default_character_set_name from information_schema.schemata")
    )
    ((charsets[""],),) = execute(connection, "select @@global.character_set_server")
    return Catalog(tables, charsets)


def _definition(
    name: tuple[str, str], rows: list[tuple[Any, ...]], primary_key: tuple[str, ...], charset: str | None
) -> TableDefinition:
    columns = tuple(
        Column(row[2], _text(row[3]), row[4] == "YES", None if row[5] is None else _text(row[5]), _text(row[6]))
        for row in rows
    )
    types = tuple(column_type_from_text(_text(row[3]), row[7]) for row in rows)
    return TableDefinition(TableSchema(TableId(name[0], None, name[1]), columns, primary_key), types, charset)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
