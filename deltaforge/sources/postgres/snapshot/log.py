"""What the stream does for the copying of its tables; see :class:`deltaforge.sources.snapshot.base.CopyableLog`."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from deltaforge.core.errors import SourceError
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.client import connect, source_errors
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.postgres.definitions import (
    definition_of_rows,
    point_of,
    published_tables,
    with_underlying,
)
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.postgres.snapshot.catalog import DEFINITION
from deltaforge.sources.postgres.snapshot.marks import Since, Snapshot

ATTEMPTS = 5

_DEFINITION = DEFINITION.format(oid="t.oid", publication="%s")
_DIGESTS = f"select t.oid::int8, d.digest from unnest(%s::oid[]) t(oid), lateral ({_DEFINITION}) d(digest)"  # noqa: S608

HASTEN_SECS = 0.1
"""How often the server is asked for the end of its log that a chunk waits for."""
_SINCE = """
select pg_current_snapshot()::text, (select system_identifier::text from pg_control_system()) || ' '
       || pg_postmaster_start_time()::text, array(
         select transactionid::text::int8 from pg_locks
          where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted and not pg_is_in_recovery())
"""
_COMMIT = "select case when not pg_is_in_recovery() then pg_current_xact_id() end"


class CopyableTables:
    """Registers tables that are to be copied.

    Args:
        config: Of the source.
        registry: Of the source.
        system_id: The server's system identifier.
        mapper: Makes the events of the tables.
    """

    def __init__(
        self, config: PostgresSourceConfig, registry: SchemaRegistry, system_id: str, mapper: EventMapper
    ) -> None:
        self._config, self._registry = config, registry
        self._system_id, self._mapper = system_id, mapper

    def tables(self, names: Sequence[TableName]) -> dict[TableName, CapturedTable]:
        """The captured tables as the catalog has them now, registered; read over a connection of its own. Rows of the
        log that have the same definition have the same version.
        """
        connection = connect(self._config.dsn.get_secret_value())
        try:
            catalog = Catalog(connection)
            rows, digests, end = self._read(connection, catalog)
            captured: dict[TableName, CapturedTable] = {}
            for name in names:
                if name not in rows:
                    continue
                relation, definition = definition_of_rows(self._mapper.database, rows[name])
                version = self._registry.register(definition, point_of(end, 0, self._system_id))
                version = with_underlying(version, [column.underlying for column in definition.schema.columns])
                types = catalog.types([column.type_oid for column in relation.columns])
                table = captured[name] = CapturedTable(relation, version, types, self._mapper)
                table.digest = digests[relation.oid]
            return captured
        finally:
            connection.close()

    def _read(
        self, connection: psycopg.Connection[TupleRow], catalog: Catalog
    ) -> tuple[dict[TableName, list[TupleRow]], dict[int, str], int]:
        """The columns of the published tables, the digests of their definitions, and a place in the WAL up to which
        both are true.
        """
        publication = self._config.publication
        for _ in range(ATTEMPTS):
            rows = published_tables(connection, publication)
            before = self._digests(connection, rows)
            end = catalog.current_lsn()
            if published_tables(connection, publication) == rows and self._digests(connection, rows) == before:
                return rows, before, end
        raise SourceError("tables are being altered all the time", kind="timeout")

    def _digests(
        self, connection: psycopg.Connection[TupleRow], rows: dict[TableName, list[TupleRow]]
    ) -> dict[int, str]:
        oids = [columns[0][0] for columns in rows.values()]
        with source_errors("cannot read the tables of the publication"):
            found = connection.execute(_DIGESTS.encode(), [oids, self._config.publication]).fetchall()
        return {int(oid): str(digest) for oid, digest in found}


def read_since(connection: psycopg.Connection[TupleRow]) -> Since:
    """What every transaction that was read up to now is compared with, see :class:`Since`."""
    with source_errors("cannot read the snapshot of the server"):
        row = connection.execute(_SINCE.encode()).fetchone()
    if row is None:
        raise SourceError("the server has no snapshot", kind="incompatible")
    text, server, running = row
    snapshot = Snapshot.of(text)
    return Since(frozenset(snapshot.whole(xid) for xid in running), server)


def have_flushed(connection: psycopg.Connection[TupleRow]) -> None:
    """Have the server write the end of its log to its disk: an empty commit wakes what does so. A standby has only
    what is on a disk already.
    """
    with source_errors("cannot have the log flushed"):
        connection.execute(_COMMIT.encode())
