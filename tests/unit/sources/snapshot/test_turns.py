"""How large chunks are while the log is busy, and how many of them are on their way."""

import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.positions import PostgresPosition
from deltaforge.sources.snapshot.pace import FIRST_ROWS, LEAST_ROWS, PATIENCE_SECS, Turns


class Sinks:
    """Write chunks in order, so many rows a second; changes of the log come all the time."""

    def __init__(self, rows_per_sec=100_000):
        self.now, self.rows_per_sec, self.kept = 100.0, rows_per_sec, []
        self.turns = Turns(lambda: self.now)
        self.turns.note_log(self.now)

    def leaves(self, row_count):
        self.kept.append((row_count, self.turns.begin(row_count)))

    def write(self):
        row_count, turn = self.kept.pop(0)
        self.now += row_count / self.rows_per_sec
        self.turns.note_log(self.now)
        del turn

    @property
    def is_next(self):
        return self.turns.is_next(self.now)

    @property
    def max_rows(self):
        return self.turns.max_rows(self.now)


def test_a_quiet_log_bounds_no_chunk():
    turns = Turns()
    assert turns.max_rows(0.0) is None
    kept = [turns.begin(10_000) for _ in range(10)]
    assert turns.is_next(0.0)
    del kept


@pytest.mark.parametrize(("rows_per_sec", "expected"), [(1_000_000, 30_000), (100_000, 3000), (2000, LEAST_ROWS)])
def test_a_busy_log_waits_for_what_sinks_take_in_a_moment(rows_per_sec, expected):
    sinks = Sinks(rows_per_sec)
    assert sinks.max_rows == FIRST_ROWS  # nobody knows how fast the sinks are
    for _ in range(20):
        sinks.leaves(sinks.max_rows)
        sinks.write()
        assert sinks.is_next
    assert sinks.max_rows == pytest.approx(expected, rel=0.01)
    assert sinks.turns.max_rows(sinks.now + 2) is None  # it is quiet again


def test_chunks_that_wait_for_each_other_do_not_look_slow():
    sinks = Sinks()
    sinks.leaves(2000)
    for _ in range(20):
        sinks.leaves(2000)
        sinks.write()
        assert sinks.is_next
    assert sinks.max_rows == pytest.approx(3000, rel=0.01)


def test_chunks_that_leave_slowly_do_not_look_slow():
    sinks = Sinks()
    for _ in range(20):
        sinks.leaves(2000)
        sinks.write()
        sinks.now += 0.5
        assert sinks.is_next
    assert sinks.max_rows is None or sinks.max_rows == pytest.approx(3000, rel=0.01)


def test_one_chunk_is_written_and_one_waits_while_the_log_is_busy():
    sinks = Sinks()
    sinks.leaves(FIRST_ROWS)
    assert sinks.is_next
    sinks.leaves(FIRST_ROWS)
    assert not sinks.is_next
    sinks.write()
    assert sinks.is_next


def test_many_small_chunks_are_on_their_way():
    sinks = Sinks()
    for _ in range(10):
        assert sinks.is_next
        sinks.leaves(FIRST_ROWS // 10)
    assert not sinks.is_next


def test_a_chunk_that_somebody_keeps_holds_nothing_up_for_good():
    sinks = Sinks()
    sinks.leaves(FIRST_ROWS)
    sinks.leaves(FIRST_ROWS)
    sinks.now += PATIENCE_SECS
    sinks.turns.note_log(sinks.now)
    assert sinks.is_next
    sinks.leaves(FIRST_ROWS)
    assert not sinks.is_next


def test_a_turn_ends_when_the_last_sink_has_written_what_was_made_of_the_batch():
    sinks = Sinks()
    sinks.leaves(FIRST_ROWS)
    batch = Batch((), PostgresPosition(1))
    batch.turn, batch.reader_count = sinks.turns.begin(FIRST_ROWS), 2
    filtered = batch.with_groups([])
    batch.release()
    batch.release()
    assert not sinks.is_next
    filtered.release()
    assert sinks.is_next
