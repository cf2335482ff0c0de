"""What a declared column may hold as JSON: the table of contract 05 section 6, and our own encodings.

The contract says which JSON kinds fit a declared type. Beside them, what this engine itself makes of a
column (``docs/types``) is never drift: see :data:`CANONICAL`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from deltaforge.core.event import UNCHANGED_TOAST
from deltaforge.core.table import Column
from deltaforge.sensing.structure import ARRAY, BOOLEAN, INTEGER, NULL, NUMBER, OBJECT, STRING, is_bytes, kind_of

KIND_NAMES = {NULL: "null", BOOLEAN: "boolean", INTEGER: "integer", NUMBER: "number", STRING: "string",
              ARRAY: "array", OBJECT: "object"}  # fmt: skip

_INTEGERS = "tinyint smallint mediumint int integer bigint int2 int4 int8 serial smallserial bigserial"
_FLOATS = "float double real float4 float8"
_DECIMALS = "decimal numeric dec fixed"
_JSON = "json jsonb"
_BYTES = (
    "binary varbinary tinyblob blob mediumblob longblob bytea geometry point linestring polygon multipoint"
    " multilinestring multipolygon geometrycollection geomcollection"
)
_TEXT = (
    "char varchar character text tinytext mediumtext longtext enum set uuid inet4 inet6 bpchar name citext xml"
    " date time datetime timestamp timestamptz timetz interval inet cidr macaddr macaddr8 varbit money line lseg"
    " box path circle tsvector tsquery pg_lsn"
)
_OTHER = "bool boolean bit year oid xid xid8 cid hstore vector"

_KNOWN = frozenset(f"{_INTEGERS} {_FLOATS} {_DECIMALS} {_JSON} {_BYTES} {_TEXT} {_OTHER}".split())

FITTING: dict[int, frozenset[str]] = {
    BOOLEAN: frozenset(["bool", "boolean", "tinyint", "bit"]),
    INTEGER: frozenset(f"{_INTEGERS} {_FLOATS} {_DECIMALS}".split()),
    NUMBER: _KNOWN - frozenset(_INTEGERS.split()),
    STRING: _KNOWN - frozenset(["int", "integer", "bigint", "float", "double"]),
    ARRAY: frozenset(_JSON.split()),
    OBJECT: frozenset(_JSON.split()),
}
"""By JSON kind, the types that it fits: the contract's table. Types that are not known here fit everything."""

CANONICAL: dict[str, tuple[str, frozenset[str]]] = {
    "integer": ("bits and years of MySQL, object and transaction ids of PostgreSQL",
                frozenset(["bit", "year", "oid", "xid", "xid8", "cid"])),
    "float word": ('"NaN", "Infinity", "-Infinity"', frozenset(_FLOATS.split())),
    "bytes wrapper": ("bytes, geometry, and text that its character set cannot decode",
                      frozenset(f"{_BYTES} {_TEXT}".split())),
    "object": ("hstore", frozenset({"hstore"})),
    "any": ("JSON columns hold any JSON value, null too, even if they are NOT NULL", frozenset(_JSON.split())),
    "array": ("vectors; arrays of any type are told by the brackets of their type", frozenset({"vector"})),
}  # fmt: skip
"""Our own encodings that the contract's table does not have: what it is, and the types it stands for.

Decimals, dates and times as strings need no row: the contract lets a string stand for them. The marker
of an unchanged TOAST value fits every column.
"""

_FLOAT_WORDS = ("NaN", "Infinity", "-Infinity")
_INTEGER_BITS = {
    "tinyint": 8, "smallint": 16, "int2": 16, "smallserial": 16, "mediumint": 24, "int": 32, "integer": 32,
    "int4": 32, "serial": 32, "bigint": 64, "int8": 64, "bigserial": 64,
}  # fmt: skip
_DECLARED = re.compile(r"\s*([a-z_0-9]+)[a-z_ ]*(?:\(([\d\s,]*)\))?", re.ASCII)


