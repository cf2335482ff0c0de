"""Table definitions for the schema registry: of relation messages, and of the whole catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
import psycopg
from psycopg.rows import TupleRow

from deltaforge.core.positions import PostgresPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.postgres.messages import Relation, RelationColumn
from deltaforge.schema.versions import Definition, LogPoint, SchemaVersion
from deltaforge.sources.loader import Loaded, slow_load_warning
from deltaforge.sources.postgres.catalog import Catalog, ColumnDefinition, underlying_type
from deltaforge.sources.postgres.client import connect, source_errors

# Columns as pgoutput sends them: those that are published, marked as identity by the index of the replica identity
# (relcache.c: a primary key whose check is deferred is none). ``attnames`` came with PostgreSQL 15; generated columns
# are in it also before 18, which is the first that sends them.
_TABLES = """
select c.oid, n.nspname, c.relname, c.relreplident::text, key.names,
       a.attname, a.atttypid, a.atttypmod,
       c.relreplident = 'f' or coalesce(a.attnum = any((identity.indkey::int2[])[0:identity.indnkeyatts - 1]), false),
       format_type(a.atttypid, a.atttypmod),
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text, identity.indnkeyatts,
       /*underlying*/
  from pg_publication_tables t
  join pg_namespace n on n.nspname = t.schemaname
  join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_index identity
    on identity.indrelid = c.oid and identity.indisvalid
   and case c.relreplident when 'd' then identity.indisprimary and identity.indimmediate
                           when 'i' then identity.indisreplident else false end
  left join lateral (
       select array_agg(ka.attname::text order by k.place) as names
         from pg_index i
        cross join unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
         join pg_attribute ka on ka.attrelid = i.indrelid and ka.attnum = k.attnum
        where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts) key on true
 where t.pubname = %s
   and coalesce(to_jsonb(t) -> 'attnames' ? a.attname, true)
   and (a.attgenerated = '' or current_setting('server_version_num')::int >= 180000)
 order by c.oid, a.attnum
""".replace("/*underlying*/", underlying_type("a.atttypid", "a.atttypmod"))


def signature_of(relation: Relation) -> str:
    """What a relation message says, without the oid: nullability, defaults and the primary key are not in it."""
    columns = [[c.name, c.type_oid, c.type_modifier, c.is_key] for c in relation.columns]
    return "sha256:" + hashlib.sha256(msgspec.json.encode([relation.identity, columns])).hexdigest()


def row_key_of(relation: Relation, primary_key: tuple[str, ...], *, is_hidden: bool = False) -> tuple[str, ...]:
    """The columns that are the key of every row event of a relation.

    With a DEFAULT identity or that of an index they are the columns of the identity: the log marks them at its place,
    and holds them for deletes too. The catalog tells their order at most, and whether the identity has columns that
    are not published: a part of a key is none. With FULL and NOTHING the log does not say what the key is: it is the
    primary key of the catalog, if that is published.
    """
    if is_hidden:
        return ()
    if relation.identity in ("d", "i"):
        marked = tuple(column.name for column in relation.columns if column.is_key)
        return primary_key if set(primary_key) == set(marked) else marked
    return primary_key if {column.name for column in relation.columns}.issuperset(primary_key) else ()


def definition_of(
    database: str,
    relation: Relation,
    types: Sequence[tuple[str, str | None]],
    defined: Mapping[str, ColumnDefinition],
    key: tuple[str, ...],
) -> Definition:
    """The definition of a relation.

    Args:
        database: Its name.
        relation: As pgoutput describes it.
        types: Declared types of its columns, and what they are made of.
        defined: Columns by name, as far as the catalog still has them.
        key: That of its rows, see :func:`row_key_of`.
    """
    columns = []
    for column, (text, underlying) in zip(relation.columns, types, strict=True):
        known = defined.get(column.name, ColumnDefinition())
        columns.append(Column(column.name, text, known.nullable, known.default, known.extra, underlying))
    schema = TableSchema(TableId(database, relation.schema, relation.name), tuple(columns), key)
    return Definition(schema, schema.fingerprint(), signature_of(relation))


def with_underlying(version: SchemaVersion, underlying: Sequence[str | None]) -> SchemaVersion:
    """A version with what its types are made of now: labels are added to enums without a word in the log. What the
    catalog does not know any more stays.
    """
    schema = version.schema
    columns = tuple(
        msgspec.structs.replace(column, underlying=now or column.underlying)
        for column, now in zip(schema.columns, underlying, strict=True)
    )
    return msgspec.structs.replace(version, schema=msgspec.structs.replace(schema, columns=columns))


def load_definitions(dsn: str, publication: str, captured: Callable[[str, str], bool], system_id: str) -> Loaded:
    """The captured tables of a publication, valid where the WAL ends now; read over a connection of its own.

    Raises:
        SourceError: The catalog cannot be read.
    """
    connection = connect(dsn)
    try:
        catalog = Catalog(connection)
        database = catalog.database()
        with slow_load_warning(f"the tables of publication {publication}"):
            before = published_tables(connection, publication)
        end = catalog.current_lsn()
        after = published_tables(connection, publication)
    finally:
        connection.close()
    definitions = {
        name: definition_of_rows(database, rows)[1]
        for name, rows in before.items()
        if captured(*name) and after.get(name) == rows  # else it changed meanwhile: its rows will tell
    }
    return Loaded(definitions, {}, point_of(end, 0, system_id))


def point_of(commit_lsn: int, lsn: int, system_id: str, tx_id: int | None = None) -> LogPoint:
    """Where a message stands in the stream: by the commit of its transaction, inside of it by its own WAL position.

    Transactions come in the order of their commits, whatever the WAL positions of their rows; and a transaction
    may change a table between two rows of it.
    """
    return LogPoint(system_id, (commit_lsn, lsn), PostgresPosition(commit_lsn, tx_id, system_id))


def published_tables(
    connection: psycopg.Connection[TupleRow], publication: str
) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
    """The columns of the tables of a publication as rows, for :func:`definition_of_rows`."""
    with source_errors("cannot read the tables of the publication"):
        rows = connection.execute(_TABLES, [publication]).fetchall()
    return {name: list(columns) for name, columns in groupby(rows, lambda row: (str(row[1]), str(row[2])))}


def definition_of_rows(database: str, rows: Sequence[tuple[Any, ...]]) -> tuple[Relation, Definition]:
    """The relation message that the log has for a table of the catalog, and its definition."""
    oid, schema, name, identity, key = rows[0][:5]
    relation = Relation(oid, schema, name, identity, tuple(RelationColumn(*row[5:9]) for row in rows))
    defined = {row[5]: ColumnDefinition.of(*row[10:14]) for row in rows}
    identity_size = rows[0][14]
    is_hidden = identity_size is not None and identity_size > sum(column.is_key for column in relation.columns)
    row_key = row_key_of(relation, tuple(key or ()), is_hidden=is_hidden)
    return relation, definition_of(database, relation, [(row[9], row[15]) for row in rows], defined, row_key)
