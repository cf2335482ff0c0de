import logging

import msgspec
import pytest

from deltaforge.core.errors import RecordError, StorageError
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.storage.memory import MemoryStorage
from deltaforge.testing.fakes import make_event


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Journal:
    """Dead letters over a storage that outlives them."""

    def __init__(self):
        self.clock = Clock()
        self.queue = MemoryStorage(self.clock).queue
        self.metrics = PipelineMetrics("p")
        self.open_letters = []

    def open(self, max_entries=10, policy="drop_oldest", max_age_secs=0):
        limits = DeadLetterLimits(max_entries, max_age_secs, 10_000, policy)
        self.open_letters.append(DeadLetters(self.queue, limits, self.metrics, clock=self.clock))
        return self.open_letters[-1]

    @property
    def view(self):
        return DeadLetterQueue(self.queue, "p")

    def ids(self, **terms):
        return [entry.event_id for entry in self.view.entries(**terms)]

    def value(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"deltaforge_dlq_{name}", {"pipeline": "p", **labels})


@pytest.fixture
def journal():
    made = Journal()
    yield made
    for letters in made.open_letters:
        letters.close()


def keep(letters, *numbers, sink_id="k", kind="serialization"):
    """Whether each is kept, one after the other."""
    return [keep_together(letters, n, sink_id=sink_id, kind=kind) == 1 for n in numbers]


def keep_together(letters, *numbers, sink_id="k", kind="serialization"):
    events = [msgspec.structs.replace(make_event(n, 16), event_id=f"e{n}") for n in numbers]
    error = RecordError("cannot be encoded", index=0, kind=kind)
    return letters.keep([(event, error) for event in events], sink_id)


def test_entries_are_counted_by_sink_and_kind(journal):
    letters = journal.open()

    assert keep(letters, 1, 2) == [True, True]
    keep(letters, 3, sink_id="other", kind="routing")

    assert journal.ids() == ["e1", "e2", "e3"]
    assert journal.value("events_total", sink="k", error_kind="serialization") == 2
    assert journal.value("events_total", sink="other", error_kind="routing") == 1
    assert journal.value("entries") == 3
    assert journal.value("saturation_ratio") == 0.3
    assert [journal.value(f"{name}_total") for name in ("evicted", "rejected", "write_failures")] == [0, 0, 0]


def test_drop_oldest_evicts_just_enough(journal):
    letters = journal.open(max_entries=3)

    keep(letters, *range(1, 6))

    assert journal.ids() == ["e3", "e4", "e5"]
    assert journal.value("evicted_total") == 2
    assert journal.value("entries") == 3
    assert journal.value("saturation_ratio") == 1


def test_reject_loses_the_new_event_and_says_so(journal, caplog):
    letters = journal.open(max_entries=2, policy="reject")

    assert keep(letters, 1, 2, 3) == [True, True, True]

    assert journal.ids() == ["e1", "e2"]
    assert journal.value("rejected_total") == 1
    assert "event e3 of sink k is not kept" in caplog.text


def test_block_asks_to_wait_until_there_is_room(journal):
    letters = journal.open(max_entries=2, policy="block")

    assert keep(letters, 1, 2, 3) == [True, True, False]
    assert journal.view.ack(journal.view.entries()[0].seq) == 1
    assert keep(letters, 3) == [True]

    assert journal.ids() == ["e2", "e3"]


@pytest.mark.parametrize(
    ("policy", "done", "kept"), [("drop_oldest", 5, "56879"), ("reject", 5, "12568"), ("block", 3, "12568")]
)
def test_events_that_are_kept_together_fill_the_queue_as_one_by_one(journal, policy, done, kept):
    letters = journal.open(max_entries=5, policy=policy)
    keep(letters, 1, 2)

    assert keep_together(letters, 5, 6, 5, 2) == 4
    assert keep_together(letters, 2, 8, 6, 7, 9) == done

    assert journal.ids() == [f"e{n}" for n in kept]
    assert journal.value("evicted_total") == (2 if policy == "drop_oldest" else 0)
    assert journal.value("rejected_total") == (2 if policy == "reject" else 0)
    assert journal.value("entries") == 5


