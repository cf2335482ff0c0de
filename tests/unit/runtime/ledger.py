"""A destination with transactions that keeps its position, and refuses some rows; and a run of its delivery thread."""

import msgspec

from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.errors import RecordError
from deltaforge.core.event import EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.base import SinkConfig
from deltaforge.testing.fakes import make_batch, make_event
from tests.unit.waiting import wait_until

MODES = ["at once", "client", "drain", "drain, certain", "reported"]
IDS = EventIds.of("postgresql", "o", "tx")


class Ledger:
    """A destination with transactions: its rows, and how far the source was with each commit."""

    def __init__(self):
        self.rows = []
        self.commits = []  # pairs of the number of rows and the progress

    @property
    def progress(self):
        return self.commits[-1][1] if self.commits else None


class LedgerSink:
    """Refuses some rows: before anything of their batch is written, from its client, or when it drains.

    ``fault(name, number)`` is called before and after a commit, with how many there were.
    """

    def __init__(self, ledger, bad, mode, *, most=None, fault=lambda _name, _number: None):
        self.ledger, self.bad, self.mode, self.most, self.fault = ledger, set(bad), mode, most, fault
        self.stored = None
        self.noted = None
        self.written_count = self.abort_count = 0
        self._open, self._drained = [], 0  # batches of the transaction; how many of them are drained

    @property
    def is_in_transaction(self):
        return bool(self._open)

    def open(self):
        self._forget()
        self.stored = self.ledger.progress

    def stored_progress(self):
        return self.stored

    def note_progress(self, progress):
        self.noted = progress

    def write(self, batch):
        ids = rows_of(batch)
        self.written_count += len(ids)
        index = next((n for n, number in enumerate(ids) if number in self.bad), None)
        if index is not None and self.mode == "at once":
            raise RecordError("cannot be encoded", index=index)
        self._open.append(batch)
        if index is not None and self.mode == "client":
            raise self._aborted(batch, index, is_certain=True)

    def drain(self):
        if self.mode == "reported":
            return ALL_ACKED
        waiting = self._open[self._drained :]
        for batch in waiting:
            for index, number in enumerate(rows_of(batch)):
                if number in self.bad:
                    is_certain = self.mode == "drain, certain"  # else it may blame the wrong one
                    raise self._aborted(batch, index if is_certain or index % 2 else 0, is_certain=is_certain)
        if self.most and sum(batch.event_count for batch in waiting) > self.most:
            raise self._aborted(waiting[-1], waiting[-1].event_count // 2, is_certain=False)
        self._drained = len(self._open)
        return ALL_ACKED

    def flush(self):
        if self.mode == "reported" and (refused := [error for batch in self._open for error in self._refused(batch)]):
            self._forget()
            return DeliveryReport(acked_count=0, refused=refused, is_in_doubt=True)
        self.drain()
        if self._open:
            number = len(self.ledger.commits) + 1
            self.fault("before_commit", number)
            self.stored = self.noted or self.stored
            self.ledger.rows += [number for batch in self._open for number in rows_of(batch)]
            self.ledger.commits.append((len(self.ledger.rows), self.stored))
            self._open = []
            self.fault("after_commit", number)
        self._forget()
        return ALL_ACKED

    def suspend(self):
        self._forget()

    def close(self):
        self._forget()

    def _forget(self):
        self.abort_count += bool(self._open)
        self._open, self._drained, self.noted = [], 0, None

    def _refused(self, batch):
        bad = [index for index, number in enumerate(rows_of(batch)) if number in self.bad]
        return [self._error(batch, index, is_certain=True) for index in bad]

    def _aborted(self, batch, index, *, is_certain):
        self._forget()
        return self._error(batch, index, is_certain=is_certain)

    def _error(self, batch, index, *, is_certain):
        error = RecordError("too large", index=index)
        error.written_count, error.batch, error.is_certain = None, batch, is_certain
        return error


def rows_of(batch):
    return [event.after["id"] for event in batch.events()]


class Run:
    """One life of a pipeline's sink; the queue of dead letters and the ledger outlive it."""

    def __init__(self, sink, queue, *, policy="drop_oldest", max_entries=100, acked=None, **config):
        self.sink, self.ledger, self.queue, self.metrics = sink, sink.ledger, queue, PipelineMetrics("p")
        limits = DeadLetterLimits(max_entries, 0, 10_000, policy)
        self.letters = DeadLetters(queue, limits, self.metrics)
        self.worker = SinkWorker(
            SinkConfig(id="k", **config), sink, self.metrics, acked=acked, max_queued=4, dead_letters=self.letters
        )

    def hand_over(self, *batches):
        for batch in batches:
            wait_until(lambda batch=batch: self.worker.failure is not None or self.worker.offer(batch, 0.1))

    def deliver(self, *batches):
        self.hand_over(*batches)
        wait_until(lambda: self.worker.wait_acked(0.1))

    def dead(self):
        entries = DeadLetterQueue(self.queue, "p").entries(limit=999)
        return [msgspec.json.decode(entry.event)["after"]["id"] for entry in entries]

    def redeliver(self, number, on_ack=lambda: None):
        redelivery = Redelivery(make_event(number, 1), on_ack)
        self.worker.redeliver(redelivery)
        redelivery.wait(10, lambda: "busy")
        return redelivery.error

    def value(self, name):
        return self.metrics.registry.get_sample_value(f"deltaforge_{name}", {"pipeline": "p", "sink": "k"})

    def close(self):
        self.worker.close()
        self.letters.close()


def with_ids(batch):
    return batch.with_events([msgspec.structs.replace(e, event_id=IDS.at(e.after["id"])) for e in batch.events()])


def transactions(*sizes):
    """Batches that are a transaction each: row N and all before it are behind LSN N + 1."""
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return [
        with_ids(make_batch(end - size + 1, lsn=end + 1, event_count=size)) for end, size in zip(ends, sizes, strict=True)
    ]  # fmt: skip


def split_transaction(*sizes):
    """One transaction in several batches; nothing of it is behind a position before its end."""
    batches = transactions(*sizes)
    for batch in batches[:-1]:
        batch.position, batch.is_tx_end = PostgresPosition(1), False
    return batches


def behind(progress):
    """How many rows of the log a progress covers."""
    return progress.position.lsn - 1 + progress.open_count
