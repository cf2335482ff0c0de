"""What a sink already has of a log that is read again."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.event import TX_ID_LENGTH, EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import ResumeFilter, SinkProgress, advanced, transaction_of, without_first
from deltaforge.testing.fakes import make_batch, make_chunk, make_event


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


def test_a_chunk_is_told_by_its_number_and_not_by_places_in_the_log():
    resume = ResumeFilter(SinkProgress(PostgresPosition(99), chunk=2))
    assert [rows(resume.unseen(make_chunk(number, first=number))) for number in (1, 2, 3)] == [[], [], [3]]
    assert resume.unseen(news := make_chunk(3)) is news
    assert not resume.is_over  # of the log
    assert rows(resume.unseen(make_batch(5))) == []
    assert ResumeFilter(SinkProgress(PostgresPosition(99))).unseen(first := make_chunk(1)) is first


def test_a_chunk_without_news_stays_that_chunk():
    empty = ResumeFilter(SinkProgress(PostgresPosition(1), chunk=2)).unseen(make_chunk(2))
    assert (empty.event_count, empty.chunk.number) == (0, 2)


def test_nothing_of_a_chunk_is_left_out_for_an_open_transaction():
    opened = transaction(7, [2])
    resume = ResumeFilter(SinkProgress(PostgresPosition(6), 1, open_tx(opened)))
    news = make_chunk(1, event_count=3)
    assert resume.unseen(news) is news
    assert rows(resume.unseen(batch_of(opened))) == [7001]
    copied = batch_of(opened)
    copied.chunk = news.chunk
    assert without_first(copied, 2, open_tx(opened)) == (copied, 2)


def test_progress_knows_all_chunks_that_no_saved_state_may_know():
    progress = advanced(None, make_chunk(1))
    progress = advanced(progress, make_chunk(2, event_count=0))
    assert (progress.position, progress.chunk) == (PostgresPosition(9), 2)
    progress = advanced(progress, make_batch(20, lsn=30))
    assert (progress.position, [mark.number for mark in progress.chunks]) == (PostgresPosition(30), [1, 2])
    progress = advanced(progress, batch_of(transaction(7, [2]), is_tx_end=False))
    assert (progress.open_count, progress.chunk) == (2, 2)
    progress = advanced(progress, batch_of(transaction(7, [2])), saved_chunk=1)
    assert (progress.chunk, [mark.number for mark in progress.chunks]) == (2, [2])
    assert advanced(progress, make_chunk(2), saved_chunk=1) is progress
    assert [mark.number for mark in advanced(progress, make_chunk(3), saved_chunk=2).chunks] == [3]


def test_a_progress_without_snapshots_is_kept_as_it_always_was():
    old = b'{"position":{"type":"postgres","lsn":7},"open_count":2,"open_tx":"a"}'
    assert msgspec.json.decode(old, type=SinkProgress) == SinkProgress(PostgresPosition(7), 2, "a")
    assert set(msgspec.json.decode(msgspec.json.encode(SinkProgress(PostgresPosition(7))))) == {"position"}


def test_sinks_that_are_ahead_are_all_heard_before_a_chunk_is_handed_out():
    ahead = ChunksAhead()
    assert "the sinks" in ahead.waiting_for()
    three = advanced(advanced(advanced(None, make_chunk(1)), make_chunk(2)), make_chunk(3))
    ahead.note("b", three)
    ahead.expect(["a", "b"])
    assert "sink a " in ahead.waiting_for()
    ahead.note("a", None)
    assert ahead.waiting_for() is None
    assert [mark.number for mark in ahead.marks(1)] == [2, 3]
    assert ahead.marks(3) == ()
