"""Reading JSON text without losing a digit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any

from deltaforge.core.errors import UnsupportedValueError
from deltaforge.core.exact_number import exact_number

MAX_DEPTH = 200
"""Levels of a stored document that becomes a value: readers of JSON, ours and others, end at a few hundred."""

_MIN, _MAX = -(1 << 63), (1 << 64) - 1
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class UnheldJsonError(UnsupportedValueError):
    """JSON by its grammar, which holds what values cannot."""


def parse_json_exact(text: str) -> Any:
    """The value of a JSON text. Numbers that neither a 64-bit integer nor a float can hold exactly
    become :class:`decimal.Decimal`.

    Raises:
        UnheldJsonError: Nested too deeply, a number too large or too small, or half of a surrogate pair.
        UnsupportedValueError: Not JSON.
    """
    try:
        value = _decode(text)
        is_unicode = _SURROGATE.search(text) is None or _is_unicode(value)
    except ValueError as exc:
        raise UnsupportedValueError("text of a JSON column is not JSON") from exc
    except RecursionError:
        raise UnheldJsonError("JSON is nested too deeply") from None
    if not is_unicode:
        raise UnheldJsonError("JSON text that is not Unicode")
    return value


def parse_json_stored(text: str) -> Any:
    """The value of a JSON text as :func:`parse_json_exact` gives it; of one that values cannot hold, or that is nested
    more than :data:`MAX_DEPTH` levels, the text itself as ``{"_json": "…"}``.

    Raises:
        UnsupportedValueError: Not JSON.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        return {"_json": text}
    try:
        return parse_json_exact(text)
    except UnheldJsonError:
        return {"_json": text}


def _depth(text: str) -> int:
    """How deeply the brackets outside of strings are nested."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(text: str) -> int | Decimal:
    if len(text) <= 18:
        return int(text)
    value = Decimal(text)
    return int(value) if _MIN <= value <= _MAX else value


def number_of_text(text: str) -> float | Decimal:
    """The number of a JSON text that has a point or an exponent: a float if that is exact, else one that is written
    with these characters again.

    Raises:
        UnheldJsonError: It is too large or too small.
    """
    value = float(text)
    try:
        exact = exact_number(text)
    except DecimalException:
        raise UnheldJsonError("a number in JSON is too large or too small") from None
    return value if Decimal(repr(value)) == exact and len(exact.as_tuple().digits) <= 17 else exact


def _constant(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are not JSON


def decoder_of_json(number: Callable[[str], float | Decimal]) -> Callable[[str], Any]:
    """A function from a JSON text to its value; ``number`` makes those of numbers with a point or an exponent. It
    raises ``ValueError`` and ``RecursionError``.
    """
    return json.JSONDecoder(parse_int=_integer, parse_float=number, parse_constant=_constant).decode


_decode = decoder_of_json(number_of_text)
