"""Points between two values of a key: each is one that a statement can have."""

import re

from hypothesis import given
from hypothesis import strategies as st

from deltaforge.sources.mysql.snapshot.keys import KeyColumn
from deltaforge.sources.mysql.snapshot.points import MORE, evenly, points_between

UNICODE, LATIN = KeyColumn("k", "text", "utf8mb4"), KeyColumn("k", "text", "latin1")
BYTES, NUMBER, TIME = KeyColumn("k", "bytes"), KeyColumn("k", "number"), KeyColumn("k", "time")
INTEGER = KeyColumn("k", "number", is_integer=True)


def within(column, low, high, count):
    points = points_between(column, low, high, count)
    assert len(points) < count * MORE
    assert not {low, high} & set(points)
    for point in points:
        column.literal(point)
    return points


@given(st.text(max_size=9), st.text(max_size=9), st.integers(2, 9))
def test_points_of_texts(low, high, count):
    for column, codec in ((UNICODE, "utf-8"), (LATIN, "cp1252")):
        ends = [text.encode(codec, "ignore").hex() for text in (low, high)]
        for point in within(column, *ends, count):
            bytes.fromhex(point).decode(codec)


@given(st.binary(max_size=20), st.binary(max_size=20), st.integers(2, 9))
def test_points_of_bytes_lie_between(low, high, count):
    low, high = sorted((low.rstrip(b"\0"), high.rstrip(b"\0")))
    assert all(low.hex() < point < high.hex() for point in within(BYTES, low.hex(), high.hex(), count))


@given(st.integers(-(1 << 63), 1 << 64), st.integers(-(1 << 63), 1 << 64), st.integers(2, 9))
def test_points_of_integers(low, high, count):
    points = within(INTEGER, low, high, count)
    assert len(points) == (count - 1 if abs(high - low) >= count else 0)
    assert points == sorted(points)


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=9),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
)
def test_points_of_decimals(low, high):
    within(NUMBER, format(low, "f"), format(high, "f"), 4)


YEARS, MONTHS, DAYS = st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31)


@given(YEARS, MONTHS, DAYS, YEARS, st.booleans())
def test_points_of_dates_are_dates(year, month, day, other, has_time):
    time = " 23:59:59.999999" if has_time else ""
    for point in within(TIME, f"{year:04}-{month:02}-{day:02}{time}", f"{other:04}-01-01{time}", 4):
        assert re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])( [\d:.]+)?", point)


def test_points_of_times():
    assert within(TIME, "-10:00:00.00", "10:00:00.00", 2)[3] == "00:00:00.000000"
    assert within(TIME, "-838:59:59", "-00:00:00.01", 2)[0].startswith("-734:")


def test_cursors_are_chosen_evenly():
    assert evenly(list("abc"), 4) == list("abc")
    assert evenly(list("abcdefg"), 4) == list("bdf")
    assert evenly(list("abcdefg"), 2) == ["d"]
    assert evenly([], 4) == []
