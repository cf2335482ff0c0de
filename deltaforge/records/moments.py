"""Dates, times and intervals as texts of row images, as the numbers and texts of records."""

from __future__ import annotations

import re
from datetime import date

_DAY_NS = 86_400_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_LONG = 1 << 63
_DATE = re.compile(r"(?P<year>\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)")
_TIME = re.compile(r"(?P<sign>-?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d+))?")
_STAMP = re.compile(rf"{_DATE.pattern}[T ](?P<time>[\d:.]+)(?:Z|\+00)?(?P<era> BC)?")
_ZONED_TIME = re.compile(
    r"(?P<time>[\d:.]+)(?P<sign>[+-])(?P<hours>\d\d)(?::(?P<minutes>\d\d))?(?::(?P<seconds>\d\d))?"
)
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097


def days(text: str) -> int:
    """Days from 1970 to a date.

    Raises:
        ValueError: It is none.
    """
    match = _DATE.match(text)
    if match is None:
        raise ValueError("a date without a number of days")
    year, month, day = map(int, match.groups())
    return _days(1 - year if text.endswith(" BC") else year, month, day)


def nanos(text: str) -> int:
    """Nanoseconds from 1970 to a date with a time, or from midnight to a time, which on MySQL may be negative, and
    longer than a day.

    Raises:
        ValueError: It is neither.
    """
    time = _TIME.fullmatch(text)
    if time is not None:
        return _time_nanos(time)
    match = _STAMP.fullmatch(text)
    time = _TIME.fullmatch(match["time"]) if match else None
    if match is None or time is None:
        raise ValueError("a time without a number")
    return days(text) * _DAY_NS + _time_nanos(time)


def of_a_day(text: str) -> int:
    """Nanoseconds from midnight to a time.

    Raises:
        ValueError: It is none that a clock has.
    """
    number = nanos(text)
    if not 0 <= number < _DAY_NS:
        raise ValueError("a time that no day has; take the debezium envelope in its connect dialect, which can hold it")
    return number


def zoned_text(text: str, digits: int) -> str:
    """An instant as Java prints it: no zeros at the end of the fraction, but ``digits`` of it at least."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0").ljust(digits, "0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def zoned_time(text: str) -> str:
    """A time with a zone, in UTC."""
    match = _ZONED_TIME.fullmatch(text)
    time = _TIME.fullmatch(match["time"]) if match else None
    if match is None or time is None:
        raise ValueError("a time without a zone")
    seconds = int(match["hours"]) * 3600 + int(match["minutes"] or 0) * 60 + int(match["seconds"] or 0)
    offset = -seconds if match["sign"] == "-" else seconds
    return f"{_clock((_time_nanos(time) - offset * 1_000_000_000) % _DAY_NS)}Z"


def iso_date(text: str) -> str:
    """A date with the zone that it is said to be in."""
    return f"{text}Z"


def iso_time(text: str) -> str:
    """A time with the zone that it is said to be in."""
    return f"{_clock(nanos(text))}Z"


def iso_stamp(text: str) -> str:
    """A date and time with the zone that it is said to be in."""
    return zoned_text(text.replace(" ", "T", 1), 0)


_INTERVAL_PART = re.compile(r"(-?\+?\d+) (year|mon|day)s?")
_INTERVAL_TIME = re.compile(r"(?P<sign>[-+]?)(?P<rest>\d+:\d\d:\d\d(?:\.\d+)?)")


def interval_parts(text: str) -> tuple[int, int, int]:
    """Months, days and microseconds of an interval as PostgreSQL prints it (``IntervalStyle = postgres``).

    Raises:
        ValueError: It is something else.
    """
    months = days_ = micros = 0
    rest = text
    for match in _INTERVAL_PART.finditer(text):
        number, unit = int(match[1]), match[2]
        months += number * 12 if unit == "year" else number if unit == "mon" else 0
        days_ += number if unit == "day" else 0
        rest = rest.replace(match[0], "", 1)
    rest = rest.strip()
    if rest:
        found = _INTERVAL_TIME.fullmatch(rest)
        time = _TIME.fullmatch(found["rest"]) if found else None
        if found is None or time is None:
            raise ValueError("an interval that has no end")
        micros = _time_nanos(time) // 1000
        micros = -micros if found["sign"] == "-" else micros
    return months, days_, micros


_DAYS_A_MONTH = 365.25 / 12


def interval_micros(text: str) -> int:
    """Microseconds of an interval, with a year of 365.25 days and a month of a twelfth of one.

    Raises:
        ValueError: It is beyond 64 bits.
    """
    months, days_, micros = interval_parts(text)
    return _fits(micros + int((months * _DAYS_A_MONTH + days_) * 86_400 * 1_000_000), "interval_handling string")


def iso_interval(text: str) -> str:
    """An interval in ISO 8601, every part named."""
    months, days_, micros = interval_parts(text)
    years, months = int(months / 12), months - int(months / 12) * 12
    sign = "-" if micros < 0 else ""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    return f"P{years}Y{months}M{days_}DT{sign}{hours}H{sign}{minutes}M{sign}{seconds}{tail}S"


def _fits(number: int, remedy: str) -> int:
    if not -_LONG <= number < _LONG:
        raise ValueError(f"beyond 64 bits; take {remedy}")
    return number


def _days(year: int, month: int, day: int) -> int:
    """Of the proleptic calendar, where the year 0 is 1 BC."""
    cycles = (year - 1) // _CYCLE_YEARS
    return date(year - cycles * _CYCLE_YEARS, month, day).toordinal() - _EPOCH + cycles * _CYCLE_DAYS


def _time_nanos(match: re.Match[str]) -> int:
    seconds = int(match["hours"]) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"])
    number = seconds * 1_000_000_000 + int((match["fraction"] or "").ljust(9, "0"))
    return -number if match["sign"] else number


def _clock(nanos_: int) -> str:
    seconds, fraction = divmod(nanos_, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f".{fraction:09}".rstrip("0") if fraction else ""
    return f"{hours:02}:{minutes:02}:{seconds:02}{tail}"
