"""How the values of records become bytes: as JSON (Connect's JsonConverter) and as Avro."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Protocol

from deltaforge.core.json_text import encode_json
from deltaforge.records.conversion import Conversion, Form

INTEGERS = frozenset(
    {Form.INTEGER, Form.DAYS, Form.MILLIS, Form.MICROS, Form.NANOS, Form.INTERVAL_MICROS, Form.WRAPPED_INTEGER}
    | {Form.LABEL, Form.DAY_MILLIS, Form.DAY_MICROS},
)
TEXTS = frozenset(
    {
        Form.TEXT,
        Form.JSON_TEXT,
        Form.ZONED_TEXT,
        Form.BASE64,
        Form.BASE64_URL,
        Form.HEX,
        Form.MONEY_TEXT,
        Form.NUMBER_TEXT,
        Form.UUID_TEXT,
    }
    | {Form.ISO_DATE, Form.ISO_TIME, Form.ISO_STAMP, Form.ISO_INTERVAL, Form.ZONED_TIME}
    | {Form.MASK, Form.HASH, Form.CUT_TEXT},
)
BINARIES = frozenset({Form.BYTES, Form.DECIMAL, Form.BITS, Form.MONEY, Form.TEXT_BYTES, Form.CUT_BYTES})
BOOLEANS = frozenset({Form.BOOLEAN, Form.BIT})
DOUBLES = frozenset({Form.DOUBLE, Form.MONEY_DOUBLE, Form.WIDENED_SINGLE})


class ValueWriter(Protocol):
    """Writes one value of a form. None of them is null: what stands for null is in the plan."""

    def value(self, conversion: Conversion, value: Any) -> bytes:
        """The bytes of a value that :func:`deltaforge.records.values.converted` gave."""


class JsonWriter:
    """JSON as Connect's JsonConverter writes it: bytes as base64, numbers that JSON does not have as text."""

    def value(self, conversion: Conversion, value: Any) -> bytes:
        form = conversion.form
        if form in BINARIES:
            return b'"' + base64.b64encode(value) + b'"'
        if form is Form.SINGLE or form in DOUBLES:
            return _json_float(value)
        if form is Form.ARRAY:
            return b"[" + b",".join(b"null" if v is None else self.value(_items(conversion), v) for v in value) + b"]"
        if form in (Form.VARIABLE_DECIMAL, Form.GEOMETRY, Form.POINT):
            return encode_json(
                {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in value.items()}
            )
        return encode_json(value)


class AvroWriter:
    """Avro's binary encoding."""

    def value(self, conversion: Conversion, value: Any) -> bytes:
        form = conversion.form
        if form in INTEGERS:
            return avro_long(value)
        if form in TEXTS:
            return avro_bytes(str(value).encode())
        if form in BINARIES:
            return avro_bytes(value)
        if form in BOOLEANS:
            return b"\x01" if value else b"\x00"
        if form is Form.SINGLE:
            return struct.pack("<f", value)
        if form in DOUBLES:
            return struct.pack("<d", value)
        return self._nested(conversion, value)

    def _nested(self, conversion: Conversion, value: Any) -> bytes:
        form = conversion.form
        if form is Form.ARRAY:
            items = _items(conversion)
            prefix = b"\x02" if conversion.has_nulls else b""
            parts = [b"\x00" if v is None else prefix + self.value(items, v) for v in value]
            return avro_block(parts)
        if form is Form.MAP:
            return _avro_map(value)
        if form is Form.VARIABLE_DECIMAL:
            return avro_long(value["scale"]) + avro_bytes(value["value"])
        srid = value["srid"]
        end = b"\x00" if srid is None else b"\x02" + avro_long(srid)
        if form is Form.GEOMETRY:
            return avro_bytes(value["wkb"]) + end
        wkb = b"\x00" if value["wkb"] is None else b"\x02" + avro_bytes(value["wkb"])
        return struct.pack("<dd", value["x"], value["y"]) + wkb + end


def avro_long(value: int) -> bytes:
    """An integer: zigzag, seven bits a byte."""
    rest, out = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def avro_bytes(value: bytes) -> bytes:
    """Bytes, or a text in UTF-8."""
    return avro_long(len(value)) + value


def avro_block(items: Collection[bytes]) -> bytes:
    """The items of an array, or the names with values of a map: one block with their number, and the end."""
    return (avro_long(len(items)) + b"".join(items) if items else b"") + b"\x00"


def name_of_float(value: float) -> str:
    """What Connect writes for a float that JSON does not have."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def java_float(value: float) -> str:
    """As Java prints it: ``1.0E300`` from 10^7 on and below a thousandth."""
    if not math.isfinite(value):
        return name_of_float(value)
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    place = len(digits) + int(exponent)  # of the point, from the first digit
    if value and not _PLAIN_FROM < place <= _PLAIN_TO:
        text = f"{text[0]}.{text[1:] or '0'}E{place - 1}"
    elif place > 0:
        text = text.ljust(place, "0")
        text = f"{text[:place]}.{text[place:] or '0'}"
    else:
        text = f"0.{'0' * -place}{text}"
    return f"-{text}" if sign else text


_PLAIN_FROM, _PLAIN_TO = -3, 7


def unscaled_bytes(value: Decimal, scale: int) -> bytes:
    """``value`` times 10^``scale`` as Java's ``BigInteger.toByteArray`` gives it.

    Raises:
        ValueError: It has more digits after the point, or is no number.
    """
    if not value.is_finite():
        raise ValueError("a decimal that is no number")
    sign, digits, exponent = value.as_tuple()
    shift = int(exponent) + scale
    number = int(Decimal((0, digits, 0)))
    if shift < 0:
        number, rest = divmod(number, 10**-shift)
        if rest:
            raise ValueError(f"a decimal with more than {scale} digits after the point")
    else:
        number *= int(10**shift)
    number = -number if sign else number
    bits = number.bit_length() if number >= 0 else (number + 1).bit_length()  # without the sign
    return number.to_bytes(bits // 8 + 1, "big", signed=True)


def _items(conversion: Conversion) -> Conversion:
    if conversion.items is None:
        raise ValueError("an array without a form of its items")
    return conversion.items


def _json_float(value: float) -> bytes:
    return encode_json(value if math.isfinite(value) else name_of_float(value))


def _avro_map(value: Mapping[str, str | None]) -> bytes:
    parts = [
        avro_bytes(name.encode()) + (b"\x00" if text is None else b"\x02" + avro_bytes(text.encode()))
        for name, text in value.items()
    ]
    return avro_block(parts)
