"""Reading JSON text without losing a digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from deltaforge.core.errors import UnsupportedValueError

_MIN, _MAX = -(1 << 63), (1 << 64) - 1


def parse_json_exact(text: str) -> Any:
    """The value of a JSON text. Numbers that neither a 64-bit integer nor a float can hold exactly
    become :class:`decimal.Decimal`.

    Raises:
        UnsupportedValueError: Not JSON, or nested too deeply.
    """
    try:
        return _decode(text)
    except ValueError as exc:
        raise UnsupportedValueError("text of a JSON column is not JSON") from exc
    except RecursionError:
        raise UnsupportedValueError("JSON is nested too deeply") from None


def _integer(text: str) -> int | Decimal:
    if len(text) <= 18:
        return int(text)
    value = Decimal(text)
    return int(value) if _MIN <= value <= _MAX else value


def _number(text: str) -> float | Decimal:
    value = float(text)
    exact = Decimal(text)
    return value if Decimal(repr(value)) == exact and len(exact.as_tuple().digits) <= 17 else exact


def _constant(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are not JSON


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant).decode
