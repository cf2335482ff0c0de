import threading
from datetime import UTC, datetime

import msgspec
import pytest

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.errors import ControlError, RecordError
from deltaforge.core.event import TX_ID_LENGTH, EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress, advanced
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime import flush_times, sink_worker
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.testing.fakes import RecordingGatherer, RecordingSink, fail_on, make_batch, make_chunk
from tests.unit.waiting import wait_until


def worker_of(sink, *, acked=None, max_queued=1, **options):
    return SinkWorker(
        sink.config_type(id="k"), sink, PipelineMetrics("p"), acked=acked, max_queued=max_queued, **options
    )


def deliver(worker, batches):
    for batch in batches:
        while not worker.offer(batch, 0.1):
            assert worker.failure is None
    wait_until(lambda: worker.wait_acked(0.1))


def test_ack_follows_the_flush_and_carries_the_position():
    sink = RecordingSink()
    worker = worker_of(sink)
    deliver(worker, [make_batch(1), make_batch(2)])
    assert sink.durable == [1, 2]
    assert worker.checkpoint().position == PostgresPosition(3)
    worker.close()


def test_everything_since_the_last_flush_is_written_again_in_order_after_an_error(monkeypatch):
    monkeypatch.setattr(sink_worker, "RETRY", sink_worker.Backoff(initial_secs=0.001, max_secs=0.01))
    sink = RecordingSink(fail_on("flush", 3, 6))
    worker = worker_of(sink)
    deliver(worker, [make_batch(n) for n in range(1, 6)])
    assert sink.durable == [1, 2, 3, 4, 5]
    assert sink.closed_count >= 1
    assert worker.last_error is None
    worker.close()


def test_error_is_visible_while_the_sink_fails(monkeypatch):
    monkeypatch.setattr(sink_worker, "RETRY", sink_worker.Backoff(initial_secs=0.001, max_secs=0.01))
    is_down = [True]

    def fault(_name, _number):
        if is_down:
            fail_on("open", _number)("open", _number)

    worker = worker_of(RecordingSink(fault))
    assert worker.offer(make_batch(1), 1)
    wait_until(lambda: worker.last_error == "open failed on purpose")
    assert not worker.wait_acked(0.01)
    is_down.clear()
    wait_until(lambda: worker.wait_acked(0.1))
    assert worker.last_error is None
    worker.close()


def test_error_that_no_retry_can_mend_ends_the_sink():
    worker = worker_of(RecordingSink(fail_on("write", 2, kind="auth")))
    assert worker.offer(make_batch(1), 1)
    wait_until(lambda: worker.failure is not None)
    assert worker.failure.kind == "auth"
    assert not worker.wait_acked(0.01)
    assert worker.checkpoint() is None
    worker.close()


def test_poison_event_ends_the_sink_instead_of_vanishing():
    def fault(name, _number):
        if name == "write":
            raise RecordError("cannot be encoded", index=0)

    worker = worker_of(RecordingSink(fault))
    assert worker.offer(make_batch(1), 1)
    wait_until(lambda: isinstance(worker.failure, RecordError))
    worker.close()


def test_rows_up_to_the_saved_position_are_dropped_on_resume():
    sink = RecordingSink()
    saved = SinkCheckpoint("k", PostgresPosition(4), datetime.now(UTC))
    worker = worker_of(sink, acked=saved)
    deliver(worker, [make_batch(n) for n in range(1, 7)])
    assert sink.durable == [4, 5, 6]
    worker.close()


def test_full_queue_refuses_a_batch():
    is_held = [True]

    def hold(name, _number):
        if name == "flush":
            wait_until(lambda: not is_held)

    worker = worker_of(RecordingSink(hold))
    for n in range(2):
        wait_until(lambda n=n: worker.offer(make_batch(n), 0.1))
    assert not worker.offer(make_batch(9), 0.05)
    is_held.clear()
    wait_until(lambda: worker.wait_acked(0.1))
    worker.close()


class KeepingSink(RecordingSink):
    """Keeps its progress with what it holds; ``kept`` is what its destination says at the opening."""

    def __init__(self, kept=None):
        super().__init__()
        self.kept = kept
        self.noted = []

    def stored_progress(self):
        return self.kept

    def note_progress(self, progress):
        self.noted.append(progress)

    def drain(self):
        return ALL_ACKED


