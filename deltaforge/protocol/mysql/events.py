"""Binary log events: header, checksum, and the body of every type that matters.

Stateful only as the format demands: a format description sets the checksum, a table map describes the
rows after it. An event type that is not in the table below stops the reading: it may carry rows.

Source: MySQL ``binlog_event.h``, MariaDB ``log_event.h`` (types 160 and up).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import msgspec

from deltaforge.core.errors import (
    ChecksumMismatchError,
    ProtocolError,
    TruncatedMessageError,
    UnknownMessageError,
    UnsupportedValueError,
)
from deltaforge.protocol.buffer import read_packed, read_uint, take
from deltaforge.protocol.mysql.charsets import decode_statement, is_decoded
from deltaforge.protocol.mysql.compression import inflate_mariadb, inflate_payload
from deltaforge.protocol.mysql.gtid_event import Gtid, decode_gtid, decode_tagged_gtid
from deltaforge.protocol.mysql.rows import Kind, Rows
from deltaforge.protocol.mysql.status_vars import NO_STATUS_VARS, StatusVars, decode_status_vars
from deltaforge.protocol.mysql.table_map import TableMap, decode_table_map

HEADER_SIZE = 19
ARTIFICIAL = 0x20
IGNORABLE = 0x80
MAX_QUERY_BYTES = 1 << 20  # of a statement that is kept with its rows
_HEADER = struct.Struct("<IBIIIH").unpack_from
_MAX_CACHED_MAPS = 10_000


class Header(msgspec.Struct, frozen=True):
    """The first 19 bytes of an event. ``timestamp`` in seconds; ``log_pos`` is the event's end: its last 32 bits."""

    timestamp: int
    type: int
    server_id: int
    size: int
    log_pos: int
    flags: int


class FormatDescription(msgspec.Struct, frozen=True):
    """Start of a log file. ``is_server_start``: the server was started with it."""

    server_version: str
    has_checksum: bool
    is_server_start: bool = False


class Rotate(msgspec.Struct, frozen=True):
    """The log goes on in ``file`` at ``pos``."""

    file: str
    pos: int


class MariadbGtid(msgspec.Struct, frozen=True):
    """Start of a MariaDB transaction; a standalone one is a single statement without a commit, and one that is
    ``prepared`` ends with the first phase of XA.
    """

    gtid: str
    is_standalone: bool
    is_prepared: bool = False


class Query(msgspec.Struct, frozen=True):
    """A statement: BEGIN, COMMIT, DDL, … ``error_code`` is what it ended with, ``session`` how it is to be read, and
    ``thread`` the connection that ran it: temporary tables are its own.
    """

    db: str
    sql: str
    error_code: int
    session: StatusVars = NO_STATUS_VARS
    thread: int = 0


class RowsQuery(msgspec.Struct, frozen=True):
    """The statement whose rows come next; None: it is longer than what is kept of one. Bytes that are no UTF-8 become
    replacement characters: the log does not say what they are.
    """

    sql: str | None


class Xid(msgspec.Struct, frozen=True):
    """Commit of a transaction."""

    xid: int


class XaPrepare(msgspec.Struct, frozen=True):
    """End of the first phase of an XA transaction (``is_one_phase``: it is committed with it)."""

    is_one_phase: bool


class TransactionPayload(msgspec.Struct, frozen=True):
    """A compressed transaction: its events, each with header and without checksum."""

    events: list[bytes]


class Ignored(msgspec.Struct, frozen=True):
    """An event that carries no rows."""

    name: str


Message = (
    FormatDescription | Rotate | Gtid | MariadbGtid | Query | Xid | XaPrepare | TableMap | Rows
    | RowsQuery | TransactionPayload | Ignored
)  # fmt: skip


def decode_header(data: bytes) -> Header:
    """The header of an event.

    Raises:
        TruncatedMessageError: Fewer than 19 bytes.
    """
    if len(data) < HEADER_SIZE:
        raise TruncatedMessageError(f"event of {len(data)} bytes, a header has {HEADER_SIZE}", offset=len(data))
    return Header(*_HEADER(data))


def end_of(log_pos: int, near: int) -> int:
    """Where an event ends. A header has the last 32 bits of it, and a file grows beyond 4 GiB by one transaction.

    Args:
        log_pos: Of the header.
        near: Where the event before it ended.
    """
    end = near + (log_pos - near + (1 << 31)) % (1 << 32) - (1 << 31)
    return end if end >= 0 else end + (1 << 32)


def positioned(header: Header, near: int) -> tuple[Header, int]:
    """A header with the whole end position, which MariaDB leaves out inside of transactions, and where reading stands
    then.

    Args:
        header: As it is in the log.
        near: Where the event before it ended.
    """
    if header.flags & ARTIFICIAL or not header.timestamp or header.type in OUTSIDE:
        return header, near
    end = end_of(header.log_pos, near) if header.log_pos else near + header.size
    return header if header.log_pos == end else msgspec.structs.replace(header, log_pos=end), end


