from datetime import UTC, datetime

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.errors import ControlError, RecordError
from deltaforge.core.position import PostgresPosition
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime import sink_worker
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.base import SinkConfig
from deltaforge.testing.fakes import RecordingSink, fail_on, make_batch
from tests.unit.waiting import wait_until


def worker_of(sink, *, acked=None, max_queued=1, **options):
    return SinkWorker(SinkConfig(id="k"), sink, PipelineMetrics("p"), acked=acked, max_queued=max_queued, **options)


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
