"""Ending a binary log dump on the server.

The server's thread waits for the log and looks at its connection only when it has something to say, so that a dump
whose reader has gone stays until the next heartbeat. Everybody may end threads of his own user.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from deltaforge.core.errors import DeltaForgeError

if TYPE_CHECKING:
    from pymysql.connections import Connection

log = logging.getLogger(__name__)

END_SECS = 1.0
"""How long a reader that closes waits for the end of its dump."""
THREAD = "select connection_id(), @@hostname, @@port, @@server_id"

Connect = Callable[[], "Connection[Any]"]
Execute = Callable[["Connection[Any]", str], list[tuple[Any, ...]]]


class ServerThread(NamedTuple):
    """What :data:`THREAD` said on the connection of a dump."""

    number: int
    host: str
    port: int
    server_id: int


def end_dump(thread: ServerThread, connect: Connect, execute: Execute) -> None:
    """End a dump, if a new connection gets to its server and it is still there. Bounded; never raises.

    Args:
        thread: That dumps.
        connect: To the server.
        execute: A statement.
    """
    ending = threading.Thread(target=_end, args=(thread, connect, execute), name="end-dump", daemon=True)
    ending.start()
    ending.join(END_SECS)


def _end(thread: ServerThread, connect: Connect, execute: Execute) -> None:
    try:
        connection = connect()
        try:
            (ours,) = execute(connection, THREAD)
            if ours[1:] != thread[1:]:
                return  # a balancer led to another server, where the number is somebody else's
            rows = execute(connection, "show processlist")
            if any(row[0] == thread.number and str(row[4]).startswith("Binlog Dump") for row in rows):
                execute(connection, f"kill {int(thread.number)}")
        finally:
            connection.close()
    except DeltaForgeError as error:
        log.info("the binary log dump ends with the server's next heartbeat: %s", error)
