"""What a row of a result holds, as the values of parameters of another statement."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from deltaforge.protocol.buffer import read_packed_bytes, take
from deltaforge.protocol.mysql.result_rows import Form, ResultColumn, begin_row, end_row, read_date, read_time

ResultValue = int | float | str | bytes | None


def row_values(row: bytes, columns: Sequence[ResultColumn]) -> tuple[ResultValue, ...]:
    """The values of a row packet: numbers (also of BIT), dates and decimals as text, everything else as bytes.

    Raises:
        ProtocolError: The bytes break the format.
    """
    nulls, at = begin_row(row, len(columns))
    found: list[ResultValue] = []
    for column in columns:
        value: ResultValue = None
        if not nulls & 1:
            value, at = _READERS[column.form](row, at, column)
        nulls >>= 1
        found.append(value)
    end_row(row, at)
    return tuple(found)


def _number_value(row: bytes, at: int, column: ResultColumn) -> tuple[ResultValue, int]:
    raw = take(row, at, column.size)
    return int.from_bytes(raw, "little", signed=column.is_signed), at + column.size


def _float_value(row: bytes, at: int, column: ResultColumn) -> tuple[ResultValue, int]:
    value: float = _FLOAT_LAYOUTS[column.form].unpack(take(row, at, column.size))[0]
    return value, at + column.size


def _bits_value(row: bytes, at: int, _column: ResultColumn) -> tuple[ResultValue, int]:
    raw, end = read_packed_bytes(row, at)
    return int.from_bytes(raw, "big"), end


def _decimal_value(row: bytes, at: int, _column: ResultColumn) -> tuple[ResultValue, int]:
    raw, end = read_packed_bytes(row, at)
    return raw.decode("ascii", "replace"), end


def _bytes_value(row: bytes, at: int, _column: ResultColumn) -> tuple[ResultValue, int]:
    return read_packed_bytes(row, at)


def _date_value(row: bytes, at: int, column: ResultColumn) -> tuple[ResultValue, int]:
    (year, month, day, clock, micros), end = read_date(row, at, column)
    text = f"{year:04d}-{month:02d}-{day:02d}"
    if column.form != Form.DATE:
        text += f" {clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}.{micros:06d}"
    return text, end


def _time_value(row: bytes, at: int, column: ResultColumn) -> tuple[ResultValue, int]:
    (is_negative, clock, micros), end = read_time(row, at, column)
    sign = "-" if is_negative else ""
    return f"{sign}{clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}.{micros:06d}", end


_FLOAT_LAYOUTS = {Form.SINGLE: struct.Struct("<f"), Form.DOUBLE: struct.Struct("<d")}
_READERS: dict[Form, Callable[[bytes, int, ResultColumn], tuple[ResultValue, int]]] = {
    Form.FIXED: _number_value,
    Form.SHORTER: _number_value,
    Form.YEAR: _number_value,
    Form.SINGLE: _float_value,
    Form.DOUBLE: _float_value,
    Form.DECIMAL: _decimal_value,
    Form.BITS: _bits_value,
    Form.DATE: _date_value,
    Form.DATETIME: _date_value,
    Form.TIMESTAMP: _date_value,
    Form.TIME: _time_value,
    Form.BYTES: _bytes_value,
}
