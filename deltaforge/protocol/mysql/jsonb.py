"""MySQL's JSON to Python values: the binary form of the log, and the text that a SELECT gives.

Source: MySQL ``json_binary.h``; opaque values print as the server prints them.
"""

from __future__ import annotations

import base64
import struct
from decimal import Decimal
from typing import Any

from deltaforge.core.errors import ProtocolError, TruncatedMessageError
from deltaforge.core.exact_number import exact_number
from deltaforge.core.json_parse import decoder_of_json, number_of_text
from deltaforge.protocol.buffer import read_uint, take
from deltaforge.protocol.mysql.numbers import decimal_text
from deltaforge.protocol.mysql.types import Code

MAX_DEPTH = 100
"""The server's own limit for documents."""

_MIN_INTEGER, _MAX_INTEGER = -(1 << 63), (1 << 64) - 1
_DOUBLE = struct.Struct("<d").unpack
_INLINE_SMALL = frozenset({4, 5, 6})
_INLINE_LARGE = frozenset({4, 5, 6, 7, 8})
_LITERALS = {0: None, 1: True, 2: False}
_INTEGERS = {5: (2, True), 6: (2, False), 7: (4, True), 8: (4, False), 9: (8, True), 10: (8, False)}


def json_from_binary(data: bytes) -> Any:
    """The value of a binary JSON document; an empty one is null.

    Raises:
        ProtocolError: The bytes break the format, or are nested too deeply.
    """
    if not data:
        return None
    return _value(data[0], data, 1, 1, [len(data)])


def json_from_text(raw: bytes) -> Any:
    """The value of a document as the server prints it: that of its binary form.

    Raises:
        ProtocolError: It is no JSON.
    """
    try:
        return _decode_text(raw.decode())
    except (ValueError, RecursionError):
        raise ProtocolError("JSON text of the server cannot be read") from None


def _value(kind: int, data: bytes, at: int, depth: int, left: list[int]) -> Any:
    """``left``: the number of values that a document of this size can have. A damaged one may hold one many times."""
    if kind <= 3:
        if depth > MAX_DEPTH:
            raise ProtocolError("JSON document is nested too deeply", offset=at)
        return _container(kind, data, at, depth, left)
    if kind == 4:
        literal = take(data, at, 1)[0]
        if literal not in _LITERALS:
            raise ProtocolError(f"JSON literal {literal} is not known", offset=at)
        return _LITERALS[literal]
    if kind in _INTEGERS:
        width, is_signed = _INTEGERS[kind]
        return int.from_bytes(take(data, at, width), "little", signed=is_signed)
    if kind == 11:
        return _DOUBLE(take(data, at, 8))[0]
    if kind == 12:
        length, at = _length(data, at)
        return _text(take(data, at, length), at)
    if kind == 15:
        length, start = _length(data, at + 1)
        return _opaque(take(data, at, 1)[0], take(data, start, length))
    raise ProtocolError(f"JSON type {kind} is not known", offset=at)


def _container(kind: int, data: bytes, at: int, depth: int, left: list[int]) -> Any:
    """Shape: count, size, [key entries], value entries, keys, values; offsets count from ``at``."""
    is_large, is_object = bool(kind & 1), kind <= 1
    width = 4 if is_large else 2
    count, size = read_uint(data, at, width), read_uint(data, at + width, width)
    take(data, at, size)
    left[0] -= count
    if left[0] < 0:
        raise ProtocolError("JSON document holds more values than it has bytes", offset=at)
    key_at = at + 2 * width
    value_at = key_at + (count * (width + 2) if is_object else 0)
    take(data, value_at, count * (width + 1))
    inline = _INLINE_LARGE if is_large else _INLINE_SMALL
    values = []
    for n in range(count):
        entry = value_at + n * (width + 1)
        item = data[entry]
        place = entry + 1 if item in inline else at + read_uint(data, entry + 1, width)
        if item not in inline and place <= at:
            raise ProtocolError("JSON value points at its own container", offset=entry)
        values.append(_value(item, data, place, depth + 1, left))
    if not is_object:
        return values
    return dict(zip(_keys(data, at, key_at, count, width), values, strict=True))


def _keys(data: bytes, at: int, key_at: int, count: int, width: int) -> list[str]:
    keys = []
    for n in range(count):
        entry = key_at + n * (width + 2)
        place, length = at + read_uint(data, entry, width), read_uint(data, entry + width, 2)
        keys.append(_text(take(data, place, length), place))
    return keys


def _length(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(5):
        byte = take(data, at + n, 1)[0]
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value, at + n + 1
    raise ProtocolError("JSON length has more than five bytes", offset=at)


def _text(raw: bytes, at: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ProtocolError("JSON text is not UTF-8", offset=at) from None


def _opaque(code: int, raw: bytes) -> Any:
    if code == Code.NEWDECIMAL:
        if len(raw) < 2:
            raise TruncatedMessageError("JSON decimal is cut short")
        return _exact_number(decimal_text(raw, 2, raw[0], raw[1])[0])
    if code in (Code.DATE, Code.DATETIME, Code.TIMESTAMP, Code.TIME):
        return _packed_time(code, int.from_bytes(take(raw, 0, 8), "little", signed=True))
    return f"base64:type{code}:{base64.b64encode(raw).decode('ascii')}"


def _exact_number(text: str) -> int | float | Decimal:
    """A number that is written as the server prints it.

    One without zeros at its end could be a double as well, to those who have the printed text alone: it is a float if
    that is exact, which is below 0.00001 written with an exponent.
    """
    if "." not in text:
        value = Decimal(text)
        return int(value) if _MIN_INTEGER <= value <= _MAX_INTEGER else value
    return _number_of_text(text)


def _number_of_text(text: str) -> float | Decimal:
    """A number with a point or an exponent. Doubles are printed without zeros at their end."""
    if text.endswith("0") and not text.endswith(".0") and "e" not in text.lower():
        return exact_number(text)
    return number_of_text(text)


_decode_text = decoder_of_json(_number_of_text)


def _packed_time(code: int, packed: int) -> str:
    """``TIME_from_longlong_packed``: 24 bits of microseconds below the date and time bits."""
    sign = "-" if packed < 0 else ""
    packed = abs(packed)
    micros, packed = packed & 0xFFFFFF, packed >> 24
    hours = packed >> 12 & (0x3FF if code == Code.TIME else 0x1F)
    clock = f"{hours:02d}:{packed >> 6 & 63:02d}:{packed & 63:02d}.{micros:06d}"
    if code == Code.TIME:
        return sign + clock
    months = packed >> 22
    date = f"{months // 13:04d}-{months % 13:02d}-{packed >> 17 & 31:02d}"
    return date if code == Code.DATE else f"{date} {clock}"
