"""Captured tables: what is needed to turn their rows into events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import SchemaError
from deltaforge.core.position import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.kernel import kernel
from deltaforge.protocol.mysql.rows import RowDecoder
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import ColumnType, declared_type
from deltaforge.sources.mysql.catalog import SYSTEM_DATABASES
from deltaforge.sources.mysql.ddl_table import TableDefinition
from deltaforge.sources.mysql.history import SchemaHistory, check_against, resolve
from deltaforge.sources.mysql.maker import EventMaker
from deltaforge.sources.texts import table_texts

if TYPE_CHECKING:
    from deltaforge.sources.mysql.spec import MysqlSourceConfig


class CapturedTable:
    """One table definition with what decodes its rows.

    Attributes:
        plan: The kernel's row plan, None without a kernel.
    """

    def __init__(
        self, schema: TableSchema, columns: Sequence[tuple[str, ColumnType]], maker: EventMaker, *, is_outbox: bool
    ) -> None:
        self.schema = schema
        self.name = schema.table.qualified
        self.version = schema.fingerprint()
        self.decoder = RowDecoder(schema.table.qualified, columns)
        self.maker = maker
        self.is_outbox = is_outbox
        self.plan = None
        if kernel is not None:
            texts = [table_texts(maker.event_of(self, op)) for op in ("u", "c")]
            self.plan = kernel.RowPlan(self, [name for name, _ in columns], schema.primary_key, *texts)
            self.plan.set_mysql([column for _, column in columns])


MAX_CACHED_MAPS = 10_000


class Tables:
    """Finds the definition of the rows behind a table map.

    Attributes:
        by_map: What maps say by themselves, by their bytes: the table, or None if it is not captured.

    With full row metadata the map itself holds it; without, the schema history does, at the position.
    """

    def __init__(self, config: MysqlSourceConfig, history: SchemaHistory, maker: EventMaker) -> None:
        self._patterns = captured_tables(config)
        self._outbox = TablePatterns(config.outbox.tables) if config.outbox else None
        self._history = history
        self._maker = maker
        self.by_map: dict[bytes, CapturedTable | None] = {}
        self._resolved: dict[bytes, tuple[TableDefinition, CapturedTable]] = {}
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
        if table_map.raw in self.by_map:
            known = self.by_map[table_map.raw]
            self.hits += known is not None
            return known
        if len(self.by_map) >= MAX_CACHED_MAPS:
            self.by_map.clear()
        if not self._patterns.matches(table_map.db, table_map.table):
            self.by_map[table_map.raw] = None
            return None
        if not table_map.is_full:
            return self._from_history(table_map, position)
        self.misses += 1
        table = self.by_map[table_map.raw] = self._from_map(table_map)
        return table

    def _from_map(self, table_map: TableMap) -> CapturedTable:
        names = table_map.column_names or ()
        columns = tuple(
            Column(name, declared_type(column), bool(table_map.null_bits >> n & 1))
            for n, (name, column) in enumerate(zip(names, table_map.columns, strict=True))
        )
        key = tuple(names[n] for n in table_map.primary_key or ())
        schema = TableSchema(TableId(table_map.db, None, table_map.table), columns, key)
        return self._captured(schema, list(zip(names, table_map.columns, strict=True)), table_map)

    def _from_history(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable:
        definition = self._history.definition(table_map.db, table_map.table, position)
        if definition is None:
            raise SchemaError(
                f"the definition of {table_map.db}.{table_map.table} at {position.file}:{position.pos} is not known",
                hint="set binlog_row_metadata=FULL on the server, then delete the pipeline and create it again",
            )
        known = self._resolved.get(table_map.raw)
        if known is not None and known[0] is definition:
            self.hits += 1
            return known[1]
        self.misses += 1
        check_against(definition, table_map)
        names = [column.name for column in definition.schema.columns]
        columns = list(zip(names, resolve(definition, table_map), strict=True))
        table = self._captured(definition.schema, columns, table_map)
        self._resolved[table_map.raw] = definition, table
        return table

    def _captured(
        self, schema: TableSchema, columns: Sequence[tuple[str, ColumnType]], table_map: TableMap
    ) -> CapturedTable:
        is_outbox = self._outbox is not None and self._outbox.matches(table_map.db, table_map.table)
        return CapturedTable(schema, columns, self._maker, is_outbox=is_outbox)


def captured_tables(config: MysqlSourceConfig) -> TablePatterns:
    """The table patterns of a document."""
    return TablePatterns(config.tables, system=SYSTEM_DATABASES)
