"""Snapshots that operators ask for while the log is read: paused, resumed, cancelled, over stops, two at a time."""

import pytest

from deltaforge.checkpoint.snapshot_requests import SnapshotRequest, write_snapshot_request
from tests.destinations import FileDestination
from tests.pipelines import wait_for
from tests.snapshots import (
    add_items,
    ask,
    copied_ids,
    create_items,
    job,
    pipeline_with_snapshot,
    saved_snapshots,
    wait_until_copied,
)
from tests.trial import pause

ROWS = 400


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@pytest.fixture
def running(database, tmp_path):
    create_items(database, ROWS)
    destination = FileDestination(tmp_path)
    pipeline = pipeline_with_snapshot(tmp_path, database, [destination.sink], snapshot={"mode": "never"})
    pipeline.start()
    yield pipeline, destination
    pipeline.end()


def begin(pipeline, job_id, **request):
    """Ask for a job, and wait until some of its rows have left."""
    answer = ask(pipeline, cmd="snapshot", request={"id": job_id, "tables": ["items"], **request})
    assert answer["ok"], answer
    wait_for(lambda: job(pipeline, job_id)["rows"])


def test_pause_stop_cancel_resume_adhoc(database, running):
    pipeline, destination = running
    begin(pipeline, "1a", max_rows_per_second=60)
    assert ask(pipeline, cmd="snapshot_pause", id="1a")["job"]["status"] == "paused"
    before = job(pipeline, "1a")["rows"]  # nothing more leaves behind the answer
    add_items(database, [ROWS + 1])  # the log goes on
    wait_for(lambda: any(event["op"] == "c" for event in destination.events()))
    pause(0.3)
    assert 0 < job(pipeline, "1a")["rows"] == before < ROWS

    assert pipeline.stop() == 0
    (saved,) = saved_snapshots(pipeline)
    assert (saved.status, saved.tables[0].row_count) == ("paused", before)
    request = SnapshotRequest(id="2b", tables=("*.items",), where="id <= 30", requested_ms=1)
    write_snapshot_request(pipeline.paths.snapshot_requests, request)
    pipeline.start()
    wait_until_copied(pipeline)
    assert job(pipeline, "1a")["status"] == "paused"
    assert job(pipeline, "2b")["rows"] == 30

    assert ask(pipeline, cmd="snapshot_resume", id="1a")["ok"]
    wait_for(lambda: job(pipeline, "1a")["rows"] > before)
    answer = ask(pipeline, cmd="snapshot_cancel", id="1a")
    assert answer["ok"], answer
    assert answer["job"]["status"] == "cancelled"
    assert "is over" in ask(pipeline, cmd="snapshot_resume", id="1a")["error"]
    assert not ask(pipeline, cmd="snapshot_pause", id="3c")["ok"]
    assert pipeline.stop() == 0
    count = len(destination.events())
    pipeline.start()
    add_items(database, [ROWS + 2])
    wait_for(lambda: destination.events()[count:])
    assert pipeline.stop() == 0
    assert [event["op"] for event in destination.events()[count:]] == ["c"]
    assert {job.id: job.status for job in saved_snapshots(pipeline)} == {"2b": "completed", "1a": "cancelled"}


def test_two_jobs_one_table(database, running):
    pipeline, destination = running
    begin(pipeline, "1a", max_rows_per_second=300)
    answer = ask(pipeline, cmd="snapshot", request={"id": "2b", "tables": ["items"], "truncate_first": True})
    assert answer["ok"], answer
    wait_until_copied(pipeline, 2)
    assert pipeline.stop() == 0
    events = destination.events()
    (truncate,) = [place for place, event in enumerate(events) if event["op"] == "t"]
    assert sorted(copied_ids(events[:truncate])) == sorted(copied_ids(events[truncate:])) == list(range(1, ROWS + 1))
    ids = [{event["event_id"] for event in part} for part in (events[:truncate], events[truncate:])]
    assert not ids[0] & ids[1]
