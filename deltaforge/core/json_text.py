"""JSON as it goes on the wire: compact, UTF-8, exact numbers."""

from __future__ import annotations

from typing import Any

import msgspec

from deltaforge.core.exact_number import WrittenNumber


def _written(value: Any) -> msgspec.Raw:
    if isinstance(value, WrittenNumber):
        return msgspec.Raw(str(value).encode())
    raise TypeError(type(value).__name__)


_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=_written).encode


def encode_json(value: Any) -> bytes:
    """One line of JSON from JSON values and ``msgspec`` structs; a Decimal is written as a number.

    Raises:
        ValueError: The value has no JSON form. The message says why and never holds the value.
    """
    try:
        return _encode(value)
    except (ValueError, OverflowError, TypeError, RecursionError) as exc:
        raise ValueError(_reason(exc)) from exc


def is_unicode(text: str) -> bool:
    """Whether a text can be written in UTF-8: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(exc: Exception) -> str:
    if isinstance(exc, UnicodeEncodeError):
        return "text that is not valid Unicode"
    if isinstance(exc, RecursionError):
        return "nested too deeply"
    if isinstance(exc, OverflowError):
        return "an integer beyond 64 bits"
    return f"a value without a JSON form ({type(exc).__name__})"
