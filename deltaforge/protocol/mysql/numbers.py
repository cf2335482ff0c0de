"""Packed decimals and floats.

Source: MySQL ``strings/decimal.cc`` (``bin2decimal``).
"""

from __future__ import annotations

import re
import struct

from deltaforge.core.errors import ProtocolError
from deltaforge.protocol.buffer import take

_BYTES_FOR_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_FLOAT = struct.Struct("<f")
_DECIMAL = re.compile(rb"(-?)([0-9]*)(?:\.([0-9]*))?")


def decimal_size(precision: int, scale: int) -> int:
    """Bytes of a packed decimal."""
    whole = precision - scale
    return (whole // 9) * 4 + _BYTES_FOR_DIGITS[whole % 9] + (scale // 9) * 4 + _BYTES_FOR_DIGITS[scale % 9]


def decimal_text(data: bytes, at: int, precision: int, scale: int) -> tuple[str, int]:
    """A packed decimal as text with exactly ``scale`` decimals, and the offset behind it.

    Shape: big-endian groups of nine digits in four bytes, a short group at both ends; the top bit of
    the first byte is inverted, and for negatives all bits are.

    Raises:
        ProtocolError: Precision and scale are impossible.
        TruncatedMessageError: Fewer bytes than the value needs.
    """
    whole = precision - scale
    if not 0 < precision <= 81 or scale < 0 or whole < 0:
        raise ProtocolError(f"decimal({precision},{scale}) is impossible", offset=at)
    size = decimal_size(precision, scale)
    raw = bytearray(take(data, at, size))
    is_negative = not raw[0] & 0x80
    raw[0] ^= 0x80
    if is_negative:
        raw = bytearray(byte ^ 0xFF for byte in raw)
    digits, place = _digits(raw, 0, [whole % 9] + [9] * (whole // 9))
    decimals, _ = _digits(raw, place, [9] * (scale // 9) + [scale % 9])
    text = digits.lstrip("0") or "0"
    if scale:
        text = f"{text}.{decimals}"
    return ("-" + text if is_negative else text), at + size


def pack_decimal(text: bytes, precision: int, scale: int) -> bytes | None:
    """The packed form of a decimal that the server prints with ``scale`` decimals; None if it is none of this size."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, decimals = match[1], match[2].lstrip(b"0"), match[3] or b""
    if len(decimals) != scale or len(whole) > precision - scale:
        return None
    whole = whole.rjust(precision - scale, b"0")
    first = (precision - scale) % 9
    packed = bytearray(_group(whole[:first]))
    for at in range(first, len(whole), 9):
        packed += _group(whole[at : at + 9])
    for at in range(0, scale, 9):
        packed += _group(decimals[at : at + 9])
    if sign:
        packed = bytearray(byte ^ 0xFF for byte in packed)
    packed[0] ^= 0x80
    return bytes(packed)


def _group(digits: bytes) -> bytes:
    return int(digits or b"0").to_bytes(_BYTES_FOR_DIGITS[len(digits)], "big")


def _digits(raw: bytearray, at: int, groups: list[int]) -> tuple[str, int]:
    parts = []
    for count in groups:
        if count:
            size = _BYTES_FOR_DIGITS[count]
            parts.append(f"{int.from_bytes(raw[at : at + size], 'big'):0{count}d}")
            at += size
    return "".join(parts), at


def float_from_single(data: bytes, at: int) -> float:
    """A FLOAT as the shortest number that is still the same single-precision value."""
    raw = take(data, at, 4)
    value: float = _FLOAT.unpack(raw)[0]
    for digits in (6, 7, 8, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if _FLOAT.pack(short) == raw:
                return short
        except OverflowError:
            continue  # rounded up beyond the largest single
    return value
