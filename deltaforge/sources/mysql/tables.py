"""Captured tables: what is needed to turn their rows into events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import SchemaError
from deltaforge.core.position import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.rows import RowDecoder
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import declared_type
from deltaforge.sources.mysql.catalog import SYSTEM_DATABASES
from deltaforge.sources.mysql.history import SchemaHistory, check_against, resolve

if TYPE_CHECKING:
    from deltaforge.sources.mysql.spec import MysqlSourceConfig


class CapturedTable(msgspec.Struct, frozen=True):
    """One table definition with its row decoder."""

    schema: TableSchema
    version: str
    decoder: RowDecoder
    is_outbox: bool


class Tables:
    """Finds the definition of the rows behind a table map.

    With full row metadata the map itself holds it; without, the schema history does, at the position.
    """

    def __init__(self, config: MysqlSourceConfig, history: SchemaHistory) -> None:
        self._patterns = captured_tables(config)
        self._outbox = TablePatterns(config.outbox.tables) if config.outbox else None
        self._history = history
        self._full: dict[bytes, CapturedTable] = {}
        self._resolved: dict[tuple[bytes, str], CapturedTable] = {}
        self.hits = 0
        self.misses = 0

    def is_captured(self, db: str, table: str) -> bool:
        """Whether the document asks for this table."""
        return self._patterns.matches(db, table)

    def captured(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable | None:
        """The table of a map, or None if it is not captured.

        Raises:
            SchemaError: The definition is not known, or does not fit the map.
        """
        known = self._full.get(table_map.raw)
        if known is not None:
            self.hits += 1
            return known
        if not self._patterns.matches(table_map.db, table_map.table):
            return None
        if not table_map.is_full:
            return self._from_history(table_map, position)
        self.misses += 1
        table = self._full[table_map.raw] = self._from_map(table_map)
        return table

    def _from_map(self, table_map: TableMap) -> CapturedTable:
        names = table_map.column_names or ()
        columns = tuple(
            Column(name, declared_type(column), bool(table_map.null_bits >> n & 1))
            for n, (name, column) in enumerate(zip(names, table_map.columns, strict=True))
        )
        key = tuple(names[n] for n in table_map.primary_key or ())
        schema = TableSchema(TableId(table_map.db, None, table_map.table), columns, key)
        decoder = RowDecoder(schema.table.qualified, list(zip(names, table_map.columns, strict=True)))
        return CapturedTable(schema, schema.fingerprint(), decoder, self._is_outbox(table_map))

    def _from_history(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable:
        definition = self._history.definition(table_map.db, table_map.table, position)
        if definition is None:
            raise SchemaError(
                f"the definition of {table_map.db}.{table_map.table} at {position.file}:{position.pos} is not known",
                hint="set binlog_row_metadata=FULL on the server, then delete the pipeline and create it again",
            )
        version = definition.schema.fingerprint()
        known = self._resolved.get((table_map.raw, version))
        if known is not None:
            self.hits += 1
            return known
        self.misses += 1
        check_against(definition, table_map)
        names = [column.name for column in definition.schema.columns]
        decoder = RowDecoder(
            definition.schema.table.qualified, list(zip(names, resolve(definition, table_map), strict=True))
        )
        table = CapturedTable(definition.schema, version, decoder, self._is_outbox(table_map))
        self._resolved[table_map.raw, version] = table
        return table

    def _is_outbox(self, table_map: TableMap) -> bool:
        return self._outbox is not None and self._outbox.matches(table_map.db, table_map.table)

    def take_null_dates(self) -> dict[str, int]:
        """Zero dates that became null since the last call, by table."""
        counts: dict[str, int] = {}
        for table in (*self._full.values(), *self._resolved.values()):
            if table.decoder.null_date_count:
                counts[table.decoder.table] = counts.get(table.decoder.table, 0) + table.decoder.null_date_count
                table.decoder.null_date_count = 0
        return counts


def captured_tables(config: MysqlSourceConfig) -> TablePatterns:
    """The table patterns of a document."""
    return TablePatterns(config.tables, system=SYSTEM_DATABASES)
