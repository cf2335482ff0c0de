"""What a publication leaves out. The log holds every change; what the publication does not name is not sent, and
nothing in the stream says so.

The server decides by the publication as it was where a change stands in the WAL. A change that was made while there was
none cannot be read any more: PostgreSQL 18 leaves it out with a warning, before that it ends the stream. Whatever else
is altered is found in the catalog, at each connection and regularly: what was published when it was looked at last is
stored with the identity of the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Literal

import psycopg
from psycopg.rows import TupleRow

from deltaforge.checkpoint.identity import FailoverLog, Published, PublishedTable
from deltaforge.sources.postgres.client import gap_error, source_errors
from deltaforge.sources.postgres.config import PostgresSourceConfig

log = logging.getLogger(__name__)

OPERATIONS = ("insert", "update", "delete", "truncate")
SCHEMAS_VERSION = 150000

# The oid of an entry tells whether a table was taken out and put in again, or got another filter or list of columns.
_PUBLICATION = """
select p.oid::int8, p.puballtables, p.pubviaroot, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
       (select md5(string_agg(r.oid::text, ',' order by r.oid)) from pg_publication_rel r where r.prpubid = p.oid), {}
  from pg_publication p where p.pubname = %s
"""
_SCHEMAS = """(select coalesce(json_object_agg(n.nspname, s.oid::int8), '{}') from pg_publication_namespace s
  join pg_namespace n on n.oid = s.pnnspid where s.pnpubid = p.oid)"""
_TABLES = """
select r.prrelid::int8, n.nspname, c.relname, r.oid::int8,
       to_jsonb(r) -> 'prqual' <> 'null', to_jsonb(r) -> 'prattrs' <> 'null'
  from pg_publication_rel r join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
 where r.prpubid = %s
"""


class PublicationWatch:
    """Finds out what the publication of a source leaves out.

    Args:
        connection: An ordinary one; not owned.
        config: Of the source.
        known: Where it is stored what was published.
        server: The system that is read.
        captured: Whether the document asks for a table.
        changed: Counts what was found, by kind: ``missing``, ``dropped``, ``recreated`` or ``altered``.
    """

    def __init__(  # noqa: PLR0913 - what it reads, what it asks, where it says so
        self,
        connection: psycopg.Connection[TupleRow],
        config: PostgresSourceConfig,
        known: FailoverLog,
        *,
        server: str,
        captured: Callable[[str, str], bool],
        changed: Callable[[str], None],
    ) -> None:
        self._connection, self._config, self._server = connection, config, server
        self._log, self._captured, self._changed = known, captured, changed
        self._known: Published | None = None
        self._exists = True

    def left_out(self) -> None:
        """The server has said that it leaves out changes.

        Raises:
            SourceError: ``on_publication_gap`` is ``halt``.
        """
        self._changed("missing")
        error = gap_error(self._config.publication)
        if self._config.on_publication_gap == "halt":
            raise error
        log.warning("%s; going on without them", error.message, extra={"source_id": self._config.id})

    def check(self) -> None:
        """Compare what is published with what was, when it was looked at last; each difference is a warning."""
        before = self._known or self._log.published()
        now = read_published(self._connection, self._config.publication, self._server, before)
        if now is None and self._exists:
            self._warn("dropped", "it does not exist: what is written now cannot be read later", is_change=True)
        elif now is not None and now != before:
            self._compare(before, now)
            self._log.remember_published(now)
        self._known, self._exists = now, now is not None

    def _compare(self, before: Published | None, now: Published) -> None:
        is_same_server = before is not None and before.server == now.server
        found = list(_changes(before, now)) if before is not None and is_same_server else list(gaps_of(now))
        for kind, text, table in found:
            if table is None or self._captured(*table):
                self._warn(kind, text, is_change=is_same_server)

    def _warn(self, kind: str, text: str, *, is_change: bool) -> None:
        log.warning("publication %s: %s", self._config.publication, text, extra={"source_id": self._config.id})
        if is_change:
            self._changed(kind)


def read_published(
    connection: psycopg.Connection[TupleRow], publication: str, server: str, before: Published | None = None
) -> Published | None:
    """What a publication has now; None if it does not exist.

    Args:
        connection: An ordinary one.
        publication: Its name.
        server: The system that is read.
        before: What it had; its tables need not be read again if they are the same.
    """
    query = _PUBLICATION.format(_SCHEMAS if connection.info.server_version >= SCHEMAS_VERSION else "'{}'::json")
    with source_errors("cannot read the publication"):
        row = connection.execute(query.encode(), [publication]).fetchone()
        if row is None:
            return None
        oid, is_all, is_via_root, *flags, digest, schemas = row
        digest = digest or ""
        if before is not None and (before.oid, before.digest) == (oid, digest):
            tables = before.tables
        else:
            rows = connection.execute(_TABLES, [oid]).fetchall()
            tables = {relation: PublishedTable(*entry) for relation, *entry in rows}
    operations = tuple(name for name, is_on in zip(OPERATIONS, flags, strict=True) if is_on)
    return Published(server, oid, is_all, is_via_root, operations, digest, schemas, tables)


Change = tuple[Literal["recreated", "altered"], str, tuple[str, str] | None]


def gaps_of(now: Published) -> Iterator[Change]:
    """What a publication that is looked at for the first time leaves out of its tables."""
    missing = [name for name in OPERATIONS if name not in now.operations]
    if missing:
        yield "altered", f"{', '.join(missing)} are not published", None
    for table in now.tables.values():
        yield from _restrictions(table)


def _restrictions(table: PublishedTable) -> Iterator[Change]:
    if table.has_filter:
        yield "altered", f"rows of {table.name} that its row filter leaves out are not published", table.id
    if table.has_columns:
        yield "altered", f"only some columns of {table.name} are published", table.id


def _changes(before: Published, now: Published) -> Iterator[Change]:
    if before.oid != now.oid:
        yield "recreated", "it was dropped and made again; what was written in between is not published", None
    for name in OPERATIONS:
        if name in before.operations and name not in now.operations:
            yield "altered", f"{name} is not published any more", None
        elif name in now.operations and name not in before.operations:
            yield "altered", f"{name} is published again; what was written in between was not", None
    if before.is_via_root != now.is_via_root:
        yield "altered", f"publish_via_partition_root is {'on' if now.is_via_root else 'off'} now", None
    if before.is_all != now.is_all:
        yield "altered", "it is for all tables now" if now.is_all else "it is not for all tables any more", None
    yield from _entry_changes(before, now)


def _entry_changes(before: Published, now: Published) -> Iterator[Change]:
    for schema, entry in before.schemas.items():
        if now.schemas.get(schema) != entry:
            is_back = schema in now.schemas and before.oid == now.oid
            how = " in the meantime" if is_back else ""
            yield "altered", f"the tables of schema {schema} were not published{how}", None
    for relation, table in before.tables.items():
        if not now.is_all and table.schema not in now.schemas:
            yield from _table_changes(table, now.tables.get(relation), is_one=before.oid == now.oid)


def _table_changes(before: PublishedTable, now: PublishedTable | None, *, is_one: bool) -> Iterator[Change]:
    if now is None:
        yield "altered", f"{before.name} is not published any more", before.id
        return
    if now.entry == before.entry:
        return
    if is_one:
        yield "altered", f"{now.name} was taken out and put in again, or is published in another way", now.id
    yield from _restrictions(now)
