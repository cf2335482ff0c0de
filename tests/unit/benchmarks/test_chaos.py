import argparse
import itertools

import msgspec
import pytest

from benchmarks.chaos import SOURCES, _failure_text, _plans
from benchmarks.chaos_crew import kept
from benchmarks.chaos_layouts import layout_of
from benchmarks.chaos_readers import FollowedFile
from benchmarks.chaos_round import Plan
from benchmarks.chaos_sinks import SINKS
from benchmarks.chaos_timeline import Fault, Round
from deltaforge.core.positions import PostgresPosition
from tests.trial import Death, assert_repeated_after_saved


def event(number):
    source = {"version": "1", "connector": "postgresql", "name": "p", "ts_ms": 1, "db": "d", "table": "t"}
    return {"op": "c", "event_id": str(number), "source": source | {"lsn": f"0/{number:X}"}}


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
    assert_repeated_after_saved(events, [Death({"": [PostgresPosition(2)]}, 3)])


def test_events_that_were_saved_must_not_come_again():
    events = [event(n) for n in (1, 2, 3, 2, 3, 4)]
    with pytest.raises(AssertionError, match="came again"):
        assert_repeated_after_saved(events, [Death({"": [PostgresPosition(3)]}, 3)])


def test_each_death_has_a_saved_position_of_its_own():
    events = [event(n) for n in (1, 2, 1, 2, 3, 3, 2)]
    with pytest.raises(AssertionError, match="2 was saved"):
        assert_repeated_after_saved(events, [Death({}, 2), Death({"": [PostgresPosition(3)]}, 5)])


@pytest.mark.parametrize(("failure", "is_done"), [("", True), ("gap", False)])
def test_a_round_that_held_is_not_run_again(tmp_path, failure, is_done):
    plan = Plan("mysql", "redis", 7, kills=30)
    assert kept(tmp_path, plan) is None
    found = Round("mysql", "redis", 7, failure=failure, faults=[Fault(1, "kill", "")])
    (tmp_path / f"{plan.name}.json").write_bytes(msgspec.json.encode(found))
    assert kept(tmp_path, plan) == (found if is_done else None)
    assert kept(tmp_path, Plan("mysql", "redis", 8, kills=30)) is None


def test_a_failure_in_a_layout_names_it():
    failed = Round("mysql", "redis", 7, failure="gap", layout="key3-2x1-s2")
    assert "--copies no --layout key3-2x1-s2" in _failure_text(failed, argparse.Namespace(kills=30))


@pytest.mark.parametrize("name", ["one-1x1", "one-1x2", "table2-3x1", "key3-2x2-s2"])
def test_a_layout_has_a_name_that_makes_it(name):
    assert layout_of(name).name == name


def test_what_is_no_layout_is_refused():
    with pytest.raises(ValueError, match="no layout"):
        layout_of("key3")


def test_every_lane_of_every_shard_has_a_file():
    assert layout_of("key2-1x1-s2").lane_names == [".s0.0", ".s0.1", ".s1.0", ".s1.1"]
    assert (layout_of("table2-1x1").lane_names, layout_of("one-2x1").lane_names) == ([".0", ".1"], [""])


def test_pairs_bring_every_two_values_together_in_few_rounds(monkeypatch):
    monkeypatch.setattr("tests.combinations.IS_FULL", False)
    options = argparse.Namespace(
        seed=[1, 2], source=[*SOURCES], sink=[*SINKS], copies=["no", "yes"], pairs=True, kills=3
    )
    plans = _plans(options)
    assert 30 <= len(plans) < 60
    kinds = {(plan.source, plan.layout.mode) for plan in plans if plan.seed == 2}
    assert kinds == set(itertools.product(SOURCES, ("one", "table", "key")))
    assert {plan.layout.processes for plan in plans if plan.sink == "kafka"} == {1, 2, 3}
    assert _plans(options) == plans


def test_a_followed_file_gives_whole_lines_and_none_twice(tmp_path):
    destination = FollowedFile(tmp_path)
    destination.follow()
    assert destination.count() == 0
    with (tmp_path / "out.jsonl").open("ab", buffering=0) as file:
        file.write(b'{"n": 1}\n{"n"')
        assert destination.events() == [{"n": 1}]
        file.write(b': 2}\n{"n": 3}\n')
        assert (destination.count(), destination.events()) == (3, [{"n": 1}, {"n": 2}, {"n": 3}])
    assert destination.read_anew() == destination.events()
