"""Connections to MySQL and MariaDB: queries, and the binary log dump.

The dump is requested by our own packets over a connection that PyMySQL has authenticated: see
``docs/adr/0001-binlog-dump.md``.
"""

from __future__ import annotations

import codecs
import socket
import ssl
import struct
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.connections import Connection

from deltaforge.config.answering import MYSQL, is_mysql_greeting, who_answers
from deltaforge.config.unset import naming_unset
from deltaforge.core.errors import PositionLostError, SourceError, SpecError
from deltaforge.core.positions.gtid import GtidSet
from deltaforge.kernel import backend
from deltaforge.sources.mysql.dsn import Dsn, read_dsn
from deltaforge.sources.mysql.dump_end import THREAD, ServerThread, end_dump
from deltaforge.sources.mysql.errors import error_of_packet, source_errors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

HEARTBEAT_SECS = 15
MAX_DUMP_OFFSET = 0xFFFFFFFF
"""The largest offset in a file that a server can be asked about by file and offset."""

READ_TIMEOUT_SECS = 90
CONNECT_TIMEOUT_SECS = 30
GREETING_SECS = 3
"""After so long without the server's first packet it is found out whether it is MySQL at all."""

_CATALOG_TEXT = "deltaforge_catalog"
"""UTF-8 with U+FFFD for what is none. MariaDB sends half of a surrogate pair in a default or label as three bytes."""
_NO_TLS = 2026
_READ_BYTES = 1 << 20
_LONGEST_PACKET = 0xFFFFFF


def _catalog_codec(name: str) -> codecs.CodecInfo | None:
    def decode(data: Buffer, _errors: str = "", /) -> tuple[str, int]:
        return codecs.utf_8_decode(data, "replace", True)

    return codecs.CodecInfo(codecs.utf_8_encode, decode, name=name) if name == _CATALOG_TEXT else None


codecs.register(_catalog_codec)


@contextmanager
def replication_rights(connection: Connection[Any]) -> Iterator[None]:
    """Names the GRANT that mends a refusal. What replicas may do is refused to others like a wrong password, too."""
    try:
        yield
    except SourceError as error:
        if error.kind in ("permission", "auth"):
            ((user,),) = execute(connection, "select current_user()")
            name, _, host = str(user).rpartition("@")
            error.kind = "permission"
            error.hint = f"as an administrator: grant REPLICATION SLAVE, REPLICATION CLIENT on *.* to '{name}'@'{host}'"
        raise


def connect(dsn: str, *, secs: float | None = None) -> Connection[Any]:
    """A connection in autocommit mode. The caller closes it. ``secs``: how long the server may take to let us in.

    ``ssl-mode`` is that of the MySQL clients: disabled, preferred (default), required, verify_ca,
    verify_identity; with ``ssl-ca``, ``ssl-cert`` and ``ssl-key`` as paths.
    """
    with naming_unset(dsn):
        given = read_dsn(dsn)
        mode = given.parameters.get("ssl-mode", "preferred").lower()
        with source_errors(f"cannot connect to MySQL at {given.host}:{given.port}"):
            context = _tls(mode, given.parameters)
            try:
                connection = _connected(given, context, secs or CONNECT_TIMEOUT_SECS)
            except pymysql.err.OperationalError as exc:
                if exc.args[0] != _NO_TLS:
                    raise
                if mode != "preferred":
                    message = f"the server at {given.host}:{given.port} offers no TLS, ssl-mode is {mode}"
                    hint = "turn TLS on at the server, or write ?ssl-mode=preferred"
                    raise SourceError(message, kind="incompatible", hint=hint) from exc
                connection = _connected(given, None, secs or CONNECT_TIMEOUT_SECS)
    connection.encoding = _CATALOG_TEXT
    return connection


