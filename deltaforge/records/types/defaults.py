"""Defaults of columns, as catalogs and DDL write them, as values of row images.

They end in schemas, where they say what a reader takes for a field that it misses. Debezium puts constants there, and
for what a server computes the zero of some types; so it is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from deltaforge.core.json_parse import parse_json_stored
from deltaforge.core.table import Column
from deltaforge.records.types.declared import Declared

_EPOCH_STAMP = "1970-01-01T00:00:00.000000"
_GENERATED = ("GENERATED ALWAYS", "STORED GENERATED", "VIRTUAL GENERATED", "DEFAULT_GENERATED")
_NOW = re.compile(r"(current_timestamp|now|localtime|localtimestamp)\b", re.IGNORECASE)
_BITS = re.compile(r"[bB]'([01]*)'|0b([01]+)")
_HEX = re.compile(r"[xX]'([0-9a-fA-F]*)'|0[xX]([0-9a-fA-F]+)")
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_CLOCK = re.compile(r"(-?)(\d+):(\d\d?)(?::(\d\d?)(\.\d+)?)?")


def mysql_default(column: Column, type_: Declared) -> Any:
    """The value of a default of MySQL or MariaDB; None: there is none that a schema could say.

    Raises:
        ValueError: It is none of the type.
        ArithmeticError: The same.
    """
    text, extra = column.default, column.extra.upper()
    if text is None or type_.name not in _MYSQL:
        return None
    if type_.name in ("datetime", "timestamp") and _NOW.match(text):
        return _EPOCH_STAMP + "Z" * (type_.name == "timestamp")
    return None if any(mark in extra for mark in _GENERATED) else _MYSQL[type_.name](text, type_)


def _word(text: str) -> str:
    return {"true": "1", "false": "0"}.get(text.lower(), text)


def _decimal(text: str, type_: Declared) -> str:
    scale = type_.number(1, 0)
    return f"{Decimal(_word(text)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP):f}"


def _bits(text: str, type_: Declared) -> int:
    del type_
    if match := _BITS.fullmatch(text):
        return int(match[1] or match[2] or "0", 2)
    if match := _HEX.fullmatch(text):
        return int(match[1] or match[2] or "0", 16)
    return int(_word(text))


def _integer(text: str, type_: Declared) -> int:
    return _bits(text, type_) if text[:1] in "bBxX0" and not text.isdigit() else int(Decimal(_word(text)))


def _date(text: str, type_: Declared) -> str | None:
    """A date; None: it has a part that is zero."""
    del type_
    match = _DATE.match(text)
    if match is None:
        raise ValueError("not a date")
    year, month, day = map(int, match.groups())
    return f"{year:04}-{month:02}-{day:02}" if month and day and year else None


def _stamp(text: str, type_: Declared) -> str | None:
    date = _date(text, type_)
    if date is None:
        return None
    micros = _clock_micros(_DATE.sub("", text, count=1).strip(" T") or "0:0", type_)
    moment = datetime.fromisoformat(date) + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds") + "Z" * (type_.name == "timestamp")


def _time(text: str, type_: Declared) -> str:
    micros = _clock_micros(text, type_)
    seconds, fraction = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"


def _clock_micros(text: str, type_: Declared) -> int:
    """Rounded to the digits of the type."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError("not a time")
    seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0)
    fraction = Decimal(match[5] or 0).quantize(Decimal(1).scaleb(-type_.number(0, 0)), ROUND_HALF_UP)
    micros = seconds * 1_000_000 + int(fraction * 1_000_000)
    return -micros if match[1] else micros


def _empty(text: str, type_: Declared) -> dict[str, str] | None:
    """Of bytes only that there are none: the catalog cuts them off at the first zero byte."""
    del type_
    return {"_base64": ""} if not text else None


