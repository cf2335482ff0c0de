"""Which tables a start copies."""

import itertools

import msgspec
import pytest

from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy
from deltaforge.runtime.snapshot_start import snapshots_at_start

DONE = SnapshotJob("old", "initial", (TableCopy("s", "a", "completed"),), "completed")
FAILED = SnapshotJob("bad", "initial", (TableCopy("s", "a", "completed"), TableCopy("s", "b", "failed")), "failed")
RUNNING = SnapshotJob("now", "initial", (TableCopy("s", "a", "copying"),))
OTHER = SnapshotJob("other", "ad_hoc", (TableCopy("s", "a"),))


def started(saved, mode, **options):
    ids = itertools.count(1)
    new_job = lambda kind: SnapshotJob(f"new{next(ids)}", kind, ())  # noqa: E731
    return snapshots_at_start(saved, mode, new_job, **options)


@pytest.mark.parametrize(
    ("saved", "mode", "expected"),
    [
        (None, "never", []),
        (None, "initial", [("new1", "initial")]),
        (SnapshotState(3, (OTHER,)), "initial", [("other", "ad_hoc"), ("new1", "initial")]),
        (SnapshotState(3, (RUNNING,)), "initial", [("now", "initial")]),
        (SnapshotState(3, (), (DONE,)), "initial", []),
        (SnapshotState(3, (), (msgspec.structs.replace(DONE, status="cancelled"),)), "initial", []),
        (SnapshotState(3, (), (FAILED, DONE)), "initial", []),
        (SnapshotState(3, (), (DONE,)), "always", [("new1", "initial")]),
        (SnapshotState(3, (RUNNING,), (DONE,)), "always", [("now", "initial")]),
        (SnapshotState(3, (RUNNING,)), "never", [("now", "initial")]),
    ],
)
def test_initial_once_always_each_start(saved, mode, expected):
    state = started(saved, mode)
    assert [(job.id, job.kind) for job in state.jobs] == expected
    assert (state.number, state.ended) == ((saved.number, saved.ended) if saved else (0, ()))
    new = [job for job in state.jobs if job.id == "new1"]
    assert all((job.tables, job.sinks, job.status) == ((), None, "running") for job in new)


def test_tables_that_failed_are_copied_by_the_next_start():
    (job,) = started(SnapshotState(3, (), (DONE, FAILED)), "initial").jobs
    assert job.tables == (TableCopy("s", "b"),)


def test_a_new_sink_has_a_copy_of_its_own():
    state = started(SnapshotState(3, (RUNNING,), (DONE,)), "initial", new_sinks=["a", "b"])
    assert [(job.kind, job.sinks) for job in state.jobs] == [("initial", None), ("new_sink", ("a", "b"))]
    assert [job.kind for job in started(None, "never", new_sinks=["a"]).jobs] == ["new_sink"]


def test_a_reset_copies_all_tables_again_if_it_is_asked_to():
    state = started(SnapshotState(3, (RUNNING,), (DONE,)), "never", is_asked=True)
    assert [(job.id, job.tables) for job in state.jobs] == [("now", RUNNING.tables), ("new1", ())]