def _connected(given: Dsn, context: ssl.SSLContext | None, secs: float) -> Connection[Any]:
    connection = pymysql.connect(
        host=given.host,
        port=given.port,
        user=given.user,
        password=given.password.encode(),  # as the mysql client sends it; PyMySQL would take latin-1
        read_timeout=secs,
        autocommit=True,
        charset="utf8mb4",
        # What a server lets its clients see by default must not cut a catalog short.
        init_command="set session sql_select_limit = 18446744073709551615",
        ssl=context,
        ssl_disabled=context is None,
        defer_connect=True,
    )
    connection.connect(_greeted(given.host, given.port, secs))
    connection._read_timeout = READ_TIMEOUT_SECS  # type: ignore[attr-defined]  # noqa: SLF001 - the first one was for the login
    return connection


def _greeted(host: str, port: int, secs: float) -> socket.socket:
    """A connection to a server that may be MySQL: MySQL says the first word.

    Raises:
        SourceError: It is a server of another kind.
    """
    sock = socket.create_connection((host, port), secs)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.settimeout(GREETING_SECS)
        try:
            first = sock.recv(5, socket.MSG_PEEK)
        except TimeoutError:
            first = None
        if first != b"" and not is_mysql_greeting(first or b""):
            _name_other_server(host, port)
    except BaseException:
        sock.close()
        raise
    return sock


def _name_other_server(host: str, port: int) -> None:
    found = who_answers(host, port)
    if found not in (None, MYSQL):
        hint = "correct host and port in the DSN, or the type of the source"
        raise SourceError(f"{host}:{port} is {found}, not {MYSQL}", kind="incompatible", hint=hint)


def _tls(mode: str, query: dict[str, str]) -> ssl.SSLContext | None:
    if mode == "disabled":
        return None
    if mode not in ("preferred", "required", "verify_ca", "verify_identity"):
        raise SpecError(f"ssl-mode {mode!r} is not known", hint="use disabled, preferred, required or verify_identity")
    try:
        return _tls_context(mode, query)
    except OSError as exc:
        raise SpecError(f"ssl-ca, ssl-cert or ssl-key cannot be read: {exc}") from exc


