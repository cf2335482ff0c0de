"""GTID events: the classic fixed layout, and the tagged one of MySQL 8.3 and later.

Source: MySQL ``control_events.h`` (``Gtid_event``) and the serialization library's format notes.
"""

from __future__ import annotations

import uuid

import msgspec

from deltaforge.core.errors import ProtocolError
from deltaforge.protocol.buffer import read_uint, take

_HAS_ORIGINAL = 1 << 55


class Gtid(msgspec.Struct, frozen=True):
    """Start of a transaction. ``gtid`` is empty when the server has GTIDs off.

    ``commit_us`` is the commit time on the server where the transaction began, in microseconds.
    """

    gtid: str
    commit_us: int | None = None


def decode_gtid(body: bytes, *, is_anonymous: bool) -> Gtid:
    """GTID and ANONYMOUS_GTID.

    Shape: flags 1, uuid 16, number 8, type 1, two logical timestamps of 8, immediate commit time 7,
    original commit time 7 if the top bit of the former is set.
    """
    source = str(uuid.UUID(bytes=take(body, 1, 16)))
    number = read_uint(body, 17, 8)
    commit = None
    if len(body) >= 49:
        commit = read_uint(body, 42, 7)
        if commit & _HAS_ORIGINAL:
            commit = read_uint(body, 49, 7)
    return Gtid("" if is_anonymous else f"{source}:{number}", commit)


def decode_tagged_gtid(body: bytes) -> Gtid:
    """GTID_TAGGED: version, size and last required field, then pairs of field id and value."""
    at = 0
    for _ in range(3):
        _, at = _varint(body, at)
    fields: dict[int, int] = {}
    source, tag = b"", ""
    while at < len(body):
        field, at = _varint(body, at)
        if field == 1:
            values = []
            for _ in range(16):
                value, at = _varint(body, at)
                values.append(value)
            source = bytes(value & 0xFF for value in values)
        elif field == 3:
            length, at = _varint(body, at)
            tag = take(body, at, length).decode("utf-8", "replace")
            at += length
        else:
            fields[field], at = _varint(body, at)
    if len(source) != 16 or 2 not in fields:
        raise ProtocolError("tagged GTID event without a GTID")
    number = _signed(fields[2])
    prefix = str(uuid.UUID(bytes=source)) + (f":{tag}" if tag else "")
    return Gtid(f"{prefix}:{number}", fields.get(7, fields.get(6)))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer whose first byte has as many trailing one-bits as bytes follow it."""
    first = take(data, at, 1)[0]
    extra = 0
    while extra < 8 and first >> extra & 1:
        extra += 1
    raw = read_uint(data, at, extra + 1)
    return (raw >> 8 if extra == 8 else raw >> extra + 1), at + extra + 1


def _signed(value: int) -> int:
    """The lowest bit is the sign."""
    return ~(value >> 1) if value & 1 else value >> 1
