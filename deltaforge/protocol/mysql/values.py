"""Column decoders: wire bytes of a row image to the JSON values of contract 03 section 4.1.

One decoder is resolved per column once per table definition; the row loop has no branch on types.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

from deltaforge.core.errors import ProtocolError, UnsupportedValueError
from deltaforge.protocol.buffer import read_uint, take
from deltaforge.protocol.mysql import temporal
from deltaforge.protocol.mysql.charsets import text_decoder
from deltaforge.protocol.mysql.compression import inflate_column
from deltaforge.protocol.mysql.jsonb import json_from_binary, json_from_text
from deltaforge.protocol.mysql.numbers import decimal_text, float_from_single
from deltaforge.protocol.mysql.types import Code, ColumnType

Decoder = Callable[[bytes, int], tuple[Any, int]]
"""From a row image and an offset to the value and the offset behind it."""

_INTEGERS: dict[tuple[Code, bool], struct.Struct] = {
    (Code.TINY, False): struct.Struct("<b"),
    (Code.TINY, True): struct.Struct("<B"),
    (Code.SHORT, False): struct.Struct("<h"),
    (Code.SHORT, True): struct.Struct("<H"),
    (Code.LONG, False): struct.Struct("<i"),
    (Code.LONG, True): struct.Struct("<I"),
    (Code.LONGLONG, False): struct.Struct("<q"),
    (Code.LONGLONG, True): struct.Struct("<Q"),
}
_DOUBLE = struct.Struct("<d").unpack_from


def base64_value(raw: bytes) -> dict[str, Any]:
    """The wrapper that bytes travel in."""
    return {"_base64": base64.b64encode(raw).decode("ascii")}


def resolve_decoder(column: ColumnType, name: str) -> Decoder:
    """The decoder of one column whose sign, character set and labels are known.

    Raises:
        UnsupportedValueError: The type or its character set cannot be decoded.
    """
    for codes, make in _FAMILIES:
        if column.code in codes:
            return make(column, name)
    raise UnsupportedValueError(
        f"column {name} has type {column.code.name}, which cannot be decoded",
        hint="leave the table out, or change the column's type",
    )


def _integer(column: ColumnType, _name: str) -> Decoder:
    layout = _INTEGERS[column.code, bool(column.unsigned)]
    unpack, size = layout.unpack_from, layout.size

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        return unpack(data, at)[0], at + size

    return decode


def _mediumint(column: ColumnType, _name: str) -> Decoder:
    is_signed = not column.unsigned
    return lambda data, at: (int.from_bytes(take(data, at, 3), "little", signed=is_signed), at + 3)


def _float(_column: ColumnType, _name: str) -> Decoder:
    return lambda data, at: (float_from_single(data, at), at + 4)


def _double(_column: ColumnType, _name: str) -> Decoder:
    return lambda data, at: (_DOUBLE(data, at)[0], at + 8)


def _decimal(column: ColumnType, _name: str) -> Decoder:
    precision, scale = column.precision, column.scale
    return lambda data, at: decimal_text(data, at, precision, scale)


def _bit(column: ColumnType, _name: str) -> Decoder:
    size = (column.length + 7) // 8
    return lambda data, at: (int.from_bytes(take(data, at, size), "big"), at + size)


def _year(_column: ColumnType, _name: str) -> Decoder:
    def decode(data: bytes, at: int) -> tuple[Any, int]:
        year = take(data, at, 1)[0]
        return (1900 + year if year else 0), at + 1

    return decode


def _time(column: ColumnType, _name: str) -> Decoder:
    _check_fraction(column)
    read, decimals = _TIMES[column.code, bool(column.scale)], column.scale
    return (lambda data, at: read(data, at, decimals)) if column.code == Code.TIME2 or decimals else read


def _datetime(column: ColumnType, _name: str) -> Decoder:
    read, decimals = _reader_of_dates(column)
    return read if decimals is None else lambda data, at: read(data, at, decimals)


def resolve_zero_date(column: ColumnType) -> Decoder | None:
    """What gives a date with a zero part as text; None if the column has no dates."""
    if column.code not in _DATES:
        return None
    read, decimals = _reader_of_dates(column)
    if decimals is None:
        return lambda data, at: read(data, at, keeps_zero=True)
    return lambda data, at: read(data, at, decimals, keeps_zero=True)


def _reader_of_dates(column: ColumnType) -> tuple[Callable[..., tuple[str | None, int]], int | None]:
    """What reads a column of dates, and the fraction digits that it wants to know."""
    _check_fraction(column)
    if column.scale and column.code in _HIRES:
        return _HIRES[column.code], column.scale
    is_new = column.code in (Code.DATETIME2, Code.TIMESTAMP2)
    return _DATES[column.code], column.scale if is_new else None


def _check_fraction(column: ColumnType) -> None:
    if column.scale > 6:
        raise ProtocolError(f"{column.scale} fraction digits, expected at most 6")


_TIMES: dict[tuple[Code, bool], Callable[..., tuple[str, int]]] = {
    (Code.TIME2, True): temporal.read_time2,
    (Code.TIME2, False): temporal.read_time2,
    (Code.TIME, True): temporal.read_hires_time,
    (Code.TIME, False): temporal.read_old_time,
}
_DATES: dict[Code, Callable[..., tuple[str | None, int]]] = {
    Code.DATE: temporal.read_date,
    Code.NEWDATE: temporal.read_date,
    Code.DATETIME: temporal.read_old_datetime,
    Code.DATETIME2: temporal.read_datetime2,
    Code.TIMESTAMP: temporal.read_old_timestamp,
    Code.TIMESTAMP2: temporal.read_timestamp2,
}
_HIRES: dict[Code, Callable[..., tuple[str | None, int]]] = {
    Code.DATETIME: temporal.read_hires_datetime,
    Code.TIMESTAMP: temporal.read_hires_timestamp,
}


def _string(column: ColumnType, name: str) -> Decoder:
    """CHAR, BINARY, VARCHAR, VARBINARY: a length of one byte, or two where the column is longer."""
    width = 2 if column.length > 255 else 1
    is_padded = column.code == Code.STRING and column.charset == "binary"
    return _prefixed(width, _bytes_or_text(column, name, pad_to=column.length if is_padded else 0))


def _blob(column: ColumnType, name: str) -> Decoder:
    return _prefixed(_length_bytes(column), _bytes_or_text(column, name))


def _compressed(column: ColumnType, name: str) -> Decoder:
    """MariaDB's TEXT, BLOB, VARCHAR and VARBINARY with the attribute COMPRESSED."""
    is_blob = column.code == Code.BLOB_COMPRESSED
    value = _bytes_or_text(column, name)
    width = _length_bytes(column) if is_blob else 2 if column.length > 255 else 1
    return _prefixed(width, lambda raw: value(inflate_column(raw)))