def _tls_context(mode: str, query: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify_identity"
    context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("verify") else ssl.CERT_NONE
    if "ssl-ca" in query:
        context.load_verify_locations(query["ssl-ca"])
    elif context.verify_mode is ssl.CERT_REQUIRED:
        context.load_default_certs()  # takes longer than to connect, and is of no use where nothing is verified
    if "ssl-cert" in query:
        context.load_cert_chain(query["ssl-cert"], query.get("ssl-key"))
    return context


def socket_of(connection: Connection[Any]) -> Any:
    """The socket of a connection, for packets of our own."""
    return connection._sock  # type: ignore[attr-defined]  # noqa: SLF001 - PyMySQL has no public way to it


def query_row(connection: Connection[Any], sql: str) -> dict[str, Any] | None:
    """The first row of a query by column name, or None."""
    with source_errors(f"{sql.split(' ', maxsplit=1)[0]} was refused"), connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
        if row is None:
            return None
        return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def execute(connection: Connection[Any], sql: str, values: tuple[str, ...] | None = None) -> list[tuple[Any, ...]]:
    """All rows of a statement; ``values`` stand for its ``%s``."""
    with source_errors(f"{sql.split(' ', maxsplit=1)[0]} was refused"), connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def server_id_of(source_id: str) -> int:
    """The replica id of a source (contract 02): the same at every start, so the server ends an older dump."""
    return 1 + zlib.crc32(source_id.encode()) % 4_000_000_000


class DumpConnection:
    """A connection that turns into a stream of binary log events. Used by one thread."""

    def __init__(self, dsn: str, source_id: str, *, is_failover: bool = False, wants_queries: bool = False) -> None:
        self._flags = 2 if wants_queries else 0  # BINLOG_SEND_ANNOTATE_ROWS_EVENT of MariaDB
        self._dsn = dsn
        self._connection = connect(dsn)
        self._thread: ServerThread | None = None  # while it dumps
        self._is_failover = is_failover
        self._server_id = server_id_of(source_id)
        self._source_id = source_id
        self._buffer = bytearray(_READ_BYTES)
        self._filled = 0
        self._parts = bytearray()
        self.has_checksum = False
        self.is_drained = True  # the last read took all that had arrived

    def start(self, file: str, pos: int, *, gtids: GtidSet | None = None, mariadb_state: str | None = None) -> None:
        """Ask for the log behind a position: by GTID set, by MariaDB position, or by file and offset.

        Raises:
            SourceError: The request has 32 bits for the offset.
        """
        if gtids is None and mariadb_state is None and pos > MAX_DUMP_OFFSET:
            raise SourceError(
                f"without GTIDs the server cannot be asked for binary log {file} from offset {pos} on, behind 4 GiB",
                kind="incompatible",
                hint="a file grows so large by one transaction, and ends with it: if nothing that was not read lies"
                " behind that offset, reset the checkpoint to offset 4 of the next file; or use GTIDs",
            )
        self._prepare(mariadb_state)
        thread = ServerThread(*execute(self._connection, THREAD)[0])
        self._register()
        if gtids is not None:
            data = encode_gtid_set(gtids)
            packet = struct.pack("<HII", 0, self._server_id, 0) + struct.pack("<QI", 4, len(data)) + data
            self._send(0x1E, packet)
        else:
            name = b"" if mariadb_state is not None else file.encode()
            offset = 4 if mariadb_state is not None else pos
            self._send(0x12, struct.pack("<IHI", offset, self._flags, self._server_id) + name)
        self._thread = thread

    def read(self, timeout_secs: float) -> list[bytes]:
        """The events that have arrived, waiting at most ``timeout_secs`` for the first.

        Raises:
            SourceError: The connection broke, or the server ended the dump.
            PositionLostError: The server has not got that part of the log any more.
        """
        sock = socket_of(self._connection)
        with source_errors("binary log connection broke"):
            if not self._receive(sock, timeout_secs):
                self.is_drained = True
                return []
            # One read of a TLS connection is one record of 16 KiB at most: take what else is there.
            while isinstance(sock, ssl.SSLSocket) and self._filled < len(self._buffer):
                if not self._receives_more(sock):
                    break
        self.is_drained = self._filled < len(self._buffer)
        return self._packets()

    def _receives_more(self, sock: socket.socket) -> bool:
        """Whether there was more. An end of the connection is left to the next read: the reason of it, an error packet,
        may be in what came before.
        """
        try:
            return self._receive(sock, 0)
        except (SourceError, OSError):
            return False

    def _receive(self, sock: socket.socket, timeout_secs: float) -> bool:
        """More bytes into the buffer; False if none came in time."""
        if self._filled == len(self._buffer):
            self._buffer.extend(bytes(self._filled))  # a packet larger than the buffer
        sock.settimeout(timeout_secs)
        try:
            with memoryview(self._buffer) as view:
                size = sock.recv_into(view[self._filled :])
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return False
        if not size:
            self._thread = None
            raise SourceError("the server closed the binary log connection", kind="connect")
        self._filled += size
        return True

    def close(self) -> None:
        """Disconnect, and end the dump on the server. Never raises."""
        with suppress(OSError):
            self._connection._force_close()  # type: ignore[attr-defined]  # noqa: SLF001 - no COM_QUIT into a dump
        thread, self._thread = self._thread, None
        if thread is not None:
            end_dump(thread, lambda: connect(self._dsn), execute)

    def _prepare(self, mariadb_state: str | None) -> None:
        (row,) = execute(self._connection, "select @@global.binlog_checksum")
        self.has_checksum = str(row[0]).upper() == "CRC32"
        settings = [
            "set @master_binlog_checksum = @@global.binlog_checksum",
            "set @source_binlog_checksum = @@global.binlog_checksum",
            f"set @master_heartbeat_period = {HEARTBEAT_SECS}000000000",
            f"set @source_heartbeat_period = {HEARTBEAT_SECS}000000000",
            # A dump that we do not read for a while (back-pressure, pause) must not be cut.
            "set session net_write_timeout = 86400",
        ]
        if mariadb_state is not None:
            settings += [
                "set @mariadb_slave_capability = 4",
                f"set @slave_connect_state = '{mariadb_state}'",
                "set @slave_gtid_strict_mode = 0",
                "set @slave_gtid_ignore_duplicates = 0",
            ]
        else:
            settings += ["set @mariadb_slave_capability = 4", f"set @slave_uuid = '{self._uuid()}'"]
        for sql in settings:
            execute(self._connection, sql)

    def _uuid(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"deltaforge:{self._source_id}"))

    def _register(self) -> None:
        """COM_REGISTER_SLAVE: makes us visible in SHOW REPLICAS."""
        name = b"deltaforge"
        packet = struct.pack("<IB", self._server_id, len(name)) + name + b"\0\0" + struct.pack("<HII", 0, 0, 0)
        with replication_rights(self._connection), source_errors("the server refused the replica"):
            self._connection._execute_command(0x15, packet)  # type: ignore[attr-defined]  # noqa: SLF001
            self._connection._read_packet()  # type: ignore[no-untyped-call]  # noqa: SLF001

    def _send(self, command: int, packet: bytes) -> None:
        with source_errors("cannot ask for the binary log"):
            self._connection._execute_command(command, packet)  # type: ignore[attr-defined]  # noqa: SLF001

    def _packets(self) -> list[bytes]:
        """Whole events. A packet of 2^24-1 bytes is continued in the next one."""
        buffer, at, events = self._buffer, 0, list[bytes]()
        while True:
            if not self._parts:
                found, at = backend.split_packets(buffer, at, self._filled)
                events = events + found if events else found
            if at + 4 > self._filled:
                break
            length = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
            if at + 4 + length > self._filled:
                break
            payload = bytes(buffer[at + 4 : at + 4 + length])
            at += 4 + length
            if length == _LONGEST_PACKET:
                self._parts += payload
                continue
            if self._parts:
                payload, self._parts = bytes(self._parts) + payload, bytearray()
            events.append(self._event(payload))
        rest = self._filled - at
        buffer[:rest] = buffer[at : self._filled]
        self._filled = rest
        return events

    def _event(self, payload: bytes) -> bytes:
        try:
            return _event(payload)
        except SourceError as error:
            self._thread = None  # it has ended
            if self._is_failover and isinstance(error, PositionLostError):
                error.message = error.message.replace("position lost", "position lost after failover", 1)
            raise


