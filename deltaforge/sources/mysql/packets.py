"""Packets that a server sends over an authenticated connection, read in large pieces."""

from __future__ import annotations

import socket
from typing import Any

from pymysql.connections import Connection

from deltaforge.core.errors import ProtocolError, SourceError
from deltaforge.kernel.backend import ResultRows
from deltaforge.sources.mysql.client import socket_of
from deltaforge.sources.mysql.errors import source_errors

READ_TIMEOUT_SECS = 3600
"""How long a statement may run until the next bytes of its result come. Keepalives find a connection that is dead."""

MAX_PACKET_BYTES = 1 << 30
_KEEPALIVES = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
_READ_BYTES = 1 << 20
_LONGEST_PART = 0xFFFFFF


class Packets:
    """The answers to commands. One thread reads them; :meth:`interrupt` is for any."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._sock = socket_of(connection)
        for option, value in _KEEPALIVES:
            self._sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._buffer = bytearray(_READ_BYTES)
        self._at = self._filled = 0
        self._parts = bytearray()

    def command(self, code: int, data: bytes) -> None:
        """Send a command. Everything that was sent before has been answered."""
        with source_errors("connection to the server broke"):
            self._connection._execute_command(code, data)  # type: ignore[attr-defined]  # noqa: SLF001

    def next(self) -> bytes:
        """The payload of the next packet.

        Raises:
            SourceError: The connection broke.
            ProtocolError: The packet is longer than any is.
        """
        while (packet := self._whole()) is None:
            self._receive()
        return packet

    def next_or_rows(self, rows: ResultRows, room: int) -> tuple[bytes | None, bytes | None]:
        """Give packets to rows until these have ``room`` bytes, or there is one that they do not take: that packet; and
        the last one that they took. None if there is none.
        """
        last: bytes | None = None
        while rows.byte_count < room:
            if not self._parts:
                self._at, place = rows.take(self._buffer, self._at, self._filled, room)
                if place >= 0:
                    last = bytes(self._buffer[place + 4 : place + 4 + self._length(place)])
                if rows.byte_count >= room:
                    break
            packet = self._whole()
            if packet is not None:
                return packet, last
            self._receive()
        return None, last

    def interrupt(self) -> None:
        """Whoever waits for a packet gets an error. The connection is of no use then."""
        # Also of TLS, whose own way to end is not for two threads.
        socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _length(self, at: int) -> int:
        return int.from_bytes(self._buffer[at : at + 3], "little")

    def _whole(self) -> bytes | None:
        """The next packet, if all of it has come. A part of the greatest length is continued in the one behind it."""
        while self._filled - self._at >= 4:
            length = self._length(self._at)
            end = self._at + 4 + length
            if self._filled < end:
                return None
            payload = bytes(self._buffer[self._at + 4 : end])
            self._at = end
            if not self._parts and length < _LONGEST_PART:
                return payload
            self._parts += payload
            if len(self._parts) > MAX_PACKET_BYTES:
                raise ProtocolError(f"a packet of the server has more than {MAX_PACKET_BYTES} bytes")
            if length < _LONGEST_PART:
                whole, self._parts = bytes(self._parts), bytearray()
                return whole
        return None

    def _receive(self) -> None:
        rest = self._filled - self._at
        self._buffer[:rest] = self._buffer[self._at : self._filled]
        self._at, self._filled = 0, rest
        if rest == len(self._buffer):
            self._buffer.extend(bytes(rest))  # a packet larger than the buffer
        with source_errors("connection to the server broke"), memoryview(self._buffer) as view:
            self._sock.settimeout(READ_TIMEOUT_SECS)
            size = self._sock.recv_into(view[rest:])
        if not size:
            raise SourceError("the server closed the connection", kind="connect")
        self._filled += size