class ColumnRule(msgspec.Struct, frozen=True):
    """What one declared column may hold.

    Attributes:
        column: As declared.
        kinds: JSON kinds that fit, whatever the value.
        takes_words: Whether the words for what is no finite number fit.
        takes_bytes: Whether a bytes wrapper fits.
        takes_null: Whether null fits.
        lowest: The smallest number that fits; None: no limit.
        highest: The largest number that fits; None: no limit.
    """

    column: Column
    kinds: frozenset[int]
    takes_words: bool = False
    takes_bytes: bool = False
    takes_null: bool = False
    lowest: Decimal | None = None
    highest: Decimal | None = None

    def log_kinds(self) -> frozenset[int]:
        """Kinds that a row straight from the log may have: an object there is a wrapper or a marker."""
        return self.kinds | {OBJECT} | ({STRING} if self.takes_words else frozenset())

    def fits(self, value: Any) -> bool:
        """Whether a value that is not null has an encoding of the declared type."""
        if kind_of(value) in self.kinds:
            return True
        if isinstance(value, dict):
            return value == UNCHANGED_TOAST or (self.takes_bytes and is_bytes(value))
        return self.takes_words and value in _FLOAT_WORDS

    def is_in_range(self, value: Any) -> bool:
        """Whether a value is within the limits of the declared type; what is no number is."""
        if self.highest is None or self.lowest is None or isinstance(value, bool | list | dict):
            return True
        if isinstance(value, str) and self.column.type.lower().startswith("bit"):  # digits of bits
            return True
        try:
            number = Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            return True
        return number.is_nan() or number.is_infinite() or self.lowest <= number <= self.highest


def is_json_type(text: str) -> bool:
    """Whether a declared type holds JSON documents."""
    return text.strip().lower() in _JSON.split()


def rule_of(column: Column) -> ColumnRule:
    """What a column may hold, by its declared type."""
    text = column.type.lower()
    found = _DECLARED.match(text)
    name = found.group(1) if found else ""
    if text.rstrip().endswith("[]"):
        return ColumnRule(column, frozenset({ARRAY}), takes_null=column.nullable)
    if found is None or name not in _KNOWN:  # a domain, or a type of an extension
        return ColumnRule(column, frozenset(KIND_NAMES), takes_bytes=True, takes_null=column.nullable)
    kinds = {kind for kind, types in FITTING.items() if name in types}
    kinds |= {kind for kind, row in _CANONICAL_KINDS if name in CANONICAL[row][1]}
    holds_any = name in CANONICAL["any"][1]
    takes_words = name in CANONICAL["float word"][1]
    lowest, highest = _limits(name, _numbers(found.group(2)), text)
    return ColumnRule(
        column,
        frozenset(KIND_NAMES if holds_any else kinds - {STRING} if takes_words else kinds),
        takes_words=takes_words,
        takes_bytes=name in CANONICAL["bytes wrapper"][1],
        takes_null=column.nullable or holds_any,
        lowest=lowest,
        highest=highest,
    )


_CANONICAL_KINDS = ((INTEGER, "integer"), (OBJECT, "object"), (ARRAY, "array"))


def _limits(name: str, numbers: list[int], text: str) -> tuple[Decimal | None, Decimal | None]:
    bits = _INTEGER_BITS.get(name)
    if bits is not None:
        if "unsigned" in text:
            return Decimal(0), Decimal((1 << bits) - 1)
        return Decimal(-(1 << bits - 1)), Decimal((1 << bits - 1) - 1)
    if name in _DECIMALS.split() and numbers:
        precision, scale = numbers[0], numbers[1] if len(numbers) > 1 else 0
        top = Decimal(10) ** (precision - scale) - Decimal(10) ** -scale
        return (Decimal(0) if "unsigned" in text else -top), top
    if name == "year":
        return Decimal(0), Decimal(2155)
    if name in ("oid", "xid", "cid"):
        return Decimal(0), Decimal((1 << 32) - 1)
    if name == "bit" and numbers:
        return Decimal(0), Decimal((1 << numbers[0]) - 1)
    return None, None


def _numbers(arguments: str | None) -> list[int]:
    parts: Iterable[str] = (arguments or "").split(",")
    return [int(part) for part in parts if part.strip().isdigit()]
