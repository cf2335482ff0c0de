"""Events that fail alone, under the delivery thread: nothing else is lost, order holds."""

import msgspec
import pytest

from deltaforge.core.errors import RecordError, StorageError
from deltaforge.core.positions import PostgresPosition
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime import sink_worker
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.base import SinkConfig
from deltaforge.storage.memory import MemoryStorage
from deltaforge.testing.fakes import RecordingSink, make_batch, make_event
from tests.unit.waiting import wait_until

MODES = ["at once", "partly", "flush", "flush, certain", "reported", "partly, reported"]


class PickySink(RecordingSink):
    """Refuses some rows: at once, with what is before them written or not, or only when it flushes, with or without
    the others of the flush.
    """

    def __init__(self, bad, mode):
        super().__init__()
        self.bad, self._mode = set(bad), mode
        self._batches = []
        self._late = []
        self.flushes = []

    def write(self, batch):
        ids = [event.after["id"] for event in batch.events()]
        if self._mode == "partly, reported":
            self._write_partly(batch, ids)
            return
        index = next((n for n, number in enumerate(ids) if number in self.bad), None)
        if index is not None and self._mode in ("at once", "partly"):
            taken = index if self._mode == "partly" else 0
            self.written += ids[:taken]
            raise self._error(index, taken)
        self.written += ids
        self._batches.append(batch)

    def _write_partly(self, batch, ids):
        """Odd ones are refused at once, even ones are named by the next report."""
        stop = next((n for n, number in enumerate(ids) if number in self.bad and number % 2), len(ids))
        self.written += [number for number in ids[:stop] if number not in self.bad]
        for index, number in enumerate(ids[:stop]):
            if number in self.bad:
                self._late.append(self._error(index, None))
                self._late[-1].batch = batch
        if stop < len(ids):
            raise self._error(stop, stop)

    def flush(self):
        self.flushes.append(len(self.written))
        if self._mode == "partly, reported":
            refused, self._late = self._late, []
            return msgspec.structs.replace(super().flush(), refused=refused)
        if self._mode == "reported":
            refused = [error for batch in self._batches for error in self._refused(batch)]
            self.written = [number for number in self.written if number not in self.bad]
            self._batches = []
            return msgspec.structs.replace(super().flush(), refused=refused[::-1])
        for batch in self._batches:
            for index, event in enumerate(batch.events()):
                if event.after["id"] in self.bad:
                    self._batches = []
                    is_certain = self._mode == "flush, certain"
                    error = self._error(index if is_certain or index % 2 else 0, None)  # may blame the wrong one
                    error.batch, error.is_certain = batch, is_certain
                    raise error
        self._batches = []
        return super().flush()

    def close(self):
        self._batches, self._late = [], []
        super().close()

    def _refused(self, batch):
        for index, event in enumerate(batch.events()):
            if event.after["id"] in self.bad:
                error = self._error(index, None)
                error.batch = batch
                yield error

    def _error(self, index, written_count):
        error = RecordError("cannot be encoded", index=index)
        error.written_count = written_count
        return error


class Pipeline:
    def __init__(self, sink, *, policy="drop_oldest", max_entries=100):
        self.sink, self.metrics = sink, PipelineMetrics("p")
        self.queue = MemoryStorage().queue
        limits = DeadLetterLimits(max_entries, 0, 10_000, policy)
        self.letters = DeadLetters(self.queue, limits, self.metrics)
        self.worker = SinkWorker(
            SinkConfig(id="k"), sink, self.metrics, acked=None, max_queued=4, dead_letters=self.letters
        )  # fmt: skip

    def hand_over(self, *batches):
        for batch in batches:
            while not self.worker.offer(batch, 0.1):
                assert self.worker.failure is None

    def deliver(self, *batches):
        self.hand_over(*batches)
        wait_until(lambda: self.worker.wait_acked(0.1))

    def dead(self):
        return [
            msgspec.json.decode(e.event)["after"]["id"] for e in DeadLetterQueue(self.queue, "p").entries(limit=999)
        ]

    def value(self, name):
        return self.metrics.registry.get_sample_value(f"deltaforge_{name}", {"pipeline": "p", "sink": "k"})


