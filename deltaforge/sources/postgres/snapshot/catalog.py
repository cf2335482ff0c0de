"""What the catalog says of the tables that are to be copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.schema.registry import TableName
from deltaforge.sources.postgres.snapshot.connection import CopyConnection
from deltaforge.sources.postgres.snapshot.plan import CopyPlan, Leaf

NO_FILE = 0

_PUBLISHED = "select schemaname, tablename from pg_publication_tables where pubname = %s"
_OPERATIONS = "select pubinsert, pubupdate, pubdelete from pg_publication where pubname = %s"

DEFINITION = """
select md5(concat_ws('|', n.nspname, c.relname, c.relkind, c.relreplident, p.oid, p.pubviaroot, p.puballtables,
         (select string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated,
                                      a.attisdropped), ';' order by a.attnum)
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0),
         (select string_agg(r.oid::text, ',' order by r.oid) from pg_publication_rel r
           where r.prpubid = p.oid
             and (r.prrelid = c.oid or r.prrelid in (select a.relid from pg_partition_ancestors(c.oid) a))),
         case when c.relkind = 'p' then
           (select string_agg(t.relid::oid::text, ',' order by t.relid) from pg_partition_tree(c.oid) t) end))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_publication p
 where c.oid = {oid} and p.pubname = {publication}
"""
"""A digest of everything in the catalog that the rows of a table in the log, and which ones are there, depend on."""

_TABLE = """
select c.oid::int8, c.relkind::text, c.relreplident::text, coalesce(to_jsonb(t) ->> 'rowfilter', ''),
       exists (select from pg_index i where i.indrelid = c.oid and i.indisvalid
                  and case c.relreplident when 'd' then i.indisprimary and i.indimmediate
                                          when 'i' then i.indisreplident else false end)
  from pg_publication_tables t
  join pg_namespace n on n.nspname = t.schemaname
  join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
 where t.pubname = %s and t.schemaname = %s and t.tablename = %s
"""

_LEAVES = """
select c.oid::int8, n.nspname, c.relname, pg_relation_filenode(c.oid)::int8, pg_relation_size(c.oid),
       c.reltuples::float8, c.relpages, pg_table_size(c.oid), c.relkind::text, c.relpersistence::text,
       coalesce(m.amname, '')
  from (select %s::oid as oid where %s <> 'p'
         union all select t.relid from pg_partition_tree(%s::oid::regclass) t where t.isleaf and %s = 'p') l
  join pg_class c on c.oid = l.oid join pg_namespace n on n.oid = c.relnamespace
  left join pg_am m on m.oid = c.relam
 order by c.oid
"""

_AT_WORK = """
select pid from pg_stat_activity
 where state like 'idle in transaction%'
    or state = 'active'
       and (wait_event_type in ('Lock', 'Client', 'Timeout', 'BufferPin')
            or wait_event in ('DataFileRead', 'DataFileExtend', 'DataFileWrite', 'BufFileRead', 'BufFileWrite',
                              'ExecuteGather', 'ParallelFinish', 'ParallelCreateIndexScan', 'MessageQueueReceive'))
"""
"""Sessions that are surely not in the middle of a commit: they wait for their client, a lock, a time, a file of a table
or a worker. One that commits waits for the WAL, the files of ``pg_xact`` or a standby, if at all. A long statement
waits for such a thing now and then, and one look at it then is enough.
"""
_THEIRS = """
select transactionid::text::int8 from pg_locks
 where locktype = 'transactionid' and mode = 'ExclusiveLock' and granted and pid = any(%s)
