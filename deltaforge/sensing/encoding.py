"""Bytes of one table's part of the state."""

from __future__ import annotations

import msgspec

_encode = msgspec.msgpack.Encoder().encode


def encode_part(part: msgspec.Struct) -> msgspec.Raw:
    """MessagePack of one table's part, to be kept until the table changes."""
    return msgspec.Raw(_encode(part))