class BinlogDecoder:
    """Decodes the events of one connection, in order.

    Args:
        has_checksum: Whether events end in a CRC32 before the first format description says so.
    """

    def __init__(self, *, has_checksum: bool) -> None:
        self._has_checksum = has_checksum
        self._is_mariadb = False
        self._maps: dict[int, TableMap] = {}
        self._cached_maps: dict[bytes, TableMap] = {}

    def decode(self, header: Header, data: bytes, *, is_inner: bool = False) -> Message:
        """One whole event.

        Args:
            header: Of ``data``.
            data: Header, body and checksum.
            is_inner: The event comes from a transaction payload and has no checksum.

        Raises:
            UnknownMessageError: The type is not known, so it may carry rows.
            ChecksumMismatchError: The bytes were damaged.
            ProtocolError: The bytes break the format.
        """
        if header.type == 15:
            return self._format_description(data)
        body = data[HEADER_SIZE:] if is_inner or not self._has_checksum else _checked(data)
        decoder = _BODIES.get(header.type)
        try:
            if decoder is not None:
                return decoder(body)
            if header.type == 19:
                return self._table_map(body)
            if header.type in _ROWS:
                return _rows(header.type, body)
        except struct.error:
            raise TruncatedMessageError(f"event of type {header.type} is cut short", offset=len(data)) from None
        if header.type in _WITHOUT_ROWS:
            return Ignored(_WITHOUT_ROWS[header.type])
        if header.type in _REFUSED:
            what, hint = _REFUSED[header.type]
            raise UnsupportedValueError(what, hint=hint)
        if header.flags & IGNORABLE:
            return Ignored(f"ignorable event of type {header.type}")
        raise UnknownMessageError(
            f"binary log event of type {header.type} is not known and may carry rows", hint="upgrade DeltaForge"
        )

    def table_map(self, table_id: int) -> TableMap:
        """The map that describes the rows of ``table_id`` now.

        Raises:
            ProtocolError: No map came before the rows.
        """
        try:
            return self._maps[table_id]
        except KeyError:
            raise ProtocolError(f"rows of table id {table_id} without a table map before them") from None

    def _format_description(self, data: bytes) -> FormatDescription:
        version = take(data, HEADER_SIZE + 2, 50).rstrip(b"\0").decode("utf-8", "replace")
        if len(data) < HEADER_SIZE + 57 + 5:
            raise TruncatedMessageError("format description is cut short", offset=len(data))
        algorithm = data[-5]
        if algorithm not in (0, 1):
            raise UnsupportedValueError(f"checksum algorithm {algorithm} is not known")
        self._has_checksum = algorithm == 1
        if self._has_checksum:
            _checked(data)
        self._is_mariadb = "mariadb" in version.lower()
        self._maps.clear()
        return FormatDescription(version, self._has_checksum, read_uint(data, HEADER_SIZE + 52, 4) != 0)

    def _table_map(self, body: bytes) -> TableMap:
        raw = body[8:]
        known = self._cached_maps.get(raw)
        if known is None:
            if len(self._cached_maps) >= _MAX_CACHED_MAPS:
                self._cached_maps.clear()
            known = self._cached_maps[raw] = decode_table_map(body, is_mariadb=self._is_mariadb)
        self._maps[read_uint(body, 0, 6)] = known
        return known


def _checked(data: bytes) -> bytes:
    """The body of an event whose CRC32 fits."""
    stored = read_uint(data, len(data) - 4, 4)
    if zlib.crc32(data[:-4]) != stored:
        raise ChecksumMismatchError(
            "checksum of a binary log event does not fit its bytes",
            hint="the log is damaged on the server or the network: check the server's disk and error log",
        )
    return data[HEADER_SIZE:-4]


def _rotate(body: bytes) -> Rotate:
    return Rotate(body[8:].decode("utf-8", "replace"), read_uint(body, 0, 8))


def _query(body: bytes, *, is_compressed: bool = False, variables_at: int = 13) -> Query:
    db_length, error, status_length = take(body, 8, 1)[0], read_uint(body, 9, 2), read_uint(body, 11, 2)
    at = variables_at + status_length
    db = take(body, at, db_length).decode("utf-8", "surrogateescape")
    sql = body[at + db_length + 1 :]
    if is_compressed:
        sql = inflate_mariadb(sql)
    if sql in _WORDS:
        return Query(db, _WORDS[sql], error, thread=read_uint(body, 0, 4))
    session = decode_status_vars(take(body, variables_at, status_length))
    return Query(db, _text_of(sql, session.client_charset or "utf8mb4"), error, session, read_uint(body, 0, 4))


def _rows_query(text: bytes) -> RowsQuery:
    return RowsQuery(text.decode("utf-8", "replace") if len(text) <= MAX_QUERY_BYTES else None)


