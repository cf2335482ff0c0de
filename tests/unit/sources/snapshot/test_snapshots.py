"""Jobs, workers and the reader of the log together, over a scripted server."""

import threading
import time
from collections import Counter

import pytest

from deltaforge.core.batch import DecodedGroup
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import ControlError, NotFoundError, SourceError, TableChangedError
from deltaforge.core.event import EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress
from deltaforge.core.retry import Backoff
from deltaforge.core.snapshot import ChunkMark, JobChange, SnapshotJob, SnapshotState, Stripe, TableCopy
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.reader import LogReader
from deltaforge.sources.snapshot import pace, states, tables
from deltaforge.sources.snapshot.base import Chunk, Kept, TablePlan
from deltaforge.sources.snapshot.snapshots import Snapshots
from deltaforge.testing.fakes import ScriptedStream, make_event
from tests.unit.waiting import wait_until


class CopyableStream(ScriptedStream):
    """A log whose tables can be copied."""

    def server(self):
        return "a"

    def ids_of(self, transaction):
        return EventIds.of("postgresql", "a", transaction)

    refusals = ()

    def since(self):
        if self.refusals:
            raise self.refusals.pop()

    def definition_count(self, _table):
        return 0

    provisional = ()

    def tables_to_copy(self, names):
        return dict.fromkeys(names, "captured")

    def hasten(self, position):
        pass


class BusyStream(CopyableStream):
    """Changes come all the time, no faster than they are taken."""

    def poll(self, timeout_secs):
        time.sleep(0.01)
        return super().poll(timeout_secs)


class All:
    def sees(self, _source):
        return True


class ScriptedReader:
    """Tables of numbered rows. ``fault`` is called with what is asked for: a method, a table and a cursor."""

    def __init__(self, sizes, fault=lambda *_: None):
        self.sizes, self.fault = sizes, fault
        self.calls = Counter()
        self.closed_count = 0

    def tables(self):
        self.fault("tables", None, None)
        return list(self.sizes)

    def plan(self, table, **_):
        self.fault("plan", table, None)
        return TablePlan(table, "keyset", "plan", (Stripe(),), self.sizes[table])

    def read(self, request):
        table = request.plan.table
        self.calls[table, request.low, request.high] += 1
        self.fault("read", table, request.low)
        low, size = int(request.low or 0), self.sizes[table]
        last = min(int(request.high or request.end or size), low + request.max_rows)
        events = [make_event(number, 1) for number in range(low + 1, last + 1)]
        groups = [DecodedGroup(events)] if events else []
        reached = str(last) if last < size else request.high
        return Chunk(request, groups, reached, All(), PostgresPosition(1), len(events), 10 * len(events), last / size)

    def kept(self):
        return Kept()

    def unsettled(self, _mark, _since):
        return None

    def split(self, _plan, _stripe):
        return None

    def close(self):
        self.closed_count += 1


A, B = ("public", "a"), ("public", "b")


class Run:
    """A pipeline that saves each state as soon as it has it, unless ``saves`` is False."""

    def __init__(self, reader, state=None, *, config=None, ahead=None, saves=True, last=0, build=None, **options):
        self.reader, self.saves = reader, saves
        self.metrics = PipelineMetrics("p")
        config = config or SnapshotConfig(chunk_size=3)
        self.snapshots = Snapshots("s", config, lambda: reader, self.metrics, state=state, ahead=ahead)
        self.snapshots.saved(state or SnapshotState())
        build = build or (lambda: CopyableStream(last=last))
        self.log = LogReader("s", build, self.metrics, snapshots=self.snapshots, **options)
        self.log.start(PostgresPosition(1))
        self.newest = state or SnapshotState()
        self.chunks, self.rows, self.batches = [], Counter(), []

    def take(self, until):
        """Batches until one of them, or the state, is as wanted."""

        def is_reached():
            batch = self.log.get(0.05)
            if batch is not None:
                self.batches.append(batch)
                if batch.chunk is not None:
                    self.chunks.append(batch.chunk)
                    self.rows[batch.chunk.table] += batch.event_count
                if batch.snapshot is not None:
                    self.newest = batch.snapshot
                    if self.saves:
                        self.snapshots.saved(batch.snapshot)
            return until()

        wait_until(is_reached)

    def take_all(self):
        self.take(lambda: not self.newest.jobs and self.newest.ended and self.newest == self.snapshots.state)
        return self.snapshots.state.ended[-1]


