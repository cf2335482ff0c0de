"""What a publication sends of the tables that a document asks for, and with which old rows."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from deltaforge.doctor.finding import Check, Notes
from deltaforge.schema.registry import TableName
from deltaforge.sources.postgres.catalog import Catalog
from deltaforge.sources.postgres.client import source_errors
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.postgres.publication import gaps_of, read_published
from deltaforge.sources.postgres.relations import captured_tables
from deltaforge.sources.postgres.unmatched import look_for_tables
from deltaforge.sources.unmatched import PatternWatch, named

CHECKS = {
    "postgres.publication": Check("the publication is there", "`create publication … for table …`"),
    "postgres.operations": Check(
        "the publication sends inserts, updates, deletes and truncates",
        "`alter publication … set (publish = 'insert, update, delete, truncate')`",
    ),
    "postgres.rows": Check(
        "the publication sends all rows and columns of the captured tables",
        "`alter publication … set table …` without a row filter and list of columns, if they are not wanted",
    ),
    "postgres.tables": Check(
        "every table pattern matches a table that is published",
        "correct the pattern, or `alter publication … add table …`",
    ),
    "postgres.no_identity": Check(
        "every published table has a replica identity: the server refuses updates and deletes of others",
        "`alter table … add primary key (…)`, or `alter table … replica identity full`",
    ),
    "postgres.identity": Check(
        "captured tables have REPLICA IDENTITY FULL: else old rows are only keys, and large values may be missing",
        "`alter table … replica identity full`",
    ),
}

_IDENTITIES = """
select n.nspname, c.relname, c.relreplident = 'f',
       c.relreplident = 'f'
       or exists (select from pg_index i where i.indrelid = c.oid and i.indisvalid
                   and case c.relreplident when 'd' then i.indisprimary and i.indimmediate
                                           when 'i' then i.indisreplident else false end)
  from pg_publication_tables t
  join pg_namespace n on n.nspname = t.schemaname join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
 where t.pubname = %s
 order by 1, 2
"""


def examine(
    notes: Notes, connection: psycopg.Connection[TupleRow], catalog: Catalog, config: PostgresSourceConfig
) -> None:
    """Ask for the publication and its tables."""
    name = config.publication
    with notes.of("postgres.publication"):
        catalog.check_publication(name)
        notes.ok("postgres.publication", f"publication {name} is there")
        patterns = captured_tables(config.tables)
        published = read_published(connection, name, "")
        with source_errors("cannot read the catalog"):
            rows = [
                row for row in connection.execute(_IDENTITIES, [name]).fetchall() if patterns.matches(row[0], row[1])
            ]
        captured = [(row[0], row[1]) for row in rows]
        if published is not None:
            for _, text, table in gaps_of(published):
                if table is None:
                    notes.warn("postgres.operations", f"publication {name}: {text}")
                elif patterns.matches(*table):
                    notes.warn("postgres.rows", f"publication {name}: {text}")
        watch = PatternWatch(config.id, {"tables": patterns})
        look_for_tables(connection, name, watch)
        for pattern, reason in watch.reasons.items():
            notes.warn("postgres.tables", f"table pattern {pattern}: {reason}")
        if not captured:
            notes.error("postgres.tables", f"no table that publication {name} sends is captured")
        elif not watch.reasons:
            notes.ok("postgres.tables", f"{len(captured)} table{'s' * (len(captured) > 1)}: {named(captured)}")
        changes = set(published.operations if published else ()) & {"update", "delete"}
        if captured:
            _identities(notes, rows, has_changes=bool(changes))


def _identities(notes: Notes, rows: list[TupleRow], *, has_changes: bool) -> None:
    without: list[TableName] = [(row[0], row[1]) for row in rows if not row[3]]
    partial: list[TableName] = [(row[0], row[1]) for row in rows if row[3] and not row[2]]
    if without and has_changes:
        text = f"without a replica identity: {named(without)}; the server refuses their updates and deletes"
        notes.error("postgres.no_identity", text, _remedy(without))
    if partial:
        notes.warn("postgres.identity", f"REPLICA IDENTITY is not FULL: {named(partial)}", _remedy(partial))
    elif not without:
        notes.ok("postgres.identity", "every captured table has REPLICA IDENTITY FULL")


def _remedy(tables: list[TableName]) -> str:
    schema, table = (part.replace('"', '""') for part in tables[0])
    more = ", and so on" if tables[1:] else ""
    return f'alter table "{schema}"."{table}" replica identity full{more}'