_Reader = Callable[[str, Declared], Any]
_MYSQL: dict[str, _Reader] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), _integer),
    **dict.fromkeys(("float", "double"), lambda text, _: float(_word(text))),
    "decimal": _decimal,
    "bit": _bits,
    "date": _date,
    "time": _time,
    "datetime": _stamp,
    "timestamp": _stamp,
    **dict.fromkeys(("char", "varchar", "enum", "set"), lambda text, _: text),
    **dict.fromkeys(("tinytext", "text", "mediumtext", "longtext"), lambda text, _: text),  # MariaDB's
    **dict.fromkeys(("binary", "varbinary"), _empty),
}


def postgres_default(column: Column, type_: Declared) -> Any:
    """The value of a default of PostgreSQL; None: there is none that a schema could say.

    Raises:
        ValueError: It is none of the type.
        ArithmeticError: The same.
    """
    text = column.default
    if text is None or column.extra or type_.name not in _POSTGRES:
        return None
    literal = _literal(text)
    if literal is None:
        return _zero(type_) if _CALL.match(text) else None
    return None if literal == _NULL else _POSTGRES[type_.name](literal, type_)


_NULL = "\0null"
_QUOTED = re.compile(r"(E|B|X)?'((?:[^']|'')*)'(?:::.+)?", re.DOTALL)
_BARE = re.compile(r"\(?(-?[\d.]+(?:[eE][-+]?\d+)?|true|false)\)?(?:::.+)?")
_CALL = re.compile(r"\(*(?:[\w.\"]+\(|current_|localtime|session_user|user\b)", re.IGNORECASE)


def _literal(text: str) -> str | None:
    """The text of a constant as ``pg_get_expr`` prints it; None: it is none."""
    if text.upper().startswith("NULL"):
        return _NULL
    if match := _BARE.fullmatch(text):
        return match[1]
    match = _QUOTED.fullmatch(text)
    if match is None:
        return None
    value = match[2].replace("''", "'")
    return value.replace("\\\\", "\\") if match[1] == "E" else value


def _numeric(text: str, type_: Declared) -> str:
    return _decimal(text, type_) if type_.numbers else text


def _instant(text: str, type_: Declared) -> str:
    del type_
    if text.endswith("BC") or "infinity" in text:
        return text
    if not text.endswith("+00"):
        raise ValueError("an instant that is not in UTC")
    return f"{text[:-3].replace(' ', 'T', 1)}Z"


def _zero(type_: Declared) -> Any:
    return _numeric("0.0", type_) if type_.name == "numeric" else _ZEROS.get(type_.name)


_ZEROS: dict[str, Any] = {
    "boolean": False,
    **dict.fromkeys(("smallint", "integer", "bigint"), 0),
    **dict.fromkeys(("real", "double precision"), 0.0),
    **dict.fromkeys(("character varying", "character", "text"), ""),
    "json": {},
    "jsonb": {},
    "uuid": "00000000-0000-0000-0000-000000000000",
    "date": "1970-01-01",
    "time without time zone": "00:00:00",
    "timestamp without time zone": "1970-01-01T00:00:00",
    "timestamp with time zone": "1970-01-01T00:00:00Z",
    "interval": "00:00:00",
}

_POSTGRES: dict[str, _Reader] = {
    "boolean": lambda text, _: text.lower() in ("t", "true", "yes", "on", "1"),
    **dict.fromkeys(("smallint", "integer", "bigint"), lambda text, _: int(text)),
    **dict.fromkeys(("real", "double precision"), lambda text, _: float(text)),
    "numeric": _numeric,
    **dict.fromkeys(
        ("character varying", "character", "text", '"char"', "citext", "xml", "enum"), lambda text, _: text
    ),
    **dict.fromkeys(("json", "jsonb"), lambda text, _: parse_json_stored(text)),
    **dict.fromkeys(("uuid", "date", "time without time zone", "interval", "bit", "bit varying"), lambda text, _: text),
    "timestamp without time zone": lambda text, _: text.replace(" ", "T", 1) if text[-1:].isdigit() else text,
    "timestamp with time zone": _instant,
}
