"""Captured tables: what is needed to turn their rows into events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import SchemaError
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.events import end_of
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import OLD_TIMES, ColumnType
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.mysql.catalog import ROW_END, SYSTEM_DATABASES
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.definitions import TableDefinition
from deltaforge.sources.mysql.fingerprint import canonical_type
from deltaforge.sources.mysql.history import SchemaHistory, check_against, resolve
from deltaforge.sources.mysql.loader import SchemaLoader, definition_of, point_of
from deltaforge.sources.mysql.maker import CapturedTable, EventMaker
from deltaforge.sources.mysql.server import ServerFacts
from deltaforge.sources.mysql.unmatched import look_for_tables
from deltaforge.sources.mysql.unsaid import completed_columns, declaration_of, declared_as, hidden_columns
from deltaforge.sources.unmatched import PatternWatch

log = logging.getLogger(__name__)


MAX_CACHED_MAPS = 10_000


class Tables:
    """Finds the definition of the rows behind a table map, registered at their place.

    Attributes:
        by_map: What maps say by themselves, by their bytes: the table, or None if it is not captured.
        forget_map: Called when a map in ``by_map`` may mean another version than it did.

    With full row metadata the map itself holds it; without, the schema history does, at the position.
    """

    def __init__(
        self, config: MysqlSourceConfig, history: SchemaHistory, maker: EventMaker, registry: SchemaRegistry
    ) -> None:
        self._patterns = captured_tables(config)
        self._outbox = TablePatterns(config.outbox.tables) if config.outbox else None
        self._history = history
        self._maker = maker
        self._registry = registry
        self._facts: ServerFacts | None = None
        self.loader = SchemaLoader(config.dsn.get_secret_value(), self._patterns.matches)
        self.by_map: dict[bytes, CapturedTable | None] = {}
        self.forget_map: Callable[[], object] = lambda: None
        self._map_of: dict[TableName, bytes] = {}
        self._resolved: dict[bytes, tuple[TableDefinition, CapturedTable]] = {}
        self._completed: dict[bytes, CapturedTable] = {}
        self._ahead: list[tuple[int, int]] = []
        settings = {"tables": self._patterns} | ({"outbox.tables": self._outbox} if self._outbox else {})
        self.watch = PatternWatch(config.id, settings)
        self.hits = 0
        self.misses = 0
        self.taken_over = 0

    def use(self, facts: ServerFacts) -> None:
        """Rows of this server come next."""
        self._facts = facts
        for patterns in (self._patterns, self._outbox):
            if patterns is not None:
                patterns.ignores_case = facts.folds_names

    def look_for_tables(self, connection: Connection[Any]) -> None:
        """Find out which patterns no table matches."""
        look_for_tables(connection, self.watch)

    def is_captured(self, db: str, table: str) -> bool:
        """Whether the document asks for a table that a statement names."""
        return self._patterns.matches(*self.name(db, table))

    def name(self, db: str, table: str) -> TableName:
        """How the server calls a table that a statement names: so do the rows."""
        is_folded = self._facts is not None and self._facts.folds_names
        return (db.lower(), table.lower()) if is_folded else (db, table)

    def canonical(self, declared_type: str) -> str:
        """A declared type as a table map of this server would show it."""
        is_mariadb = self._facts is not None and self._facts.flavor == "mariadb"
        return canonical_type(declared_type, is_mariadb=is_mariadb)

    def captured(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable | None:
        """The table of a map, or None if it is not captured.

        Args:
            table_map: Stands before the rows.
            position: Of the rows.

        Raises:
            SchemaError: The definition is not known, or does not fit the map.
        """
        if self._ahead:
            self._pass(position)
        if table_map.raw in self.by_map:
            known = self.by_map[table_map.raw]
            self.hits += known is not None
            return known
        if len(self.by_map) >= MAX_CACHED_MAPS:
            self._forget()
        if not self._patterns.matches(table_map.db, table_map.table):
            self.by_map[table_map.raw] = None
            return None
        if not table_map.is_full:
            return self._from_history(table_map, position)
        completed = self._completed.get(table_map.raw)
        if completed is not None:
            self.hits += 1
            return completed
        self.misses += 1
        table = self._from_map(table_map, position)
        self._replace_map(table_map)
        if table.is_versioned or any(column.code in OLD_TIMES for _, column in table.columns):
            self._completed[table_map.raw] = table  # not for the scanner: the map alone does not say it
        else:
            self.by_map[table_map.raw] = table
        return table

    def forget_completed(self) -> None:
        """A definition changed: what maps leave out may be another thing now."""
        self._completed.clear()

    def look_ahead(self, here: MysqlPosition) -> None:
        """Note what is registered behind the place where the reading stands: rows there look for their versions
        again, although their map may be known.
        """
        if self._facts is not None:
            self._ahead = self._registry.starts_after(point_of(here, self._facts.uuid))

    def is_safe(self, file: str, end_pos: int, last_event: bytes) -> bool:
        """Whether no event up to the last one (which may stand in the next file) reaches a registration ahead.

        Args:
            file: Where the reading stands.
            end_pos: The offset in it.
            last_event: Of those that were read.
        """
        if not self._ahead:
            return True
        number, _ = here = MysqlPosition(file, end_pos).order
        last_pos = end_of(int.from_bytes(last_event[13:17], "little"), end_pos)
        is_same_file = last_pos >= end_pos
        return number < self._ahead[0][0] or (is_same_file and max(here, (number, last_pos)) < self._ahead[0])

    def _pass(self, position: MysqlPosition) -> None:
        order = position.order
        while self._ahead and self._ahead[0] <= order:
            self._forget()
            del self._ahead[0]

    def _forget(self) -> None:
        self.by_map.clear()
        self._map_of.clear()
        self._resolved.clear()
        self._completed.clear()
        self.forget_map()

    def _replace_map(self, table_map: TableMap) -> None:
        """The older map of a table is forgotten: if it comes back, its rows are of a new version."""
        name = table_map.db, table_map.table
        older = self._map_of.get(name)
        if older is not None:
            self.by_map.pop(older, None)
            self._completed.pop(older, None)
        self._map_of[name] = table_map.raw
        self.forget_map()

    def _from_map(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable:
        names = table_map.column_names or ()
        is_mariadb = self._facts is not None and self._facts.flavor == "mariadb"
        kinds = self._completed_columns(table_map, position) if is_mariadb else table_map.columns
        columns = tuple(
            Column(name, declaration_of(kind, is_mariadb=is_mariadb), bool(table_map.null_bits >> n & 1))
            for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
            if not kind.is_hidden
        )
        key = tuple(names[n] for n in table_map.primary_key or () if not kinds[n].ends_row)
        schema = TableSchema(TableId(table_map.db, None, table_map.table), columns, key)
        return self._captured(schema, list(zip(names, kinds, strict=True)), position)

    def _completed_columns(self, table_map: TableMap, position: MysqlPosition) -> Sequence[ColumnType]:
        name = table_map.db, table_map.table
        known = self._registry.at_point(name, point_of(position, self._facts.uuid)) if self._facts else None
        return completed_columns(table_map, known.schema if known else None, lambda: self.loader.look_up(*name))

    def _from_history(self, table_map: TableMap, position: MysqlPosition) -> CapturedTable:
        try:
            return self._defined(self._history.definition(table_map.db, table_map.table, position), table_map, position)
        except SchemaError:
            definition = self._taken_over(table_map, position)
            if definition is None:
                raise
            return self._defined(definition, table_map, position)

    def _taken_over(self, table_map: TableMap, position: MysqlPosition) -> TableDefinition | None:
        """What the catalog says of a table whose definition is not known here; None unless an operator asked for that.

        Raises:
            SchemaError: The rows are of another definition.
        """
        name = table_map.db, table_map.table
        if name not in self._history.take_overs.asked():
            return None
        definition = self.loader.definition(*name)
        if definition is None:
            raise SchemaError(f"{'.'.join(name)} cannot be taken from the catalog: it is not there")
        self._resolve(definition, table_map)
        self._history.take_over(name, definition, position)
        self._history.take_overs.use_up(*name)
        self.taken_over += 1
        log.warning(
            "the definition of %s.%s is taken from the catalog, for rows from %s:%d on, as an operator asked",
            *name,
            position.file,
            position.pos,
        )
        return definition

    def _defined(self, definition: TableDefinition, table_map: TableMap, position: MysqlPosition) -> CapturedTable:
        known = self._resolved.get(table_map.raw)
        if known is not None and known[0] is definition:
            self.hits += 1
            return known[1]
        self.misses += 1
        table = self._captured(definition.schema, self._resolve(definition, table_map), position)
        self._resolved[table_map.raw] = definition, table
        return table

    def _resolve(self, definition: TableDefinition, table_map: TableMap) -> list[tuple[str, ColumnType]]:
        """Names and types of the columns of rows.

        Raises:
            SchemaError: The definition does not fit the table map.
        """
        count = len(definition.columns)
        hidden = hidden_columns(
            table_map.columns[count:],
            has_end=any(ROW_END in column.extra for column in definition.schema.columns),
            look_up=lambda: self.loader.hidden_parts(table_map.db, table_map.table),
        )
        shown = msgspec.structs.replace(table_map, columns=table_map.columns[:count]) if hidden else table_map
        check_against(definition, shown)
        columns = [
            (column.name, declared_as(column, kind))
            for column, kind in zip(definition.schema.columns, resolve(definition, shown), strict=True)
        ]
        return columns + hidden

    def _captured(
        self, schema: TableSchema, columns: Sequence[tuple[str, ColumnType]], position: MysqlPosition
    ) -> CapturedTable:
        version = self._version(schema, position)
        self.watch.seen((schema.table.db, schema.table.name))
        is_outbox = self._outbox is not None and self._outbox.matches(schema.table.db, schema.table.name)
        return CapturedTable(version, columns, self._maker, is_outbox=is_outbox)

    def _version(self, schema: TableSchema, position: MysqlPosition) -> SchemaVersion:
        """The registered version of rows at a position; what is new is described as the catalog has it, if it still
        has it.
        """
        if self._facts is None:
            raise SchemaError("rows of an unknown server")
        name, point = (schema.table.db, schema.table.name), point_of(position, self._facts.uuid)
        definition = definition_of(schema, self._facts)
        known = self._registry.resolve(name, definition.signature, point)
        if known is not None:
            return known
        described = self.loader.describe(*name)
        if described is not None and definition_of(described, self._facts).signature == definition.signature:
            definition = definition_of(described, self._facts)
        return self._registry.register(definition, point)


def captured_tables(config: MysqlSourceConfig) -> TablePatterns:
    """The table patterns of a document."""
    return TablePatterns(config.tables, system=SYSTEM_DATABASES)
