"""What is asked of a running pipeline's snapshots, and which tables it finds by itself."""

import json
from types import SimpleNamespace

import pytest

from deltaforge.checkpoint.snapshot_changes import new_change, read_snapshot_changes, write_snapshot_change
from deltaforge.checkpoint.snapshot_requests import SnapshotRequest, read_snapshot_requests, write_snapshot_request
from deltaforge.core.chunks_ahead import ChunksAhead
from deltaforge.core.errors import ControlError, NotFoundError, SourceError, SpecError
from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.snapshot_jobs import SnapshotJobs
from deltaforge.sources.base import SnapshotConfig
from deltaforge.sources.snapshot.snapshots import Snapshots
from tests.unit.waiting import wait_until

DONE = SnapshotState(4, (), (SnapshotJob("old", "initial", (TableCopy("shop", "orders"),), "completed"),))


class Catalog:
    """A reader of chunks of which only the catalog is asked."""

    def __init__(self, *tables):
        self.tables_there = list(tables)
        self.fault = None

    def tables(self):
        if self.fault is not None:
            raise self.fault
        return self.tables_there

    def plan(self, table, *, where, stripe_count):
        del table, stripe_count
        if where == "wrong":
            raise SourceError("no such column", kind="other", hint="see the table")

    def close(self):
        pass


@pytest.fixture
def jobs_of(tmp_path):
    made = []

    def make(catalog, state=None, *, mode="never"):
        config = SnapshotConfig(mode=mode)
        source = SimpleNamespace(config=SimpleNamespace(snapshot=config))
        sinks = [SimpleNamespace(config=SimpleNamespace(id=name)) for name in "ab"]
        spec = SimpleNamespace(spec=SimpleNamespace(source=source, sinks=sinks))
        paths = PipelinePaths(tmp_path, "p")
        paths.root.mkdir(parents=True, exist_ok=True)
        info = SimpleNamespace(spec=spec, paths=paths, name="p", source_id="s")
        snapshots = Snapshots("s", config, lambda: catalog, PipelineMetrics("p"), state=state)
        made.append(SnapshotJobs(info, snapshots, ChunksAhead(), lambda: catalog))
        return made[-1], snapshots, paths.snapshot_requests

    yield make
    for jobs in made:
        jobs.close(5)


def test_a_request_is_on_disk_until_it_is_saved_and_becomes_one_job(jobs_of):
    jobs, snapshots, folder = jobs_of(Catalog(("shop", "orders"), ("shop", "items"), ("hr", "people")))
    request = SnapshotRequest(id="1a", tables=("shop.*",), where="id < 5", sinks=("a",), requested_ms=7)
    for _ in range(2):
        view = jobs.request(request)
        assert (view["id"], view["kind"], view["status"], view["where"]) == ("1a", "ad_hoc", "running", "id < 5")
    (job,) = snapshots.state.jobs
    assert [(table.schema, table.name) for table in job.tables] == [("shop", "orders"), ("shop", "items")]
    assert read_snapshot_requests(folder) == [request]
    jobs.saved(SnapshotState(0))
    assert read_snapshot_requests(folder)
    jobs.saved(snapshots.state)
    assert not read_snapshot_requests(folder)
    assert [view["id"] for view in jobs.views()] == ["1a"]


@pytest.mark.parametrize(
    ("changes", "path"), [({"tables": ("x.*",)}, "tables"), ({"sinks": ("z",)}, "sinks"), ({"where": "wrong"}, "where")]
)
def test_what_cannot_be_copied_is_refused_and_forgotten(jobs_of, changes, path):
    jobs, snapshots, folder = jobs_of(Catalog(("shop", "orders")))
    with pytest.raises(SpecError) as refused:
        jobs.request(SnapshotRequest(**{"id": "1a", "tables": ("orders",), **changes}))
    assert refused.value.path == path
    assert not snapshots.state.jobs
    assert not read_snapshot_requests(folder)


def test_a_source_that_does_not_answer_is_no_fault_of_the_request(jobs_of):
    catalog = Catalog()
    catalog.fault = SourceError("nobody there", kind="connect")
    jobs, _, _ = jobs_of(catalog)
    with pytest.raises(ControlError, match="nobody there"):
        jobs.request(SnapshotRequest(id="1a", tables=("orders",)))


def test_jobs_are_paused_resumed_and_cancelled(jobs_of):
    jobs, _, _ = jobs_of(Catalog(("shop", "orders")))
    jobs.request(SnapshotRequest(id="1a", tables=("orders",)))
    found = [jobs.change("1a", change)["status"] for change in ("pause", "resume", "cancel", "cancel")]
    assert found == ["paused", "running", "cancelled", "cancelled"]
    with pytest.raises(ControlError, match="is over"):
        jobs.change("1a", "pause")
    with pytest.raises(NotFoundError):
        jobs.change("2b", "pause")


