"""Captured tables: what is needed to turn their rows into events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import SchemaError
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql.events import end_of
from deltaforge.protocol.mysql.table_map import TableMap
from deltaforge.protocol.mysql.types import OLD_TIMES, ColumnType
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.mysql.catalog import ROW_END, SYSTEM_DATABASES, CatalogNeeded, TableInCatalog
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.mysql.definitions import TableDefinition, definition_of, point_of
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.mysql.fingerprint import canonical_type
from deltaforge.sources.mysql.history import SchemaHistory, check_against, resolve
from deltaforge.sources.mysql.server import ServerSettings
from deltaforge.sources.mysql.unsaid import completed_columns, declaration_of, declared_as, hidden_columns
from deltaforge.sources.unmatched import PatternWatch

log = logging.getLogger(__name__)


MAX_CACHED_MAPS = 10_000


class DescribedRows:
    """What is known of rows before they are decoded.

    Attributes:
        map: Stands before them.
        position: Where they are.
    """

    def __init__(self, table_map: TableMap, position: MysqlPosition, in_catalog: TableInCatalog | None) -> None:
        self.map, self.position = table_map, position
        self._in_catalog = in_catalog

    @property
    def name(self) -> TableName:
        """Database and table."""
        return self.map.db, self.map.table

    def look_up(self) -> TableInCatalog:
        """Their table as the catalog has it now.

        Raises:
            CatalogNeeded: It was not looked up.
        """
        if self._in_catalog is None:
            raise CatalogNeeded
        return self._in_catalog


class Tables:
    """Finds the definition of the rows behind a table map, registered at their place.

    Attributes:
        by_map: What maps say by themselves, by their bytes: the table, or None if it is not captured.
        forget_map: Called when a map in ``by_map`` may mean another version than it did.

    With full row metadata the map itself holds it; without, the schema history does, at the position. Nothing here
    asks the server.
    """

    def __init__(
        self, config: MysqlSourceConfig, history: SchemaHistory, mapper: EventMapper, registry: SchemaRegistry
    ) -> None:
        self._patterns = captured_tables(config)
        self._outbox = TablePatterns(config.outbox.tables) if config.outbox else None
        self._history = history
        self._mapper = mapper
        self._registry = registry
        self._server: ServerSettings | None = None
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

    def use(self, server: ServerSettings) -> None:
        """Rows of this server come next."""
        self._server = server
        for patterns in (self._patterns, self._outbox):
            if patterns is not None:
                patterns.ignores_case = server.folds_names

    def is_captured(self, db: str, table: str) -> bool:
        """Whether the document asks for a table that a statement names."""
        return self._patterns.matches(*self.name(db, table))

    def schema_at(self, table: TableName, position: MysqlPosition) -> TableSchema | None:
        """The registered definition of a table at a place of the log; None: there is none yet."""
        uuid = self._server.uuid if self._server is not None else ""
        version = self._registry.at_point(table, point_of(position, uuid))
        return None if version is None else version.schema

    def captures_of(self, db: str) -> bool:
        """Whether a table of a database that a statement names can be captured."""
        return self._patterns.may_match_in(self.name(db, "")[0])

    def name(self, db: str, table: str) -> TableName:
        """How the server calls a table that a statement names: so do the rows."""
        is_folded = self._server is not None and self._server.folds_names
        return (db.lower(), table.lower()) if is_folded else (db, table)

    def canonical(self, declared_type: str) -> str:
        """A declared type as a table map of this server would show it."""
        return canonical_type(declared_type, is_mariadb=self._is_mariadb)

    @property
    def _is_mariadb(self) -> bool:
        return self._server is not None and self._server.flavor == "mariadb"

    def captured(
        self, table_map: TableMap, position: MysqlPosition, in_catalog: TableInCatalog | None = None
    ) -> CapturedTable | None:
        """The table of a map, or None if it is not captured.

        Args:
            table_map: Stands before the rows.
            position: Of the rows.
            in_catalog: The table as the catalog has it, if that was looked up.

        Raises:
            CatalogNeeded: It has to be looked up. Nothing was changed.
            SchemaError: The definition is not known, or does not fit the map.
            SourceError: The catalog cannot be read.
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
        described = DescribedRows(table_map, position, in_catalog)
        if not table_map.is_full:
            return self._from_history(described)
        completed = self._completed.get(table_map.raw)
        if completed is not None:
            self.hits += 1
            return completed
        table = self._from_map(described)
        self.misses += 1
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
        if self._server is not None:
            self._ahead = self._registry.starts_after(point_of(here, self._server.uuid))

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

    def _from_map(self, rows: DescribedRows) -> CapturedTable:
        table_map = rows.map
        names = table_map.column_names or ()
        kinds = self._completed_columns(rows) if self._is_mariadb else table_map.columns
        columns = tuple(
            Column(name, declaration_of(kind, is_mariadb=self._is_mariadb), bool(table_map.null_bits >> n & 1))
            for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
            if not kind.is_hidden
        )
        key = tuple(names[n] for n in table_map.primary_key or () if not kinds[n].ends_row)
        schema = TableSchema(TableId(table_map.db, None, table_map.table), columns, key)
        return self._captured(schema, list(zip(names, kinds, strict=True)), rows)

    def _completed_columns(self, rows: DescribedRows) -> Sequence[ColumnType]:
        known = self._registry.at_point(rows.name, point_of(rows.position, self._server.uuid)) if self._server else None
        return completed_columns(rows.map, known.schema if known else None, rows.look_up)

    def _from_history(self, rows: DescribedRows) -> CapturedTable:
        try:
            return self._defined(self._history.definition(*rows.name, rows.position), rows)
        except SchemaError:
            definition = self._taken_over(rows)
            if definition is None:
                raise
            return self._defined(definition, rows)

    def _taken_over(self, rows: DescribedRows) -> TableDefinition | None:
        """What the catalog says of a table whose definition is not known here; None unless an operator asked for that.

        Raises:
            SchemaError: The rows are of another definition.
        """
        if rows.name not in self._history.take_overs.asked():
            return None
        definition = rows.look_up().definition()
        if definition is None:
            raise SchemaError(f"{'.'.join(rows.name)} cannot be taken from the catalog: it is not there")
        self._resolve(definition, rows)
        self._history.take_over(rows.name, definition, rows.position)
        self._history.take_overs.use_up(*rows.name)
        self.taken_over += 1
        log.warning(
            "the definition of %s.%s is taken from the catalog, for rows from %s:%d on, as an operator asked",
            *rows.name,
            rows.position.file,
            rows.position.pos,
        )
        return definition

    def _defined(self, definition: TableDefinition, rows: DescribedRows) -> CapturedTable:
        known = self._resolved.get(rows.map.raw)
        if known is not None and known[0] is definition:
            self.hits += 1
            return known[1]
        table = self._captured(definition.schema, self._resolve(definition, rows), rows)
        self.misses += 1
        self._resolved[rows.map.raw] = definition, table
        return table

    def _resolve(self, definition: TableDefinition, rows: DescribedRows) -> list[tuple[str, ColumnType]]:
        """Names and types of the columns of rows.

        Raises:
            SchemaError: The definition does not fit the table map.
        """
        table_map, count = rows.map, len(definition.columns)
        hidden = hidden_columns(
            table_map.columns[count:],
            has_end=any(ROW_END in column.extra for column in definition.schema.columns),
            look_up=rows.look_up,
        )
        shown = msgspec.structs.replace(table_map, columns=table_map.columns[:count]) if hidden else table_map
        check_against(definition, shown)
        columns = [
            (column.name, declared_as(column, kind))
            for column, kind in zip(definition.schema.columns, resolve(definition, shown), strict=True)
        ]
        return columns + hidden

    def _captured(
        self, schema: TableSchema, columns: Sequence[tuple[str, ColumnType]], rows: DescribedRows
    ) -> CapturedTable:
        version = self._version(schema, rows)
        self.watch.seen((schema.table.db, schema.table.name))
        is_outbox = self._outbox is not None and self._outbox.matches(schema.table.db, schema.table.name)
        return CapturedTable(version, columns, self._mapper, is_outbox=is_outbox)

    def _version(self, schema: TableSchema, rows: DescribedRows) -> SchemaVersion:
        """The registered version of rows at a position; what is new is described as the catalog has it, if it still
        has it.
        """
        if self._server is None:
            raise SchemaError("rows of an unknown server")
        name, point = (schema.table.db, schema.table.name), point_of(rows.position, self._server.uuid)
        definition = definition_of(schema, is_mariadb=self._is_mariadb)
        known = self._registry.resolve(name, definition.signature, point)
        if known is not None:
            return known
        described = _described(name, rows.look_up())
        if described is not None:
            fuller = definition_of(described, is_mariadb=self._is_mariadb)
            if fuller.signature != definition.signature:  # it has changed since
                fuller = definition_of(self._with_defaults(schema, described), is_mariadb=self._is_mariadb)
            definition = fuller
        return self._registry.register(definition, point)

    def _with_defaults(self, schema: TableSchema, now: TableSchema) -> TableSchema:
        """The definition of a map, which has no defaults, with those of the columns that are the same now."""
        found = {column.name: column for column in now.columns}
        columns = []
        for column in schema.columns:
            same = found.get(column.name)
            if same is not None and self.canonical(same.type) == self.canonical(column.type):
                column = msgspec.structs.replace(column, default=same.default, extra=same.extra)  # noqa: PLW2901
            columns.append(column)
        return msgspec.structs.replace(schema, columns=tuple(columns))


def _described(name: TableName, in_catalog: TableInCatalog) -> TableSchema | None:
    """The columns with their declared types; None also if the catalog cannot be read."""
    if in_catalog.error is not None:
        log.warning("the declared types of %s.%s are not known: %s", *name, in_catalog.error)
    return in_catalog.found.schema if in_catalog.found else None


def captured_tables(config: MysqlSourceConfig) -> TablePatterns:
    """The table patterns of a document."""
    return TablePatterns(config.tables, system=SYSTEM_DATABASES)