"""


def published(connection: CopyConnection, publication: str, captured: Callable[[str, str], bool]) -> list[TableName]:
    """The captured tables of a publication.

    Raises:
        SourceError: It does not publish what changes rows: a copy would grow old without anybody noticing.
    """
    row = next(iter(connection.rows(_OPERATIONS, [publication])), None)
    if row is None:
        raise SourceError(f"publication {publication} does not exist", kind="connect")
    missing = [name for name, is_on in zip(("insert", "update", "delete"), row, strict=True) if not is_on]
    if missing:
        raise SourceError(
            f"publication {publication} does not publish {', '.join(missing)}: copied rows would never be corrected",
            kind="incompatible",
            hint=f"alter publication {publication} set (publish = 'insert, update, delete, truncate')",
        )
    return sorted(name for name in connection.rows(_PUBLISHED, [publication]) if captured(*name))


def plan_of(connection: CopyConnection, publication: str, table: TableName) -> tuple[CopyPlan, list[Any]]:
    """How a table can be copied, and what :func:`warnings_of` has to know of it.

    Raises:
        TableChangedError: It is not published, or not there.
        SourceError: It cannot be copied.
    """
    name = ".".join(table)
    found = next(iter(connection.rows(_TABLE, [publication, *table])), None)
    if found is None:
        raise TableChangedError(f"table {name} is not in publication {publication}")
    oid, kind, _, row_filter, _ = found
    ((definition,),) = connection.rows(DEFINITION.format(oid="%s", publication="%s"), [oid, publication])
    rows = connection.rows(_LEAVES, [oid, kind, oid, kind])
    leaves = tuple(_leaf(connection, name, row) for row in rows)
    if kind == "p" and not leaves:
        leaves = (Leaf(oid, *table, NO_FILE, 0, 0.0, 0.0),)  # until it has a partition, it has no row
    ((system_id,),) = connection.rows("select system_identifier::text from pg_control_system()")
    return CopyPlan(system_id, oid, leaves, definition, row_filter), list(found)


def check_readable(connection: CopyConnection, leaves: Sequence[Leaf], where: str | None) -> None:
    """Check that the role may read the rows of a table, all of them, and that a condition is one expression.

    Raises:
        SourceError: It may not, or the condition is none of the columns of the table; says what the server said.
    """
    for leaf in leaves:
        query = f"select from only {leaf.sql}"
        connection.explain(query)
        if where is not None:
            # Nothing but an expression stands between these brackets, and this protocol takes one statement. And alone:
            # it may not close our brackets and open others.
            try:
                connection.explain(f"{query} where coalesce(({where}\n), false)")
                connection.explain(f"{query} where {where}")
            except SourceError as error:
                hint = "write a condition as after WHERE, of the columns of the table"
                raise SourceError(error.message, kind="incompatible", hint=hint) from error


def warnings_of(found: list[Any]) -> tuple[str, ...]:
    """What an operator should know before a table is copied."""
    _, _, identity, _, has_index = found
    if identity == "n" or (identity in "di" and not has_index):
        return ("it has no replica identity: the server refuses updates and deletes of its rows",)
    return ()


def kept_bytes(connection: CopyConnection) -> int | None:
    """How much WAL the server keeps for a slot; None: any amount."""
    ((kept_mb,),) = connection.rows("select setting::int8 from pg_settings where name = 'max_slot_wal_keep_size'")
    return int(kept_mb) << 20 if kept_mb >= 0 else None


def transactions_at_work(connection: CopyConnection, running: frozenset[int]) -> frozenset[int]:
    """Those of some transactions that were running before whose commit has not begun. Of sessions of other roles only a
    role with the rights of ``pg_read_all_stats`` is told.
    """
    sessions = [row[0] for row in connection.rows(_AT_WORK)]
    # Asked for in this order: who still has its transaction now was in it then.
    theirs = {row[0] for row in connection.rows(_THEIRS, [sessions])}
    return frozenset(xid for xid in running if xid % (1 << 32) in theirs)


def _leaf(connection: CopyConnection, table: str, row: tuple[Any, ...]) -> Leaf:
    oid, schema, name, filenode, size, row_count, known_pages, whole_size, kind, persistence, method = row
    place = f"{schema}.{name}" if f"{schema}.{name}" == table else f"{schema}.{name} of {table}"
    if persistence == "u":
        raise SourceError(f"table {place} is unlogged: its changes are in no log", kind="incompatible")
    if kind != "r" or filenode is None:
        raise SourceError(f"{place} has no rows of its own: it is a foreign table or a view", kind="incompatible")
    if method != "heap":
        raise SourceError(
            f"table {place} has access method {method}: only heap tables can be copied",
            kind="incompatible",
            hint="leave it out of the snapshot, or move its rows to a table of access method heap",
        )
    pages = size // connection.block_bytes
    rows_per_page = row_count / known_pages if known_pages and row_count > 0 else 0.0
    return Leaf(oid, schema, name, filenode, pages, rows_per_page, whole_size / pages if pages else 0.0)
