"""Dates, times and intervals as texts of row images, as the numbers and texts of records."""

from __future__ import annotations

import re
from datetime import date

_DAY_NS, _DAY_MILLIS = 86_400_000_000_000, 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_LONG = 1 << 63
_DATE = re.compile(r"(?P<year>\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)")
_TIME = re.compile(r"(?P<sign>-?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d+))?")
_STAMP = re.compile(rf"{_DATE.pattern}[T ](?P<time>[\d:.]+)(?:Z|\+00)?(?P<era> BC)?")
_ZONED_TIME = re.compile(
    r"(?P<time>[\d:.]+)(?P<sign>[+-])(?P<hours>\d\d)(?::(?P<minutes>\d\d))?(?::(?P<seconds>\d\d))?"
)
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_LAST_PLAIN_YEAR = 9999
_INFINITE_MILLIS = {"infinity": 9_223_372_036_825_200, "-infinity": -9_223_372_036_832_400}
"""What PostgreSQL's driver for Java makes of them, and Debezium documents."""


def days(text: str) -> int:
    """Days from 1970 to a date.

    Raises:
        ValueError: It is none.
    """
    match = _DATE.match(text)
    if match is None:
        raise ValueError("a date that has no number of days; time_precision isostring has it")
    year, month, day = map(int, match.groups())
    return _days(1 - year if text.endswith(" BC") else year, month, day)


def millis(text: str) -> int:
    """Milliseconds from 1970 to a date with a time, or from midnight to a time; less than one is cut off.

    Raises:
        ValueError: It is neither.
    """
    return _INFINITE_MILLIS[text] if text in _INFINITE_MILLIS else _nanos(text) // 1_000_000


def micros(text: str) -> int:
    """Microseconds, likewise.

    Raises:
        ValueError: It is neither, or beyond 64 bits.
    """
    if text in _INFINITE_MILLIS:
        return _INFINITE_MILLIS[text] * 1000
    return _fits(_nanos(text) // 1_000, "time_precision connect or isostring")


def nanos(text: str) -> int:
    """Nanoseconds, likewise; of infinity the last number of 64 bits.

    Raises:
        ValueError: It is neither, or beyond 64 bits.
    """
    if text in _INFINITE_MILLIS:
        return -_LONG if text.startswith("-") else _LONG - 1
    return _fits(_nanos(text), "time_precision microseconds, connect or isostring")


def instant_micros(text: str) -> int:
    """Microseconds of an instant that is a date: not infinity.

    Raises:
        ValueError: It is none, or beyond 64 bits.
    """
    if text in _INFINITE_MILLIS:
        raise ValueError("infinity, which an instant of this record cannot be; the connect dialect has it")
    return micros(text)


def of_a_day(text: str) -> int:
    """Nanoseconds from midnight to a time.

    Raises:
        ValueError: It is none that a clock has. MySQL's times may be negative, and longer than a day.
    """
    number = _nanos(text)
    if not 0 <= number < _DAY_NS:
        raise ValueError(
            "a time that is not within one day; the connect dialect with time_precision microseconds has it"
        )
    return number


def header_text(millis_: int) -> str:
    """A date, time or both, in milliseconds from 1970, as Connect writes it into headers: the first day is a time."""
    number, clock = divmod(millis_, _DAY_MILLIS)
    cycle, day = divmod(number + _EPOCH - 1, _CYCLE_DAYS)
    found = date.fromordinal(day + 1)
    year = found.year + cycle * _CYCLE_YEARS
    text = f"{_clock(clock * 1_000_000).partition('.')[0]}.{clock % 1000:03}Z"
    if number == 0:
        return text
    whole = f"{year:04}-{found.month:02}-{found.day:02}"
    return f"{whole}T{text}" if clock else whole


def zoned_text(text: str, digits: int) -> str:
    """An instant as Java prints it: no zeros at the end of the fraction, but ``digits`` of it at least."""
    match = _STAMP.fullmatch(text)
    if match is None:
        if text in _INFINITE_MILLIS:
            return text
        raise ValueError("a text that is no date with a time")
    whole, _, fraction = match["time"].partition(".")
    fraction = fraction.rstrip("0").ljust(digits, "0")
    return f"{_java_date(match, is_bc=bool(match['era']))}T{whole}{'.' if fraction else ''}{fraction}Z"


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
    match = _DATE.match(text)
    if match is None:
        return text  # infinity
    return f"{_java_date(match, is_bc=text.endswith(' BC'))}Z"


def iso_time(text: str) -> str:
    """A time with the zone that it is said to be in; the end of a day is 24:00:00.

    Raises:
        ValueError: As :func:`of_a_day`.
    """
    number = _nanos(text)
    return f"{_clock(number if number == _DAY_NS else of_a_day(text))}Z"


def _java_date(match: re.Match[str], *, is_bc: bool) -> str:
    """A date as ISO 8601 has it, which counts years through 0, and signs those of more than four digits."""
    year = 1 - int(match["year"]) if is_bc else int(match["year"])
    sign = "-" if year < 0 else "+" if year > _LAST_PLAIN_YEAR else ""
    return f"{sign}{abs(year):04}-{match['month']}-{match['day']}"


def _nanos(text: str) -> int:
    time = _TIME.fullmatch(text)
    if time is not None:
        return _time_nanos(time)
    match = _STAMP.fullmatch(text)
    time = _TIME.fullmatch(match["time"]) if match else None
    if match is None or time is None:
        raise ValueError("a time without a number")
    return days(text) * _DAY_NS + _time_nanos(time)


_INTERVAL_PART = re.compile(r"(-?\+?\d+) (year|mon|day)s?")
_INTERVAL_TIME = re.compile(r"(?P<sign>[-+]?)(?P<rest>\d+:\d\d:\d\d(?:\.\d+)?)")


def interval_parts(text: str) -> tuple[int, int, int]:
    """Months, days and microseconds of an interval as PostgreSQL prints it (``IntervalStyle = postgres``).

    Raises:
        ValueError: It is something else.
    """
    months = days_ = micros_ = 0
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
        micros_ = _time_nanos(time) // 1000
        micros_ = -micros_ if found["sign"] == "-" else micros_
    return months, days_, micros_


_MICROS_A_DAY = 86_400_000_000
_MICROS_A_MONTH = 2_629_800_000_000  # a twelfth of 365.25 days


def interval_micros(text: str) -> int:
    """Microseconds of an interval, with a year of 365.25 days and a month of a twelfth of one.

    Raises:
        ValueError: It is beyond 64 bits.
    """
    months, days_, micros_ = interval_parts(text)
    return _fits(micros_ + months * _MICROS_A_MONTH + days_ * _MICROS_A_DAY, "interval_handling string")


def iso_interval(text: str) -> str:
    """An interval in ISO 8601, every part named."""
    months, days_, micros_ = interval_parts(text)
    years = int(months / 12)
    clock, sign = abs(micros_), "-" if micros_ < 0 else ""
    seconds, fraction = divmod(clock, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    parts = [f"{sign if number else ''}{number}" for number in (hours, minutes)]
    second = f"{sign if seconds or fraction else ''}{seconds}{tail}"
    return f"P{years}Y{months - years * 12}M{days_}DT{parts[0]}H{parts[1]}M{second}S"


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