@pytest.fixture
def run(request):
    runs = []

    def start(*args, **options):
        runs.append(Run(*args, **options))
        return runs[-1]

    yield start
    for one in runs:
        one.log.close()


def job(id_="j", *tables_, **fields):
    return SnapshotJob(id_, "ad_hoc", tuple(TableCopy(*table) for table in tables_), **fields)


def test_all_tables_are_copied_in_numbered_chunks(run):
    copy = run(ScriptedReader({A: 10, B: 2}))
    copy.snapshots.request(job(sinks=("x",)))
    copy.snapshots.request(job(sinks=("x",)))  # known
    ended = copy.take_all()
    assert (ended.status, copy.rows) == ("completed", {"a": 10, "b": 2})
    assert [mark.number for mark in copy.chunks] == list(range(1, len(copy.chunks) + 1))
    assert {mark.sinks for mark in copy.chunks} == {("x",)}
    of_a = [(mark.low, mark.high) for mark in copy.chunks if mark.table == "a"]
    assert of_a == [(None, "3"), ("3", "6"), ("6", "9"), ("9", None)]
    assert copy.snapshots.state.number == len(copy.chunks) == copy.batches[-1].snapshot.number
    assert [(table.name, table.status, table.row_count) for table in ended.tables] == [
        ("a", "completed", 10), ("b", "completed", 2),
    ]  # fmt: skip
    (view,) = copy.snapshots.view()
    assert (view["rows"], view["fraction"], view["status"]) == (12, 1.0, "completed")
    text = copy.metrics.text()
    assert 'deltaforge_snapshot_rows_total{pipeline="p",table="public.a"} 10.0' in text
    assert f'deltaforge_snapshot_chunks_total{{pipeline="p",result="delivered"}} {len(copy.chunks)}.0' in text


def test_no_chunk_leaves_before_job_and_plan_are_saved(run):
    reader = ScriptedReader({A: 3})
    copy = run(reader, saves=False, last=20)
    copy.snapshots.request(job())
    copy.take(lambda: copy.batches and copy.batches[-1].event_count and copy.snapshots.state.jobs)
    assert not copy.chunks
    assert not reader.calls
    copy.snapshots.saved(copy.snapshots.state)
    copy.take(lambda: reader.calls and not copy.snapshots._ledger.is_changed)
    assert not copy.chunks
    assert copy.snapshots.state.jobs[0].tables[0].plan
    copy.saves = True
    copy.snapshots.saved(copy.snapshots.state)
    assert copy.take_all().status == "completed"


def test_the_log_waits_for_two_chunks_at_most_that_the_sinks_have_not_written(run, monkeypatch):
    for name, value in (("PATIENCE_SECS", 3600.0), ("FIRST_ROWS", 3), ("LEAST_ROWS", 3)):
        monkeypatch.setattr(pace, name, value)
    copy = run(ScriptedReader({A: 30}), build=lambda: BusyStream(last=1_000_000))
    copy.snapshots.request(job())
    copy.take(lambda: len(copy.chunks) >= 2)
    log_from = len(copy.batches)
    copy.take(lambda: len(copy.batches) >= log_from + 30)
    assert len(copy.chunks) == 2
    next(batch for batch in copy.batches if batch.chunk is not None).release()
    copy.take(lambda: len(copy.chunks) >= 3)
    log_from = len(copy.batches)
    copy.take(lambda: len(copy.batches) >= log_from + 30)
    assert len(copy.chunks) == 3


