"""Why a table pattern matches no table that a publication sends."""

from __future__ import annotations

import logging

import psycopg
from psycopg.rows import TupleRow

from deltaforge.config.patterns import TablePatterns
from deltaforge.core.errors import SourceError
from deltaforge.schema.registry import TableName
from deltaforge.sources.postgres.client import source_errors
from deltaforge.sources.unmatched import PatternWatch, named

log = logging.getLogger(__name__)

_PUBLISHED = "select schemaname, tablename from pg_publication_tables where pubname = %s"
_SCHEMAS = "select nspname from pg_namespace"
# The tables of the database; of a partition the root, of a root the partitions that hold rows.
_TABLES = """
select n.nspname, c.relname,
       case when c.relispartition then
         (select array[rn.nspname, r.relname]::text[] from pg_class r join pg_namespace rn on rn.oid = r.relnamespace
           where r.oid = pg_partition_root(c.oid)) end,
       case when c.relkind = 'p' then
         (select jsonb_agg(jsonb_build_array(pn.nspname, p.relname))
            from pg_partition_tree(c.oid) t join pg_class p on p.oid = t.relid
            join pg_namespace pn on pn.oid = p.relnamespace where t.isleaf) end
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p')
"""


def look_for_tables(connection: psycopg.Connection[TupleRow], publication: str, watch: PatternWatch) -> None:
    """Find out which patterns no published table matches. While somebody holds a lock on a published table the catalog
    may not say: that is noted, and holds nothing up.

    Raises:
        SourceError: The catalog cannot be read.
    """
    try:
        _look(connection, publication, watch)
    except SourceError as error:
        if error.kind != "timeout":
            raise
        log.warning("the tables of publication %s are not compared with the patterns: %s", publication, error)


def _look(connection: psycopg.Connection[TupleRow], publication: str, watch: PatternWatch) -> None:
    with source_errors("cannot read the catalog"):
        published = {(row[0], row[1]) for row in connection.execute(_PUBLISHED, [publication]).fetchall()}
    known: list[TupleRow] = []
    schemas: set[str] = set()

    def why(patterns: TablePatterns, pattern: str) -> str:
        if not schemas:  # only now it matters
            with source_errors("cannot read the catalog"):
                schemas.update(row[0] for row in connection.execute(_SCHEMAS).fetchall())
                known.extend(connection.execute(_TABLES).fetchall())
        return _reason(patterns, pattern, publication, (published, known, schemas))

    watch.look(published, why)


def _reason(
    patterns: TablePatterns,
    pattern: str,
    publication: str,
    catalog: tuple[set[TableName], list[TupleRow], set[str]],
) -> str:
    published, known, schemas = catalog
    alone, schema = patterns.alone(pattern), patterns.qualifier_of(pattern)
    meant = [row for row in known if alone.matches(row[0], row[1])]
    if not meant:
        alone.ignores_case = True
        alike = [(row[0], row[1]) for row in known if alone.matches(row[0], row[1])]
        if alike:
            return f"no table matches; names are compared with their case, and there is {named(alike)}"
        return "no table matches" if schema is None or schema in schemas else f"schema {schema} is not there"
    leaves = {(leaf[0], leaf[1]) for row in meant for leaf in row[3] or ()} & published
    if leaves:
        return (
            f"its rows come under the names of its partitions, such as {named(leaves)}: name those, or"
            f" alter publication {publication} set (publish_via_partition_root = true)"
        )
    roots = {(row[2][0], row[2][1]) for row in meant if row[2]} & published
    if roots:
        return f"its rows come under the name of the partitioned table {named(roots)}: name that"
    tables = [(row[0], row[1]) for row in meant]
    return f"publication {publication} does not have {named(tables)}: alter publication {publication} add table …"
