"""Dates and times, old and new storage formats.

Source: MySQL ``my_time.cc``; MariaDB ``Field_timestamp_hires`` and its like in ``field.cc`` for the old format with
fractions. A date with a zero part cannot be written in ISO 8601: it is None, or ``keeps_zero`` gives it as the server
prints it, which tells the rows of a key apart.
"""

from __future__ import annotations

from deltaforge.core.errors import ProtocolError
from deltaforge.protocol.buffer import read_uint, take

DATETIME_BYTES = (8, 6, 6, 7, 7, 7, 8)
"""Of an old DATETIME by its fraction digits; without any it is another form."""
TIME_BYTES = (3, 4, 4, 5, 5, 5, 6)
WRONG_FORMAT = "if the column had other fraction digits when the row was written, leave the table out"
_FRACTION_BYTES = (0, 1, 1, 2, 2, 3, 3)
_TIME_ZERO_SECS = 839 * 3600


def read_date(data: bytes, at: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """DATE: 3 bytes, day 5 bits, month 4 bits, year 15 bits."""
    value = read_uint(data, at, 3)
    return _date(value >> 9, value >> 5 & 15, value & 31, keeps_zero=keeps_zero), at + 3


def read_datetime2(data: bytes, at: int, decimals: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """DATETIME: 5 bytes big-endian with offset 2^39, then the fraction."""
    value = int.from_bytes(take(data, at, 5), "big") - 0x8000000000
    micros, end = _fraction(data, at + 5, decimals)
    months = value >> 22
    date = _date(months // 13, months % 13, value >> 17 & 31, keeps_zero=keeps_zero)
    if date is None:
        return None, end
    return f"{date}T{value >> 12 & 31:02d}:{value >> 6 & 63:02d}:{value & 63:02d}.{micros:06d}", end


def read_timestamp2(data: bytes, at: int, decimals: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """TIMESTAMP: 4 bytes big-endian seconds since 1970, then the fraction. Zero stands for 0000-00-00."""
    seconds = int.from_bytes(take(data, at, 4), "big")
    micros, end = _fraction(data, at + 4, decimals)
    return _timestamp(seconds, micros, keeps_zero=keeps_zero), end


def read_time2(data: bytes, at: int, decimals: int) -> tuple[str, int]:
    """TIME: 3 bytes big-endian with offset 2^23 and the fraction; both together are one signed number."""
    width = (decimals + 1) // 2
    packed = int.from_bytes(take(data, at, 3 + width), "big") - (1 << 23 + 8 * width)
    sign, packed = ("-", -packed) if packed < 0 else ("", packed)
    micros = (packed & (1 << 8 * width) - 1) * 100 ** (3 - width)
    value = packed >> 8 * width
    return f"{sign}{value >> 12 & 0x3FF:02d}:{value >> 6 & 63:02d}:{value & 63:02d}.{micros:06d}", at + 3 + width


def read_old_timestamp(data: bytes, at: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """TIMESTAMP before MySQL 5.6: 4 bytes little-endian."""
    return _timestamp(read_uint(data, at, 4), 0, keeps_zero=keeps_zero), at + 4


def read_old_datetime(data: bytes, at: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """DATETIME before MySQL 5.6: the decimal number YYYYMMDDhhmmss in 8 bytes."""
    day, clock = divmod(read_uint(data, at, 8), 1_000_000)
    clock = (clock // 10_000 * 60 + clock // 100 % 100) * 60 + clock % 100 if _is_clock(clock) else 86_400
    date = day // 10_000, day // 100 % 100, day % 100
    return _checked_datetime(*date, clock * 1_000_000, keeps_zero=keeps_zero), at + 8


def read_old_time(data: bytes, at: int) -> tuple[str, int]:
    """TIME before MySQL 5.6: the signed decimal number hhmmss in 3 bytes."""
    value = int.from_bytes(take(data, at, 3), "little", signed=True)
    sign, value = ("-", -value) if value < 0 else ("", value)
    if value // 100 % 100 > 59 or value % 100 > 59:
        raise _not_a_time(at)
    return f"{sign}{value // 10_000:02d}:{value // 100 % 100:02d}:{value % 100:02d}.000000", at + 3


def read_hires_timestamp(data: bytes, at: int, decimals: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """MariaDB's old TIMESTAMP with fractions: 4 bytes big-endian, then the fraction as a number of its digits."""
    width = _FRACTION_BYTES[decimals]
    fraction = int.from_bytes(take(data, at + 4, width), "big")
    if fraction >= 10**decimals:
        raise _not_a_time(at)
    seconds, micros = int.from_bytes(take(data, at, 4), "big"), fraction * 10 ** (6 - decimals)
    return _timestamp(seconds, micros, keeps_zero=keeps_zero), at + 4 + width


def read_hires_datetime(data: bytes, at: int, decimals: int, *, keeps_zero: bool = False) -> tuple[str | None, int]:
    """MariaDB's old DATETIME with fractions: one big-endian number of months (13 a year), days (32), seconds and
    fraction.
    """
    width = DATETIME_BYTES[decimals]
    value, fraction = divmod(int.from_bytes(take(data, at, width), "big"), 10**decimals)
    days, clock = divmod(value, 86_400)
    months, day = divmod(days, 32)
    micros = fraction * 10 ** (6 - decimals)
    date = months // 13, months % 13, day
    return _checked_datetime(*date, clock * 1_000_000 + micros, keeps_zero=keeps_zero), at + width


def read_hires_time(data: bytes, at: int, decimals: int) -> tuple[str, int]:
    """MariaDB's old TIME with fractions: one big-endian number, -839 hours being zero."""
    width, unit = TIME_BYTES[decimals], 10**decimals
    value = int.from_bytes(take(data, at, width), "big") - _TIME_ZERO_SECS * unit
    sign, value = ("-", -value) if value < 0 else ("", value)
    clock, fraction = divmod(value, unit)
    if clock >= _TIME_ZERO_SECS:
        raise _not_a_time(at)
    return f"{sign}{_clock(clock)}.{fraction * 10 ** (6 - decimals):06d}", at + width


def _is_clock(value: int) -> bool:
    return value // 10_000 < 24 and value // 100 % 100 < 60 and value % 100 < 60


def _checked_datetime(year: int, month: int, day: int, micros: int, *, keeps_zero: bool) -> str | None:
    """``micros``: of the day."""
    if year > 9999 or month > 12 or day > 31 or micros >= 86_400_000_000:
        raise ProtocolError("a datetime that none can be", hint=WRONG_FORMAT)
    date = _date(year, month, day, keeps_zero=keeps_zero)
    return None if date is None else f"{date}T{_clock(micros // 1_000_000)}.{micros % 1_000_000:06d}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _not_a_time(at: int) -> ProtocolError:
    return ProtocolError("a time that none can be", offset=at, hint=WRONG_FORMAT)


def _fraction(data: bytes, at: int, decimals: int) -> tuple[int, int]:
    width = (decimals + 1) // 2
    return int.from_bytes(take(data, at, width), "big") * 100 ** (3 - width), at + width


def _date(year: int, month: int, day: int, *, keeps_zero: bool) -> str | None:
    if (month == 0 or day == 0) and not keeps_zero:
        return None
    return f"{year:04d}-{month:02d}-{day:02d}"


def _timestamp(seconds: int, micros: int, *, keeps_zero: bool) -> str | None:
    if seconds == 0 and micros == 0:
        return "0000-00-00T00:00:00.000000Z" if keeps_zero else None
    days, clock = divmod(seconds, 86_400)
    return f"{_day(days)}T{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}.{micros:06d}Z"


def _day(days: int) -> str:
    """The civil date of a day since 1970, proleptic Gregorian."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return f"{year + era * 400 + (month <= 2):04d}-{month:02d}-{of_year - (153 * shifted + 2) // 5 + 1:02d}"
