"""The table definitions in the catalog of a server."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.core.errors import SchemaError, SourceError
from deltaforge.core.labels import unquoted
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sources.mysql.client import execute
from deltaforge.sources.mysql.column_types import column_type_from_text
from deltaforge.sources.mysql.ddl_columns import charset_from_collation
from deltaforge.sources.mysql.definitions import Key, TableDefinition

OLD_FORMAT = "/* mariadb-5.3 */"
"""In :attr:`Column.type` of what MariaDB stores in an old temporal format."""
_NEW_FORMAT = "/* mysql-5.6 */"
_TIMES = re.compile(r"(?:time|datetime|timestamp)\b")
_CONSTANT = re.compile(r"'|-?[\d.]|[bBxX]'|NULL$|current_timestamp\(", re.IGNORECASE)
ROW_START, ROW_END = "ROW START", "ROW END"
"""In :attr:`Column.extra` of the columns that bound the life of a row of a system-versioned table."""
SYSTEM_DATABASES = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


_KEYS = """
select table_schema, table_name, column_name from information_schema.key_column_usage
 where constraint_name = 'PRIMARY' /*only*/
 order by table_schema, table_name, ordinal_position
"""
_COLUMNS = """
select table_schema, table_name, column_name, column_type, is_nullable, column_default, extra, character_set_name,
       generation_expression
  from information_schema.columns
 where table_schema not in ('mysql', 'information_schema', 'performance_schema', 'sys') /*only*/
 order by table_schema, table_name, ordinal_position
"""
_TABLES = """
select table_schema, table_name, table_collation from information_schema.tables
 where table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') /*only*/
"""


_HIDDEN_PARTS = """
select (select count(*) from information_schema.tables
         where table_type = 'SYSTEM VERSIONED' and table_schema = %s and table_name = %s),
       (select count(distinct index_name) from information_schema.statistics
         where index_type = 'HASH' and not non_unique and table_schema = %s and table_name = %s)
"""


class HiddenParts(msgspec.Struct, frozen=True):
    """Whether a table of MariaDB keeps a history of its rows, and how many long unique keys it has."""

    is_versioned: bool
    long_unique_count: int


class TableInCatalog(msgspec.Struct, frozen=True):
    """One table as the catalog has it now, as an answer to :class:`CatalogNeeded`.

    Attributes:
        found: With all that its rows depend on; None if it is not there.
        parts: What else its rows may hold.
        error: Why the catalog cannot be read.
    """

    found: TableDefinition | None = None
    parts: HiddenParts = HiddenParts(is_versioned=False, long_unique_count=0)
    error: SourceError | None = None

    def definition(self) -> TableDefinition | None:
        """The definition; None if the table is not there.

        Raises:
            SourceError: The catalog cannot be read.
        """
        self._check()
        return self.found

    def schema(self) -> TableSchema | None:
        """The columns of the definition.

        Raises:
            SourceError: The catalog cannot be read.
        """
        found = self.definition()
        return found.schema if found else None

    def hidden_parts(self) -> HiddenParts:
        """What rows of the table may hold besides its columns.

        Raises:
            SourceError: The catalog cannot be read.
        """
        self._check()
        return self.parts

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


class CatalogNeeded(Exception):  # noqa: N818 - a question, not a fault
    """The log does not say all that rows depend on: whoever reads has to look their table up, and to ask again with the
    answer.
    """


class Catalog(msgspec.Struct, frozen=True):
    """The tables of a server now, and the default character sets of its databases (``""``: of the server)."""

    tables: dict[Key, TableDefinition]
    charsets: dict[str, str | None]
    errors: dict[Key, str]


def load_catalog(connection: Connection[Any]) -> Catalog:
    """Everything but the system's own databases, as the catalog has it now."""
    tables, errors = _tables(connection, None)
    charsets = dict(
        execute(connection, "select schema_name, default_character_set_name from information_schema.schemata")
    )
    ((charsets[""],),) = execute(connection, "select @@global.character_set_server")
    return Catalog(tables, charsets, errors)