def _json(column: ColumnType, _name: str) -> Decoder:
    return _prefixed(_length_bytes(column), json_from_binary)


def _json_text(column: ColumnType, _name: str) -> Decoder:
    return _prefixed(_length_bytes(column), json_from_text)


def _geometry(column: ColumnType, _name: str) -> Decoder:
    def value(raw: bytes) -> dict[str, Any]:
        if len(raw) < 4:  # MariaDB writes an empty value where a NULL is not allowed and sql_mode is not strict
            return base64_value(raw)
        return base64_value(raw[4:]) | {"srid": read_uint(raw, 0, 4)}

    return _prefixed(_length_bytes(column), value)


def _vector(column: ColumnType, _name: str) -> Decoder:
    def value(raw: bytes) -> list[float]:
        if len(raw) % 4:
            raise ProtocolError(f"vector of {len(raw)} bytes, expected a multiple of 4")
        return [float_from_single(raw, at) for at in range(0, len(raw), 4)]

    return _prefixed(_length_bytes(column), value)


def _enum(column: ColumnType, name: str) -> Decoder:
    labels, size = _labels(column, name), column.length
    if size not in (1, 2):
        raise ProtocolError(f"enum {name} takes {size} bytes, expected 1 or 2")

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        index = read_uint(data, at, size)
        if index > len(labels):
            raise ProtocolError(f"enum {name} has value {index} of {len(labels)} labels", offset=at)
        return (labels[index - 1] if index else ""), at + size  # 0: the error value, an empty string

    return decode


