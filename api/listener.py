"""Listening on one address: how many connections there may be, and how they end."""

from __future__ import annotations

import asyncio
import logging
import resource
import ssl

from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.utils import wrap_app
from quart import Quart

from api.address import Address
from api.http1 import Connection

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 512
IDLE_SECS = 15.0
"""How long a connection may be silent between requests, and take for the head of one."""
HANDSHAKE_SECS = 10.0
GRACE_SECS = 2.0
_MAX_HEAD_BYTES = 16 << 10
_READ_AHEAD_BYTES = 16 << 10


class Listener:
    """Serves an application on one address.

    Args:
        app: What answers.
        address: Where.
        tls: Of the connections; None: plain.
        max_connections: More than these take the place of the one that has been silent longest; while none is silent,
            they are told so and closed. Half of the files that the process may open are kept for everything else.
    """

    def __init__(
        self, app: Quart, address: Address, tls: ssl.SSLContext | None, *, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._app = wrap_app(app, 0, "asgi")
        self._address = address
        self._tls = tls
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._max_connections = max_connections if files < 0 else min(max_connections, max(files // 4, 1))
        self._context = WorkerContext(None)
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._config = _config()

    async def run(self, ended: asyncio.Event) -> None:
        """Listen until ``ended``; requests that are being answered then have a moment left.

        Raises:
            SpecError: Nobody can listen there.
        """
        server = await asyncio.start_server(
            self._accept,
            sock=self._address.listen(),
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECS if self._tls else None,
            limit=_READ_AHEAD_BYTES,
            backlog=self._max_connections,
        )
        port = server.sockets[0].getsockname()[1]
        log.info("listening on %s://%s", "https" if self._tls else "http", self._address.at(port))
        try:
            await ended.wait()
        finally:
            server.close()
            await self._context.terminated.set()
            await self._end_connections()

    async def _end_connections(self) -> None:
        tasks = list(self._connections.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._app, self._config, self._context, reader, writer)
        if len(self._connections) >= self._max_connections and not await self._make_room():
            await connection.turn_away()
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs callbacks of streams as tasks
        self._connections[connection] = task
        try:
            await connection.run()
        except Exception as exc:
            log.warning("a connection ended with %s", type(exc).__name__, exc_info=exc)
        finally:
            del self._connections[connection]

    async def _make_room(self) -> bool:
        """Close the connection that has been silent longest. False if all of them are being served."""
        silent = min(
            (connection for connection in self._connections if connection.silent_since is not None),
            key=lambda connection: connection.silent_since or 0.0,
            default=None,
        )
        if silent is None:
            return False
        silent.silent_since = None
        silent.abort()
        return True


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.h11_max_incomplete_size = _MAX_HEAD_BYTES
    config.keep_alive_timeout = IDLE_SECS
    return config
