"""The schema history: table definitions by position, for servers without full row metadata.

A row is decoded with the definition that was valid where it was written. What the log does not say is
known from the catalog at the first start and from the DDL since then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.core.errors import CheckpointError, SchemaError
from deltaforge.core.position import MysqlPosition, log_order
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, NUMERIC, Code, ColumnType
from deltaforge.sources.mysql.client import execute
from deltaforge.sources.mysql.column_types import column_type_from_text
from deltaforge.sources.mysql.ddl import apply_ddl

REMEDY = "set binlog_row_metadata=FULL on the server, then delete the pipeline and create it again"


class TableDefinition(msgspec.Struct, frozen=True):
    """A table definition with everything that its table map may leave out, in column order."""

    schema: TableSchema
    columns: tuple[ColumnType, ...]


class _Entry(msgspec.Struct, frozen=True):
    """One line of the file: from ``file``/``pos`` on the table is defined so; None: it is gone."""

    file: str
    pos: int
    db: str
    table: str
    definition: TableDefinition | None

    @property
    def order(self) -> tuple[int, int]:
        return log_order(MysqlPosition(self.file, self.pos))


_decoder = msgspec.json.Decoder(_Entry)


class SchemaHistory:
    """Definitions of the captured tables by position.

    Append-only JSON lines, fsynced before anything behind them is delivered; a torn last line is
    dropped. Replaying the log changes nothing: what is already known at a position stays.

    Args:
        path: The file; made when first written.
        captured: Whether ``(db, table)`` is captured.
    """

    def __init__(self, path: Path, captured: Callable[[str, str], bool]) -> None:
        self._path = path
        self._captured = captured
        self._entries: dict[tuple[str, str], list[_Entry]] = {}
        self._newest = (0, 0)
        self._load()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever recorded: the server writes full row metadata."""
        return not self._entries

    def record(self, definition: TableDefinition, position: MysqlPosition) -> None:
        """The initial definition of a table, valid from ``position`` on."""
        table = definition.schema.table
        self._append([_Entry(position.file, position.pos, table.db, table.name, definition)])

    def apply(self, sql: str, db: str, position: MysqlPosition) -> None:
        """A DDL statement that ends at ``position``, with default database ``db``.

        Raises:
            SchemaError: It touches a captured table and is not understood.
        """
        if log_order(position) <= self._newest:
            return
        now = {key: entry.definition for key in self._entries if (entry := self._at(key, position)) is not None}
        known = {key: definition for key, definition in now.items() if definition is not None}
        try:
            changed = apply_ddl(sql, db, known, self._captured)
        except SchemaError as error:
            error.message = f"{error.message}; in {position.file} before {position.pos}"
            raise
        self._append([_Entry(position.file, position.pos, *key, definition) for key, definition in changed.items()])

    def definition(self, db: str, table: str, position: MysqlPosition) -> TableDefinition | None:
        """The definition valid for a row at ``position``; None if it is not known."""
        entry = self._at((db, table), position)
        return entry.definition if entry else None

    def _at(self, key: tuple[str, str], position: MysqlPosition) -> _Entry | None:
        order = log_order(position)
        valid = [entry for entry in self._entries.get(key, ()) if entry.order <= order]
        return valid[-1] if valid else None

    def _append(self, entries: list[_Entry]) -> None:
        if not entries:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(self._path, flags, 0o600), "ab") as file:
            for entry in entries:
                file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(entries)

    def _keep(self, entries: list[_Entry]) -> None:
        for entry in entries:
            self._entries.setdefault((entry.db, entry.table), []).append(entry)
            self._newest = max(self._newest, entry.order)

    def _load(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._path, len(whole))
        try:
            self._keep([_decoder.decode(line) for line in whole.splitlines()])
        except msgspec.MsgspecError as exc:
            raise CheckpointError(f"schema history {self._path.name} cannot be read: {exc}", hint=REMEDY) from exc


def load_definitions(connection: Connection[Any], captured: Callable[[str, str], bool]) -> list[TableDefinition]:
    """The captured tables as the catalog has them now."""
    rows = execute(
        connection,
        "select table_schema, table_name, column_name, column_type, is_nullable, column_default, extra, column_key,"
        " character_set_name from information_schema.columns"
        " where table_schema not in ('mysql', 'information_schema', 'performance_schema', 'sys')"
        " order by table_schema, table_name, ordinal_position",
    )
    keys: dict[tuple[str, str], list[str]] = {}
    for db, table, column in execute(
        connection,
        "select table_schema, table_name, column_name from information_schema.key_column_usage"
        " where constraint_name = 'PRIMARY' order by table_schema, table_name, ordinal_position",
    ):
        keys.setdefault((db, table), []).append(column)
    tables: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in rows:
        if captured(row[0], row[1]):
            tables.setdefault((row[0], row[1]), []).append(row)
    return [_definition(name, columns, tuple(keys.get(name, ()))) for name, columns in tables.items()]


def _definition(name: tuple[str, str], rows: list[tuple[Any, ...]], primary_key: tuple[str, ...]) -> TableDefinition:
    columns = tuple(
        Column(row[2], _text(row[3]), row[4] == "YES", None if row[5] is None else _text(row[5]), _text(row[6]))
        for row in rows
    )
    types = tuple(column_type_from_text(_text(row[3]), row[8]) for row in rows)
    return TableDefinition(TableSchema(TableId(name[0], None, name[1]), columns, primary_key), types)


def check_against(definition: TableDefinition, table_map: TableMap) -> None:
    """Check that a definition fits the table map of the rows.

    Raises:
        SchemaError: Another number of columns, or another type.
    """
    table = definition.schema.table.qualified
    if len(definition.columns) != len(table_map.columns):
        raise SchemaError(
            f"rows of {table} have {len(table_map.columns)} columns, the schema history has {len(definition.columns)}",
            hint=REMEDY,
        )
    for column, known, found in zip(definition.schema.columns, definition.columns, table_map.columns, strict=True):
        if _family(known.code) != _family(found.code):
            raise SchemaError(
                f"column {column.name} of {table} is {found.code.name} in the log, {known.code.name} in the history",
                hint=REMEDY,
            )


def resolve(definition: TableDefinition, table_map: TableMap) -> tuple[ColumnType, ...]:
    """The columns of a table map with sign, character set and labels from the definition."""
    resolved = []
    for known, found in zip(definition.columns, table_map.columns, strict=True):
        resolved.append(
            msgspec.structs.replace(
                found,
                unsigned=known.unsigned if found.code in NUMERIC else found.unsigned,
                charset=known.charset if found.code in CHARACTER | LABELLED else found.charset,
                labels=known.labels if found.code in LABELLED else found.labels,
            )
        )
    return tuple(resolved)


_FAMILIES = {
    Code.TIMESTAMP2: Code.TIMESTAMP,
    Code.DATETIME2: Code.DATETIME,
    Code.TIME2: Code.TIME,
    Code.NEWDATE: Code.DATE,
    Code.VAR_STRING: Code.VARCHAR,
    Code.BLOB_COMPRESSED: Code.BLOB,
    Code.VARCHAR_COMPRESSED: Code.VARCHAR,
}


def _family(code: Code) -> Code:
    return _FAMILIES.get(code, code)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
