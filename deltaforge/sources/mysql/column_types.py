"""Column types as the catalog and DDL write them, as the codes of the binary log."""

from __future__ import annotations

import re

import msgspec

from deltaforge.core.errors import SchemaError, UnsupportedValueError
from deltaforge.core.labels import labels_in
from deltaforge.protocol.mysql.charsets import in_charset, is_decoded
from deltaforge.protocol.mysql.types import BYTES_PER_CHARACTER, CHARACTER, LABELLED, Code, ColumnType

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
        labels = labels_in(text)
        if any("\ufffd" in label for label in labels):
            raise SchemaError(
                f"the catalog cannot show all labels of a column of type {match[0]}",
                hint="set binlog_row_metadata=FULL on the server, or give the column labels that are valid text",
            )
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


def stored_text(text: str, charset: str | None) -> str:
    """What a server makes of a declared type of text in a character set.

    Text in ``binary`` is bytes. What is longer than a VARCHAR may be becomes a TEXT, outside of strict mode.
    """
    if charset == "binary":
        text = _TEXT.sub(lambda match: _OF_BYTES[match[0]], text)
    match = _LONG.fullmatch(text)
    if match is None:
        return text
    size = int(match[2]) * (1 if match[1] == "binary" else BYTES_PER_CHARACTER.get(charset or "", 1))
    if size <= _MAX_VARCHAR:
        return text
    return ("medium" if size < 1 << 24 else "long") + ("blob" if match[1] == "binary" else "text")


def with_charset(text: str, kind: ColumnType, charset: str) -> tuple[str, ColumnType]:
    """A column of text, enum or set after CONVERT TO CHARACTER SET: its type, and the type in the log.

    Raises:
        SchemaError: It cannot be known: MySQL takes the bytes of labels as they are for text in the new set.
    """
    if kind.code not in CHARACTER | LABELLED:
        return text, kind
    if kind.code in LABELLED and charset != kind.charset:
        # A question mark may be a byte that is no character of the old set, but one of the new.
        is_plain = all(label.isascii() and "?" not in label for label in kind.labels or ())
        if {charset, kind.charset} & _WIDE or not (is_plain or {charset, kind.charset} == {"utf8mb3", "utf8mb4"}):
            raise SchemaError(f"what a server makes of labels that it converts to {charset} is not known")
    stored = stored_text(text, charset)
    converted = column_type_from_text(stored, charset)
    return stored, msgspec.structs.replace(converted, labels=stored_labels(kind.labels or (), charset) or None)


def stored_labels(labels: tuple[str, ...], charset: str | None) -> tuple[str, ...]:
    """Labels of an enum or set as a server keeps them in a character set.

    Raises:
        SchemaError: It cannot be known.
    """
    if all(label.isascii() for label in labels):
        return labels
    if charset is None or not all(map(is_decoded, labels)):
        raise SchemaError("the characters of a label are not known")
    try:
        return tuple(in_charset(label, charset) for label in labels)
    except UnsupportedValueError as error:
        raise SchemaError(f"a label cannot be read: {error.message}") from error


_WIDE = frozenset({"ucs2", "utf16", "utf16le", "utf32"})
_TEXT = re.compile(r"^(?:var)?char(?=\(|$)|text$")
_OF_BYTES = {"char": "binary", "varchar": "varbinary", "text": "blob"}
_LONG = re.compile(r"var(char|binary)\((\d+)\)")
_MAX_VARCHAR = 65535
