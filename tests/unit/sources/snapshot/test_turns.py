"""How large chunks are while the log is busy."""

import pytest

from deltaforge.sources.snapshot.pace import LEAST_ROWS, Turns


def delivered(turns, row_count, secs, now):
    """A chunk leaves, and there is room again after so long."""
    turns.note_chunk(row_count, now)
    turns.note_room(now + secs)
    turns.note_room(now + 10 * secs)  # asked again, nothing has left
    return now + secs


def test_a_quiet_log_bounds_no_chunk():
    turns = Turns()
    assert turns.max_rows(0.0) is None
    now = delivered(turns, 10_000, 1.0, 5.0)
    assert turns.max_rows(now) is None


@pytest.mark.parametrize(("rows_per_sec", "expected"), [(1_000_000, 30_000), (100_000, 3000), (2000, LEAST_ROWS)])
def test_a_busy_log_waits_for_what_sinks_take_in_a_moment(rows_per_sec, expected):
    turns, now = Turns(), 100.0
    turns.note_log(now)
    assert turns.max_rows(now) is None  # nobody knows how fast the sinks are
    for _ in range(20):
        row_count = turns.max_rows(now) or 10_000
        now = delivered(turns, row_count, row_count / rows_per_sec, now)
        turns.note_log(now)
    assert turns.max_rows(now) == pytest.approx(expected, rel=0.01)
    assert turns.max_rows(now + 2) is None  # it is quiet again