@pytest.fixture
def pipeline_of():
    made = []

    def make(*args, **options):
        made.append(Pipeline(*args, **options))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.worker.close()
        pipeline.letters.close()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(sink_worker, "RETRY", sink_worker.Backoff(initial_secs=0.001, max_secs=0.01))
    monkeypatch.setattr(sink_worker, "ROOM_SECS", 0.01)


def batches(*sizes):
    first, made = 1, []
    for size in sizes:
        made.append(make_batch(first, lsn=first + size, event_count=size))
        first += size
    return made


BAD = {"one": {12}, "first and last": {1, 30}, "neighbours": {4, 5, 6, 11, 12}, "a whole batch": set(range(11, 21)), "all": set(range(1, 31))}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_all_others_are_delivered_once_and_in_order(pipeline_of, mode, bad):
    pipeline = pipeline_of(PickySink(bad, mode))

    pipeline.deliver(*batches(10, 10, 10))

    assert pipeline.sink.durable == [n for n in range(1, 31) if n not in bad]
    assert sorted(pipeline.dead()) == sorted(bad)
    assert pipeline.worker.checkpoint().position == PostgresPosition(31)
    assert pipeline.value("sink_events_total") == 30 - len(bad)
    assert pipeline.value("sink_batch_total") == 3
    assert pipeline.worker.last_error is None


@pytest.mark.parametrize("mode", ["flush", "flush, certain", "reported"])
def test_a_search_writes_little_again_in_a_very_large_batch(pipeline_of, mode):
    bad = set(range(100, 20_000, 200))
    pipeline = pipeline_of(PickySink(bad, mode), max_entries=1000)

    pipeline.deliver(*batches(20_000))

    assert pipeline.sink.durable == [n for n in range(1, 20_001) if n not in bad]
    assert pipeline.dead() == sorted(bad)
    assert sum(pipeline.sink.flushes) < 20_000 + 3 * len(bad) * 2000


