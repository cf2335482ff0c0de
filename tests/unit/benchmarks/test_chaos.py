import argparse

import pytest

from benchmarks.chaos import _failure_text
from benchmarks.chaos_timeline import Fault, Round
from deltaforge.core.position import PostgresPosition
from tests.trial import Death, assert_repeated_after_saved


def event(number):
    source = {"version": "1", "connector": "postgresql", "name": "p", "ts_ms": 1, "db": "d", "table": "t"}
    return {"event_id": str(number), "source": source | {"lsn": f"0/{number:X}"}}


def test_kills_of_all_sorts_are_counted():
    faults = [
        Fault(1, "kill", ""),
        Fault(2, "point", "after_read:1"),
        Fault(3, "cut", ""),
        Fault(4, "kill in outage", ""),
    ]
    found = Round("mysql", "file", 1, faults=faults)
    assert (found.kill_count, found.point_count) == (3, 1)


def test_a_failure_names_the_command_that_repeats_it():
    failed = Round("mysql", "redis", 7, failure="gap")
    text = _failure_text(failed, argparse.Namespace(kills=30))
    assert "python -m benchmarks.chaos --kills 30 --seed 7 --source mysql --sink redis" in text


def test_events_after_the_saved_position_may_come_again():
    events = [event(n) for n in (1, 2, 3, 2, 3, 4)]
    assert_repeated_after_saved(events, [Death(PostgresPosition(2), 3)])


def test_events_that_were_saved_must_not_come_again():
    events = [event(n) for n in (1, 2, 3, 2, 3, 4)]
    with pytest.raises(AssertionError, match="came again"):
        assert_repeated_after_saved(events, [Death(PostgresPosition(3), 3)])


def test_each_death_has_a_saved_position_of_its_own():
    events = [event(n) for n in (1, 2, 1, 2, 3, 3, 2)]
    with pytest.raises(AssertionError, match="2 was saved"):
        assert_repeated_after_saved(events, [Death(None, 2), Death(PostgresPosition(3), 5)])