def load_names(connection: Connection[Any]) -> tuple[set[Key], set[str]]:
    """The tables and databases that the user may see."""
    tables = {(str(db), str(table)) for db, table, _ in execute(connection, _TABLES.replace("/*only*/", ""))}
    return tables, {str(db) for (db,) in execute(connection, "select schema_name from information_schema.schemata")}


def load_table(connection: Connection[Any], table: Key) -> TableInCatalog:
    """One table as the catalog has it now; one that is not understood counts as one that is not there."""
    found = _tables(connection, table)[0].get(table)
    ((versioned, count),) = execute(connection, _HIDDEN_PARTS, (*table, *table))
    return TableInCatalog(found, HiddenParts(bool(versioned), int(count)))


def _tables(connection: Connection[Any], only: Key | None) -> tuple[dict[Key, TableDefinition], dict[Key, str]]:
    """The definitions of all tables or of one, and why others cannot be read."""
    where = "and table_schema = %s and table_name = %s" if only else ""
    keys: dict[Key, list[str]] = {}
    for db, table, column in execute(connection, _KEYS.replace("/*only*/", where), only):
        keys.setdefault((db, table), []).append(column)
    columns: dict[Key, list[tuple[Any, ...]]] = {}
    for row in execute(connection, _COLUMNS.replace("/*only*/", where), only):
        columns.setdefault((row[0], row[1]), []).append(row)
    is_mariadb = "mariadb" in str(execute(connection, "select version()")).lower()
    is_old = is_mariadb and execute(connection, "select @@global.mysql56_temporal_format") == [(0,)]
    tables, errors = {}, {}
    for db, table, collation in execute(connection, _TABLES.replace("/*only*/", where), only):
        key = (db, table)
        if db.lower() not in SYSTEM_DATABASES and key in columns:
            charset = charset_from_collation(_text(collation or "default"))
            rows = [
                (
                    *row[:3],
                    _type(row[3], is_old=is_old),
                    row[4],
                    _default(row[5], is_mariadb=is_mariadb),
                    _extra(row[5], row[6], row[8], is_mariadb=is_mariadb),
                    row[7],
                )
                for row in columns[key]
            ]
            # The end of a row of a system-versioned table, often hidden, is in each of its unique keys.
            ends = {row[2] for row in rows if ROW_END in row[6]}
            names = {row[2] for row in rows} - ends
            try:
                tables[key] = _definition(key, rows, tuple(c for c in keys.get(key, ()) if c in names), charset)
            except SchemaError as error:  # its rows, if they are captured, will stop with the remedy
                errors[key] = str(error)
    return tables, errors


def _default(value: Any, *, is_mariadb: bool) -> str | None:
    """A default as MySQL prints it: MariaDB quotes texts, and has the word NULL for none."""
    text = None if value is None else _text(value)
    if not is_mariadb or text is None:
        return text
    if text == "NULL":
        return None
    return unquoted(text[1:-1]) if text[:1] == text[-1:] == "'" else text


def _type(value: Any, *, is_old: bool) -> str:
    """A type with its temporal format said always in one way: MariaDB marks the one that is not its present setting."""
    text = _text(value)
    if is_old and _TIMES.match(text) and _NEW_FORMAT not in text:
        return f"{text} {OLD_FORMAT}"
    return text.replace(_NEW_FORMAT, "").rstrip() if is_old else text


def _extra(default: Any, text: Any, expression: Any, *, is_mariadb: bool) -> str:
    """What the catalog says besides, with the part that a column has in system versioning; of a default that is an
    expression the word that MySQL has for it.
    """
    said = _text(text)
    if is_mariadb and default is not None and not _CONSTANT.match(_text(default)):
        said = f"DEFAULT_GENERATED {said}".rstrip()
    is_bound = is_mariadb and _text(expression or "") in (ROW_START, ROW_END)
    return f"{said}, {_text(expression)}" if is_bound else said


def _definition(
    name: Key, rows: list[tuple[Any, ...]], primary_key: tuple[str, ...], charset: str | None
) -> TableDefinition:
    columns = tuple(Column(row[2], row[3], row[4] == "YES", row[5], row[6]) for row in rows)
    types = tuple(column_type_from_text(row[3], row[7] or "binary") for row in rows)
    return TableDefinition(TableSchema(TableId(name[0], None, name[1]), columns, primary_key), types, charset)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
