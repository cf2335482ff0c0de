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
from deltaforge.core.table import TableSchema
from deltaforge.schema.versions import Definition, LogPoint
from deltaforge.sources.loader import Loaded, slow_load_warning
from deltaforge.sources.mysql.catalog import Catalog, HiddenParts, load_catalog, load_hidden_parts, load_table
from deltaforge.sources.mysql.client import connect
from deltaforge.sources.mysql.definitions import TableDefinition
from deltaforge.sources.mysql.fingerprint import fingerprint_of
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.server import ServerFacts, tail_position

log = logging.getLogger(__name__)


def point_of(position: MysqlPosition, server_uuid: str) -> LogPoint:
    """A place in this server's log. Rows stand at the end of their row event, so behind a position before it."""
    place = msgspec.structs.replace(position, server_uuid=server_uuid, gtid_set="")  # a set may be long
    return LogPoint(server_uuid, position.order, place)


def definition_of(schema: TableSchema, facts: ServerFacts) -> Definition:
    """A definition for the registry: the log of MySQL shows everything that the fingerprint is made of."""
    fingerprint = fingerprint_of(schema, is_mariadb=facts.flavor == "mariadb")
    return Definition(schema, fingerprint, fingerprint)


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
        self, connection: Connection[Any], facts: ServerFacts, history: SchemaHistory
    ) -> tuple[MysqlPosition, Loaded]:
        """Where the log ends now, which is where a first start begins, and the definitions there; without full row
        metadata they begin the history.
        """
        while True:
            catalog, end, is_unchanged = _at_end(connection, facts)
            if facts.has_full_metadata:
                break
            if is_unchanged:
                for (db, table), error in catalog.errors.items():
                    log.warning("table %s.%s stays out of the schema history: %s", db, table, error)
                history.record(catalog, end)
                break
        return end, self._loaded(catalog, end, facts)

    def load(self, facts: ServerFacts) -> Loaded:
        """The definitions where the log ends now.

        Raises:
            SourceError: The catalog or the end of the log cannot be read.
        """
        with closing(connect(self._dsn)) as connection:
            catalog, end, _ = _at_end(connection, facts)
            return self._loaded(catalog, end, facts)

    def look_up(self, db: str, table: str) -> TableSchema | None:
        """The columns of one table as the catalog has it now; None if it is not there.

        Raises:
            SourceError: The catalog cannot be read.
        """
        found = self.definition(db, table)
        return found.schema if found else None

    def definition(self, db: str, table: str) -> TableDefinition | None:
        """One table as the catalog has it now, with all that its rows depend on; None if it is not there.

        Raises:
            SourceError: The catalog cannot be read.
        """
        with closing(connect(self._dsn)) as connection:
            return load_table(connection, (db, table))

    def hidden_parts(self, db: str, table: str) -> HiddenParts:
        """What MariaDB keeps for itself in the rows of a table as it is now.

        Raises:
            SourceError: The catalog cannot be read.
        """
        with closing(connect(self._dsn)) as connection:
            return load_hidden_parts(connection, (db, table))

    def describe(self, db: str, table: str) -> TableSchema | None:
        """As :meth:`look_up`; None also if the catalog cannot be read."""
        try:
            return self.look_up(db, table)
        except SourceError as error:
            log.warning("the declared types of %s.%s are not known: %s", db, table, error)
            return None

    def _loaded(self, catalog: Catalog, end: MysqlPosition, facts: ServerFacts) -> Loaded:
        return Loaded(
            {key: definition_of(t.schema, facts) for key, t in catalog.tables.items() if self._captured(*key)},
            {key: error for key, error in catalog.errors.items() if self._captured(*key)},
            point_of(end, facts.uuid),
        )


def _at_end(connection: Connection[Any], facts: ServerFacts) -> tuple[Catalog, MysqlPosition, bool]:
    """Tables that did not change around a position at the end of the log, and whether none did."""
    with slow_load_warning("the whole catalog"):
        before = load_catalog(connection)
    end = tail_position(connection, facts)
    after = load_catalog(connection)
    tables = {key: table for key, table in before.tables.items() if after.tables.get(key) == table}
    return msgspec.structs.replace(before, tables=tables), end, before == after
