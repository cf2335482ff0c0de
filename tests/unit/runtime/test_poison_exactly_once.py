"""Events that fail alone, under a sink that keeps its progress in one transaction with the events."""

import pytest

from deltaforge.core.errors import RecordError, SinkError, StorageError
from deltaforge.core.event import TX_ID_LENGTH
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime import sink_worker
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.base import SinkConfig, SinkFilter
from deltaforge.storage.memory import MemoryStorage
from deltaforge.testing.fakes import make_event
from tests.unit.runtime.ledger import IDS, MODES, Ledger, LedgerSink, Run, behind, split_transaction, transactions
from tests.unit.waiting import wait_until

TX = IDS.at(0)[:TX_ID_LENGTH]
BAD = {"none": set(), "one": {12}, "first and last": {1, 30}, "neighbours": {4, 5, 6, 11, 12}, "a whole batch": set(range(11, 21)), "all": set(range(1, 31))}  # fmt: skip


@pytest.fixture
def run_of():
    made = []

    def make(
        bad=(), mode="at once", *, ledger=None, queue=None, most=None, fault=lambda _name, _number: None, **config
    ):
        sink = LedgerSink(ledger or Ledger(), bad, mode, most=most, fault=fault)
        made.append(Run(sink, queue or MemoryStorage().queue, **config))
        return made[-1]

    yield make
    for run in made:
        run.close()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(sink_worker, "RETRY", sink_worker.Backoff(initial_secs=0.001, max_secs=0.01))
    monkeypatch.setattr(sink_worker, "ROOM_SECS", 0.01)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("log", [transactions, split_transaction])
def test_what_a_commit_covers_is_delivered_once_or_a_dead_letter_already(run_of, log, bad, mode):
    def check(name, _number):
        if name == "after_commit":
            covered = range(1, behind(run.ledger.progress) + 1)
            assert run.ledger.rows == [n for n in covered if n not in bad]
            assert set(run.dead()) >= bad.intersection(covered)

    run = run_of(bad, mode, fault=check)

    run.deliver(*log(10, 10, 10))

    assert run.ledger.rows == [n for n in range(1, 31) if n not in bad]
    assert sorted(run.dead()) == sorted(bad)
    assert run.worker.checkpoint().position == PostgresPosition(31)
    assert run.value("sink_events_total") == 30 - len(bad)
    assert run.value("sink_batch_total") == 3
    assert run.worker.last_error is None


