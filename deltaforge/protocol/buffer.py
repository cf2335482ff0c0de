"""Bounds-checked reads of little-endian values: the only way our decoders look at wire bytes."""

from __future__ import annotations

from deltaforge.core.errors import TruncatedMessageError


def take(data: bytes, at: int, length: int) -> bytes:
    """``length`` bytes from ``at``.

    Raises:
        TruncatedMessageError: There are fewer.
    """
    end = at + length
    if length < 0 or at < 0 or end > len(data):
        raise TruncatedMessageError(f"{length} bytes wanted, {max(0, len(data) - at)} left", offset=at)
    return data[at:end]


def read_uint(data: bytes, at: int, length: int) -> int:
    """An unsigned little-endian integer of ``length`` bytes."""
    return int.from_bytes(take(data, at, length), "little")


def read_packed(data: bytes, at: int) -> tuple[int, int]:
    """A length-encoded integer of MySQL's protocol, and the offset behind it."""
    first = take(data, at, 1)[0]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}.get(first)
    if width is None:
        raise TruncatedMessageError(f"length-encoded integer starts with {first}", offset=at)
    return read_uint(data, at + 1, width), at + 1 + width


def read_packed_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """A length-encoded string, and the offset behind it."""
    length, at = read_packed(data, at)
    return take(data, at, length), at + length


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """A UTF-8 name with a length byte before and a zero after it, and the offset behind it."""
    length = take(data, at, 1)[0]
    name = take(data, at + 1, length)
    take(data, at + 1 + length, 1)
    return name.decode("utf-8", "replace"), at + length + 2
