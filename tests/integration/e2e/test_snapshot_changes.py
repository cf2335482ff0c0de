"""What was asked last of a snapshot holds over a stop and a kill, however long nothing is saved."""

import pytest

from tests.destinations import ExactlyOnceDestination, RedisDestination
from tests.pipelines import wait_for
from tests.snapshots import (
    add_items,
    ask,
    assert_nothing_twice,
    copied_ids,
    create_items,
    job,
    pipeline_with_snapshot,
    saved_rows,
    saved_snapshots,
)

ROWS = 1000


def statuses(pipeline):
    """Of the jobs, as the control socket shows them."""
    return {job["id"]: job["status"] for job in ask(pipeline, cmd="snapshots")["jobs"]}


def saved_statuses(pipeline):
    return {job.id: job.status for job in saved_snapshots(pipeline)}


def request(pipeline, job_id, **request):
    answer = ask(pipeline, cmd="snapshot", request={"id": job_id, "tables": ["items"], **request})
    assert answer["ok"], answer


def change(pipeline, what, job_id):
    answer = ask(pipeline, cmd=f"snapshot_{what}", id=job_id)
    assert answer["ok"], answer
    return answer["job"]["status"]


def test_what_was_answered_while_the_sink_stalls_holds_over_a_kill(mysql_database, redis_server, fault_proxy, tmp_path):
    create_items(mysql_database, ROWS)
    proxy = fault_proxy(redis_server.port)
    destination = RedisDestination(redis_server, f"changes-{mysql_database.name}", port=proxy.port)
    pipeline = pipeline_with_snapshot(tmp_path, mysql_database, [destination.sink], snapshot={"mode": "never"})
    try:
        pipeline.start()
        request(pipeline, "1a", max_rows_per_second=50)
        for job_id in ("2b", "3c"):
            request(pipeline, job_id)
            assert change(pipeline, "pause", job_id) == "paused"
        want = {"1a": "running", "2b": "paused", "3c": "paused"}
        wait_for(lambda: saved_statuses(pipeline) == want and copied_ids(destination.events()))
        proxy.stall()
        before = job(pipeline, "1a")["rows"]
        wait_for(lambda: job(pipeline, "1a")["rows"] > before)  # nobody acks this chunk: nothing behind it is saved
        assert change(pipeline, "cancel", "1a") == "cancelled"
        assert change(pipeline, "resume", "2b") == "running"
        assert [change(pipeline, what, "2b") for what in ("pause", "resume", "pause")][-1] == "paused"
        assert change(pipeline, "cancel", "3c") == "cancelled"
        pipeline.kill()
        assert saved_statuses(pipeline) == want
        proxy.unstall()
        pipeline.start()
        assert statuses(pipeline) == {"1a": "cancelled", "2b": "paused", "3c": "cancelled"}
        add_items(mysql_database, [ROWS + 1])
        wait_for(lambda: destination.events()[-1]["op"] == "c")
        count = len(destination.events())
        add_items(mysql_database, [ROWS + 2])
        wait_for(lambda: destination.events()[count:])
        assert [event["op"] for event in destination.events()[count:]] == ["c"]
        assert len(set(copied_ids(destination.events()))) < ROWS
    finally:
        pipeline.end()


@pytest.mark.parametrize("what", ["cancel", "pause"])
def test_what_a_sink_is_ahead_with_is_passed_over_or_comes_once(
    postgres_database, kafka, redis_server, fault_proxy, tmp_path, what
):
    """A transaction has the chunks that nothing saved knows of; the other sink has none of them."""
    create_items(postgres_database, ROWS)
    proxy = fault_proxy(redis_server.port)
    ahead = ExactlyOnceDestination(kafka, postgres_database.name)
    behind = RedisDestination(redis_server, postgres_database.name, port=proxy.port)
    sinks, snapshot = [ahead.sink, behind.sink], {"mode": "never"}
    pipeline = pipeline_with_snapshot(tmp_path, postgres_database, sinks, snapshot=snapshot, batch={"max_inflight": 20})
    try:
        pipeline.start()
        request(pipeline, "1a", max_rows_per_second=60)
        wait_for(lambda: saved_rows(pipeline))
        assert pipeline.stop() == 0
        pipeline.arguments = ["--epoch-secs", "60"]  # at the end of an epoch both are waited for
        pipeline.start()
        count = len(behind.events())
        wait_for(lambda: len(behind.events()) > count)
        proxy.stall()
        wait_for(lambda: len(ahead.events()) > len(behind.events()) + 20)
        status = change(pipeline, what, "1a")
        pipeline.kill()
        pipeline.arguments = []
        proxy.unstall()
        pipeline.start()
        assert statuses(pipeline) == {"1a": status}
        add_items(postgres_database, [ROWS + 1])
        for destination in (ahead, behind):
            wait_for(lambda destination=destination: "c" in {event["op"] for event in destination.events()})
        if what == "pause":  # what has left before that is for both
            wait_for(lambda: set(copied_ids(behind.events())) >= set(copied_ids(ahead.events())))
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
    for destination in (ahead, behind):
        assert 0 < len(set(copied_ids(destination.events()))) < ROWS
    assert_nothing_twice(ahead.events())
