"""What a sink already has of a log that is read again."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.event import TX_ID_LENGTH, EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import ResumeFilter, SinkProgress, transaction_of, without_first
from deltaforge.testing.fakes import make_batch, make_event


def transaction(number, sizes, *, lsn=None):
    """Groups of one transaction; rows are numbered ``number * 1000`` and on."""
    ids, groups, row = EventIds.of("postgresql", "o", str(number)), [], number * 1000
    for size in sizes:
        events = [
            msgspec.structs.replace(make_event(row + n, lsn or number), event_id=ids.at(row + n)) for n in range(size)
        ]
        groups.append(DecodedGroup(events))
        row += size
    return groups


def batch_of(*groups, lsn=99, is_tx_end=True):
    return Batch.of_groups([each for group in groups for each in group], PostgresPosition(lsn), is_tx_end=is_tx_end)


def rows(batch):
    return [event.after["id"] for event in batch.events()]


def open_tx(groups):
    return transaction_of(groups[0])


def test_events_of_a_transaction_share_the_beginning_of_their_ids():
    ids = EventIds.of("mysql", "o", "t")
    assert len({ids.at(ordinal, row)[:TX_ID_LENGTH] for ordinal in range(3) for row in range(3)}) == 1
    assert ids.at(0)[:TX_ID_LENGTH] != EventIds.of("mysql", "o", "u").at(0)[:TX_ID_LENGTH]


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), count=st.integers(0, 25))
def test_the_first_events_of_the_transaction_are_left_out_and_no_others(sizes, count):
    groups, others = transaction(1, sizes), transaction(2, [2])
    news, left = without_first(batch_of(groups, others), count, open_tx(groups))
    total = sum(sizes)
    assert rows(news) == [*range(1000 + min(count, total), 1000 + total), 2000, 2001]
    assert left == 0


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), count=st.integers(0, 25))
def test_how_many_are_still_to_come_is_known_at_the_end_of_a_batch(sizes, count):
    groups = transaction(1, sizes)
    news, left = without_first(batch_of(groups, is_tx_end=False), count, open_tx(groups))
    assert left == max(0, count - sum(sizes))
    assert len(rows(news)) == max(0, sum(sizes) - count)


def test_another_transaction_in_the_place_of_the_open_one_is_news():
    news, left = without_first(batch_of(transaction(2, [3])), 2, open_tx(transaction(1, [1])))
    assert (rows(news), left) == ([2000, 2001, 2002], 0)


def test_events_without_ids_are_news():
    news, left = without_first(make_batch(1, event_count=3), 2, "")
    assert (rows(news), left) == ([1, 2, 3], 0)


def test_a_filter_drops_what_is_before_the_position_and_the_delivered_part_of_the_open_transaction():
    before, opened = transaction(5, [2]), transaction(7, [2, 2, 2])
    resume = ResumeFilter(SinkProgress(PostgresPosition(6), 3, open_tx(opened)))
    assert rows(resume.unseen(batch_of(before))) == []
    assert not resume.is_over
    assert rows(resume.unseen(batch_of(opened[:1], is_tx_end=False))) == []
    assert rows(resume.unseen(batch_of(opened[1:2], is_tx_end=False))) == [7003]
    assert resume.is_over
    assert rows(resume.unseen(batch_of(opened[2:]))) == [7004, 7005]


def test_a_filter_without_an_open_transaction_ends_at_the_first_news():
    resume = ResumeFilter(SinkProgress(PostgresPosition(4)))
    assert rows(resume.unseen(make_batch(3))) == []
    batch = make_batch(4)
    assert resume.unseen(batch) is batch
    assert resume.is_over
