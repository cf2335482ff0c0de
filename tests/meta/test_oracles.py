"""The judges of lanes, against deliveries written by hand."""

import pytest

from tests.strands import by_key, by_table, of_database
from tests.trial import judged
from tests.workload import Consumer, assert_complete


def event(op, number, key, *, table="items", before=None, db="a"):
    image = {"id": key, "a": key, "b": "x", "seq": number}
    old = {"id": before, "a": before, "b": "x"} if before else None
    source = {"table": table, "db": db, "ts_ms": 0}
    if op == "d":
        return {"op": op, "event_id": f"{number}", "before": image, "after": None, "source": source}
    return {"op": op, "event_id": f"{number}", "before": old, "after": image, "source": source}


ONE, TWO, THREE = event("c", 1, 1), event("u", 2, 1), event("c", 3, 2)
PAIR = event("c", 4, 1, table="pairs")
MOVED, GONE = event("u", 5, 9, before=1), event("d", 6, 2)


@pytest.mark.parametrize("strands", [by_key, by_table])
def test_order_is_that_of_each_strand(strands):
    assert judged([PAIR, ONE, TWO, THREE], strands) == 0
    with pytest.raises(AssertionError, match="order"):
        judged([TWO, PAIR, ONE], strands)


def test_keys_of_a_table_have_no_order_among_each_other():
    assert judged([THREE, ONE, TWO], by_key) == 0
    with pytest.raises(AssertionError, match="order"):
        judged([THREE, ONE, TWO], by_table)


def test_a_strand_that_goes_back_runs_through_again():
    assert judged([ONE, TWO, THREE, ONE, TWO], by_key) == 2
    with pytest.raises(AssertionError, match="repetition"):
        judged([ONE, TWO, ONE, event("u", 7, 1)], by_key)


def test_a_change_that_is_missing_in_the_middle_is_lost():
    committed = [("items", 1), ("items", 2), ("items", 3), ("items", (2,))]
    assert_complete([ONE, TWO, THREE, GONE], committed)
    assert_complete([THREE, GONE], committed, since=2)
    with pytest.raises(AssertionError, match="1 changes are lost"):
        assert_complete([ONE, THREE, GONE], committed)
    with pytest.raises(AssertionError, match="1 changes are lost"):
        assert_complete([ONE, TWO, THREE], committed)


def test_what_was_rolled_back_must_not_come():
    with pytest.raises(AssertionError, match="never committed"):
        assert_complete([ONE, TWO], [("items", 1)])


def test_a_row_that_has_moved_away_does_not_come_back_from_another_lane():
    consumer = Consumer(keeps_moved_away=True)
    consumer.apply([MOVED, ONE, TWO])
    assert [*consumer.tables["items"]] == [(9,)]


def test_shards_are_told_apart_by_their_database():
    other = event("c", 1, 1, db="b")
    assert of_database([ONE, other, TWO], "a") == [ONE, TWO]
