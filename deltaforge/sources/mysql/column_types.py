"""Column types as the catalog and DDL write them, as the codes of the binary log."""

from __future__ import annotations

import re

from deltaforge.core.errors import SchemaError
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, Code, ColumnType

_CODES = {
    "tinyint": Code.TINY, "smallint": Code.SHORT,
    "mediumint": Code.INT24, "int": Code.LONG, "bigint": Code.LONGLONG,
    "float": Code.FLOAT, "double": Code.DOUBLE, "decimal": Code.NEWDECIMAL,
    "bit": Code.BIT, "year": Code.YEAR, "date": Code.DATE, "time": Code.TIME, "datetime": Code.DATETIME,
    "timestamp": Code.TIMESTAMP, "char": Code.STRING, "binary": Code.STRING,
    "varchar": Code.VARCHAR, "varbinary": Code.VARCHAR,
    "tinytext": Code.BLOB, "text": Code.BLOB, "mediumtext": Code.BLOB, "longtext": Code.BLOB,
    "tinyblob": Code.BLOB, "blob": Code.BLOB, "mediumblob": Code.BLOB, "longblob": Code.BLOB,
    "json": Code.JSON, "enum": Code.ENUM, "set": Code.SET, "vector": Code.VECTOR,
    "uuid": Code.STRING, "inet6": Code.STRING, "inet4": Code.STRING,
    **dict.fromkeys(
        ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
         "geometrycollection", "geomcollection"), Code.GEOMETRY,
    ),
}  # fmt: skip
_BINARY = frozenset(
    {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "uuid", "inet6", "inet4", "vector"}
)
_WORD = re.compile(r"[a-z0-9]+")
_FRACTION = re.compile(r"(?:time|datetime|timestamp)\s*\((\d)\)", re.IGNORECASE)
_LABEL = re.compile(r"'((?:[^'\\]|''|\\.)*)'")
_SIGNED = frozenset(
    {Code.TINY, Code.SHORT, Code.INT24, Code.LONG, Code.LONGLONG, Code.FLOAT, Code.DOUBLE, Code.NEWDECIMAL}
)


def column_type_from_text(text: str, charset: str | None) -> ColumnType:
    """A type such as ``int unsigned`` or ``enum('a','b')``; only what a table map leaves out is filled in.

    Args:
        text: As ``information_schema.columns.column_type`` prints it.
        charset: Name of the character set of text columns.

    Raises:
        SchemaError: The type is not known.
    """
    match = _WORD.match(text.lower())
    code = _CODES.get(match[0]) if match else None
    if match is None or code is None:
        raise SchemaError(f"column type {text[:40]!r} is not known", hint="set binlog_row_metadata=FULL on the server")
    labels = None
    if code in (Code.ENUM, Code.SET):
        labels = tuple(_unquoted(raw) for raw in _LABEL.findall(text))
    is_unsigned = "unsigned" in text.lower() or "zerofill" in text.lower() if code in _SIGNED else None
    if code == Code.YEAR:
        is_unsigned = True
    name = None
    if match[0] in _BINARY:
        name = "binary"
    elif code == Code.JSON:
        name = "utf8mb4"
    elif code in CHARACTER | LABELLED:
        name = {"utf8": "utf8mb3"}.get(charset or "", charset)
    return ColumnType(code=code, unsigned=is_unsigned, charset=name, labels=labels)


def fraction_digits(text: str) -> int | None:
    """Of a time type such as ``datetime(6)``; None if the text names none."""
    match = _FRACTION.match(text)
    return int(match[1]) if match else None


def _unquoted(raw: str) -> str:
    return re.sub(r"\\(.)", r"\1", raw.replace("''", "'"))
