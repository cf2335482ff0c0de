"""Column values: the server's text form to the JSON values of contract 03 section 4.2.

One table maps a type to its decoder; a decoder is resolved per column once per relation.

Source: the server's output functions with ``DateStyle = ISO``, ``bytea_output = hex``,
``IntervalStyle = postgres``, ``TimeZone = UTC`` and ``extra_float_digits = 1`` (shortest exact).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from deltaforge.core.errors import ProtocolError
from deltaforge.core.json_parse import parse_json_stored
from deltaforge.protocol.postgres.arrays import array_from_text, hstore_from_text

FIRST_USER_OID = 16384
"""Oids below are those of what every database of a server has (``FirstNormalObjectId``)."""

ValueDecoder = Callable[[str], Any]
"""From the text form of a value that is not null."""


class TypeInfo(msgspec.Struct, frozen=True):
    """What ``pg_type`` says of a type.

    ``kind`` is ``typtype``: b base, c composite, d domain, e enum, p pseudo, r range, m multirange.
    ``element`` is set for arrays, ``base`` for domains; ``delimiter`` separates array elements. ``extension`` is the
    one that brought the type.
    """

    oid: int
    name: str
    kind: str = "b"
    element: int = 0
    base: int = 0
    delimiter: str = ","
    extension: str = ""

    @property
    def decoder_name(self) -> str:
        """Its name in :data:`DECODERS`; empty for text. A name says nothing of a type that somebody made: an enum may
        be called ``bool``.
        """
        is_known = self.kind == "b" and (self.oid < FIRST_USER_OID or self.extension == self.name)
        return self.name if is_known else ""


def _boolean(text: str) -> bool:
    if text not in ("t", "f"):
        raise ProtocolError("boolean that is neither t nor f")
    return text == "t"


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ProtocolError("integer column holds something else") from None


def _float(text: str) -> float | str:
    if text in ("NaN", "Infinity", "-Infinity"):
        return text
    try:
        return float(text)
    except ValueError:
        raise ProtocolError("float column holds something else") from None


def _bytea(text: str) -> dict[str, str]:
    try:
        raw = bytes.fromhex(text[2:]) if text.startswith("\\x") else _bytes_from_escape(text)
    except (ValueError, binascii.Error):
        raise ProtocolError("bytea that is neither hex nor escape form") from None
    return {"_base64": base64.b64encode(raw).decode("ascii")}


def _bytes_from_escape(text: str) -> bytes:
    out, at = bytearray(), 0
    while at < len(text):
        if text[at] != "\\":
            out.append(ord(text[at]))
            at += 1
        elif text[at + 1 : at + 2] == "\\":
            out.append(0x5C)
            at += 2
        else:
            out.append(int(text[at + 1 : at + 4], 8))
            at += 4
    return bytes(out)


def _timestamp(text: str) -> str:
    # BC dates and infinity keep the server's form
    if text.endswith("BC") or "infinity" in text:
        return text
    return text.replace(" ", "T", 1)


def _timestamptz(text: str) -> str:
    if text.endswith("BC") or "infinity" in text:
        return text
    if text.endswith("+00"):  # the session runs in UTC
        return text[:-3].replace(" ", "T", 1) + "Z"
    raise ProtocolError("timestamptz that is not in UTC", hint="the session must have TimeZone = UTC")


def _json(text: str) -> Any:
    return parse_json_stored(text)


def _text(text: str) -> str:
    return text


DECODERS: dict[str, ValueDecoder] = {
    "bool": _boolean,
    "int2": _integer,
    "int4": _integer,
    "int8": _integer,
    "oid": _integer,
    "xid": _integer,
    "xid8": _integer,
    "cid": _integer,
    "float4": _float,
    "float8": _float,
    "numeric": _text,
    "money": _text,
    "bytea": _bytea,
    "json": _json,
    "jsonb": _json,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "date": _text,
    "time": _text,
    "timetz": _text,
    "interval": _text,
    "uuid": _text,
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "char": _text,
    "name": _text,
    "citext": _text,
    "xml": _text,
    "inet": _text,
    "cidr": _text,
    "macaddr": _text,
    "macaddr8": _text,
    "bit": _text,
    "varbit": _text,
    "point": _text,
    "line": _text,
    "lseg": _text,
    "box": _text,
    "path": _text,
    "polygon": _text,
    "circle": _text,
    "tsvector": _text,
    "tsquery": _text,
    "pg_lsn": _text,
    "hstore": hstore_from_text,
}
"""Built-in base types by name, and those of extensions that have their name. All others are text."""


def resolve_decoder(oid: int, types: dict[int, TypeInfo]) -> ValueDecoder:
    """The decoder of a type: domains as their base type, arrays by their element type.

    Args:
        oid: The type of the column.
        types: Everything reachable from it, by oid. What is not there was dropped: its values are text.
    """
    info = _without_domains(oid, types)
    if info.element:
        element, delimiter = resolve_decoder(info.element, types), info.delimiter
        return lambda text: array_from_text(text, element, delimiter)
    return DECODERS.get(info.decoder_name, _text)


def kernel_type(oid: int, types: dict[int, TypeInfo]) -> tuple[str, bool, str]:
    """A type as the compiled kernel wants it: name of the base type (``text`` for all that is text), whether it
    is an array of it, and the array's delimiter.
    """
    info = _without_domains(oid, types)
    if info.element:
        name, is_nested, _ = kernel_type(info.element, types)
        return "" if is_nested else name, True, info.delimiter
    name = info.decoder_name
    return "text" if DECODERS.get(name, _text) is _text else name, False, ","


def reachable_types(oids: Iterable[int], types: dict[int, TypeInfo]) -> dict[int, TypeInfo]:
    """Those of ``types`` that the types ``oids`` are made of: themselves, domain bases and array elements."""
    found: dict[int, TypeInfo] = {}
    wanted = list(oids)
    while wanted:
        info = types.get(wanted.pop())
        if info is not None and info.oid not in found:
            found[info.oid] = info
            wanted += (info.base, info.element)
    return found


def _without_domains(oid: int, types: dict[int, TypeInfo]) -> TypeInfo:
    info = types.get(oid)
    for _ in range(32):  # domains over domains; PostgreSQL has no cycles
        if info is None or info.kind != "d":
            break
        info = types.get(info.base)
    return info or TypeInfo(oid, "", "p")
