"""Names in records that Avro allows, as Debezium's adjusters make them."""

from __future__ import annotations

import re
from typing import Literal

NameAdjustment = Literal["none", "avro", "avro_unicode"]

_FIRST = {"avro": re.compile(r"[a-zA-Z_]"), "avro_unicode": re.compile(r"[a-zA-Z]")}
_LATER = {"avro": re.compile(r"[a-zA-Z0-9_]"), "avro_unicode": re.compile(r"[a-zA-Z0-9]")}


def adjusted_schema_name(name: str, adjustment: NameAdjustment) -> str:
    """The name of a schema: dots stay."""
    return name if adjustment == "none" else _adjusted(name, adjustment, keeps_dots=True)


def adjusted_field_name(name: str, adjustment: NameAdjustment) -> str:
    """The name of a field."""
    return name if adjustment == "none" else _adjusted(name, adjustment, keeps_dots=False)


def _adjusted(name: str, adjustment: Literal["avro", "avro_unicode"], *, keeps_dots: bool) -> str:
    """``avro``: other letters become ``_``, and a digit at the beginning gets one before it. ``avro_unicode``: they and
    ``_`` itself become ``_u`` and their number.

    Source: ``SchemaNameAdjuster`` and its replacement functions of Debezium.
    """
    letters = []
    for place, letter in enumerate(name):
        if (_LATER if place else _FIRST)[adjustment].fullmatch(letter) or (place and keeps_dots and letter == "."):
            letters.append(letter)
        elif adjustment == "avro":
            letters.append("_" + letter if place == 0 and letter.isdecimal() else "_")
        else:
            letters.append("".join(f"_u{_hex(unit)}" for unit in _utf16(letter)))
    return "".join(letters)


def _utf16(letter: str) -> list[int]:
    raw = letter.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def _hex(unit: int) -> str:
    digits = f"{unit:x}"
    return "00" + digits if len(digits) <= len("ff") else digits
