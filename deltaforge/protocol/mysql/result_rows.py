"""Rows of a result in the binary protocol, as row images of the log: what was selected is decoded like what was logged.

Source: MySQL ``protocol_classic.cc`` (``Protocol_binary``) and ``sql/field.cc``; images as in ``rows.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum

import msgspec

from deltaforge.core.errors import ProtocolError, TableChangedError
from deltaforge.protocol.buffer import read_packed_bytes, read_uint, take
from deltaforge.protocol.mysql.charsets import charset_of_collation
from deltaforge.protocol.mysql.numbers import pack_decimal
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, Code, ColumnType


class Form(IntEnum):
    """What has to be done to a value."""

    FIXED = 0
    SINGLE = 1
    DOUBLE = 2
    SHORTER = 3
    YEAR = 4
    DECIMAL = 5
    BITS = 6
    DATE = 7
    DATETIME = 8
    TIMESTAMP = 9
    TIME = 10
    BYTES = 11


class ResultType(msgspec.Struct, frozen=True):
    """The type of a column of a result. ``code`` is that of the protocol, which is not always that of the log."""

    code: int
    is_unsigned: bool
    collation: int


class ResultColumn(msgspec.Struct, frozen=True):
    """A column of a result and of the images.

    Attributes:
        size: Bytes in the result, of numbers.
        width: Bytes in the image: of the value, or of its length.
    """

    name: str
    form: Form
    size: int
    width: int
    precision: int
    scale: int
    is_signed: bool


_IMAGE_CODES = {
    Code.TIME: Code.TIME2,
    Code.DATETIME: Code.DATETIME2,
    Code.TIMESTAMP: Code.TIMESTAMP2,
    Code.NEWDATE: Code.DATE,
    Code.BLOB_COMPRESSED: Code.BLOB,
    Code.VARCHAR_COMPRESSED: Code.VARCHAR,
    Code.JSON: Code.JSON_TEXT,
}
_INTEGER_BYTES = {Code.TINY: 1, Code.SHORT: 2, Code.INT24: 4, Code.LONG: 4, Code.LONGLONG: 8}
_FLOATS = {Code.FLOAT: (Form.SINGLE, 4), Code.DOUBLE: (Form.DOUBLE, 8)}
_STRINGS = frozenset(
    {Code.VARCHAR, Code.JSON, Code.TINY_BLOB, Code.MEDIUM_BLOB, Code.LONG_BLOB, Code.BLOB, Code.VAR_STRING, Code.STRING,
     Code.GEOMETRY, Code.VECTOR}
)  # fmt: skip
_TIMES = {
    Code.DATE: (Form.DATE, Code.DATE, 3),
    Code.DATETIME2: (Form.DATETIME, Code.DATETIME, 5),
    Code.TIMESTAMP2: (Form.TIMESTAMP, Code.TIMESTAMP, 4),
    Code.TIME2: (Form.TIME, Code.TIME, 3),
}
_FOUR_BYTES = 1 << 32
_FRACTION_UNITS = (1_000_000, 10_000, 100, 1)


def copied_columns(columns: Sequence[tuple[str, ColumnType]]) -> list[tuple[str, ColumnType]]:
    """The columns of the images of rows that are selected, from those of the images in the log.

    A select gives what was compressed as it was before, JSON as text, no hidden columns and no history of rows.
    """
    return [
        (name, msgspec.structs.replace(column, code=_IMAGE_CODES.get(column.code, column.code), ends_row=False))
        for name, column in columns
        if not column.is_hidden
    ]


def result_columns(columns: Sequence[tuple[str, ColumnType]], types: Sequence[ResultType]) -> list[ResultColumn]:
    """How a result with these types becomes images of these columns.

    Raises:
        TableChangedError: The result is not of these columns.
    """
    if len(columns) != len(types):
        raise TableChangedError(f"a result has {len(types)} columns, expected {len(columns)}")
    return [_result_column(name, column, found) for (name, column), found in zip(columns, types, strict=True)]


def _result_column(name: str, column: ColumnType, found: ResultType) -> ResultColumn:
    form, sizes, width = _form(column)
    size = sizes.get(found.code)
    is_other = column.unsigned is not None and column.code in _INTEGER_BYTES and found.is_unsigned != column.unsigned
    if form == Form.SHORTER and size == width:
        form = Form.FIXED
    if size is None or is_other or (size and size < width) or _has_other_charset(column, found):
        raise TableChangedError(
            f"column {name} of a result has type {found.code} ({'unsigned' if found.is_unsigned else 'signed'},"
            f" {charset_of_collation(found.collation)}), expected {column.code.name} ({column.charset})"
        )
    is_signed = column.code in _INTEGER_BYTES and not column.unsigned
    return ResultColumn(name, form, size, width, column.precision, column.scale, is_signed)


def _has_other_charset(column: ColumnType, found: ResultType) -> bool:
    return column.code in CHARACTER and charset_of_collation(found.collation) != column.charset


def _form(column: ColumnType) -> tuple[Form, dict[int, int], int]:
    """What has to be done, the codes that the protocol may have with their sizes, and the width in the image."""
    code = column.code
    if code == Code.INT24:
        return Form.SHORTER, {code: 4}, 3
    if code in _INTEGER_BYTES:
        return Form.FIXED, {code: _INTEGER_BYTES[code]}, _INTEGER_BYTES[code]
    if code in _FLOATS:
        form, width = _FLOATS[code]
        return form, {code: width}, width
    if code in LABELLED:  # selected as a number, which MariaDB makes as short as it can be
        return Form.SHORTER, {Code.LONG: 4, Code.LONGLONG: 8}, column.length
    if code == Code.YEAR:  # of two digits it is selected as a number
        return Form.YEAR, {code: 2, Code.LONG: 4}, 1
    if code == Code.NEWDECIMAL:
        return Form.DECIMAL, {code: 0}, 0
    if code == Code.BIT:
        return Form.BITS, {code: 0}, (column.length + 7) // 8
    if code in _TIMES:
        form, sent, width = _TIMES[code]
        return form, {sent: 0}, width + (column.scale + 1) // 2
    is_short = code in (Code.STRING, Code.VAR_STRING, Code.VARCHAR)
    width = (2 if column.length > 255 else 1) if is_short else column.length
    if not 1 <= width <= 4:
        raise ProtocolError(f"{width} length bytes, expected 1 to 4")
    return Form.BYTES, dict.fromkeys(_STRINGS, 0), width


class RowImages:
    """Writes the images of the rows of one result."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        self._columns = columns
        self._writers = [_WRITERS[column.form] for column in columns]

    def image(self, row: bytes) -> bytes:
        """The image of a row packet.

        Raises:
            ProtocolError: The bytes break the format, or the value is none of its column.
        """
        nulls, at = begin_row(row, len(self._columns))
        parts = [nulls.to_bytes((len(self._columns) + 7) // 8, "little")]
        for column, write in zip(self._columns, self._writers, strict=True):
            if not nulls & 1:
                part, at = write(row, at, column)
                parts.append(part)
            nulls >>= 1
        end_row(row, at)
        return b"".join(parts)


def begin_row(row: bytes, column_count: int) -> tuple[int, int]:
    """The bit set of the columns of a row packet that are null, and where the first value stands."""
    if row[:1] != b"\0":
        raise ProtocolError("a row of a result does not begin with zero")
    size = (column_count + 9) // 8
    return read_uint(row, 1, size) >> 2 & (1 << column_count) - 1, 1 + size


def end_row(row: bytes, at: int) -> None:
    """Check that the last value of a row packet ends with it."""
    if at != len(row):
        raise ProtocolError(f"a row of a result has {len(row) - at} bytes behind its values")


def _fixed(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    return take(row, at, column.size), at + column.size


def _shorter(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    """A number of fewer bytes in the image."""
    value = int.from_bytes(take(row, at, column.size), "little", signed=column.is_signed)
    try:
        return value.to_bytes(column.width, "little", signed=column.is_signed), at + column.size
    except OverflowError:
        raise _no_value(column, at) from None


def _year(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    year = read_uint(row, at, column.size)
    if year and not 1901 <= year <= 2155:
        raise _no_value(column, at)
    return bytes((year - 1900 if year else 0,)), at + column.size


def _decimal(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    raw, end = read_packed_bytes(row, at)
    packed = pack_decimal(raw, column.precision, column.scale)
    if packed is None:
        raise _no_value(column, at)
    return packed, end


def _bits(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    raw, end = read_packed_bytes(row, at)
    if len(raw) != column.width:
        raise _no_value(column, at)
    return raw, end


def _bytes(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    raw, end = read_packed_bytes(row, at)
    if len(raw) >> 8 * column.width:
        raise _no_value(column, at)
    return len(raw).to_bytes(column.width, "little") + raw, end


def _date(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    (year, month, day, _, micros), end = read_date(row, at, column)
    if micros:
        raise _no_value(column, at)
    return (year << 9 | month << 5 | day).to_bytes(3, "little"), end


def _datetime(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    (year, month, day, clock, micros), end = read_date(row, at, column)
    packed = ((year * 13 + month) << 5 | day) << 17 | clock
    return (packed + 0x8000000000).to_bytes(5, "big") + _fraction(micros, at, column), end


def _timestamp(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    """In a session whose time zone is UTC."""
    (year, month, day, clock, micros), end = read_date(row, at, column)
    seconds = (clock >> 12) * 3600 + (clock >> 6 & 63) * 60 + (clock & 63)
    if year and month and day:
        seconds += _day_number(year, month, day) * 86_400
    elif year or month or day or clock:
        raise _no_value(column, at)
    if not 0 <= seconds < _FOUR_BYTES:
        raise _no_value(column, at)
    return seconds.to_bytes(4, "big") + _fraction(micros, at, column), end


def _time(row: bytes, at: int, column: ResultColumn) -> tuple[bytes, int]:
    (is_negative, clock, micros), end = read_time(row, at, column)
    fraction = _fraction(micros, at, column)
    packed = clock << 8 * len(fraction) | int.from_bytes(fraction, "big")
    middle: int = 1 << 23 + 8 * len(fraction)
    return (middle + (-packed if is_negative else packed)).to_bytes(3 + len(fraction), "big"), end


def read_date(row: bytes, at: int, column: ResultColumn) -> tuple[tuple[int, int, int, int, int], int]:
    """Year, month, day, the clock as hours << 12 | minutes << 6 | seconds, and microseconds; any may be zero."""
    length = take(row, at, 1)[0]
    raw = take(row, at + 1, length)
    if length not in ((0, 4) if column.form == Form.DATE else (0, 4, 7, 11)):
        raise _no_value(column, at)
    raw = raw.ljust(11, b"\0")
    year, (month, day, hours, minutes, seconds), micros = read_uint(raw, 0, 2), raw[2:7], read_uint(raw, 7, 4)
    is_date = year <= 9999 and month <= 12 and day <= 31
    if not (is_date and hours <= 23 and minutes <= 59 and seconds <= 59 and micros <= 999_999):
        raise _no_value(column, at)
    return (year, month, day, hours << 12 | minutes << 6 | seconds, micros), at + 1 + length


def read_time(row: bytes, at: int, column: ResultColumn) -> tuple[tuple[bool, int, int], int]:
    """Whether it is negative, the clock as in ``read_date``, and microseconds."""
    length = take(row, at, 1)[0]
    raw = take(row, at + 1, length)
    if length not in (0, 8, 12):
        raise _no_value(column, at)
    raw = raw.ljust(12, b"\0")
    days, (hours, minutes, seconds), micros = read_uint(raw, 1, 4), raw[5:8], read_uint(raw, 8, 4)
    hours += days * 24
    if raw[0] > 1 or hours > 838 or minutes > 59 or seconds > 59 or micros > 999_999:
        raise _no_value(column, at)
    return (bool(raw[0]), hours << 12 | minutes << 6 | seconds, micros), at + 1 + length


def _fraction(micros: int, at: int, column: ResultColumn) -> bytes:
    width = (column.scale + 1) // 2
    value, rest = divmod(micros, _FRACTION_UNITS[width])
    if rest:
        raise _no_value(column, at)
    return value.to_bytes(width, "big")


def _day_number(year: int, month: int, day: int) -> int:
    """Days since 1970 of a civil date, proleptic Gregorian."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719_468


def _no_value(column: ResultColumn, at: int) -> ProtocolError:
    return ProtocolError(f"column {column.name} of a result holds what no {column.form.name} can be", offset=at)


_WRITERS: dict[Form, Callable[[bytes, int, ResultColumn], tuple[bytes, int]]] = {
    Form.FIXED: _fixed,
    Form.SINGLE: _fixed,
    Form.DOUBLE: _fixed,
    Form.SHORTER: _shorter,
    Form.YEAR: _year,
    Form.DECIMAL: _decimal,
    Form.BITS: _bits,
    Form.DATE: _date,
    Form.DATETIME: _datetime,
    Form.TIMESTAMP: _timestamp,
    Form.TIME: _time,
    Form.BYTES: _bytes,
}
