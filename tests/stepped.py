"""A table copied in a test, step by step or as in a pipeline, and what a consumer makes of its events."""

import time
from dataclasses import dataclass, field
from itertools import count

from pydantic import TypeAdapter

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.plugins import AnySource
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.sources.base import BatchLimits, SnapshotConfig, SourceContext
from deltaforge.sources.reader import LogReader
from deltaforge.sources.snapshot.snapshots import Snapshots
from deltaforge.sources.snapshot.tasks import ReadChunk
from deltaforge.storage.memory import MemoryStorage


class Unmanned(Snapshots):
    """Without threads: who drives it takes the tasks."""

    def _hire(self):
        pass

    def task(self):
        with self._changed:
            return self._task(self._clock())


@dataclass
class Consumer:
    """The newest version of each row, and what went wrong: ``row_version(image)`` is its key and version."""

    row_version: object
    rows: dict = field(default_factory=dict)
    newest: dict = field(default_factory=dict)
    wrong: list = field(default_factory=list)
    copied_count: int = 0

    def take(self, event):
        if event.op == "t":
            self.rows.clear()
            return
        self.copied_count += event.op == "r"
        for image, is_there in ((event.before, False), (event.after, True)):
            if image is None:
                continue
            key, version = self.row_version(image)
            if version < self.newest.get(key, -1) or (event.op == "r" and self._is_gone(key, version)):
                self.wrong.append((event.op, key, version, self.newest[key]))
            self.newest[key] = max(version, self.newest.get(key, -1))
            if is_there:
                self.rows[key] = version
            else:
                self.rows.pop(key, None)

    def _is_gone(self, key, version):
        return key in self.newest and key not in self.rows and version <= self.newest[key]


class CopiedSource:
    """A source with its snapshots, and what it delivered."""

    def __init__(self, spec, folder, **snapshot):
        folder.mkdir(exist_ok=True)
        self.metrics, storage = PipelineMetrics("p"), MemoryStorage()
        self.spec, self.config = spec, SnapshotConfig(**snapshot)
        self.context = SourceContext(
            "p", "acme", folder, BatchLimits(max_ms=5), self.metrics, SchemaRegistry(storage.log, "acme", "s"),
            FailoverLog(storage.kv, "s"),
        )  # fmt: skip
        self.state = SnapshotState()
        self.batches, self.events = [], []
        self._numbers = count(1)

    def took(self, batch):
        """A batch is delivered, and what it says is saved."""
        self.batches.append(batch)
        self.events += batch.events()
        if batch.snapshot is not None:
            self.state = batch.snapshot
        self.snapshots.saved(self.state)

    def request(self, *tables, **fields):
        """Ask for a copy."""
        copies = tuple(TableCopy(*table) for table in tables)
        self.snapshots.request(SnapshotJob(f"job{next(self._numbers)}", "ad_hoc", copies, **fields))

    def is_over(self):
        return not self.state.jobs and self.snapshots.state == self.state


class SteppedCopy(CopiedSource):
    """Each step by hand: chunks are read, the log is followed and both are merged when a test says so."""

    def __init__(self, spec, folder, **snapshot):
        super().__init__(spec, folder, **snapshot)
        self.snapshots = Unmanned("s", self.config, None, self.metrics)
        self.snapshots.saved(self.state)
        self.stream, self.reader = spec.build(self.context), spec.chunk_reader(self.context)
        self.position = self.stream.open(None)
        self.snapshots.connected(self.stream)

    def follow(self, until=None, timeout_secs=60):
        """Deliver the log: until an event is as wanted, else until some time."""
        seen, deadline = len(self.events), time.monotonic() + timeout_secs
        while not (until is None or any(map(until, self.events[seen:]))):
            assert time.monotonic() < deadline, "the log does not say it"
            self._poll(0.05)
        self._poll(0)

    def _poll(self, secs):
        for batch in self.stream.poll(secs):
            self.snapshots.note(batch)
            self.took(batch)
            self.position = batch.position

    def merge(self):
        """All that may leave here; the copied rows of it."""
        seen = len(self.events)
        while (batch := self.snapshots.next_batch(self.stream, self.position, has_room=True)) is not None:
            self.took(batch)
        return self.events[seen:]

    def work(self):
        """The next task, done; None if there is none."""
        task = self.snapshots.task()
        if task is not None:
            try:
                self.snapshots.finished(task, task.do(self.reader))
            except DeltaForgeError as error:
                self.snapshots.failed(task, error)
        return task

    def read_chunk(self, timeout_secs=60):
        """Go on until a chunk was read that is not delivered."""
        deadline = time.monotonic() + timeout_secs
        while True:
            self.merge()
            task = self.work()
            if isinstance(task, ReadChunk) and self.snapshots._copying.work.ready_count:
                return
            assert time.monotonic() < deadline, "no chunk can be read"

    def deliver_chunk(self, timeout_secs=60):
        """Go on until what was read has left or was thrown away; the copied rows."""
        seen, deadline = len(self.events), time.monotonic() + timeout_secs
        while self.snapshots._copying is not None and self.snapshots._copying.work.ready_count:
            self.merge()
            self._poll(0.02)
            assert time.monotonic() < deadline, self.snapshots.view()
        return [event for event in self.events[seen:] if event.op == "r"]

    def finish(self, timeout_secs=60):
        """Go on until the job is over; the copied rows."""
        seen, deadline = len(self.events), time.monotonic() + timeout_secs
        while not self.is_over():
            self.merge()
            self.work()
            self._poll(0.01)
            assert time.monotonic() < deadline, self.snapshots.view()
        return [event for event in self.events[seen:] if event.op == "r"]

    def close(self):
        self.reader.close()
        self.stream.close()


class RunningCopy(CopiedSource):
    """As in a pipeline, with the threads of the reader and the workers."""

    def __init__(self, spec, folder, **snapshot):
        super().__init__(spec, folder, **snapshot)
        self.snapshots = Snapshots("s", self.config, lambda: spec.chunk_reader(self.context), self.metrics)
        self.log = LogReader(
            "s", lambda: spec.build(self.context), self.metrics, limits=self.context.limits, snapshots=self.snapshots
        )
        self.log.start(None)

    def take(self, until, timeout_secs=60):
        """Deliver until it is as wanted."""
        deadline = time.monotonic() + timeout_secs
        while not until():
            assert time.monotonic() < deadline, self.snapshots.view()
            batch = self.log.get(0.05)
            if batch is not None:
                self.took(batch)

    def close(self):
        self.log.close()


def source_spec(document):
    """The source of a document."""
    return TypeAdapter(AnySource).validate_python(document)
