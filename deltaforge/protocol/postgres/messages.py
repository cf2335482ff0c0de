"""Messages of a logical replication stream: the copy-data framing and pgoutput, protocol version 1.

Pure functions over one message's bytes. Every read is bounds checked; bytes that break the format
raise the ``ProtocolError`` family and nothing else.

Source: PostgreSQL manual, "Streaming Replication Protocol" and "Logical Replication Message Formats".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from deltaforge.core.errors import ProtocolError, TruncatedMessageError, UnknownMessageError

EPOCH_OFFSET_US = 946_684_800_000_000
"""Microseconds from the Unix epoch to 2000-01-01, where PostgreSQL counts from."""

UNCHANGED = object()
"""Stands in a tuple for a TOAST value that the log does not hold."""

Tuple = list[Any]
"""Values of one row in column order: ``bytes`` of the text form, None, or :data:`UNCHANGED`."""


class XLogData(msgspec.Struct, frozen=True):
    """A piece of the log: where it starts, the server's end of WAL, and the pgoutput message."""

    start: int
    end: int
    data: bytes


class Keepalive(msgspec.Struct, frozen=True):
    """The server lives, its WAL ends at ``end``; with ``wants_reply`` it disconnects unless answered."""

    end: int
    wants_reply: bool


class Begin(msgspec.Struct, frozen=True):
    """Start of a transaction. ``commit_lsn`` is the start of its commit record; time in µs since 1970."""

    commit_lsn: int
    commit_us: int
    xid: int

    @property
    def commit_ms(self) -> int:
        """The time in ms."""
        return self.commit_us // 1000


class Commit(msgspec.Struct, frozen=True):
    """End of a transaction. ``end_lsn`` is where reading continues."""

    commit_lsn: int
    end_lsn: int
    commit_ms: int


class RelationColumn(msgspec.Struct, frozen=True):
    """One column of a relation message. ``is_key`` means part of the replica identity."""

    name: str
    type_oid: int
    type_modifier: int
    is_key: bool


