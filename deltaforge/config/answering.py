"""What kind of server answers at an address. Asked only after a client has failed there: a connection string that leads
to a server of another kind looks like a network that is broken, and is not mended by waiting.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from deltaforge.core.errors import DeltaForgeError

MYSQL = "MySQL or MariaDB"
POSTGRES = "PostgreSQL"
REDIS = "Redis"
HTTP = "an HTTP server"
TLS = "a server that expects TLS from the first byte on"

_CONNECT_SECS = 2.0
ANSWER_SECS = 1.0
_SSL_REQUEST = struct.pack(">II", 8, 80877103)
"""PostgreSQL's question whether there is TLS, answered with one byte. Source: manual, "SSL Session Encryption"."""
_TLS_ALERT = b"\x15\x03"
_DOUBTFUL = frozenset({"connect", "timeout", "io", "other", "incompatible"})
"""Kinds of errors that come of a server of another kind, too."""


def who_answers(host: str, port: int) -> str | None:
    """The kind of the server at an address; None if nobody answers, or in a way that is not known. Takes some seconds
    at most.
    """
    try:
        return _of_greeting(host, port) or _of_request(host, port) or _of_handshake(host, port)
    except (OSError, ValueError):  # a host name may also be too long to be one
        return None


@contextmanager
def other_servers_named(host: str, port: int, expected: str, setting: str) -> Iterator[None]:
    """Around a connect: if it fails at a server of another kind, the error says what that server is.

    Args:
        host: Where the client connects to.
        port: And to which port.
        expected: One of the kinds above.
        setting: What leads there, for the remedy.
    """
    try:
        yield
    except DeltaForgeError as error:
        if error.kind not in _DOUBTFUL or "refused" in error.message.lower():
            raise
        found = who_answers(host, port)
        if found in (None, expected):
            raise
        hint = f"correct host and port of the {setting}, or its type; it may also be a matter of TLS"
        raise type(error)(f"{host}:{port} is {found}, not {expected}", kind="incompatible", hint=hint) from error


def is_mysql_greeting(data: bytes) -> bool:
    """Whether the first bytes of a connection are a packet of protocol version 10, or one with an error."""
    return len(data) >= 5 and data[3] == 0 and data[4] in (0x0A, 0xFF)


def _of_greeting(host: str, port: int) -> str | None:
    """Who says the first word is MySQL; who answers the question of a PostgreSQL client is PostgreSQL."""
    with socket.create_connection((host, port), _CONNECT_SECS) as connection:
        first = _received(connection)
        if first:
            return MYSQL if is_mysql_greeting(first) else None
        connection.sendall(_SSL_REQUEST)
        answer = _received(connection)
    if answer in (b"S", b"N") or answer.startswith(b"E\0\0"):
        return POSTGRES
    return _of_words(answer)


def _of_request(host: str, port: int) -> str | None:
    """A request that HTTP understands, and that Redis refuses with a word."""
    with socket.create_connection((host, port), _CONNECT_SECS) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return _of_words(_received(connection))


def _of_words(answer: bytes) -> str | None:
    if answer.startswith(b"HTTP/"):
        return HTTP
    if answer.startswith((b"-ERR", b"-NOAUTH", b"-DENIED", b"-LOADING")):
        return REDIS
    return TLS if answer.startswith(_TLS_ALERT) else None


def _of_handshake(host: str, port: int) -> str | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), _CONNECT_SECS) as connection:
        connection.settimeout(ANSWER_SECS)
        with context.wrap_socket(connection):
            return TLS


def _received(connection: socket.socket) -> bytes:
    """The first bytes that come; none if nothing does, or the other side leaves."""
    connection.settimeout(ANSWER_SECS)
    try:
        return connection.recv(256)
    except (TimeoutError, ConnectionError):
        return b""