class NarrowSink(RecordingSink):
    """Refuses everything since the last flush if it is more than ``most`` events, and blames one of them."""

    def __init__(self, most):
        super().__init__()
        self._most, self._last = most, None

    def write(self, batch):
        super().write(batch)
        self._last = batch

    def flush(self):
        if len(self.written) > self._most:
            error = RecordError("too large", index=self._last.event_count // 2)
            error.written_count, error.is_certain = None, False
            raise error
        return super().flush()


@pytest.mark.parametrize("most", [1, 7, 400])
def test_events_that_are_too_many_together_are_no_dead_letters(pipeline_of, most):
    pipeline = pipeline_of(NarrowSink(most))

    pipeline.deliver(*batches(1, 600, 3000, 5))

    assert pipeline.sink.durable == list(range(1, 3607))
    assert pipeline.dead() == []
    assert pipeline.value("sink_batch_total") == 4
    assert pipeline.worker.checkpoint().position == PostgresPosition(3607)


@pytest.mark.parametrize("mode", ["at once", "flush", "flush, certain", "reported"])
def test_without_dead_letters_a_poison_event_ends_the_sink(mode):
    sink = PickySink({3}, mode)
    worker = SinkWorker(SinkConfig(id="k"), sink, PipelineMetrics("p"), acked=None, max_queued=4)
    assert worker.offer(make_batch(1, event_count=5), 1)

    wait_until(lambda: isinstance(worker.failure, RecordError))

    assert not set(sink.durable) & ({3} if mode == "reported" else {3, 4, 5})
    assert worker.checkpoint() is None
    worker.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_full_queue_that_blocks_holds_the_sink_until_there_is_room(pipeline_of, mode):
    pipeline = pipeline_of(PickySink({3, 6, 9}, mode), policy="block", max_entries=2)
    pipeline.hand_over(*batches(5, 5))

    wait_until(lambda: "full" in (pipeline.worker.last_error or ""))
    assert not pipeline.worker.wait_acked(0.05)
    assert pipeline.dead() == [3, 6]
    assert DeadLetterQueue(pipeline.queue, "p").purge() == 2

    wait_until(lambda: pipeline.worker.wait_acked(0.1))
    assert pipeline.dead() == [9]
    assert pipeline.sink.durable == [1, 2, 4, 5, 7, 8, 10]
    assert pipeline.worker.last_error is None


def test_a_sink_that_waits_for_room_can_be_closed(pipeline_of):
    pipeline = pipeline_of(PickySink({1, 2}, "at once"), policy="block", max_entries=1)
    pipeline.hand_over(*batches(3))
    wait_until(lambda: "full" in (pipeline.worker.last_error or ""))

    pipeline.worker.close()

    assert pipeline.worker.failure is None
    assert pipeline.worker.checkpoint() is None


@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_cannot_be_kept_is_written_again_until_it_is(pipeline_of, mode):
    pipeline = pipeline_of(PickySink({7}, mode))
    push, tries = pipeline.queue.push, []

    def fail(*args):
        tries.append(args)
        if len(tries) < 4:
            raise StorageError("disk is full")
        return push(*args)

    pipeline.queue.push = fail
    pipeline.deliver(*batches(5, 5))

    assert len(tries) == 4
    assert pipeline.dead() == [7]
    assert pipeline.sink.durable[-9:] == [1, 2, 3, 4, 5, 6, 8, 9, 10]
    assert len(pipeline.sink.durable) == (9 if mode != "reported" else 36)  # what is around it is repeated with it
    assert pipeline.metrics.registry.get_sample_value("deltaforge_dlq_write_failures_total", {"pipeline": "p"}) == 3


def redeliver(pipeline, number):
    acked = []
    redelivery = Redelivery(make_event(number, 1), lambda: acked.append(number))
    pipeline.worker.redeliver(redelivery)
    redelivery.wait(10, lambda: "busy")
    return redelivery.error, acked


@pytest.mark.parametrize("mode", ["at once", "flush", "reported"])
def test_a_redelivery_goes_through_the_same_sink_and_moves_no_position(pipeline_of, mode):
    pipeline = pipeline_of(PickySink({3}, mode))
    pipeline.deliver(*batches(5))
    before = pipeline.worker.checkpoint()

    error, acked = redeliver(pipeline, 3)
    assert (error, acked) == ("cannot be encoded", [])
    pipeline.sink.bad = set()
    assert redeliver(pipeline, 3) == (None, [3])

    assert pipeline.sink.durable == [1, 2, 4, 5, 3]
    assert pipeline.worker.checkpoint() == before
    pipeline.deliver(make_batch(6))
    assert pipeline.sink.durable == [1, 2, 4, 5, 3, 6]


@pytest.mark.parametrize("mode", MODES)
def test_a_redelivery_gets_through_while_the_sink_waits_for_room(pipeline_of, mode):
    pipeline = pipeline_of(PickySink({3, 7}, mode), policy="block", max_entries=1)
    pipeline.hand_over(*batches(5, 5))
    wait_until(lambda: "full" in (pipeline.worker.last_error or ""))
    pipeline.sink.bad = {7}
    redelivery = Redelivery(make_event(3, 1), lambda: DeadLetterQueue(pipeline.queue, "p").purge())

    pipeline.worker.redeliver(redelivery)
    redelivery.wait(10, lambda: "busy")

    assert redelivery.error is None
    wait_until(lambda: pipeline.worker.wait_acked(0.1))
    assert pipeline.dead() == [7]
    assert [n for n in pipeline.sink.durable if n != 3][-8:] == [1, 2, 4, 5, 6, 8, 9, 10]


def test_a_redelivery_to_a_sink_that_has_ended_is_refused(pipeline_of):
    pipeline = pipeline_of(PickySink((), "at once"))
    pipeline.worker.close()

    error, acked = redeliver(pipeline, 1)

    assert "has ended" in error
    assert acked == []


def test_a_redelivery_that_nobody_began_in_time_never_happens(pipeline_of):
    pipeline = pipeline_of(PickySink((), "at once"))
    redelivery = Redelivery(make_event(1, 1), lambda: None)

    redelivery.wait(0.01, lambda: "sink k is busy")

    assert redelivery.error == "sink k is busy"
    pipeline.worker.redeliver(redelivery)
    pipeline.deliver(*batches(2))
    assert pipeline.sink.durable == [1, 2]
