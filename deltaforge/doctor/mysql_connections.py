"""How many connections a MySQL or MariaDB server has left for a source."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

from deltaforge.doctor import connections
from deltaforge.doctor.connections import Limit
from deltaforge.doctor.finding import Notes, Subject
from deltaforge.sources.mysql.client import execute
from deltaforge.sources.mysql.config import MysqlSourceConfig

CHECKS = {
    "mysql.connections": connections.check(
        "`set global max_connections = …`, in the configuration too; or `alter user … with max_user_connections …`"
    ),
}

_STEADY = connections.STEADY + 1
"""The dump of the log is a connection like others."""
_USER_COLUMN = 1


def examine(notes: Notes, connection: Connection[Any], config: MysqlSourceConfig, subject: Subject) -> None:
    """Compare with the limits of the server and of the account. What a running pipeline has open already is not asked
    for.
    """
    if subject.is_running:
        return
    with notes.of("mysql.connections"):
        wanted = connections.needed(config, subject, _STEADY)
        connections.note(notes, "mysql.connections", wanted, _limits(connection))


def _limits(connection: Connection[Any]) -> list[Limit]:
    ((most, of_user, user),) = execute(
        connection, "select @@global.max_connections, @@session.max_user_connections, current_user()"
    )
    used = dict(execute(connection, "show global status where variable_name = 'Threads_connected'"))
    free = int(most) - int(used["Threads_connected"]) + 1  # this one ends
    limits = [Limit(f"max_connections = {most}", free, "`set global max_connections = …`, in the configuration too")]
    if int(of_user) > 0:  # of the account, else of all: the server says which holds
        name, _, host = str(user).rpartition("@")
        used_by_user = _used_by(connection, name) - 1
        remedy = f"`alter user '{name}'@'{host}' with max_user_connections …`, or the variable of that name"
        limits.append(Limit(f"max_user_connections = {of_user} of {name}", int(of_user) - used_by_user, remedy))
    return limits


def _used_by(connection: Connection[Any], user: str) -> int:
    """Everybody sees the connections of an own account."""
    return sum(str(row[_USER_COLUMN]) == user for row in execute(connection, "show processlist"))