def _event(payload: bytes) -> bytes:
    mark = payload[:1]
    if mark == b"\0":
        return payload[1:]
    if mark == b"\xff" and len(payload) >= 3:
        raise error_of_packet(payload, "the server ended the binary log dump")
    raise SourceError("the server ended the binary log dump", kind="connect")


def encode_gtid_set(gtids: GtidSet) -> bytes:
    """The set as COM_BINLOG_DUMP_GTID wants it.

    Shape: number of sources, then of each its uuid, in the tagged form the length and text of its tag, the number
    of intervals, and the intervals with an exclusive end. In the tagged form the first and last byte of the number
    of sources are 1 and the number stands between them.

    Source: MySQL ``Gtid_set::encode`` (``rpl_gtid_set.cc``).
    """
    sources: dict[str, list[tuple[int, int]]] = {}
    for source, low, high in gtids.intervals():
        sources.setdefault(source, []).append((low, high + 1))
    is_tagged = any(":" in source for source in sources)
    count = len(sources)
    data = struct.pack("<Q", 1 << 56 | count << 8 | 1 if is_tagged else count)
    for source, intervals in sources.items():
        server, _, tag = source.partition(":")
        data += uuid.UUID(server).bytes
        if is_tagged:
            data += bytes((len(tag) << 1,)) + tag.encode()
        data += struct.pack("<Q", len(intervals))
        data += b"".join(struct.pack("<QQ", low, end) for low, end in intervals)
    return data