def test_a_sink_that_gathers_is_flushed_when_it_is_due_and_goes_on_until_then(monkeypatch):
    monkeypatch.setattr(flush_times, "DUE_SECS", 0.01)
    sink = RecordingGatherer()
    worker = worker_of(sink)
    for number in range(1, 10):
        wait_until(lambda number=number: worker.offer(make_batch(number), 0.1))
    wait_until(lambda: sink.written == list(range(1, 10)))
    assert (sink.durable, worker.checkpoint(), worker.wait_acked(0)) == ([], None, False)

    sink.is_due = True
    wait_until(lambda: worker.wait_acked(0.1))
    assert sink.durable == list(range(1, 10))
    assert worker.checkpoint().position == PostgresPosition(10)
    worker.close()


def test_a_sink_that_gathers_is_flushed_before_it_holds_too_much(monkeypatch):
    monkeypatch.setattr(flush_times, "GATHERED_BYTES", 3000)
    worker = worker_of(sink := RecordingGatherer())
    batches = [make_batch(number) for number in range(1, 12)]
    assert 3000 / 4 < batches[0].held_bytes < 3000 / 3
    for batch in batches:
        wait_until(lambda batch=batch: worker.offer(batch, 0.1))
    wait_until(lambda: sink.written == [9, 10, 11])
    assert sink.durable == list(range(1, 9))
    worker.close()


def test_what_was_gathered_before_an_error_is_written_again(monkeypatch):
    monkeypatch.setattr(sink_worker, "RETRY", sink_worker.Backoff(initial_secs=0.001, max_secs=0.01))
    monkeypatch.setattr(flush_times, "DUE_SECS", 0.01)
    sink = RecordingGatherer(fail_on("write", 4))
    worker = worker_of(sink)
    for number in range(1, 6):
        wait_until(lambda number=number: worker.offer(make_batch(number), 0.1))
    sink.is_due = True
    wait_until(lambda: worker.wait_acked(0.1))
    assert sink.durable == [1, 2, 3, 4, 5]
    worker.close()


class PartlySink(RecordingSink):
    """Acks one batch with each flush, and holds the others or has them written again."""

    def __init__(self, *, is_in_doubt):
        super().__init__()
        self.is_in_doubt = is_in_doubt

    def flush(self):
        first, rest = self.written[:1], self.written[1:]
        self.durable += first
        self.written = [] if self.is_in_doubt else rest
        return DeliveryReport(acked_count=len(first), is_in_doubt=self.is_in_doubt)


@pytest.mark.parametrize("is_in_doubt", [True, False])
def test_a_report_of_some_batches_acks_those(is_in_doubt):
    worker = worker_of(sink := PartlySink(is_in_doubt=is_in_doubt), max_queued=10)
    for number in (1, 2, 3, 4):
        assert worker.offer(make_batch(number, event_count=number != 3), 1)
    wait_until(lambda: worker.wait_acked(0.1))
    assert sink.durable == [1, 2, 4]
    assert worker.checkpoint().position == PostgresPosition(5)
    worker.close()


def saved_at(lsn, kept=None):
    return SinkCheckpoint("k", PostgresPosition(lsn), datetime.now(UTC), kept)


def test_the_position_that_the_destination_keeps_wins_when_it_is_ahead():
    sink = KeepingSink(SinkProgress(PostgresPosition(5)))
    worker = worker_of(sink, acked=saved_at(3))
    deliver(worker, [make_batch(n) for n in range(3, 8)])
    worker.close()
    assert sink.durable == [5, 6, 7]
    assert sink.noted[-1] == SinkProgress(PostgresPosition(8))


def test_the_saved_position_holds_where_the_destination_is_behind_and_the_loss_is_logged(caplog):
    for kept, is_lost in ((None, True), (PostgresPosition(2), True), (PostgresPosition(4), False)):
        caplog.clear()
        sink = KeepingSink(kept and SinkProgress(kept))
        worker = worker_of(sink, acked=saved_at(6, PostgresPosition(4)))
        deliver(worker, [make_batch(n) for n in range(5, 8)])
        worker.close()
        assert sink.durable == [6, 7]
        assert ("has lost its position" in caplog.text) is is_lost


