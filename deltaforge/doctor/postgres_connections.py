"""How many connections, walsenders and slots a PostgreSQL server has left for a source."""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from deltaforge.doctor import connections
from deltaforge.doctor.connections import Limit
from deltaforge.doctor.finding import Notes, Subject
from deltaforge.sources.postgres.client import source_errors
from deltaforge.sources.postgres.config import PostgresSourceConfig

CHECKS = {
    "postgres.connections": connections.check(
        "raise `max_connections` and restart the server, `alter role … connection limit …`, or end connections"
    ),
}

_RESERVED_VERSION = 160000
_RESERVED = """
select current_setting('reserved_connections')::int
 where not pg_has_role(current_user, 'pg_use_reserved_connections', 'usage')
"""
_USED = """
select current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int,
       r.rolname, r.rolsuper, r.rolconnlimit, d.datname, d.datconnlimit,
       count(a.pid), count(a.pid) filter (where a.usesysid = r.oid), count(a.pid) filter (where a.datid = d.oid)
  from pg_roles r, pg_database d
  left join pg_stat_activity a on a.datid is not null and a.usesysid is not null and a.pid <> pg_backend_pid()
                              and a.pid not in (select pid from pg_stat_replication)
 where r.rolname = current_user and d.datname = current_database()
 group by r.oid, r.rolname, r.rolsuper, r.rolconnlimit, d.oid, d.datname, d.datconnlimit
"""
"""Everybody may see whose the connections of others are, and where. Walsenders have a limit of their own."""


def examine(
    notes: Notes, connection: psycopg.Connection[TupleRow], config: PostgresSourceConfig, subject: Subject
) -> None:
    """Compare with every limit that holds for the role. What a running pipeline has open already is not asked for."""
    if subject.is_running:
        return
    with notes.of("postgres.connections"), source_errors("cannot count the connections"):
        limits = _limits(connection)
        connections.note(notes, "postgres.connections", connections.needed(config, subject, connections.STEADY), limits)


def _limits(connection: psycopg.Connection[TupleRow]) -> list[Limit]:
    row = connection.execute(_USED).fetchone()
    if row is None:
        return []
    most, for_superusers, role, is_superuser, of_role, database, of_database, used, used_by_role, used_there = row
    reserved = 0 if is_superuser else for_superusers + _reserved(connection)
    kept = f" ({reserved} of them reserved)" if reserved else ""
    limits = [
        Limit(f"max_connections = {most}{kept}", most - reserved - used, "raise `max_connections`, restart the server")
    ]
    if of_role >= 0 and not is_superuser:
        remedy = f"`alter role {role} connection limit …`"
        limits.append(Limit(f"the connection limit of role {role}, {of_role},", of_role - used_by_role, remedy))
    if of_database >= 0 and not is_superuser:
        remedy = f"`alter database {database} connection limit …`"
        limits.append(
            Limit(f"the connection limit of database {database}, {of_database},", of_database - used_there, remedy)
        )
    return limits


def _reserved(connection: psycopg.Connection[TupleRow]) -> int:
    """Connections that are kept for roles of which ours is none."""
    if connection.info.server_version < _RESERVED_VERSION:
        return 0
    row = connection.execute(_RESERVED).fetchone()
    return 0 if row is None else int(row[0])
