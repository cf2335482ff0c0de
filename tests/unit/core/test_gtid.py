import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.errors import CheckpointError
from deltaforge.core.positions.gtid import GtidSet, MariadbGtids

U = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
V = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
numbers = st.sets(st.integers(1, 60), max_size=30)


def set_of(values, source=U):
    gtids = GtidSet()
    for value in values:
        gtids.add(f"{source}:{value}")
    return gtids


def test_gap_in_a_gtid_set_stays_a_gap():
    gtids = GtidSet(f"{U}:1-20")
    gtids.add(f"{U}:25")
    assert str(gtids) == f"{U}:1-20:25"
    assert not gtids.contains(f"{U}:22")


def test_tagged_gtids_are_sets_of_their_own():
    gtids = GtidSet(f"{U}:1-3:mytag:1-2:7")
    gtids.add(f"{U}:mytag:3")
    assert str(gtids) == f"{U}:1-3:mytag:1-3:7"
    assert gtids.contains(f"{U}:mytag:7")
    assert not gtids.contains(f"{U}:7")


@given(numbers)
def test_set_holds_exactly_what_was_added_in_any_order(values):
    gtids = set_of(values)
    assert {n for n in range(1, 62) if gtids.contains(f"{U}:{n}")} == values
    assert GtidSet(str(gtids)) == gtids


@given(numbers, numbers)
def test_union_and_subset_are_those_of_sets(left, right):
    assert str(set_of(left).union(set_of(right))) == str(set_of(left | right))
    assert set_of(left).issubset(set_of(right)) == (left <= right)


@pytest.mark.parametrize("text", ["x", f"{U}", f"{U}:0", f"{U}:5-3", f"{U}:1-2:", f"{U}:1:Ä", f"{V[:-1]}:1"])
def test_what_is_not_a_gtid_set_is_refused(text):
    with pytest.raises(CheckpointError):
        GtidSet(text)


def test_mariadb_position_keeps_the_last_of_each_domain():
    gtids = MariadbGtids("0-1-5,1-2-9")
    gtids.add("0-3-6")
    assert str(gtids) == "0-3-6,1-2-9"
    assert gtids.contains("0-1-6")
    assert not gtids.contains("2-1-1")
    gtids.add_interval("1-4", 10, 12)
    assert str(gtids) == "0-3-6,1-4-12"
