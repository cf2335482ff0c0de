"""What was asked last of a snapshot holds over a stop and a kill, however long nothing is saved."""

import pytest

from tests.destinations import RedisDestination
from tests.pipelines import wait_for
from tests.snapshots import add_items, ask, copied_ids, create_items, pipeline_with_snapshot, saved_snapshots

ROWS = 200


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        create_items(database, ROWS)
        yield database


def statuses(pipeline):
    """Of the jobs, as the control socket shows them."""
    return {job["id"]: job["status"] for job in ask(pipeline, cmd="snapshots")["jobs"]}


def rows(pipeline, job_id):
    """How many have left of a job."""
    return next(job["rows"] for job in ask(pipeline, cmd="snapshots")["jobs"] if job["id"] == job_id)


def saved_statuses(pipeline):
    return {job.id: job.status for job in saved_snapshots(pipeline)}


def request(pipeline, job_id, **request):
    answer = ask(pipeline, cmd="snapshot", request={"id": job_id, "tables": ["items"], **request})
    assert answer["ok"], answer


def change(pipeline, what, job_id):
    answer = ask(pipeline, cmd=f"snapshot_{what}", id=job_id)
    assert answer["ok"], answer
    return answer["job"]["status"]


def test_what_was_answered_while_the_sink_stalls_holds_over_a_kill(database, redis_server, fault_proxy, tmp_path):
    proxy = fault_proxy(redis_server.port)
    destination = RedisDestination(redis_server, f"changes-{database.name}", port=proxy.port)
    pipeline = pipeline_with_snapshot(tmp_path, database, [destination.sink], snapshot={"mode": "never"})
    try:
        pipeline.start()
        request(pipeline, "1a", max_rows_per_second=50)
        for job_id in ("2b", "3c"):
            request(pipeline, job_id)
            assert change(pipeline, "pause", job_id) == "paused"
        want = {"1a": "running", "2b": "paused", "3c": "paused"}
        wait_for(lambda: saved_statuses(pipeline) == want and copied_ids(destination.events()))
        proxy.stall()
        before = rows(pipeline, "1a")
        wait_for(lambda: rows(pipeline, "1a") > before)  # nobody acks this chunk: nothing behind it is saved
        assert change(pipeline, "cancel", "1a") == "cancelled"
        assert change(pipeline, "resume", "2b") == "running"
        assert [change(pipeline, what, "2b") for what in ("pause", "resume", "pause")][-1] == "paused"
        assert change(pipeline, "cancel", "3c") == "cancelled"
        pipeline.kill()
        assert saved_statuses(pipeline) == want
        proxy.unstall()
        pipeline.start()
        assert statuses(pipeline) == {"1a": "cancelled", "2b": "paused", "3c": "cancelled"}
        count = len(copied_ids(destination.events()))
        add_items(database, [ROWS + 2])
        wait_for(lambda: destination.events()[-1]["after"]["id"] == ROWS + 2)
        assert len(copied_ids(destination.events())) == count < ROWS
    finally:
        pipeline.end()
