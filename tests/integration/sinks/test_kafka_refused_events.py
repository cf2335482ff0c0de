"""Events that the kafka sinks refuse: what becomes of those around them, and of the transaction."""

import pytest

from deltaforge.core.errors import RecordError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress
from deltaforge.core.retry import Backoff
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime import sink_worker
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.errors import StalledError
from deltaforge.storage.memory import MemoryStorage
from deltaforge.testing.sink_contract import numbered_batch, with_row
from tests.integration.sinks.test_kafka import KafkaTarget
from tests.integration.sinks.test_kafka_exactly_once import DirectTarget
from tests.pipelines import wait_for

LIMIT = 20_000
CLIENT = {"message.max.bytes": LIMIT, "compression.type": "none"}
BAD = with_row({"id": "\ud800"}).events()[0]
LARGE = with_row({"id": 0, "body": "x" * LIMIT}).events()[0]


@pytest.fixture
def target(kafka):
    return DirectTarget(kafka, kafka.bootstrap)


@pytest.fixture
def sink(target):
    sink = target.sink_of("i", client_conf={"transactional.id": target.name, **CLIENT}, send_timeout_secs=20)
    sink.open()
    yield sink
    sink.close()


def with_bad(batch, index, bad):
    events = list(batch.events())
    return batch.with_events([*events[:index], bad, *events[index:]])


def aborts(sink):
    return sink._context.metrics.sink_txn_aborts.labels("p", "s")._value.get()


def commit(sink, lsn):
    sink.note_progress(SinkProgress(PostgresPosition(lsn)))
    sink.flush()


def test_an_event_without_bytes_leaves_the_transaction_as_it_is(target, sink):
    sink.write(numbered_batch(1, 5))
    with pytest.raises(RecordError) as caught:
        sink.write(with_bad(numbered_batch(6, 5), 2, BAD))
    assert (caught.value.index, caught.value.written_count) == (2, 0)
    sink.write(numbered_batch(6, 5))
    commit(sink, 9)
    assert target.numbers() == list(range(1, 11))
    assert aborts(sink) == 0


def test_an_event_without_bytes_begins_no_transaction(sink):
    with pytest.raises(RecordError):
        sink.write(with_bad(numbered_batch(1, 5), 0, BAD))
    assert sink._began_at is None


@pytest.mark.parametrize("index", [0, 3, 5])
def test_an_event_that_the_client_refuses_is_named_and_ends_the_transaction(target, sink, index):
    sink.write(numbered_batch(1, 5))
    batch = with_bad(numbered_batch(6, 5), index, LARGE)
    with pytest.raises(RecordError) as caught:
        sink.write(batch)
    error = caught.value
    assert (error.index, error.written_count, error.is_certain, error.batch is batch) == (index, None, True, True)
    assert (sink._began_at, aborts(sink)) == (None, 1)
    sink.open()
    for each in (numbered_batch(1, 5), numbered_batch(6, 5)):
        sink.write(each)
    commit(sink, 9)
    assert target.numbers() == list(range(1, 11))


def test_of_two_equal_events_the_client_refuses_the_one_at_its_place(sink):
    twice = with_bad(numbered_batch(1, 2), 1, LARGE)
    twice = with_bad(twice, 3, LARGE)
    with pytest.raises(RecordError) as caught:
        sink.write(twice)
    assert caught.value.index == 1


def test_what_is_drained_is_visible_with_the_commit_and_not_before(target, sink):
    for first in (1, 6):
        sink.write(numbered_batch(first, 5))
        sink.drain()
        assert (target.dirty_count(), target.numbers()) == (first + 4, [])
    commit(sink, 9)
    assert target.numbers() == list(range(1, 11))
    bytes_count = sink._bytes._value.get()
    sink.write(numbered_batch(11, 5))
    commit(sink, 10)
    assert bytes_count > sink._bytes._value.get() - bytes_count > 0


def test_draining_nothing_begins_no_transaction(sink):
    sink.drain()
    assert sink._began_at is None


def test_a_flush_without_a_note_leaves_the_progress_as_it_is(target, sink):
    sink.write(numbered_batch(1, 5))
    commit(sink, 7)
    sink.write(numbered_batch(6, 1))
    sink.note_progress(SinkProgress(PostgresPosition(8)))
    sink.suspend()
    sink.open()
    sink.write(numbered_batch(9, 1))  # a dead letter, between what was aborted and its repetition
    sink.flush()
    again = target.sink_of("i")
    again.open()
    assert again.stored_progress() == SinkProgress(PostgresPosition(7))
    again.close()
    assert target.numbers() == [1, 2, 3, 4, 5, 9]


def test_the_first_flush_of_a_run_keeps_the_progress_of_the_one_before(target, sink):
    sink.write(numbered_batch(1, 5))
    commit(sink, 7)
    for _ in range(2):
        next_run = target.sink_of("i")
        next_run.open()
        assert next_run.stored_progress() == SinkProgress(PostgresPosition(7))
        next_run.write(numbered_batch(9, 1))
        next_run.flush()
        next_run.close()


def test_a_retry_does_not_come_between_an_unanswered_commit_and_its_repetition(target, sink, monkeypatch):
    def unanswered(client):
        commit_transaction(client)
        if not faults:
            faults.append(1)
            raise StalledError("no answer", kind="timeout")

    commit_transaction, faults = Client.commit_transaction, []
    monkeypatch.setattr(Client, "commit_transaction", unanswered)
    monkeypatch.setattr(sink_worker, "RETRY", Backoff(initial_secs=1, max_secs=1))
    metrics = PipelineMetrics("p")
    letters = DeadLetters(MemoryStorage().queue, DeadLetterLimits(10, 0, 1 << 20, "drop_oldest"), metrics)
    worker = SinkWorker(sink._config, sink, metrics, acked=None, max_queued=4, dead_letters=letters)
    worker.offer(numbered_batch(1, 5), 10)
    wait_for(lambda: faults)
    redelivery = Redelivery(numbered_batch(11).events()[0], lambda: None)
    worker.redeliver(redelivery)
    worker.offer(with_bad(numbered_batch(6, 5), 2, LARGE), 10)

    wait_for(lambda: worker.failure or worker.wait_acked(0.1))
    redelivery.wait(10, lambda: "busy")
    worker.close()
    letters.close()
    assert (worker.failure, redelivery.error) == (None, None)
    assert sorted(target.numbers()) == list(range(1, 12))


@pytest.mark.parametrize("index", [0, 2])
def test_at_least_once_the_rest_follows_an_event_that_the_client_refuses(kafka, index):
    target = KafkaTarget(kafka, kafka.bootstrap)
    sink = target.sink(client_conf=CLIENT)
    sink.open()
    with pytest.raises(RecordError) as caught:
        sink.write(with_bad(numbered_batch(1, 5), index, LARGE))
    assert (caught.value.index, caught.value.written_count) == (index, index)
    if index:
        sink.flush()
    sink.write(numbered_batch(1 + index, 5 - index))
    sink.flush()
    sink.close()
    assert [event.number for event in target.delivered()] == [1, 2, 3, 4, 5]
