"""The judge of copied rows, against deliveries written by hand."""

import pytest

from tests.copies import assert_never_backwards, repeated_rows


def change(op, number, before=None, after=None):
    image = {"id": 1} if before else None
    return event(op, f"log {number}", image, after)


def event(op, event_id, before, after, at=0):
    after = after and {"id": 1, "seq": after}
    return {"op": op, "event_id": event_id, "before": before, "after": after, "source": {"table": "items", "ts_ms": at}}


def copy(seq, at=0):
    return event("r", "copied", None, seq, at)


INSERT, UPDATE, DELETE = change("c", 1, after=5), change("u", 2, before=True, after=6), change("d", 3, before=True)
TRUNCATE = change("t", 4)


@pytest.mark.parametrize(
    "events",
    [
        [copy(4), UPDATE, DELETE],
        [INSERT, copy(5), UPDATE, copy(6, at=1), DELETE],
        [INSERT, copy(5), UPDATE, copy(5)],  # written again as it was
        [INSERT, UPDATE, INSERT, copy(5, at=1), UPDATE],  # after a crash
        [copy(4), copy(4, at=1), TRUNCATE],
    ],
)
def test_what_a_consumer_may_see(events):
    assert_never_backwards(events)


@pytest.mark.parametrize(
    "events",
    [
        [INSERT, UPDATE, copy(5)],
        [INSERT, UPDATE, DELETE, copy(6)],
        [UPDATE, copy(4), UPDATE, copy(6)],
        [copy(5), INSERT],
        [copy(6), UPDATE],
        [INSERT, copy(6), UPDATE],
        [TRUNCATE, copy(4)],
        [INSERT, TRUNCATE, copy(5)],
    ],
)
def test_what_no_consumer_may_see(events):
    with pytest.raises(AssertionError):
        assert_never_backwards(events)


def test_rows_that_came_again():
    assert repeated_rows([copy(4), INSERT, copy(4), copy(5)]) == 1
