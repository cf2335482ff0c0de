"""The events that pass and the log of a pipeline, followed over REST; the pipeline never notices."""

import http.client
import json
import os
import signal

import pytest

from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.tap import MAX_LISTENERS, MAX_QUEUED_BYTES
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, mysql_source, postgres_source, wait_for


class Followed:
    """A streamed answer, line by line."""

    def __init__(self, plane, path):
        self._connection = http.client.HTTPConnection(plane.address, timeout=60)
        self._connection.request("GET", path)
        self.answer = self._connection.getresponse()

    def line(self):
        """The next line that is not blank; None at the end."""
        while line := self.answer.readline():
            if line.strip():
                return json.loads(line)
        return None

    def rest(self):
        lines = list(iter(self.line, None))
        self.leave()
        return lines

    def leave(self):
        self.answer.close()
        self._connection.close()


@pytest.fixture(params=["mysql_database", "postgres_database"])
def running(request, tmp_path):
    """A control plane, its database, and where its pipeline ``p`` writes."""
    database = request.getfixturevalue(request.param)
    database.execute("create table t (id int primary key, note text)", "create table other (id int primary key)")
    if request.param == "postgres_database":
        database.execute("create publication pub for all tables")
    source = mysql_source(database) if request.param == "mysql_database" else postgres_source(database)
    plane = ControlPlane(tmp_path).start()
    try:
        assert plane.call("POST", "/pipelines", document(source, file_sink(tmp_path / "out"), name="p"))[0] == 200
        yield plane, database, tmp_path / "out", PipelinePaths(tmp_path / "state", "p")
    finally:
        plane.stop()


def metric(plane, name):
    text = plane.call("GET", "/metrics")[1]
    found = [line for line in text.splitlines() if line.startswith(f"deltaforge_{name}{{")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def insert(database, first, count, *, note="x"):
    for start in range(first, first + count, 10_000):
        rows = ",".join(f"({n},'{note}')" for n in range(start, min(start + 10_000, first + count)))
        database.execute(f"insert into t values {rows}")


def test_events_are_shown_and_the_pipeline_does_not_notice(running):
    plane, database, out, paths = running

    # what is shown is what the sink gets, byte for byte; the pattern leaves other tables out
    follower = Followed(plane, "/pipelines/p/events?limit=3&table=*.t")
    assert (follower.answer.status, follower.answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    database.execute("insert into other values (1)", "insert into t values (1, 'a'), (2, 'é')", "delete from t")
    wait_for(lambda: len(file_events(out)) == 5)
    *events, end = follower.rest()
    assert events == file_events(out)[1:4]
    assert end == {"tail": {"ended": "limit", "shown": 3, "left_out": 0}}

    # nothing passes while it is paused, and the rest afterwards
    follower = Followed(plane, "/pipelines/p/events")
    plane.call("POST", "/pipelines/p/pause")
    database.execute("insert into t values (1, 'paused')")
    plane.call("POST", "/pipelines/p/resume")
    assert follower.line()["after"]["note"] == "paused"

    # one that reads nothing is left out of what it cannot take: the sink gets everything
    count = 40_000
    insert(database, 1000, count, note="slow" * (MAX_QUEUED_BYTES // count))  # four times what waits for it
    wait_for(lambda: len(file_events(out)) == 6 + count)
    lines = [follower.line() for _ in range(2000)]
    assert all(line.get("after", {}).get("note", "").startswith("slow") for line in lines if "tail" not in line)
    follower.leave()
    wait_for(lambda: metric(plane, "tail_listeners") == 0)
    assert metric(plane, "tail_left_out_events_total") > 0

    # there are only so many, and those who leave make room
    followers = [Followed(plane, "/pipelines/p/events") for _ in range(MAX_LISTENERS)]
    assert plane.call("GET", "/pipelines/p/events")[0] == 409
    followers.pop().leave()
    wait_for(lambda: metric(plane, "tail_listeners") == MAX_LISTENERS - 1)
    assert Followed(plane, "/pipelines/p/events?seconds=1").rest()[-1]["tail"]["ended"] == "seconds"

    # a process that is killed cannot say goodbye; one that is stopped shows what it still delivers
    os.kill(int(paths.lock.read_text()), signal.SIGKILL)
    assert [follower.rest()[-1] for follower in followers] == [{"tail": {"ended": "killed"}}] * len(followers)
    wait_for(lambda: plane.call("GET", "/pipelines/p")[1]["ops"]["uptime_seconds"] is not None)
    follower = Followed(plane, "/pipelines/p/events")
    database.execute("insert into other values (2)")
    plane.call("POST", "/pipelines/p/stop")
    *events, end = follower.rest()
    assert [event["after"] for event in events] == [{"id": 2}] * len(events)
    assert end["tail"]["ended"] == "pipeline"
    status, error = plane.call("GET", "/pipelines/p/events")
    assert (status, error["code"]) == (409, "PIPELINE_STATE_CONFLICT")
    assert error["message"] == "no events pass: pipeline p is stopped (resume it, and try again)"


@pytest.mark.parametrize("running", ["postgres_database"], indirect=True)
def test_a_log_is_followed_across_its_rotation(running):
    plane, _, _, paths = running

    follower = Followed(plane, "/pipelines/p/logs?lines=1&follow=true&seconds=30")
    assert follower.line()["line"]
    with paths.log.open("a") as log:
        log.write("added dsn=postgres://u:hunter2@host/db\nno end yet")
    assert follower.line() == {"line": "added dsn=postgres://u:***@host/db"}
    paths.log.replace(paths.log.with_suffix(".log.1"))
    paths.log.write_text("a new file\n")
    assert [follower.line()["line"] for _ in range(2)] == ["no end yet", "a new file"]
    follower.leave()

    lines = [line["line"] for line in Followed(plane, "/pipelines/p/logs?lines=10000").rest()]
    assert "pipeline p starts" in " ".join(lines[:10])
    assert lines[-3:] == ["added dsn=postgres://u:***@host/db", "no end yet", "a new file"]

    for path in ("events?limit=0", "events?seconds=4000", "events?table=.", "logs?lines=x", "logs?follow=yes"):
        assert plane.call("GET", f"/pipelines/p/{path}")[0] == 400, path
    assert [plane.call("GET", f"/pipelines/none/{path}")[0] for path in ("events", "logs")] == [404, 404]