def _text_of(sql: bytes, charset: str) -> str:
    """The text of a statement. Those for savepoints the server writes itself: in UTF-8, whatever the event says."""
    if sql.startswith((b"SAVEPOINT `", b"ROLLBACK TO `")):
        text = decode_statement(sql, "utf8mb4")
        if is_decoded(text):
            return text
    return decode_statement(sql, charset)


_WORDS = {b"BEGIN": "BEGIN", b"COMMIT": "COMMIT", b"ROLLBACK": "ROLLBACK"}


_STANDALONE, _PREPARED_XA = 1, 64


def _mariadb_gtid(body: bytes) -> MariadbGtid:
    """The server id of the GTID is that of the header: the caller puts it in."""
    sequence, domain, flags = read_uint(body, 0, 8), read_uint(body, 8, 4), take(body, 12, 1)[0]
    return MariadbGtid(f"{domain}-{{server_id}}-{sequence}", bool(flags & _STANDALONE), bool(flags & _PREPARED_XA))


def _payload(body: bytes) -> TransactionPayload:
    """Pairs of type and value up to type 0 (end), then the compressed events."""
    at, compression, size = 0, 255, None
    while True:
        kind, at = read_packed(body, at)
        if kind == 0:
            break
        length, at = read_packed(body, at)
        value, _ = read_packed(take(body, at, length), 0)
        at += length
        if kind == 2:
            compression = value
        elif kind == 3:
            size = value
    return TransactionPayload(_split(inflate_payload(body[at:], compression, size)))


def _split(data: bytes) -> list[bytes]:
    events, at = [], 0
    while at < len(data):
        size = read_uint(data, at + 9, 4)
        if size < HEADER_SIZE:
            raise ProtocolError(f"event of {size} bytes in a transaction payload", offset=at)
        events.append(take(data, at, size))
        at += size
    return events


def _rows(event_type: int, body: bytes) -> Rows:
    kind, has_extra, is_compressed = _ROWS[event_type]
    at = 8
    if has_extra:
        length = read_uint(body, at, 2)
        take(body, at, max(length, 2))
        at += max(length, 2)
    count, at = read_packed(body, at)
    size = (count + 7) // 8
    before = after = read_uint(body, at, size)
    at += size
    if kind in ("update", "partial_update"):
        after = read_uint(body, at, size)
        at += size
    if is_compressed:
        return Rows(kind, read_uint(body, 0, 6), count, before, after, inflate_mariadb(body[at:]), 0)
    return Rows(kind, read_uint(body, 0, 6), count, before, after, body, at)


_ROWS: dict[int, tuple[Kind, bool, bool]] = {
    23: ("write", False, False),
    24: ("update", False, False),
    25: ("delete", False, False),
    30: ("write", True, False),
    31: ("update", True, False),
    32: ("delete", True, False),
    39: ("partial_update", True, False),
    166: ("write", False, True),
    167: ("update", False, True),
    168: ("delete", False, True),
    169: ("write", True, True),
    170: ("update", True, True),
    171: ("delete", True, True),
}
"""Row events: kind, whether extra data follows the flags, whether MariaDB compressed the images."""

_BODIES: dict[int, Callable[[bytes], Message]] = {
    2: _query,
    4: _rotate,
    18: lambda body: _query(body, variables_at=26),  # LOAD DATA: its blocks came before, as events without tables
    16: lambda body: Xid(read_uint(body, 0, 8)),
    29: lambda body: _rows_query(body[1:]),  # behind the last byte of its length
    160: _rows_query,
    33: lambda body: decode_gtid(body, is_anonymous=False),
    34: lambda body: decode_gtid(body, is_anonymous=True),
    38: lambda body: XaPrepare(bool(take(body, 0, 1)[0])),
    40: _payload,
    42: decode_tagged_gtid,
    162: _mariadb_gtid,
    165: lambda body: _query(body, is_compressed=True),
}

OUTSIDE = frozenset({3, 15, 35, 161, 163})
"""Types of events that stand in no transaction. With GTIDs they are sent although what lies around them is not."""

_WITHOUT_ROWS = {
    3: "stop", 5: "intvar", 7: "slave", 9: "append_block", 11: "delete_file", 13: "rand", 14: "user_var",
    17: "begin_load_query", 27: "heartbeat", 28: "ignorable",
    35: "previous_gtids", 36: "transaction_context", 37: "view_change", 41: "heartbeat_v2",
    161: "binlog_checkpoint", 163: "gtid_list",
}  # fmt: skip

_LOAD_DATA = ("LOAD DATA was logged as MySQL 4 did", "upgrade the server")
_REFUSED = {
    **dict.fromkeys((6, 8, 10, 12), _LOAD_DATA),
    **dict.fromkeys((20, 21, 22), ("row events of MySQL 5.1 pre-releases cannot be read", "upgrade the server")),
    26: (
        "the server noted an incident: events may be missing from its log",
        "find the cause in the server's error log, then delete the pipeline and create it again",
    ),
    164: ("the binary log is sent encrypted", "this should not happen on a replication connection: report it"),
}
