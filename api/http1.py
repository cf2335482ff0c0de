"""HTTP/1.1 of one connection: errors below the application look like those of the application.

Hypercorn's protocol is kept and bounded. An upgrade is not taken: its request is answered as it is. There is no HTTP/2.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from itertools import chain
from typing import Any

import h11
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from api.errors import HTTP_CODES

log = logging.getLogger(__name__)

LINGER_SECS = 2.0
"""How long what a client still sends is read and dropped behind the last answer, so that it gets that answer."""
_MESSAGES = {
    400: "this is no HTTP request that can be understood",
    408: "the request did not come within the time there is for one",
    414: "the target of the request is too long",
    431: "the head of the request is too long",
    501: "a transfer coding other than chunked is not understood",
    503: "there are too many connections: try again in a moment",
    505: "only HTTP/1.0 and HTTP/1.1 are spoken here",
}


class Protocol(H11Protocol):
    """Requests and answers of one connection.

    Attributes:
        is_over: The last answer was given; what still comes is dropped.
    """

    is_over = False

    @property
    def has_part(self) -> bool:
        """Whether a request has begun to come in."""
        return bool(self.connection.trailing_data[0])

    async def handle(self, event: Event) -> None:
        """Take what came in."""
        if self.is_over and isinstance(event, RawData):
            return
        try:
            await super().handle(event)
        except h11.RemoteProtocolError as error:
            await self.refuse(error.error_status_hint)

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what the application says; before a body has come to its end, that was the last on this connection."""
        if isinstance(event, Response) and self.connection.their_state is h11.SEND_BODY:
            event.headers.append((b"connection", b"close"))
        await super().stream_send(event)

    async def refuse(self, status: int) -> None:
        """Answer with an error of HTTP itself, and close."""
        await self._send_error_response(status)
        await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        if self.connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        if status_code == 431 and b"\n" not in self.connection.trailing_data[0]:
            status_code = 414  # not even the first line of it came to an end
        status = status_code if status_code in _MESSAGES else 400
        body, headers = error_answer(status)
        common = self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status, headers=list(chain(headers, common))))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("unknown version", error_status_hint=505)
        names = [name for name, _ in event.headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            raise h11.RemoteProtocolError("two lengths", error_status_hint=400)  # proxies disagree which one holds

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        target = _path_of(request.target)
        plain = h11.Request(method=request.method, target=target, headers=headers, http_version=request.http_version)
        await super()._create_stream(plain)


class Connection(TCPServer):
    """One connection, from its first byte to its end.

    Attributes:
        silent_since: When it began to wait for a request; None while one is being answered.
    """

    protocol: Protocol  # type: ignore[assignment]  # of the two that hypercorn would choose from, always this one

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        super().__init__(app, asyncio.get_running_loop(), config, context, {}, reader, writer)
        self.silent_since: float | None = time.monotonic()

    async def run(self) -> None:
        """Answer requests until either side has enough."""
        try:
            async with TaskGroup(self.loop) as tasks:
                self._task_group = tasks
                self.protocol = self._new_protocol(tasks)
                await self.idle_task.restart(tasks, self._idle_timeout)
                await self._read_data()
                await self.idle_task.stop()
        except OSError:
            pass  # the client is gone
        finally:
            await self._close()

    async def turn_away(self) -> None:
        """Say that there are too many, and close."""
        body, headers = error_answer(503)
        head = b"".join(b"%s: %s\r\n" % header for header in [*headers, (b"retry-after", b"1")])
        self.writer.write(b"HTTP/1.1 503 Service Unavailable\r\n" + head + b"\r\n" + body)
        await self._close()

    def abort(self) -> None:
        """End at once."""
        self.writer.transport.abort()

    async def protocol_send(self, event: Event) -> None:
        """Send, or note what became of a request."""
        if isinstance(event, Updated):
            self.silent_since = time.monotonic() if event.idle else None
        if isinstance(event, Closed):
            await self._end_output()
            return
        await super().protocol_send(event)

    async def _end_output(self) -> None:
        """Nothing more is said; what still comes is dropped for a while, or the answer would be lost with it."""
        if self.protocol.is_over:
            return
        self.protocol.is_over = True
        try:
            if self.writer.can_write_eof() and not self.writer.is_closing():
                self.writer.write_eof()
                await self.idle_task.restart(self._task_group, self._linger)
                return
        except OSError:  # the client went away a moment ago
            log.debug("a client did not wait for the end of its answer")
        self.writer.close()

    async def _linger(self) -> None:
        await asyncio.sleep(LINGER_SECS)
        self.writer.close()

    async def _idle_timeout(self) -> None:
        try:
            await asyncio.wait_for(self.context.terminated.wait(), self.config.keep_alive_timeout)
        except TimeoutError:
            if self.protocol.has_part:
                await asyncio.shield(self.protocol.refuse(408))
                return
        await asyncio.shield(self._initiate_server_close())

    def _new_protocol(self, tasks: TaskGroup) -> Protocol:
        sock: Any = self.writer.get_extra_info("socket")
        return Protocol(
            self.app,
            self.config,
            self.context,
            tasks,
            ConnectionState({}),
            self.writer.get_extra_info("ssl_object") is not None,
            parse_socket_addr(sock.family, sock.getpeername()),
            parse_socket_addr(sock.family, sock.getsockname()),
            self.protocol_send,
        )


def error_answer(status: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Body and headers of an error below the application."""
    body = json.dumps({"code": HTTP_CODES[status], "message": _MESSAGES[status]}).encode()
    return body, [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]


def _path_of(target: bytes) -> bytes:
    """Path and query of a target, which proxies may send with the scheme and the host in front.

    Raises:
        h11.RemoteProtocolError: It has neither form.
    """
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if separator and scheme.lower() in (b"http", b"https"):
        _, slash, path = rest.partition(b"/")
        return slash + path or b"/"
    raise h11.RemoteProtocolError("no path", error_status_hint=400)
