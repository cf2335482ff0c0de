"""How a test reads what a server's ``select`` prints: the text of a column as the value that an event must have."""

import base64
import json
import struct

from deltaforge.core.json_parse import parse_json_exact
from deltaforge.protocol.mysql.numbers import float_from_single
from tests.reading import wire

MYSQL_STAMP = "replace(date_format({}, '%Y-%m-%d %H:%i:%s.%f'), ' ', 'T')"
"""A date and time of MySQL in our form."""


def base64_of_hex(text):
    return {"_base64": base64.b64encode(bytes.fromhex(text)).decode()}


def single(text):
    """A 4-byte float in its shortest form, from that of the same value as a double."""
    return float_from_single(struct.pack("<f", float(text)), 0)


def singles_of_hex(text):
    """A vector."""
    raw = bytes.fromhex(text)
    return [float_from_single(raw, at) for at in range(0, len(raw), 4)]


def mysql_date(text):
    """Null for one with a zero part."""
    return None if text[5:7] == "00" or text[8:10] == "00" else text


def geometry(srid):
    return lambda text: base64_of_hex(text) | ({"srid": srid} if text else {})


def json_value(text):
    """A document, as a consumer of its JSON reads it."""
    return wire(parse_json_exact(text))


def postgres_float(text):
    return text if text in ("NaN", "Infinity", "-Infinity") else float(text)


def postgres_bool(text):
    return {"t": True, "true": True, "f": False, "false": False}[text]


def postgres_bytea(text):
    return base64_of_hex(text.removeprefix("\\x"))


def postgres_timestamp(text):
    return text if text.endswith("BC") or "infinity" in text else text.replace(" ", "T")


def postgres_timestamptz(text):
    """Of a session in UTC."""
    found = postgres_timestamp(text)
    return found if found == text else found.removesuffix("+00") + "Z"


def list_of(read):
    """An array, which the server prints as JSON with texts in it."""

    def values(items):
        return [values(item) if isinstance(item, list) else None if item is None else read(item) for item in items]

    return lambda text: values(json.loads(text))