def test_progress_inside_a_transaction_counts_its_dead_letters(run_of):
    run = run_of({2, 3, 12}, "drain")

    for batch in split_transaction(10, 10, 10):
        run.deliver(batch)

    assert [progress for _, progress in run.ledger.commits] == [
        SinkProgress(PostgresPosition(1), 10, TX),
        SinkProgress(PostgresPosition(1), 20, TX),
        SinkProgress(PostgresPosition(31)),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_progress_counts_what_the_filter_takes_out_too(run_of, mode):
    run = run_of({14}, mode, filter=SinkFilter(exclude_synthetic=True))
    log = split_transaction(10, 10)
    for batch in log:
        for event in batch.events():
            event.synthetic = "p" if event.after["id"] % 3 == 0 else None

    run.deliver(log[0])
    run.deliver(log[1])

    assert run.ledger.rows == [n for n in range(1, 21) if n % 3 and n != 14]
    assert [behind(progress) for _, progress in run.ledger.commits] == [10, 20]


def test_what_is_refused_before_it_is_sent_aborts_nothing(run_of):
    bad = set(range(5, 400, 7))
    run = run_of(bad, "at once", max_entries=1000)

    run.deliver(*transactions(100, 100, 100, 100))

    assert run.ledger.rows == [n for n in range(1, 401) if n not in bad]
    assert run.sink.abort_count == 0


@pytest.mark.parametrize("most", [1, 7, 400])
@pytest.mark.parametrize("log", [transactions, split_transaction])
def test_events_that_are_too_many_together_are_no_dead_letters(run_of, log, most):
    run = run_of(most=most)

    run.deliver(*log(1, 600, 3000, 5))

    assert run.ledger.rows == list(range(1, 3607))
    assert run.dead() == []
    assert run.sink.abort_count < 100
    assert run.worker.checkpoint().position == PostgresPosition(3607)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", ["after_dead_letter", "before_commit", "after_commit"])
@pytest.mark.parametrize("log", [transactions, split_transaction])
def test_a_crash_anywhere_loses_and_repeats_nothing(run_of, monkeypatch, log, point, mode):
    bad, ledger, queue, left = {3, 4, 12, 20, 28}, Ledger(), MemoryStorage().queue, []

    def crash(name, _number=0):
        if name == point and left:
            left.pop()
            if not left:
                raise SinkError("crash", kind="fatal")

    monkeypatch.setattr(sink_worker, "reached", crash)
    crash_count = 0
    for passing in (1, 2, 3, 99):
        left[:] = range(passing)
        run = run_of(bad, mode, ledger=ledger, queue=queue, fault=crash)
        run.hand_over(*log(10, 10, 10))
        wait_until(lambda run=run: run.worker.failure is not None or run.worker.wait_acked(0.1))
        crash_count += run.worker.failure is not None
        run.close()

    assert crash_count
    assert ledger.rows == [n for n in range(1, 31) if n not in bad]
    assert sorted(run.dead()) == sorted(bad)


@pytest.mark.parametrize("mode", MODES)
def test_without_dead_letters_a_poison_event_ends_the_sink(mode):
    sink = LedgerSink(Ledger(), {13}, mode)
    worker = SinkWorker(SinkConfig(id="k"), sink, PipelineMetrics("p"), acked=None, max_queued=4)
    for batch in transactions(10, 10):
        assert worker.offer(batch, 1)

    wait_until(lambda: isinstance(worker.failure, RecordError))

    assert sink.ledger.rows in ([], list(range(1, 11)))
    worker.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_full_queue_that_blocks_holds_no_transaction_open(run_of, mode):
    run = run_of({3, 6, 19}, mode, policy="block", max_entries=2)
    run.hand_over(*transactions(5, 5, 10))

    wait_until(lambda: "full" in (run.worker.last_error or ""))
    assert not run.worker.wait_acked(0.05)
    assert not run.sink.is_in_transaction
    assert run.dead() == [3, 6]
    assert run.ledger.rows in ([], [1, 2, 4, 5], [1, 2, 4, 5, 7, 8, 9, 10])
    assert DeadLetterQueue(run.queue, "p").purge() == 2

    wait_until(lambda: run.worker.wait_acked(0.1))
    assert run.dead() == [19]
    assert run.ledger.rows == [n for n in range(1, 21) if n not in {3, 6, 19}]
    assert run.worker.last_error is None


@pytest.mark.parametrize("mode", MODES)
def test_waiting_for_room_ends_the_transaction_of_what_is_before(run_of, mode):
    def hold(name, number):
        if (name, number) == ("before_commit", 1):
            wait_until(lambda: not is_held)

    is_held = [True]
    run = run_of({3, 15}, mode, policy="block", max_entries=1, fault=hold)
    first, second, third = transactions(5, 5, 5)
    run.hand_over(first)
    wait_until(lambda: run.dead() == [3])
    run.hand_over(second, third)
    is_held.clear()

    wait_until(lambda: "full" in (run.worker.last_error or ""))
    assert not run.sink.is_in_transaction
    DeadLetterQueue(run.queue, "p").purge()
    wait_until(lambda: run.worker.wait_acked(0.1))

    assert run.ledger.rows == [n for n in range(1, 16) if n not in {3, 15}]
    assert run.dead() == [15]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", [16]), ("reject", [3])])
def test_a_full_queue_loses_only_what_its_policy_says(run_of, mode, policy, kept):
    run = run_of({3, 8, 16}, mode, policy=policy, max_entries=1)

    run.deliver(*transactions(10, 10))

    assert run.ledger.rows == [n for n in range(1, 21) if n not in {3, 8, 16}]
    assert run.dead() == kept


@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_cannot_be_kept_is_not_passed_over(run_of, mode):
    run = run_of({7, 8}, mode)
    push, tries = run.queue.push, []

    def fail(*args):
        tries.append(args)
        if len(tries) < 4:
            assert run.ledger.progress is None or behind(run.ledger.progress) < 7
            raise StorageError("disk is full")
        return push(*args)

    run.queue.push = fail
    run.deliver(*transactions(5, 5))

    assert len(tries) == (4 if mode == "reported" else 5)  # one report names both, and they are kept together
    assert run.dead() == [7, 8]
    assert run.ledger.rows == [1, 2, 3, 4, 5, 6, 9, 10]


@pytest.mark.parametrize("mode", MODES)
def test_a_redelivery_leaves_the_progress_as_it_is(run_of, mode):
    run = run_of({3}, mode)
    run.deliver(*split_transaction(5, 5)[:1])
    before, checkpoint = run.ledger.progress, run.worker.checkpoint()
    assert before.open_count == 5

    assert run.redeliver(3) in ("cannot be encoded", "too large")
    run.sink.bad = set()
    assert run.redeliver(3) is None

    assert run.ledger.rows == [1, 2, 4, 5, 3]
    assert (run.ledger.progress, run.worker.checkpoint()) == (before, checkpoint)


def test_a_redelivery_before_the_first_batch_of_a_run_leaves_the_progress_as_it_is(run_of):
    first = run_of({3})
    first.deliver(*transactions(5))
    first.close()
    second = run_of(ledger=first.ledger, queue=first.queue)

    assert second.redeliver(3) is None
    assert second.ledger.progress == SinkProgress(PostgresPosition(6))
    second.deliver(*transactions(5, 2))

    assert second.ledger.rows == [1, 2, 4, 5, 3, 6, 7]


@pytest.mark.parametrize("mode", MODES)
def test_a_redelivery_gets_through_while_the_sink_waits_for_room(run_of, mode):
    run = run_of({3, 7}, mode, policy="block", max_entries=1)
    run.hand_over(*transactions(5, 5))
    wait_until(lambda: "full" in (run.worker.last_error or ""))
    before = run.ledger.progress
    run.sink.bad = {7}

    def remove():
        assert run.ledger.progress == before
        DeadLetterQueue(run.queue, "p").purge()

    assert run.redeliver(3, remove) is None
    wait_until(lambda: run.worker.wait_acked(0.1))

    assert run.dead() == [7]
    assert sorted(run.ledger.rows) == [1, 2, 3, 4, 5, 6, 8, 9, 10]
    assert [n for n in run.ledger.rows if n != 3] == [1, 2, 4, 5, 6, 8, 9, 10]


def test_a_redelivery_that_failed_in_its_commit_is_written_again_as_it_was(run_of):
    def fail(name, _number):
        if name == "before_commit" and tries:
            tries.pop()
            raise SinkError("no answer", kind="timeout")

    tries = []
    run = run_of(fault=fail)
    run.deliver(*transactions(5))
    tries += range(2)

    assert run.redeliver(9) is None
    assert run.ledger.rows == [1, 2, 3, 4, 5, 9]


def test_a_dead_letter_that_somebody_else_has_delivered_is_not_delivered_again(run_of):
    run = run_of()

    def gone():
        raise StorageError("there is no dead letter 4")

    redelivery = Redelivery(make_event(4, 1), lambda: None, gone)
    run.worker.redeliver(redelivery)
    redelivery.wait(10, lambda: "busy")

    assert redelivery.error == "there is no dead letter 4"
    assert run.ledger.rows == []


def test_a_delivered_entry_that_cannot_be_removed_is_said_to_be_delivered(run_of):
    run = run_of()

    def fail():
        raise StorageError("disk is full")

    assert run.redeliver(4, fail) == "it is delivered, but its entry is still there: disk is full"
    run.deliver(*transactions(2))
    assert run.ledger.rows == [4, 1, 2]