@pytest.mark.parametrize("policy", ["reject", "block"])
def test_a_lower_bound_than_before_drops_nothing_that_is_kept(journal, policy):
    keep(journal.open(), *range(1, 6))
    letters = journal.open(max_entries=3, policy=policy)

    assert keep_together(letters, 6, 7) == (2 if policy == "reject" else 0)

    assert journal.ids() == [f"e{n}" for n in range(1, 6)]


@pytest.mark.parametrize("policy", ["drop_oldest", "reject", "block"])
def test_an_event_that_comes_again_after_a_crash_is_kept_once(journal, policy):
    keep(journal.open(max_entries=3, policy=policy), 1, 2, 3)
    letters = journal.open(max_entries=3, policy=policy)

    assert keep(letters, 2, 3) == [True, True]

    assert journal.ids() == ["e1", "e2", "e3"]
    assert keep(letters, 2, sink_id="other") == [policy != "block"]


def test_a_replay_over_evictions_ends_with_the_newest_entries(journal):
    keep(journal.open(max_entries=10), *range(1, 16))

    keep(journal.open(max_entries=10), *range(1, 16))

    assert journal.ids() == [f"e{n}" for n in range(6, 16)]


def test_an_entry_that_somebody_acked_does_not_come_back_by_a_replay(journal):
    letters = journal.open()
    keep(letters, 1)
    journal.view.purge()

    assert keep(letters, 1) == [True]

    assert journal.ids() == []


def test_a_failed_write_is_counted_and_not_passed_over(journal):
    letters = journal.open()

    def push(*_):
        raise StorageError("disk is full")

    journal.queue.push, push_again = push, journal.queue.push
    with pytest.raises(StorageError, match="disk is full"):
        keep_together(letters, 1, 2)
    journal.queue.push = push_again

    assert journal.value("write_failures_total") == 1
    assert keep_together(letters, 1, 2) == 2
    assert journal.ids() == ["e1", "e2"]


def test_saturation_is_logged_once_per_level(journal, caplog):
    letters = journal.open(max_entries=20)

    keep(letters, *range(20))

    levels = [r.levelno for r in caplog.records if "% full" in r.getMessage()]
    assert levels == [logging.WARNING, logging.ERROR]
    assert "80 % full: 16 of 20" in caplog.text
    journal.view.purge()
    letters.refresh()
    keep(letters, *range(20, 37))
    assert len([r for r in caplog.records if "% full" in r.getMessage()]) == 3


def test_entries_that_are_too_old_are_removed(journal):
    letters = journal.open(max_age_secs=60)
    keep(letters, 1)
    journal.clock.now += 50
    keep(letters, 2)
    journal.clock.now += 11

    assert letters.clean() == 1

    assert journal.ids() == ["e2"]
    assert journal.value("entries") == 1


def test_without_an_age_limit_nothing_gets_too_old(journal):
    letters = journal.open(max_age_secs=0)
    keep(letters, 1)
    journal.clock.now += 1e9

    assert letters.clean() == 0


def test_filters_come_before_the_limit(journal):
    letters = journal.open(max_entries=300)
    keep(letters, *range(250))
    keep(letters, 300, 301, 302, sink_id="other", kind="routing")

    assert journal.ids(limit=2, sink_id="other") == ["e300", "e301"]
    assert journal.ids(limit=2, error_kind="routing error") == ["e300", "e301"]
    assert journal.ids(limit=2, error_kind="serialization") == ["e0", "e1"]
    assert journal.ids(limit=2, sink_id="k", error_kind="routing") == []
    assert len(journal.ids(limit=1000)) == 253


def test_an_entry_that_is_not_there_is_named(journal):
    keep(journal.open(), 1)
    (entry,) = journal.view.entries()

    assert [seq for seq, _ in journal.view.picked([entry.seq])] == [entry.seq]
    with pytest.raises(StorageError, match="no dead letter 99"):
        journal.view.picked([entry.seq, 99])
