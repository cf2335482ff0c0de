"""Values of row images (contract 03 section 4, "ours") in the forms that records have."""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Literal

from deltaforge.core.json_text import encode_json, is_unicode
from deltaforge.protocol.mysql.numbers import float_from_single
from deltaforge.records import moments
from deltaforge.records.conversion import Conversion, Form
from deltaforge.records.masking import cut, hashed
from deltaforge.records.writers import unscaled_bytes

_SIGN_BIT, _WORD = 1 << 63, 1 << 64


def converted(conversion: Conversion, value: Any) -> Any:
    """A value that is neither null nor unchanged TOAST, in its form.

    Raises:
        ValueError: It does not fit; the message says the remedy and never holds the value.
    """
    return _CONVERTERS[conversion.form](conversion, value)


def _as_is(_conversion: Conversion, value: Any) -> Any:
    return value


def _integer(_conversion: Conversion, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not an integer")  # noqa: TRY004 - of a value, not of a program
    if not -_SIGN_BIT <= value < _SIGN_BIT:
        raise ValueError("an integer beyond 63 bits; take the mode in which unsigned bigints are decimals or strings")
    return value


def _wrapped(_conversion: Conversion, value: Any) -> int:
    number = int(value)
    return number - _WORD if number >= _SIGN_BIT else number


def _float(_conversion: Conversion, value: Any) -> float:
    return float(value)  # also of the texts NaN and Infinity, and of the digits of a decimal


def _widened(_conversion: Conversion, value: Any) -> float:
    single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return single


def _text(_conversion: Conversion, value: Any) -> str:
    if isinstance(value, str):
        if is_unicode(value):
            return value
        raise ValueError("text that is not valid Unicode; exclude the column")
    if _raw(value) is not None:
        raise ValueError("text that is not valid in its character set, and so bytes; exclude the column")
    raise ValueError("not a text")


def _raw(value: Any) -> bytes | None:
    """The bytes of ``{"_base64": …}``; None: it is something else."""
    if isinstance(value, dict) and isinstance(value.get("_base64"), str):
        return binascii.a2b_base64(value["_base64"])
    return None


def _bytes(_conversion: Conversion, value: Any) -> bytes:
    raw = _raw(value)
    return _text_bytes(_conversion, value) if raw is None else raw


def _uuid_text(_conversion: Conversion, value: Any) -> str:
    raw = _raw(value)
    if raw is None:
        raise ValueError("not the bytes of a uuid")
    return str(uuid.UUID(bytes=raw))  # a ValueError where they are not 16


def _json_text(_conversion: Conversion, value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"_json"}:
        return str(value["_json"])  # what no value can hold is there as its text
    return encode_json(value).decode()


def _decimal(conversion: Conversion, value: Any) -> bytes:
    return unscaled_bytes(_finite(value), conversion.scale)


def _variable_decimal(_conversion: Conversion, value: Any) -> dict[str, Any]:
    number = _finite(value)
    scale = max(-int(number.as_tuple().exponent), 0)
    digits = str(value).partition(".")[2] if isinstance(value, str) else ""
    scale -= len(digits) - len(digits.rstrip("0"))  # as Debezium does: 1.500 is 15 by 10
    return {"scale": scale, "value": unscaled_bytes(number, scale)}


def _finite(value: Any) -> Decimal:
    number = _number(value)
    if not number.is_finite():
        raise ValueError("a decimal that is no number; take decimal_handling string or double")
    return number


def _number(value: Any) -> Decimal:
    try:
        return Decimal(value)
    except (InvalidOperation, TypeError):
        raise ValueError("not a decimal") from None


def _bits(conversion: Conversion, value: Any) -> bytes:
    number = int(value or "0", 2) if isinstance(value, str) else int(value)  # PostgreSQL has digits
    size = conversion.size or (number.bit_length() + 7) // 8
    return number.to_bytes(size, "little")


def _bit(_conversion: Conversion, value: Any) -> bool:
    return value in (1, "1")


def _geometry(_conversion: Conversion, value: Any) -> dict[str, Any]:
    if isinstance(value, str):  # PostGIS prints its extended WKB
        raw = bytes.fromhex(value)
        order: Literal["little", "big"] = "little" if raw[0] else "big"
        has_srid = int.from_bytes(raw[1:5], order) & _EWKB_SRID
        return {"wkb": raw, "srid": int.from_bytes(raw[5:9], order) if has_srid else None}
    shape = _raw(value)
    if shape is None:
        raise ValueError("not a shape")
    return {"wkb": shape, "srid": value.get("srid") or None}


def _point(_conversion: Conversion, value: Any) -> dict[str, Any]:
    if isinstance(value, str):  # PostgreSQL's own: (1,2.5)
        x, y = map(float, value.strip("()").split(","))
        return {"x": x, "y": y, "wkb": struct.pack("<BIdd", 1, 1, x, y), "srid": None}
    raw = _raw(value)
    if raw is None or len(raw) != _POINT_SIZE:
        raise ValueError("not a point")
    x, y = struct.unpack_from("<dd" if raw[0] else ">dd", raw, 5)
    return {"x": x, "y": y, "wkb": raw, "srid": value.get("srid") or None}


_POINT_SIZE = 21
_EWKB_SRID = 0x20000000


def _array(conversion: Conversion, value: Any) -> list[Any]:
    if isinstance(value, str) and value.startswith("["):
        value = value[1:-1].split(",")  # pgvector's text
    elif (raw := _raw(value)) is not None and len(raw) % 4 == 0:
        value = [float_from_single(raw, at) for at in range(0, len(raw), 4)]  # a vector of MariaDB
    if conversion.items is None or not isinstance(value, list):
        raise ValueError("not an array")
    items = conversion.items
    if items.form is not Form.JSON_TEXT and any(isinstance(item, list) for item in value):
        raise ValueError("an array of more than one dimension, which records do not have; exclude the column")
    return [None if item is None else converted(items, item) for item in value]


def _map(_conversion: Conversion, value: Any) -> Mapping[str, str | None]:
    if not isinstance(value, dict):
        raise ValueError("not a map")  # noqa: TRY004 - of a value, not of a program
    return value


def _money(conversion: Conversion, value: Any) -> bytes:
    rounded = _amount(value).quantize(Decimal(1).scaleb(-conversion.scale), ROUND_HALF_UP)
    return unscaled_bytes(rounded, conversion.scale)


def _amount(value: Any) -> Decimal:
    """What is paid, without the sign of a currency and the separators of thousands."""
    text = "".join(letter for letter in str(value) if letter.isdigit() or letter in ".,")
    marks = [letter for letter in text if letter in ".,"]
    digits = len(text) - max(text.rfind("."), text.rfind(",")) - 1
    if marks and digits == _THOUSANDS and len(set(marks)) == 1:
        raise ValueError("money that may be thousands or parts; give the role of the source lc_monetary = 'C'")
    point = marks[-1] if marks and marks.count(marks[-1]) == 1 else ""
    plain = "".join("." if letter == point else letter for letter in text if letter == point or letter.isdigit())
    return -_number(plain) if "-" in str(value) or "(" in str(value) else _number(plain)


_THOUSANDS = 3


def _label(conversion: Conversion, value: Any) -> int:
    if value not in conversion.labels:
        raise ValueError("a label that the enum does not have; take enum_mode string")
    return conversion.labels.index(value)


def _text_bytes(_conversion: Conversion, value: Any) -> bytes:
    try:
        return value.encode() if isinstance(value, str) else encode_json(value)
    except UnicodeEncodeError:
        raise ValueError("text that is not valid Unicode") from None


def _hash(conversion: Conversion, value: Any) -> str:
    algorithm, salt = conversion.labels
    digits = hashed(algorithm, salt, _inner(conversion, value), is_serialized=bool(conversion.scale))
    return digits[: conversion.size or None]


def _inner(conversion: Conversion, value: Any) -> Any:
    if conversion.items is None:
        raise ValueError("no form of the value before")
    return converted(conversion.items, value)


def _header_moment(conversion: Conversion, value: Any) -> str:
    number = _inner(conversion, value)
    is_date = conversion.items is not None and conversion.items.form is Form.DAYS
    return moments.header_text(number * _DAY_MILLIS if is_date else number)


_DAY_MILLIS = 86_400_000
_CONVERTERS: dict[Form, Callable[[Conversion, Any], Any]] = {
    Form.BOOLEAN: _as_is,
    Form.INTEGER: _integer,
    Form.SINGLE: _float,
    Form.DOUBLE: _float,
    Form.TEXT: _text,
    Form.JSON_TEXT: _json_text,
    Form.BYTES: _bytes,
    Form.DAYS: lambda _, value: moments.days(value),
    Form.MILLIS: lambda _, value: moments.millis(value),
    Form.MICROS: lambda _, value: moments.micros(value),
    Form.NANOS: lambda _, value: moments.nanos(value),
    Form.DECIMAL: _decimal,
    Form.VARIABLE_DECIMAL: _variable_decimal,
    Form.BITS: _bits,
    Form.INTERVAL_MICROS: lambda _, value: moments.interval_micros(value),
    Form.ZONED_TEXT: lambda conversion, value: moments.zoned_text(value, conversion.size),
    Form.GEOMETRY: _geometry,
    Form.POINT: _point,
    Form.ARRAY: _array,
    Form.MAP: _map,
    Form.WRAPPED_INTEGER: _wrapped,
    Form.BASE64: lambda conversion, value: base64.b64encode(_bytes(conversion, value)).decode(),
    Form.BASE64_URL: lambda conversion, value: base64.urlsafe_b64encode(_bytes(conversion, value)).decode(),
    Form.HEX: lambda conversion, value: _bytes(conversion, value).hex(),
    Form.ISO_DATE: lambda _, value: moments.iso_date(value),
    Form.ISO_TIME: lambda _, value: moments.iso_time(value),
    Form.ISO_STAMP: lambda _, value: moments.zoned_text(value, 0),
    Form.ISO_INTERVAL: lambda _, value: moments.iso_interval(value),
    Form.ZONED_TIME: lambda _, value: moments.zoned_time(value),
    Form.BIT: _bit,
    Form.MONEY: _money,
    Form.MONEY_TEXT: lambda _, value: str(_amount(value)),
    Form.MONEY_DOUBLE: lambda _, value: float(_amount(value)),
    Form.TEXT_BYTES: _text_bytes,
    Form.WIDENED_SINGLE: _widened,
    Form.NUMBER_TEXT: lambda _, value: str(int(value)),
    Form.LABEL: _label,
    Form.UUID_TEXT: _uuid_text,
    Form.MASK: lambda conversion, _: conversion.labels[0],
    Form.HASH: _hash,
    Form.CUT_TEXT: lambda conversion, value: cut(_inner(conversion, value), conversion.size),
    Form.CUT_BYTES: lambda conversion, value: _inner(conversion, value)[: conversion.size],
    Form.HEADER_MOMENT: _header_moment,
    Form.DAY_MILLIS: lambda _, value: moments.of_a_day(value) // 1_000_000,
    Form.DAY_MICROS: lambda _, value: moments.of_a_day(value) // 1_000,
}
