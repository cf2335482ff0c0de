"""Column types as a table map describes them.

Source: MySQL ``binary_log_types.h`` and ``Table_map_event``; MariaDB ``mysql_com.h`` for 140 and 141.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Code(IntEnum):
    """Type codes of the binary log."""

    DECIMAL = 0
    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    NULL = 6
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    TIMESTAMP2 = 17
    DATETIME2 = 18
    TIME2 = 19
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    TINY_BLOB = 249
    MEDIUM_BLOB = 250
    LONG_BLOB = 251
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255
    JSON_TEXT = 256
    """A JSON document as the server prints it, in rows that were selected: no byte of the log says this."""


NUMERIC = frozenset(
    {Code.TINY, Code.SHORT, Code.INT24, Code.LONG, Code.LONGLONG, Code.NEWDECIMAL, Code.FLOAT, Code.DOUBLE, Code.YEAR}
)
CHARACTER = frozenset(
    {Code.STRING, Code.VAR_STRING, Code.VARCHAR, Code.BLOB, Code.BLOB_COMPRESSED, Code.VARCHAR_COMPRESSED}
)
LABELLED = frozenset({Code.ENUM, Code.SET})
OLD_TIMES = frozenset({Code.TIME, Code.DATETIME, Code.TIMESTAMP})
"""Whose fraction digits the log leaves out. MySQL's have none."""


class ColumnType(msgspec.Struct, frozen=True, kw_only=True):
    """One column, as far as it is known.

    Attributes:
        code: The real type: ENUM and SET, not the STRING that stands in the log.
        length: Bytes at most (strings, enum and set storage), bits (BIT), or the number of length
            bytes (blobs, JSON, geometry, vector).
        precision: Digits of a decimal.
        scale: Decimals of a decimal; fraction digits of a time type. The log does not say those of the old formats.
        unsigned: None when the log does not say.
        charset: Name of the character set; ``binary`` for byte columns; None when not said.
        labels: Of an enum or set, in order; None when not said.
        is_hidden: Whether the server keeps the column for itself: it is in the log, and in no event.
        ends_row: Whether it says when a row of a system-versioned table ended.
    """

    code: Code
    length: int = 0
    precision: int = 0
    scale: int = 0
    unsigned: bool | None = None
    charset: str | None = None
    labels: tuple[str, ...] | None = None
    is_hidden: bool = False
    ends_row: bool = False


_INTEGERS = {
    Code.TINY: "tinyint",
    Code.SHORT: "smallint",
    Code.INT24: "mediumint",
    Code.LONG: "int",
    Code.LONGLONG: "bigint",
    Code.FLOAT: "float",
    Code.DOUBLE: "double",
}
_TIMES = {
    Code.TIMESTAMP: "timestamp",
    Code.TIMESTAMP2: "timestamp",
    Code.DATETIME: "datetime",
    Code.DATETIME2: "datetime",
    Code.TIME: "time",
    Code.TIME2: "time",
}
_PLAIN = {Code.DATE: "date", Code.NEWDATE: "date", Code.YEAR: "year", Code.JSON: "json", Code.GEOMETRY: "geometry"}
_BLOBS = {1: "tiny", 2: "", 3: "medium", 4: "long"}
BYTES_PER_CHARACTER = {"utf8mb4": 4, "utf8mb3": 3, "utf16": 4, "utf16le": 4, "utf32": 4, "ucs2": 2, "gb18030": 4}
BYTES_PER_CHARACTER |= {"gbk": 2, "gb2312": 2, "big5": 2, "sjis": 2, "cp932": 2, "euckr": 2, "ujis": 3, "eucjpms": 3}


def declared_type(column: ColumnType) -> str:
    """The type as ``SHOW CREATE TABLE`` would print it, as far as the log tells."""
    code = column.code
    sign = " unsigned" if column.unsigned else ""
    if code in _INTEGERS:
        return _INTEGERS[code] + sign
    if code == Code.NEWDECIMAL:
        return f"decimal({column.precision},{column.scale}){sign}"
    if code in _TIMES:
        return _TIMES[code] + (f"({column.scale})" if column.scale else "")
    if code in _PLAIN:
        return _PLAIN[code]
    if code == Code.BIT:
        return f"bit({column.length})"
    if code == Code.VECTOR:
        return "vector"
    if code in LABELLED:
        labels = ",".join("'" + label.replace("'", "''") + "'" for label in column.labels or ())
        return f"{code.name.lower()}({labels})"
    return _string_type(column)


def _string_type(column: ColumnType) -> str:
    is_binary = column.charset == "binary"
    if column.code in (Code.BLOB, Code.BLOB_COMPRESSED):
        return _BLOBS.get(column.length, "") + ("blob" if is_binary else "text")
    size = column.length - (column.code == Code.VARCHAR_COMPRESSED)  # the log counts the byte that says how
    length = size // BYTES_PER_CHARACTER.get(column.charset or "", 1)
    is_fixed = column.code == Code.STRING
    if is_binary:
        return f"{'binary' if is_fixed else 'varbinary'}({length})"
    return f"{'char' if is_fixed else 'varchar'}({length})"
