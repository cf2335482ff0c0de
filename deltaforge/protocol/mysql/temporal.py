"""Dates and times, old and new storage formats.

Source: MySQL ``my_time.cc``. A date with a zero part cannot be written in ISO 8601: it is None.
"""

from __future__ import annotations

from deltaforge.protocol.buffer import read_uint, take


def read_date(data: bytes, at: int) -> tuple[str | None, int]:
    """DATE: 3 bytes, day 5 bits, month 4 bits, year 15 bits."""
    value = read_uint(data, at, 3)
    return _date(value >> 9, value >> 5 & 15, value & 31), at + 3


def read_datetime2(data: bytes, at: int, decimals: int) -> tuple[str | None, int]:
    """DATETIME: 5 bytes big-endian with offset 2^39, then the fraction."""
    value = int.from_bytes(take(data, at, 5), "big") - 0x8000000000
    micros, end = _fraction(data, at + 5, decimals)
    months = value >> 22
    date = _date(months // 13, months % 13, value >> 17 & 31)
    if date is None:
        return None, end
    return f"{date}T{value >> 12 & 31:02d}:{value >> 6 & 63:02d}:{value & 63:02d}.{micros:06d}", end


def read_timestamp2(data: bytes, at: int, decimals: int) -> tuple[str | None, int]:
    """TIMESTAMP: 4 bytes big-endian seconds since 1970, then the fraction. Zero stands for 0000-00-00."""
    seconds = int.from_bytes(take(data, at, 4), "big")
    micros, end = _fraction(data, at + 4, decimals)
    return _timestamp(seconds, micros), end


def read_time2(data: bytes, at: int, decimals: int) -> tuple[str, int]:
    """TIME: 3 bytes big-endian with offset 2^23 and the fraction; both together are one signed number."""
    width = (decimals + 1) // 2
    packed = int.from_bytes(take(data, at, 3 + width), "big") - (1 << 23 + 8 * width)
    sign, packed = ("-", -packed) if packed < 0 else ("", packed)
    micros = (packed & (1 << 8 * width) - 1) * 100 ** (3 - width)
    value = packed >> 8 * width
    return f"{sign}{value >> 12 & 0x3FF:02d}:{value >> 6 & 63:02d}:{value & 63:02d}.{micros:06d}", at + 3 + width


def read_old_timestamp(data: bytes, at: int) -> tuple[str | None, int]:
    """TIMESTAMP before MySQL 5.6: 4 bytes little-endian."""
    return _timestamp(read_uint(data, at, 4), 0), at + 4


def read_old_datetime(data: bytes, at: int) -> tuple[str | None, int]:
    """DATETIME before MySQL 5.6: the decimal number YYYYMMDDhhmmss in 8 bytes."""
    value = read_uint(data, at, 8)
    day, clock = divmod(value, 1_000_000)
    date = _date(day // 10_000, day // 100 % 100, day % 100)
    if date is None:
        return None, at + 8
    return f"{date}T{clock // 10_000:02d}:{clock // 100 % 100:02d}:{clock % 100:02d}.000000", at + 8


def read_old_time(data: bytes, at: int) -> tuple[str, int]:
    """TIME before MySQL 5.6: the signed decimal number hhmmss in 3 bytes."""
    value = int.from_bytes(take(data, at, 3), "little", signed=True)
    sign, value = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{value // 10_000:02d}:{value // 100 % 100:02d}:{value % 100:02d}.000000", at + 3


def _fraction(data: bytes, at: int, decimals: int) -> tuple[int, int]:
    width = (decimals + 1) // 2
    return int.from_bytes(take(data, at, width), "big") * 100 ** (3 - width), at + width


def _date(year: int, month: int, day: int) -> str | None:
    if month == 0 or day == 0:
        return None
    return f"{year:04d}-{month:02d}-{day:02d}"


def _timestamp(seconds: int, micros: int) -> str | None:
    if seconds == 0 and micros == 0:
        return None
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
