"""What the catalog says of the captured tables, with the place in the log where it is valid."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec
from pymysql.connections import Connection

from deltaforge.core.errors import SourceError
from deltaforge.core.positions import MysqlPosition
from deltaforge.sources.loader import Loaded, slow_load_warning
from deltaforge.sources.mysql.catalog import Catalog, TableInCatalog, load_catalog, load_table
from deltaforge.sources.mysql.client import connect
from deltaforge.sources.mysql.definitions import definition_of, point_of
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.objects import Objects, load_objects
from deltaforge.sources.mysql.server import ServerSettings, tail_position
from deltaforge.sources.mysql.statement import Dialect

log = logging.getLogger(__name__)


class SchemaLoader:
    """Reads definitions over connections of its own, opened for each load.

    Args:
        dsn: Of the source.
        captured: Whether ``(db, table)`` is captured.
    """

    def __init__(self, dsn: str, captured: Callable[[str, str], bool]) -> None:
        self._dsn = dsn
        self._captured = captured

    def first(
        self, connection: Connection[Any], server: ServerSettings, history: SchemaHistory
    ) -> tuple[MysqlPosition, Loaded]:
        """Where the log ends now, which is where a first start begins, and the definitions there; without full row
        metadata they begin the history.
        """
        while True:
            catalog, end, is_unchanged = _at_end(connection, server)
            if server.has_full_metadata:
                break
            if is_unchanged:
                for (db, table), error in catalog.errors.items():
                    log.warning("table %s.%s stays out of the schema history: %s", db, table, error)
                history.record(catalog, end)
                break
        return end, self._loaded(catalog, end, server)

    @staticmethod
    def settled(connection: Connection[Any], server: ServerSettings) -> tuple[Catalog, MysqlPosition]:
        """The whole catalog, and where the log ended while nobody changed it.

        Raises:
            SourceError: The catalog or the end of the log cannot be read.
        """
        while True:
            catalog, end, is_unchanged = _at_end(connection, server)
            if is_unchanged:
                return catalog, end

    def load(self, server: ServerSettings) -> Loaded:
        """The definitions where the log ends now.

        Raises:
            SourceError: The catalog or the end of the log cannot be read.
        """
        with closing(connect(self._dsn)) as connection:
            catalog, end, _ = _at_end(connection, server)
            return self._loaded(catalog, end, server)

    def table(self, db: str, table: str) -> TableInCatalog:
        """One table as the catalog has it now; an error is part of the answer, since not everybody needs one."""
        try:
            with closing(connect(self._dsn)) as connection:
                return load_table(connection, (db, table))
        except SourceError as error:
            return TableInCatalog(error=error)

    def objects(self, dialect: Dialect) -> Objects:
        """The triggers, views, routines and foreign keys of the server.

        Raises:
            SourceError: The catalog cannot be read.
        """
        with closing(connect(self._dsn)) as connection:
            return load_objects(connection, dialect)

    def _loaded(self, catalog: Catalog, end: MysqlPosition, server: ServerSettings) -> Loaded:
        return Loaded(
            {
                key: definition_of(table.schema, is_mariadb=server.flavor == "mariadb")
                for key, table in catalog.tables.items()
                if self._captured(*key)
            },
            {key: error for key, error in catalog.errors.items() if self._captured(*key)},
            point_of(end, server.uuid),
        )


def _at_end(connection: Connection[Any], server: ServerSettings) -> tuple[Catalog, MysqlPosition, bool]:
    """Tables that did not change around a position at the end of the log, and whether none did."""
    with slow_load_warning("the whole catalog"):
        before = load_catalog(connection)
    end = tail_position(connection, server)
    after = load_catalog(connection)
    tables = {key: table for key, table in before.tables.items() if after.tables.get(key) == table}
    return msgspec.structs.replace(before, tables=tables), end, before == after