def test_a_sink_that_kept_nothing_yet_is_not_said_to_have_lost_it(caplog):
    worker = worker_of(KeepingSink(), acked=saved_at(6))
    deliver(worker, [make_batch(6)])
    worker.close()
    assert caplog.text == ""
    assert worker.checkpoint().kept == PostgresPosition(7)


def test_progress_inside_a_transaction_counts_its_events():
    sink = KeepingSink()
    worker = worker_of(sink)
    position = PostgresPosition(1)
    for batch in (make_batch(1, lsn=1, event_count=3, is_tx_end=False), make_batch(4, lsn=1, is_tx_end=False)):
        deliver(worker, [batch])
    deliver(worker, [make_batch(5, lsn=9)])
    worker.close()
    assert sink.noted == [SinkProgress(position, 3), SinkProgress(position, 4), SinkProgress(PostgresPosition(9))]


def test_a_destination_is_told_the_number_of_the_last_chunk_and_passes_over_what_it_has():
    stored = advanced(advanced(None, make_chunk(1)), make_chunk(2))
    sink, ahead = KeepingSink(stored), ChunksAhead()
    worker = worker_of(sink, acked=saved_at(3), ahead=ahead)
    deliver(worker, [make_chunk(1, first=901), make_chunk(2, first=902)])  # again, for another sink
    assert [mark.number for mark in ahead.marks(0)] == [1, 2]
    ahead.saved = 1
    deliver(worker, [make_chunk(3, event_count=0), make_chunk(4, first=904), make_batch(20)])
    worker.close()
    assert sink.durable == [904, 20]
    assert (sink.noted[-1].position, sink.noted[-1].chunk) == (PostgresPosition(21), 4)
    assert [mark.number for mark in sink.noted[-1].chunks] == [2, 3, 4]
    assert worker.checkpoint().position == PostgresPosition(21)


def test_few_large_batches_wait(monkeypatch):
    monkeypatch.setattr(sink_worker, "QUEUE_BYTES", 3 * make_batch(1).held_bytes)
    release = threading.Event()
    worker = worker_of(RecordingSink(lambda name, _number: name == "open" and release.wait(10)), max_queued=10)
    assert [worker.offer(make_batch(n), 0.01) for n in range(4)] == [True, True, True, False]
    release.set()
    deliver(worker, [make_batch(9)])
    worker.close()


def with_ids(batch):
    ids = EventIds.of("postgresql", "o", "tx")
    events = [msgspec.structs.replace(e, event_id=ids.at(e.after["id"])) for e in batch.events()]
    return batch.with_events(events)


def test_rows_of_the_open_transaction_that_the_destination_has_are_dropped():
    tx = EventIds.of("postgresql", "o", "tx").at(0)[:TX_ID_LENGTH]
    sink = KeepingSink(SinkProgress(PostgresPosition(2), 2, tx))
    worker = worker_of(sink, acked=saved_at(1))
    open_part = with_ids(make_batch(2, lsn=9, event_count=3, is_tx_end=False))
    open_part.position = PostgresPosition(2)
    deliver(worker, [make_batch(1, lsn=2), open_part, make_batch(5, lsn=9)])
    worker.close()
    assert sink.durable == [4, 5]
    assert SinkProgress(PostgresPosition(2), 3, tx) in sink.noted


def test_the_position_kept_is_that_of_the_last_batch_with_events():
    worker = worker_of(KeepingSink())
    deliver(worker, [make_batch(1)])
    deliver(worker, [make_batch(7, event_count=0)])
    worker.close()
    assert (worker.checkpoint().position, worker.checkpoint().kept) == (PostgresPosition(8), PostgresPosition(2))


def test_process_that_lost_its_pipeline_writes_nothing_more():
    is_lost = False

    def check():
        if is_lost:
            raise ControlError("taken over", kind="already_running")

    sink = RecordingSink()
    worker = worker_of(sink, check_owner=check)
    worker.offer(make_batch(1), 1)
    assert worker.wait_acked(10)
    is_lost = True
    worker.offer(make_batch(2), 1)
    wait_until(lambda: worker.failure is not None)
    worker.close()
    assert (sink.durable, worker.failure.kind) == ([1], "already_running")
