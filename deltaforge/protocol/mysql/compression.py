"""Compressed transactions (MySQL, zstd), and compressed events and columns (MariaDB, zlib)."""

from __future__ import annotations

import zlib

import zstandard

from deltaforge.core.errors import ProtocolError, UnsupportedValueError
from deltaforge.protocol.buffer import take

MAX_PAYLOAD_BYTES = 1 << 30
"""No transaction payload is larger: ``max_allowed_packet`` ends at 1 GiB."""

_ZSTD, _NONE = 0, 255


def inflate_payload(data: bytes, compression: int, size: int | None) -> bytes:
    """The events of a transaction payload.

    Raises:
        UnsupportedValueError: A compression that is not known.
        ProtocolError: The bytes cannot be decompressed, or are more than they may be.
    """
    if compression == _NONE:
        return data
    if compression != _ZSTD:
        raise UnsupportedValueError(f"transaction payload has compression {compression}, known are zstd and none")
    limit = MAX_PAYLOAD_BYTES if size is None else size
    if limit > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"transaction payload claims {limit} bytes, at most {MAX_PAYLOAD_BYTES} are possible")
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            plain = reader.read(limit + 1)
    except zstandard.ZstdError as exc:
        raise ProtocolError(f"transaction payload cannot be decompressed: {exc}") from exc
    if size is not None and len(plain) != size:
        raise ProtocolError(f"transaction payload has {len(plain)} bytes, expected {size}")
    return plain


def inflate_mariadb(data: bytes) -> bytes:
    """A compressed part of a MariaDB event.

    Shape: a byte with the algorithm in bits 4-6 (0: zlib) and the number of length bytes in bits 0-2,
    the uncompressed length big-endian, then the compressed bytes.

    Raises:
        ProtocolError: The bytes break the format.
    """
    head = take(data, 0, 1)[0]
    algorithm, width = head >> 4 & 7, head & 7
    if algorithm != 0:
        raise UnsupportedValueError(f"compressed event has algorithm {algorithm}, known is zlib")
    return _inflated(data, 1 + width, int.from_bytes(take(data, 1, width), "big"), zlib.MAX_WBITS, "event")


def inflate_column(data: bytes) -> bytes:
    """A value of a MariaDB column that is declared ``compressed``.

    Shape: nothing for an empty value; else a byte with the algorithm in bits 4-7 (0: not compressed, 8: zlib), in bit
    3 whether zlib's own frame is missing around the data, in bits 0-2 the number of length bytes; the uncompressed
    length, big-endian; the compressed bytes.

    Raises:
        ProtocolError: The bytes break the format.

    Source: MariaDB ``sql/field_comp.cc`` and ``Field_longstr::compress`` in ``sql/field.cc``; observed on 11.8.
    """
    if not data:
        return b""
    algorithm, width = data[0] >> 4, data[0] & 7
    if algorithm == 0:
        return data[1:]
    if algorithm != 8:
        raise UnsupportedValueError(f"compressed column has algorithm {algorithm}, known is zlib")
    bits = -zlib.MAX_WBITS if data[0] & 8 else zlib.MAX_WBITS
    return _inflated(data, 1 + width, int.from_bytes(take(data, 1, width), "big"), bits, "column")


def _inflated(data: bytes, at: int, size: int, bits: int, what: str) -> bytes:
    try:
        plain = zlib.decompressobj(bits).decompress(data[at:], size + 1)
    except zlib.error as exc:
        raise ProtocolError(f"compressed {what} cannot be decompressed: {exc}") from exc
    if len(plain) != size:
        raise ProtocolError(f"compressed {what} has {len(plain)} bytes, expected {size}")
    return plain
