"""Values of row images (contract 03 section 4, "ours") in the forms that records have."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from deltaforge.core.json_text import encode_json
from deltaforge.records import moments
from deltaforge.records.conversion import Conversion, Form
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


def _text(_conversion: Conversion, value: Any) -> str:
    if isinstance(value, str):
        return value
    raw = _raw(value)
    raise ValueError("text that is not valid in its character set" if raw is not None else "not a text")


def _raw(value: Any) -> bytes | None:
    """The bytes of ``{"_base64": …}``; None: it is something else."""
    if isinstance(value, dict) and isinstance(value.get("_base64"), str):
        return binascii.a2b_base64(value["_base64"])
    return None


def _bytes(_conversion: Conversion, value: Any) -> bytes:
    raw = _raw(value)
    if raw is None:
        raise ValueError("not bytes")
    return raw


def _json_text(_conversion: Conversion, value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"_json"}:
        return str(value["_json"])  # what no value can hold is there as its text
    return encode_json(value).decode()


def _decimal(conversion: Conversion, value: Any) -> bytes:
    return unscaled_bytes(_number(value), conversion.scale)


def _variable_decimal(_conversion: Conversion, value: Any) -> dict[str, Any]:
    number = _number(value)
    if not number.is_finite():
        raise ValueError("a decimal that is no number; take decimal_handling string or double")
    scale = -int(number.as_tuple().exponent)
    return {"scale": scale, "value": unscaled_bytes(number, scale)}


def _number(value: Any) -> Decimal:
    try:
        return Decimal(value)
    except (InvalidOperation, TypeError):
        raise ValueError("not a decimal") from None


def _bits(conversion: Conversion, value: Any) -> bytes:
    number = int(value, 2) if isinstance(value, str) else int(value)  # PostgreSQL has the digits, MySQL the number
    size = conversion.size or (len(value) + 7) // 8
    return number.to_bytes(size, "little")


def _bit(_conversion: Conversion, value: Any) -> bool:
    return value in (1, "1")


def _geometry(_conversion: Conversion, value: Any) -> dict[str, Any]:
    raw = _raw(value)
    if raw is None:
        raise ValueError("not a shape")
    return {"wkb": raw, "srid": value.get("srid")}


def _point(_conversion: Conversion, value: Any) -> dict[str, Any]:
    if isinstance(value, str):  # PostgreSQL's own: (1,2.5)
        x, y = map(float, value.strip("()").split(","))
        return {"x": x, "y": y, "wkb": struct.pack("<BIdd", 1, 1, x, y), "srid": None}
    raw = _raw(value)
    if raw is None or len(raw) != _POINT_SIZE:
        raise ValueError("not a point")
    x, y = struct.unpack_from("<dd" if raw[0] else ">dd", raw, 5)
    return {"x": x, "y": y, "wkb": raw, "srid": value.get("srid")}


_POINT_SIZE = 21


def _array(conversion: Conversion, value: Any) -> list[Any]:
    if conversion.items is None or not isinstance(value, list):
        raise ValueError("not an array")
    if conversion.items.form is not Form.JSON_TEXT and any(isinstance(item, list) for item in value):
        raise ValueError("an array of more than one dimension")
    return [None if item is None else converted(conversion.items, item) for item in value]


def _map(_conversion: Conversion, value: Any) -> Mapping[str, str | None]:
    if not isinstance(value, dict):
        raise ValueError("not a map")  # noqa: TRY004 - of a value, not of a program
    return value


def _money(conversion: Conversion, value: Any) -> bytes:
    return unscaled_bytes(_amount(value), conversion.scale)


def _amount(value: Any) -> Decimal:
    """What is paid, without the sign of a currency and the separators of thousands."""
    text = str(value).replace(",", "")
    is_negative = text.startswith(("-", "("))
    number = _number("".join(letter for letter in text if letter.isdigit() or letter == "."))
    return -number if is_negative else number


def _label(conversion: Conversion, value: Any) -> int:
    if value not in conversion.labels:
        raise ValueError("a label that the enum does not have; take enum_mode string")
    return conversion.labels.index(value)


def _text_bytes(_conversion: Conversion, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else encode_json(value)


_CONVERTERS: dict[Form, Callable[[Conversion, Any], Any]] = {
    Form.BOOLEAN: _as_is,
    Form.INTEGER: _integer,
    Form.SINGLE: _float,
    Form.DOUBLE: _float,
    Form.TEXT: _text,
    Form.JSON_TEXT: _json_text,
    Form.BYTES: _bytes,
    Form.DAYS: lambda _, value: moments.days(value),
    Form.MILLIS: lambda _, value: moments.nanos(value) // 1_000_000,
    Form.MICROS: lambda _, value: moments.nanos(value) // 1_000,
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
    Form.ISO_STAMP: lambda _, value: moments.iso_stamp(value),
    Form.ISO_INTERVAL: lambda _, value: moments.iso_interval(value),
    Form.ZONED_TIME: lambda _, value: moments.zoned_time(value),
    Form.BIT: _bit,
    Form.MONEY: _money,
    Form.MONEY_TEXT: lambda _, value: str(_amount(value)),
    Form.MONEY_DOUBLE: lambda _, value: float(_amount(value)),
    Form.TEXT_BYTES: _text_bytes,
    Form.NUMBER_TEXT: lambda _, value: str(int(value)),
    Form.LABEL: _label,
    Form.DAY_MILLIS: lambda _, value: moments.of_a_day(value) // 1_000_000,
    Form.DAY_MICROS: lambda _, value: moments.of_a_day(value) // 1_000,
}