def test_a_change_is_on_disk_until_it_is_saved_and_a_start_begins_with_it(jobs_of, tmp_path):
    state = SnapshotState(0, tuple(SnapshotJob(name, "initial", ()) for name in ("a1", "b2", "c3", "e5")))
    jobs, snapshots, _ = jobs_of(Catalog(("shop", "orders")), state)
    folder = PipelinePaths(tmp_path, "p").snapshot_changes
    with pytest.raises(ControlError, match="has not begun"):  # a restart would make another one instead
        jobs.change("a1", "pause")
    jobs.saved(state)
    jobs.request(SnapshotRequest(id="d4", tables=("orders",)))
    for job_id, change in (("a1", "pause"), ("b2", "cancel"), ("d4", "pause"), ("e5", "pause"), ("e5", "resume")):
        jobs.change(job_id, change)
    write_snapshot_change(folder, new_change("gone", "paused"))
    want = {"a1": "paused", "b2": "cancelled", "c3": "running", "d4": "paused", "e5": "running"}
    again, snapshots, _ = jobs_of(Catalog(("shop", "orders")), state)  # what was saved last
    wait_until(lambda: {view["id"]: view["status"] for view in again.views()} == want)
    wait_until(lambda: [job.id for job in snapshots.state.jobs] == ["a1", "c3", "e5", "d4"])
    again.saved(state)
    assert read_snapshot_changes(folder).keys() == {"a1", "b2", "d4", "e5"}
    again.saved(snapshots.state)
    assert not read_snapshot_changes(folder)


def test_what_waits_for_its_tables_is_paused_and_cancelled_before_it_has_any(jobs_of, tmp_path):
    catalog = Catalog()
    catalog.fault = SourceError("nobody there", kind="connect")
    folder = PipelinePaths(tmp_path, "p").snapshot_requests
    folder.mkdir(parents=True)
    for number, job_id in enumerate(("1a", "2b", "3c")):
        write_snapshot_request(folder, SnapshotRequest(id=job_id, tables=("orders",), requested_ms=number))
    write_snapshot_change(folder.with_name("snapshot_changes"), new_change("3c", "cancelled"))
    jobs, snapshots, _ = jobs_of(catalog)
    found = [jobs.change("1a", change)["status"] for change in ("pause", "resume", "pause")]
    assert found == ["paused", "requested", "paused"]
    assert jobs.change("2b", "cancel")["status"] == "cancelled"
    shown = {view["id"]: view["status"] for view in jobs.views()}
    assert shown == {"1a": "paused", "2b": "cancelled", "3c": "cancelled"}
    catalog.fault, catalog.tables_there = None, [("shop", "orders")]
    jobs.look()
    wait_until(lambda: [(job.id, job.status) for job in snapshots.state.jobs] == [("1a", "paused")])
    assert {(job.id, job.status) for job in snapshots.state.ended} == {("2b", "cancelled"), ("3c", "cancelled")}


def test_what_was_asked_for_while_nothing_ran_is_taken_once_the_source_answers(jobs_of, tmp_path):
    folder = PipelinePaths(tmp_path, "p").snapshot_requests
    folder.mkdir(parents=True)
    write_snapshot_request(folder, SnapshotRequest(id="1a", tables=("shop.*",), requested_ms=1))
    write_snapshot_request(folder, SnapshotRequest(id="2b", tables=("nowhere",), requested_ms=2))
    jobs, snapshots, _ = jobs_of(Catalog(("shop", "orders")))
    wait_until(lambda: len(jobs.views()) == 2 and all(view["status"] != "requested" for view in jobs.views()))
    assert [(job.id, job.status) for job in snapshots.state.jobs] == [("1a", "running")]
    assert [(job.id, job.status) for job in snapshots.state.ended] == [("2b", "failed")]
    assert "nowhere" in snapshots.state.ended[0].error
    jobs.saved(snapshots.state)
    assert not read_snapshot_requests(folder)


def test_a_table_that_is_new_is_copied_and_no_other(jobs_of):
    catalog = Catalog(("shop", "orders"))
    jobs, snapshots, _ = jobs_of(catalog, DONE, mode="initial")
    catalog.tables_there = [("shop", "orders"), ("shop", "items")]
    jobs.look()
    wait_until(lambda: snapshots.state.jobs)
    jobs.look()
    (job,) = snapshots.state.jobs
    assert (job.kind, [table.name for table in job.tables]) == ("new_table", ["items"])
    assert json.dumps(jobs.views())


@pytest.mark.parametrize(
    ("state", "mode"),
    [
        (DONE, "never"),
        (SnapshotState(), "initial"),
        (SnapshotState(0, (SnapshotJob("now", "initial", ()),)), "initial"),
        (SnapshotState(0, (), (SnapshotJob("bad", "initial", (), "failed"),)), "initial"),
    ],
)
def test_no_table_is_new_where_none_was_copied(jobs_of, state, mode):
    jobs, snapshots, _ = jobs_of(Catalog(("shop", "items")), state, mode=mode)
    jobs._look_once()
    assert snapshots.state == state