def test_a_passing_error_is_tried_again_and_shown_and_a_lasting_one_fails_its_table_alone(run, monkeypatch):
    monkeypatch.setattr(tables, "RETRY", tables.Backoff(initial_secs=0.3, jitter=0))
    monkeypatch.setattr("deltaforge.sources.snapshot.copying.RETRY", tables.RETRY)
    failed = []

    def fault(what, table, low):
        if (what, table, low) == ("read", A, "3") and not failed:
            failed.append(low)
            raise SourceError("connection cut", kind="connect")
        if (what, table) == ("plan", B):
            raise SourceError("no right to read", kind="permission", hint="grant select")

    copy = run(ScriptedReader({A: 5, B: 5}, fault))
    copy.snapshots.request(job())
    copy.take(lambda: failed and copy.snapshots.view()[0]["waiting_for"] == "public.a: connection cut")
    ended = copy.take_all()
    assert (ended.status, ended.error) == ("failed", "public.b: no right to read (grant select)")
    assert copy.rows == {"a": 5}
    assert [table.status for table in ended.tables] == ["completed", "failed"]


def test_a_server_that_cannot_be_copied_fails_the_job_and_streaming_goes_on(run):
    def fault(what, _table, _low):
        if what == "tables":
            raise SourceError("wal_level is replica", kind="incompatible")

    copy = run(ScriptedReader({A: 1}, fault), last=5)
    copy.snapshots.request(job())
    assert (copy.take_all().error, copy.rows) == ("wal_level is replica", {})
    copy.take(lambda: sum(batch.event_count for batch in copy.batches) == 5)


def test_a_log_that_cannot_say_where_notes_begin_fails_the_job_and_streaming_goes_on(run, monkeypatch):
    copy = run(ScriptedReader({A: 2}), last=5)
    monkeypatch.setattr("deltaforge.sources.snapshot.snapshots.RETRY", tables.Backoff(initial_secs=0.01))
    monkeypatch.setattr(CopyableStream, "refusals", [SourceError("no right", kind="permission")])
    copy.snapshots.request(job("j"))
    assert copy.take_all().error == "no right"
    monkeypatch.setattr(CopyableStream, "refusals", [SourceError("cut", kind="connect")])
    copy.snapshots.request(job("k"))
    copy.take(lambda: [ended.status for ended in copy.newest.ended] == ["failed", "completed"])
    copy.take(lambda: sum(batch.event_count for batch in copy.batches if batch.chunk is None) == 5)
    assert copy.log.status().reconnects == 0


def test_a_table_that_is_not_captured_fails_and_one_that_is_gone_is_left_out(run):
    def fault(what, table, _low):
        if (what, table) == ("plan", B):
            raise TableChangedError("no such table")

    copy = run(ScriptedReader({A: 1, B: 1}, fault))
    copy.snapshots.request(job("j", A, B, ("public", "c")))
    ended = copy.take_all()
    assert [(table.name, table.status) for table in ended.tables] == [("a", "completed"), ("c", "failed")]
    assert ended.error.startswith("public.c: it is not captured")


def test_a_table_that_was_changed_is_planned_again_and_begins_again(run):
    changes = []

    def fault(what, _table, low):
        if what == "read" and low == "3" and not changes:
            changes.append(low)
            raise TableChangedError("it was altered")

    copy = run(ScriptedReader({A: 5}, fault))
    copy.snapshots.request(job())
    ended = copy.take_all()
    assert [(mark.low, mark.high) for mark in copy.chunks][-2:] == [(None, "3"), ("3", None)]
    assert (ended.tables[0].row_count, ended.tables[0].planned_count) == (5, 2)


def change(job_id, status):
    return JobChange(id=job_id, change_id=f"{job_id} {status}", status=status, asked_ms=1)


