"""A pipeline that copies a table while it reads the log, driven step by step in a random order: the real merging, over
the simulated database.
"""

import json
import random
from dataclasses import dataclass, field

from deltaforge.checkpoint.snapshot_changes import new_change
from deltaforge.core.batch import Batch
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import SourceError, TableChangedError
from deltaforge.core.event import EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress
from deltaforge.core.snapshot import SnapshotJob, SnapshotState, Stripe
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot import states
from deltaforge.sources.snapshot.base import Chunk, Kept, Listed, TablePlan
from deltaforge.sources.snapshot.snapshots import Snapshots
from deltaforge.sources.snapshot.tasks import ListTables, PlanTable, ReadChunk, ReadDone, SplitStripe
from tests.snapshot_database import PAGES, TABLE, Change, Database, Group

METRICS = PipelineMetrics("model")


@dataclass
class Reading:
    """A chunk that is being read, in three steps."""

    task: object
    mark: object = None
    rows: tuple | None = None
    reached: str | None = None
    error: SourceError | None = None


@dataclass
class Sink:
    """Keeps its progress itself, with the marks of its chunks, if ``is_ahead``; else it is what was saved."""

    is_ahead: bool
    events: list = field(default_factory=list)
    position: int = 0
    open_count: int = 0  # changes that it has of the transaction behind its position
    number: int = 0
    marks: list = field(default_factory=list)

    def log(self, position, changes, at, *, is_end):
        """A part of a transaction, from its change ``at`` on."""
        if position <= self.position:
            return
        self.events += changes[max(0, self.open_count - at) :]
        self.open_count = max(self.open_count, at + len(changes))
        if is_end:
            self.position, self.open_count = position, 0

    def chunk(self, mark, rows):
        if mark is not None and mark.number > self.number:
            self.number = mark.number
            self.marks.append(mark)
            self.events += rows


class Captured:
    """A table as the stream has it."""

    @property
    def mapper(self):
        return self

    def event_of(self, _table, op):
        return Group(0, op, []).head()


class Unmanned(Snapshots):
    """Without threads: who drives it takes the tasks."""

    def _hire(self):
        pass

    def task(self):
        with self._changed:
            return self._task(self._clock())


