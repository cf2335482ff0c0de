from deltaforge.core.batch import DecodedGroup
from deltaforge.core.positions import PostgresPosition
from deltaforge.sources.base import BatchLimits
from deltaforge.sources.batching import TransactionBatcher
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
