import pytest

from deltaforge.core.batch import DecodedGroup
from deltaforge.core.positions import PostgresPosition
from deltaforge.sources.base import BatchLimits
from deltaforge.sources.batching import QUIET_SECS, TRICKLE_BYTES_PER_SEC, TransactionBatcher
from deltaforge.testing.fakes import make_event


class Log:
    """Feeds a batcher; the position is that of the last ended transaction."""

    def __init__(self, **limits):
        self.at = 0
        self.batcher = TransactionBatcher(BatchLimits(**limits), lambda: PostgresPosition(self.at))

    def transaction(self, row_count, *, now=0.0, ends=True):
        for n in range(row_count):
            self.batcher.add(DecodedGroup([make_event(n, self.at + 1)]), 100, now)
        if ends:
            self.at += 1
            self.batcher.end_transaction(now)

    def due(self, now=0.0):
        return [(b.event_count, b.position.lsn, b.is_tx_end) for b in self.batcher.due(now)]


def test_batch_is_cut_at_the_transaction_that_reaches_the_limit():
    log = Log(max_events=5)
    for _ in range(4):
        log.transaction(2)
    assert log.due() == [(6, 3, True)]


def test_batch_never_splits_a_transaction():
    log = Log(max_events=5)
    log.transaction(3)
    log.transaction(50)
    assert log.due() == [(53, 2, True)]


def test_open_transaction_does_not_leave_with_the_timer():
    log = Log(max_ms=50)
    log.transaction(1)
    log.transaction(3, ends=False)
    assert log.due(now=1.0) == [(1, 1, True)]
    assert log.due(now=2.0) == []


def test_very_large_transaction_leaves_in_parts_with_the_position_before_it():
    log = Log(max_tx_bytes=300)
    log.transaction(1)
    log.transaction(7)
    assert log.due(now=1.0) == [(1, 1, True), (3, 1, False), (3, 1, False), (1, 2, True)]


def test_last_event_of_a_split_transaction_is_marked():
    log = Log(max_tx_bytes=300)
    log.transaction(6)
    batches = log.batcher.due(1.0)
    assert [[e.tx_end for e in b.events()] for b in batches] == [[False] * 3, [False, False, True]]


def test_transactions_without_events_move_the_position():
    log = Log(max_ms=50)
    for _ in range(100):
        log.transaction(0)
    assert log.due(now=1.0) == [(0, 100, True)]


def test_discarded_transaction_leaves_nothing():
    log = Log()
    log.transaction(3, ends=False)
    log.batcher.discard_open()
    log.transaction(1)
    assert log.due(now=1.0) == [(1, 1, True)]


def test_transactions_are_split_when_the_document_allows_it():
    log = Log(max_events=4, respect_source_tx=False)
    log.transaction(10)
    assert log.due() == [(4, 0, False), (4, 0, False)]
    assert log.due(now=1.0) == [(2, 1, True)]


def test_a_transaction_that_comes_alone_leaves_at_once():
    log = Log(max_ms=50)
    log.transaction(1, now=10.0)
    assert [batch.event_count for batch in log.batcher.due(10.0, is_quiet=True)] == [1]


def test_batches_of_a_trickle_keep_their_distance():
    log = Log(max_ms=50)
    log.transaction(1, now=10.0)
    log.batcher.due(10.0, is_quiet=True)
    log.transaction(1, now=10.001)
    assert log.batcher.due(10.001, is_quiet=True) == []
    assert log.batcher.wait_secs(10.001, 1.0) == pytest.approx(QUIET_SECS - 0.001)
    log.transaction(1, now=10.0 + QUIET_SECS)
    assert [batch.event_count for batch in log.batcher.due(10.0 + QUIET_SECS, is_quiet=True)] == [2]


def test_only_a_trickle_is_left_unread():
    log = Log(max_ms=50)
    for at, byte_count in ((10.0, 0), (11.0, TRICKLE_BYTES_PER_SEC - 1)):
        log.transaction(1, now=at)
        log.batcher.due(at, is_quiet=True)
        log.batcher.note_read(byte_count, at)
    assert log.batcher.rest_secs(11.0) == pytest.approx(QUIET_SECS)
    assert log.batcher.rest_secs(11.0 + QUIET_SECS) == 0
    log.transaction(1, now=12.0)
    log.batcher.due(12.0, is_quiet=True)
    log.batcher.note_read(TRICKLE_BYTES_PER_SEC, 12.0)
    assert log.batcher.rest_secs(12.0) == 0


def test_without_a_waiting_time_nothing_is_left_unread():
    log = Log(max_ms=0)
    log.transaction(1, now=10.0)
    assert [batch.event_count for batch in log.batcher.due(10.0, is_quiet=True)] == [1]
    log.batcher.note_read(0, 10.0)
    assert log.batcher.rest_secs(10.0) == 0