class Pipeline:
    """What the reader of the log does with its snapshots, and a log, in one."""

    def __init__(self, rng, database, rules, *, stripe_count):
        self.rng, self.database, self.rules = rng, database, rules
        self.config = SnapshotConfig(
            chunk_size=rng.choice((1, 2, 3)), intra_table_parallel=stripe_count > 1, max_parallel_chunks=stripe_count
        )
        self.read = rng.randrange(len(database.log) + 1)
        self.server_name = "a"
        self.now, self.definitions, self.connection = 0.0, 0, 0
        self.sinks = [Sink(is_ahead=False), Sink(is_ahead=True)]
        for sink in self.sinks:
            sink.position = self.read
        state = states.requested(SnapshotState(), SnapshotJob("j", "initial", (), truncate_first=rng.random() < 0.2))
        self.saved = (self.read, state, 0, len(self.sinks[0].events))
        self.start(state)

    # What the stream does.

    def server(self):
        return self.server_name

    def ids_of(self, transaction):
        return EventIds.of("postgresql", self.server_name, transaction)

    def since(self):
        return frozenset(tx.number for tx in self.database.log[: self.read])

    def definition_count(self, _table):
        return self.definitions

    provisional = ()

    def tables_to_copy(self, tables):
        return dict.fromkeys(tables, Captured())

    def hasten(self, position):
        pass

    # Steps.

    def start(self, state):
        self.ahead, self.spoken = ChunksAhead(), 0
        self.ahead.expect([1])
        self.snapshots = Unmanned(
            "s", self.config, None, METRICS, state=state, ahead=self.ahead, clock=lambda: self.now
        )
        self.snapshots.saved(state)
        self.snapshots.connected(self)
        self.newest, self.readings = state, []
        self.open = None  # the transaction that was delivered in part

    def speak(self):
        """The sink that keeps its progress says what it has."""
        self.ahead.note(1, SinkProgress(PostgresPosition(0), chunks=tuple(self.sinks[1].marks)))

    def crash(self):
        """Killed, and started again from what was saved."""
        self.read, state, number, event_count = self.saved
        behind = self.sinks[0]
        del behind.events[event_count:]
        behind.position, behind.open_count, behind.number = self.read, 0, number
        self.start(state)

    def reconnect(self):
        """The log is read over another connection, perhaps to a server that took over."""
        self.definitions = 0
        self.server_name = self.rng.choice((self.server_name, "b", "c"))
        self.snapshots.disconnected()
        self.snapshots.connected(self)

    def toggle(self):
        """An operator pauses the job, or lets it go on."""
        for job in self.snapshots.state.jobs:
            self.snapshots.change(new_change(job.id, "paused" if job.status == "running" else "running"))

    def save(self):
        if self.open is None:
            self.saved = (self.read, self.newest, self.sinks[0].number, len(self.sinks[0].events))
            self.snapshots.saved(self.newest)

    def next_log(self):
        """The next piece of the log leaves: a transaction, or a part of it."""
        if self.open is None and self.read == len(self.database.log):
            return
        tx, at = self.open or (self.database.log[self.read], 0)
        if tx.is_ddl:
            self.definitions += 1
        stop = at + 1 if len(tx.changes) > at + 1 and self.rng.random() < 0.3 else len(tx.changes)
        is_end = stop == len(tx.changes)
        part = tx.changes[at:stop]
        self.open = None if is_end else (tx, stop)
        groups = [Group(tx.number, change.op, [change]) for change in part]
        batch = Batch.of_groups(groups, PostgresPosition(self.read + is_end), is_tx_end=is_end)
        self.snapshots.note(batch)
        self.newest = batch.snapshot or self.newest
        for sink in self.sinks:
            sink.log(tx.number, part, at, is_end=is_end)
        self.read += is_end

    def merge(self):
        """What may leave between two transactions."""
        if self.open is None:
            batch = self.snapshots.next_batch(self, PostgresPosition(self.read), has_room=self.rng.random() < 0.95)
            if batch is not None:
                self.newest = batch.snapshot
                rows = [change for group in batch.groups for change in changes_of(group)]
                for sink in self.sinks:
                    sink.chunk(batch.chunk, rows)

    def work(self):
        """A worker asks for a task, or goes on with one."""
        if len(self.readings) < 3 and self.rng.random() < 0.5:
            task = self.snapshots.task()
            if task is not None:
                self.readings.append(Reading(task))
                return
        if self.readings:
            reading = self.rng.choice(self.readings)
            if self.step(reading):
                self.readings.remove(reading)

    def step(self, reading):
        """One step of a task; whether it is done."""
        task, snapshots = reading.task, self.snapshots
        if isinstance(task, ReadChunk):
            return self.step_of_chunk(reading, task)
        if isinstance(task, ListTables):
            snapshots.finished(task, Listed([TABLE], Kept()))
        elif isinstance(task, PlanTable):
            snapshots.finished(task, self.plan(task.stripe_count))
        elif isinstance(task, SplitStripe):
            low, end = int(task.stripe.at or 0), int(task.stripe.end or PAGES + 2)
            snapshots.finished(task, str((low + end) // 2) if end - low > 1 else None)
        return True

    def plan(self, stripe_count):
        stripes = [Stripe(None, None)]
        if stripe_count > 1 and self.rng.random() < 0.5:
            stripes = [Stripe(None, "4"), Stripe("4", None)]
        method = "ctid" if self.database.moves else "keyset"
        return TablePlan(TABLE, method, str(self.database.definition), tuple(stripes))

    def step_of_chunk(self, reading, task):
        if reading.mark is None:
            reading.mark = self.rules.mark(self.database)
        elif reading.rows is None:
            if self.rules.is_exact:
                reading.mark = self.rules.mark(self.database)
            self.read_rows(reading, task.request)
        elif reading.error is not None:
            self.snapshots.failed(task, reading.error)
            return True
        else:
            high = PostgresPosition(self.rules.high(self.database))
            groups = [Group(0, "r", list(reading.rows))] if reading.rows else []
            count = len(reading.rows)
            chunk = Chunk(task.request, groups, reading.reached, reading.mark, high, count, count * 4)
            self.snapshots.finished(task, ReadDone(chunk, self.rules.unsettled(reading.mark, task.since)))
            return True
        return False

    def read_rows(self, reading, request):
        seen, reading.rows = self.database.seen_rows, ()
        if self.rng.random() < 0.05:
            reading.error = SourceError("the connection broke", kind="connect")
        elif request.plan.detail != str(self.database.definition):
            reading.error = TableChangedError("it was altered")
        elif request.reread:
            keys = {json.loads(key)["k"] for key in request.reread}
            reading.rows = tuple(Change("r", None, row) for key, row in seen.items() if key in keys)
        else:
            low, end = int(request.low or -1), int(request.high or request.end or 1 << 30)
            rows = sorted((row for row in seen.values() if low < row.page <= end), key=lambda row: row.page)
            count = min(request.max_rows, 1000)
            if request.high is not None:
                reading.reached = request.high
            elif self.database.moves:
                last = low + count
                if last < min(end, PAGES):
                    rows, reading.reached = [row for row in rows if row.page <= last], str(last)
            elif len(rows) >= count:
                rows = rows[:count]
                reading.reached = str(rows[-1].page)
            reading.rows = tuple(Change("r", None, row) for row in rows)


def changes_of(group):
    return [Change("t", None, None)] if group.op == "t" else group.changes


def wrong(sink, database):
    """What is wrong with what a sink has; None: nothing."""
    newest, rows = {}, {}
    for change in sink.events:
        if change.op == "t":
            rows.clear()
            continue
        old = rows.get(change.before.key if change.before is not None else 0)
        if change.before is not None and (change.after is None or change.after.key != change.before.key):
            rows.pop(change.before.key, None)
            newest[change.before.key] = max(newest.get(change.before.key, 0), change.before.version + 0.5)
        row = change.after
        if row is None:
            continue
        if row.version < newest.get(row.key, 0):
            return f"{change.op} of key {row.key}: version {row.version} behind {newest[row.key]}"
        newest[row.key] = row.version
        large = row.large if change.is_whole else old[1] if old is not None else None
        rows[row.key] = (row.version, large)
    expected = {row.key: (row.version, row.large) for row in database.rows.values()}
    if rows != expected:
        keys = {
            key: (rows.get(key), expected.get(key)) for key in rows | expected if rows.get(key) != expected.get(key)
        }
        return f"key: (delivered, in the table): {keys}"
    return None


def run(seed, rules):
    """One schedule; what is wrong at its end, or None."""
    rng = random.Random(seed)
    database = Database(rng, moves=rng.random() < 0.5, in_order=rng.random() < 0.3)
    for _ in range(rng.randrange(4)):
        database.commit()
    pipeline = Pipeline(rng, database, rules, stripe_count=rng.choice((1, 2)))
    may_crash = rng.random() < 0.5
    if rng.random() < 0.8:
        pipeline.speak()
    for _ in range(rng.randrange(60, 220)):
        act = rng.random()
        pipeline.now += rng.choice((0.0, 0.01, 0.1, 2.0))
        if act < 0.12:
            database.commit()
        elif act < 0.25:
            database.show()
        elif act < 0.42:
            pipeline.next_log()
        elif act < 0.68:
            pipeline.work()
        elif act < 0.84:
            pipeline.merge()
        elif act < 0.97:
            pipeline.save()
        elif may_crash and act < 0.98:
            pipeline.crash()
        elif act < 0.985:
            pipeline.toggle()
        elif act < 0.99:
            pipeline.reconnect()
        else:
            pipeline.speak()
    finish(pipeline, database)
    return next((found for sink in pipeline.sinks if (found := wrong(sink, database)) is not None), None)


def finish(pipeline, database):
    """Nothing more is written; all that is left is read, until the job is over."""
    while database.unseen:
        database.show()
    pipeline.speak()
    if any(job.status == "paused" for job in pipeline.snapshots.state.jobs):
        pipeline.toggle()
    for _ in range(5000):
        pipeline.now += 1.0
        pipeline.next_log()
        pipeline.merge()
        pipeline.save()
        pipeline.work()
        if not pipeline.snapshots.state.jobs and pipeline.read == len(database.log) and pipeline.open is None:
            return
    raise AssertionError("the copy does not come to an end")
