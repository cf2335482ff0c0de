"""The packets that prepare and execute a statement.

Source: MySQL ``sql_prepare.cc`` (``Prepared_statement::insert_parameters``); internals manual, "COM_STMT_EXECUTE".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from deltaforge.core.errors import ProtocolError
from deltaforge.protocol.buffer import read_packed_bytes, read_uint, take
from deltaforge.protocol.mysql.result_rows import ResultType
from deltaforge.protocol.mysql.result_values import ResultValue
from deltaforge.protocol.mysql.types import Code

COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_CLOSE = 0x16, 0x17, 0x19
_UNSIGNED = 0x80
_UNSIGNED_FLAG = 0x20
_INT64, _UINT64, _DOUBLE = struct.Struct("<q"), struct.Struct("<Q"), struct.Struct("<d")


class Statement(msgspec.Struct, frozen=True):
    """A statement that a connection has prepared."""

    id: int
    sql: str
    column_count: int
    parameter_count: int


def decode_prepared(packet: bytes, sql: str) -> Statement:
    """The answer to COM_STMT_PREPARE; the definitions of parameters and columns follow in packets of their own."""
    if packet[:1] != b"\0":
        raise ProtocolError(f"the answer to a prepared statement begins with {take(packet, 0, 1)[0]}")
    return Statement(read_uint(packet, 1, 4), sql, read_uint(packet, 5, 2), read_uint(packet, 7, 2))


def decode_column(packet: bytes) -> ResultType:
    """The definition of a column of a result."""
    at = 0
    for _ in range(6):  # catalog, database, table and column with their original names
        _, at = read_packed_bytes(packet, at)
    fixed, _ = read_packed_bytes(packet, at)
    flags = read_uint(fixed, 7, 2)
    return ResultType(read_uint(fixed, 6, 1), bool(flags & _UNSIGNED_FLAG), read_uint(fixed, 0, 2))


def encode_execute(statement: Statement, values: Sequence[ResultValue]) -> bytes:
    """The packet that executes a statement, without its command byte.

    Text is in UTF-8; bytes are what the server takes for binary. Dates and decimals go as text.

    Raises:
        ValueError: They are not as many as the statement has parameters, or an integer has more than 64 bits.
    """
    if len(values) != statement.parameter_count:
        raise ValueError(f"{len(values)} values for {statement.parameter_count} parameters")
    head = struct.pack("<IBI", statement.id, 0, 1)
    if not values:
        return head
    nulls = sum(1 << n for n, value in enumerate(values) if value is None)
    encoded = [_encoded(value) for value in values]
    bitmap = nulls.to_bytes((len(values) + 7) // 8, "little")
    return b"".join((head, bitmap, b"\1", *(kind for kind, _ in encoded), *(raw for _, raw in encoded)))


def _encoded(value: ResultValue) -> tuple[bytes, bytes]:
    """Type and bytes of a parameter."""
    if value is None:
        return bytes((Code.NULL, 0)), b""
    if isinstance(value, int):
        try:
            is_large = value >= 1 << 63
            raw = (_UINT64 if is_large else _INT64).pack(value)
        except struct.error:
            raise ValueError("a parameter of more than 64 bits") from None
        return bytes((Code.LONGLONG, _UNSIGNED if is_large else 0)), raw
    if isinstance(value, float):
        return bytes((Code.DOUBLE, 0)), _DOUBLE.pack(value)
    raw = value.encode() if isinstance(value, str) else value
    return bytes((Code.VAR_STRING if isinstance(value, str) else Code.BLOB, 0)), _length(len(raw)) + raw


def _length(size: int) -> bytes:
    if size < 251:
        return bytes((size,))
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little")
    return b"\xfd" + size.to_bytes(3, "little") if size < 1 << 24 else b"\xfe" + size.to_bytes(8, "little")