class Relation(msgspec.Struct, frozen=True):
    """A table definition; valid for the rows after it. ``identity``: ``d`` ``n`` ``f`` ``i``."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]


class Insert(msgspec.Struct, frozen=True):
    """A new row."""

    relation: int
    new: Tuple


class Update(msgspec.Struct, frozen=True):
    """A changed row. ``old`` is None when the key did not change and the identity is not FULL;
    ``old_kind`` is ``K`` (key columns only) or ``O`` (whole row).
    """

    relation: int
    old_kind: str
    old: Tuple | None
    new: Tuple


class Delete(msgspec.Struct, frozen=True):
    """A removed row, as far as the replica identity goes."""

    relation: int
    old_kind: str
    old: Tuple


class Truncate(msgspec.Struct, frozen=True):
    """Tables emptied."""

    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


class LogicalMessage(msgspec.Struct, frozen=True):
    """What ``pg_logical_emit_message`` wrote."""

    is_transactional: bool
    lsn: int
    prefix: str
    content: bytes


class TypeName(msgspec.Struct, frozen=True):
    """What a type that is not built in was called where the rows after it were written. Of a domain these are the
    names of what it is over. ``schema`` is ``pg_catalog`` for a built-in one.
    """

    oid: int
    schema: str
    name: str


class Ignored(msgspec.Struct, frozen=True):
    """A message that carries no rows and says nothing we need: an origin."""

    name: str


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate | LogicalMessage | TypeName | Ignored

_U16 = struct.Struct(">H").unpack_from
_I32 = struct.Struct(">i").unpack_from
_U32 = struct.Struct(">I").unpack_from
_XLOG = struct.Struct(">QQQ").unpack_from
_KEEPALIVE = struct.Struct(">QQB").unpack_from
_BEGIN = struct.Struct(">QqI").unpack_from
_COMMIT = struct.Struct(">BQQq").unpack_from


def decode_frame(data: bytes) -> XLogData | Keepalive:
    """One copy-data payload of a replication connection.

    Raises:
        UnknownMessageError: Neither XLogData nor a keepalive.
        TruncatedMessageError: Fewer bytes than the frame needs.
    """
    kind = data[:1]
    try:
        if kind == b"w":
            start, end, _ = _XLOG(data, 1)
            return XLogData(start, end, data[25:])
        if kind == b"k":
            end, _, wants_reply = _KEEPALIVE(data, 1)
            return Keepalive(end, wants_reply == 1)
    except struct.error:
        raise TruncatedMessageError("replication frame is cut short", offset=len(data)) from None
    raise UnknownMessageError(f"unknown replication frame {kind!r}", offset=0)


def decode_message(data: bytes) -> Message:
    """One pgoutput message.

    Raises:
        UnknownMessageError: A type that protocol version 1 does not have. It may carry rows.
        ProtocolError: The bytes break the format.
    """
    decoder = _DECODERS.get(data[:1])
    if decoder is None:
        raise UnknownMessageError(
            f"unknown pgoutput message {data[:1]!r}", offset=0, hint="this server speaks a newer protocol: upgrade"
        )
    try:
        return decoder(data)
    except (struct.error, IndexError):
        raise TruncatedMessageError(f"pgoutput message {data[:1]!r} is cut short", offset=len(data)) from None


def name_of(data: bytes) -> str:
    r"""A name. The server sends UTF-8, except from a database whose encoding is SQL_ASCII: there bytes that are not
    UTF-8 become ``\xHH``, so that the table has a name.
    """
    return data.decode(errors="backslashreplace")


def _begin(data: bytes) -> Begin:
    lsn, at, xid = _BEGIN(data, 1)
    return Begin(lsn, at + EPOCH_OFFSET_US, xid)


def _commit(data: bytes) -> Commit:
    _, commit_lsn, end_lsn, at = _COMMIT(data, 1)
    return Commit(commit_lsn, end_lsn, (at + EPOCH_OFFSET_US) // 1000)


def _relation(data: bytes) -> Relation:
    (oid,) = _U32(data, 1)
    schema, at = _text(data, 5)
    name, at = _text(data, at)
    identity = chr(data[at])
    (count,) = _U16(data, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        flags = data[at]
        column, at = _text(data, at + 1)
        (type_oid,), (modifier,) = _U32(data, at), _I32(data, at + 4)
        at += 8
        columns.append(RelationColumn(column, type_oid, modifier, bool(flags & 1)))
    return Relation(oid, schema or "pg_catalog", name, identity, tuple(columns))


def _type(data: bytes) -> TypeName:
    (oid,) = _U32(data, 1)
    schema, at = _text(data, 5)
    name, _ = _text(data, at)
    return TypeName(oid, schema or "pg_catalog", name)


def _insert(data: bytes) -> Insert:
    (relation,) = _U32(data, 1)
    _expect(data, 5, b"N")
    return Insert(relation, _whole(data, 6))


def _update(data: bytes) -> Update:
    (relation,) = _U32(data, 1)
    kind, at, old = data[5:6], 5, None
    if kind in (b"K", b"O"):
        old, at = _tuple(data, 6)
    _expect(data, at, b"N")
    return Update(relation, kind.decode("latin-1") if old is not None else "", old, _whole(data, at + 1))


def _delete(data: bytes) -> Delete:
    (relation,) = _U32(data, 1)
    kind = data[5:6]
    if kind not in (b"K", b"O"):
        raise ProtocolError(f"delete has tuple kind {kind!r}, expected K or O", offset=5)
    return Delete(relation, kind.decode("latin-1"), _whole(data, 6))


def _truncate(data: bytes) -> Truncate:
    (count,) = _U32(data, 1)
    flags = data[5]
    if len(data) < 6 + 4 * count:
        raise TruncatedMessageError("truncate names more tables than it holds", offset=len(data))
    relations = tuple(_U32(data, 6 + 4 * n)[0] for n in range(count))
    return Truncate(relations, cascade=bool(flags & 1), restart_identity=bool(flags & 2))


def _message(data: bytes) -> LogicalMessage:
    flags = data[1]
    (lsn,) = struct.unpack_from(">Q", data, 2)
    prefix, at = _text(data, 10)
    (length,) = _U32(data, at)
    content = data[at + 4 : at + 4 + length]
    if len(content) != length:
        raise TruncatedMessageError("logical message is cut short", offset=len(data))
    return LogicalMessage(bool(flags & 1), lsn, prefix, content)


def _whole(data: bytes, at: int) -> Tuple:
    values, end = _tuple(data, at)
    if end != len(data):
        raise ProtocolError(f"{len(data) - end} bytes left after the row", offset=end)
    return values


def _tuple(data: bytes, at: int) -> tuple[Tuple, int]:
    (count,) = _U16(data, at)
    at += 2
    values: Tuple = []
    append = values.append
    for _ in range(count):
        kind = data[at]
        at += 1
        if kind == 0x74:  # t: text
            (length,) = _U32(data, at)
            at += 4
            value = data[at : at + length]
            if len(value) != length:
                raise TruncatedMessageError("column value is cut short", offset=len(data))
            append(value)
            at += length
        elif kind == 0x6E:  # n: null
            append(None)
        elif kind == 0x75:  # u: unchanged TOAST
            append(UNCHANGED)
        else:
            raise ProtocolError(f"column value of kind {chr(kind)!r}, expected t, n or u", offset=at - 1)
    return values, at


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at)
    if end < 0:
        raise TruncatedMessageError("name without an end", offset=at)
    return name_of(data[at:end]), end + 1


def _expect(data: bytes, at: int, kind: bytes) -> None:
    if data[at : at + 1] != kind:
        raise ProtocolError(f"tuple of kind {data[at : at + 1]!r}, expected {kind!r}", offset=at)


_DECODERS: dict[bytes, Callable[[bytes], Message]] = {
    b"B": _begin,
    b"C": _commit,
    b"R": _relation,
    b"I": _insert,
    b"U": _update,
    b"D": _delete,
    b"T": _truncate,
    b"M": _message,
    b"O": lambda _: Ignored("origin"),
    b"Y": _type,
}
