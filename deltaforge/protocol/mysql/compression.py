"""Compressed transactions (MySQL, zstd) and compressed events (MariaDB, zlib)."""

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
    size = int.from_bytes(take(data, 1, width), "big")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data[1 + width :], size + 1)
    except zlib.error as exc:
        raise ProtocolError(f"compressed event cannot be decompressed: {exc}") from exc
    if len(plain) != size:
        raise ProtocolError(f"compressed event has {len(plain)} bytes, expected {size}")
    return plain