def _set(column: ColumnType, name: str) -> Decoder:
    labels, size = _labels(column, name), column.length
    if not 1 <= size <= 8:
        raise ProtocolError(f"set {name} takes {size} bytes, expected 1 to 8")

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        bits = read_uint(data, at, size)
        if bits >> len(labels):
            raise ProtocolError(f"set {name} has bits beyond its {len(labels)} labels", offset=at)
        return ",".join(label for n, label in enumerate(labels) if bits >> n & 1), at + size

    return decode


def _labels(column: ColumnType, name: str) -> tuple[str, ...]:
    if column.labels is None:
        raise UnsupportedValueError(
            f"labels of {column.code.name.lower()} column {name} are not known, or not readable in character set"
            f" {column.charset}",
            hint="convert the column to utf8mb4, or leave the table out",
        )
    return column.labels


def _length_bytes(column: ColumnType) -> int:
    if not 1 <= column.length <= 4:
        raise ProtocolError(f"{column.length} length bytes, expected 1 to 4")
    return column.length


def _prefixed(width: int, value: Callable[[bytes], Any]) -> Decoder:
    def decode(data: bytes, at: int) -> tuple[Any, int]:
        start = at + width
        end = start + read_uint(data, at, width)
        return value(take(data, start, end - start)), end

    return decode


def _bytes_or_text(column: ColumnType, name: str, pad_to: int = 0) -> Callable[[bytes], Any]:
    if column.charset is None:
        raise UnsupportedValueError(f"character set of column {name} is not known")
    if column.charset == "binary":
        # The log leaves trailing zero bytes of BINARY(n) out; SELECT shows them.
        return lambda raw: base64_value(raw.ljust(pad_to, b"\0"))
    text = text_decoder(column.charset, name)

    def value(raw: bytes) -> Any:
        try:
            return text(raw)
        except UnicodeDecodeError:
            return base64_value(raw)  # bytes that are no text in their own character set

    return value


_FAMILIES: tuple[tuple[frozenset[Code], Callable[[ColumnType, str], Decoder]], ...] = (
    (frozenset({Code.TINY, Code.SHORT, Code.LONG, Code.LONGLONG}), _integer),
    (frozenset({Code.INT24}), _mediumint),
    (frozenset({Code.FLOAT}), _float),
    (frozenset({Code.DOUBLE}), _double),
    (frozenset({Code.NEWDECIMAL}), _decimal),
    (frozenset({Code.BIT}), _bit),
    (frozenset({Code.YEAR}), _year),
    (frozenset(_DATES), _datetime),
    (frozenset({Code.TIME, Code.TIME2}), _time),
    (frozenset({Code.STRING, Code.VAR_STRING, Code.VARCHAR}), _string),
    (frozenset({Code.BLOB, Code.TINY_BLOB, Code.MEDIUM_BLOB, Code.LONG_BLOB}), _blob),
    (frozenset({Code.BLOB_COMPRESSED, Code.VARCHAR_COMPRESSED}), _compressed),
    (frozenset({Code.JSON}), _json),
    (frozenset({Code.JSON_TEXT}), _json_text),
    (frozenset({Code.GEOMETRY}), _geometry),
    (frozenset({Code.VECTOR}), _vector),
    (frozenset({Code.ENUM}), _enum),
    (frozenset({Code.SET}), _set),
)