def test_pause_resume_and_cancel(run):
    reader = ScriptedReader({A: 1000})
    copy = run(reader, config=SnapshotConfig(chunk_size=1, max_rows_per_second=500))
    copy.snapshots.request(job("j"))
    copy.snapshots.request(job("k", B))
    copy.take(lambda: len(copy.chunks) >= 3)
    copy.snapshots.change(change("j", "paused"))
    copy.take(lambda: [ended.id for ended in copy.snapshots.state.ended] == ["k"])  # the next one runs meanwhile
    count = len(copy.chunks)
    assert [view["status"] for view in copy.snapshots.view()] == ["paused", "failed"]
    copy.snapshots.change(change("j", "running"))
    copy.take(lambda: len(copy.chunks) > count + 2)
    lows = [int(mark.low or 0) for mark in copy.chunks]
    assert lows == list(range(len(lows)))  # it goes on where it was
    copy.snapshots.change(change("j", "cancelled"))
    assert copy.take_all().status == "cancelled"
    assert not any(mark.number > copy.snapshots.state.number for mark in copy.chunks)
    with pytest.raises(ControlError, match="it is cancelled"):
        copy.snapshots.change(change("j", "running"))
    with pytest.raises(NotFoundError):
        copy.snapshots.change(change("x", "paused"))


def test_a_restart_goes_on_behind_the_last_cursor(run):
    table = states.planned(TableCopy(*A), TablePlan(A, "keyset", "plan", (Stripe(),)))
    table = states.delivered(table, ChunkMark(7, "j", *A, high="4"), states.Delivered(4, 40))
    state = SnapshotState(7, (SnapshotJob("j", "initial", (table,), began_ms=1),))
    copy = run(ScriptedReader({A: 6}), state)
    ended = copy.take_all()
    assert [(mark.number, mark.low, mark.high) for mark in copy.chunks] == [(8, "4", None)]
    assert (ended.tables[0].row_count, copy.rows["a"]) == (6, 2)


def test_chunks_that_a_sink_has_come_first_under_their_numbers(run):
    table = states.planned(TableCopy(*A), TablePlan(A, "keyset", "plan", (Stripe(),)))
    state = SnapshotState(7, (SnapshotJob("j", "initial", (table,), began_ms=1),))
    marks = (
        ChunkMark(8, "j", *A, high="2"), ChunkMark(9, "j", "public", "gone", high="2"),
        ChunkMark(10, "j", *A, low="2", high="3"),
    )  # fmt: skip
    ahead = ChunksAhead()
    ahead.expect(["kafka"])
    reader = ScriptedReader({A: 6})
    copy = run(reader, state, ahead=ahead, last=5)
    copy.take(lambda: sum(batch.event_count for batch in copy.batches) == 5)
    assert not copy.chunks
    assert not reader.calls
    assert copy.snapshots.view()[0]["waiting_for"] == "sink kafka to say which rows it has"
    ahead.note("kafka", SinkProgress(PostgresPosition(1), chunks=marks))
    ended = copy.take_all()
    assert copy.chunks[:3] == list(marks)
    assert [(mark.number, mark.low, mark.high) for mark in copy.chunks[3:]] == [(11, "3", None)]
    assert ended.tables[0].row_count == copy.rows["a"] == 6


def test_what_was_cut_by_a_lost_connection_is_waited_for_aloud(run, monkeypatch):
    monkeypatch.setattr("deltaforge.sources.snapshot.snapshots.SHOWN_AFTER_SECS", 0.0)
    streams, cuts = [], [SourceError("connection cut", kind="connect")]

    def fault(number):
        if number == 3 and cuts:
            raise cuts.pop()

    def build():
        # The new server lacks the transaction that was being read, and has nothing new.
        streams.append(CopyableStream(0 if streams else 4, fault, tx_rows=4))
        return streams[-1]

    copy = run(ScriptedReader({A: 5}), build=build, backoff=Backoff(initial_secs=0.01))
    copy.snapshots.request(job())
    copy.take(lambda: "rest of a transaction" in (copy.snapshots.view()[0]["waiting_for"] or ""))
    assert not copy.chunks
    streams[-1]._next, streams[-1]._last = 5, 8
    copy.take_all()
    assert copy.rows == {"a": 5}
    assert [len(batch.groups) for batch in copy.batches if batch.event_count and not batch.chunk] == [1] * 6


def test_workers_end_with_the_reader(run):
    before = {thread.name for thread in threading.enumerate()}
    reader = ScriptedReader({A: 3, B: 3})
    copy = run(reader)
    copy.snapshots.request(job())
    copy.take_all()
    copy.log.close()
    assert reader.closed_count >= 1
    assert {thread.name for thread in threading.enumerate()} == before
