"""A pipeline of two processes over REST: the same as one of one process."""

import json
import os
import signal
import socket
from contextlib import suppress

from deltaforge.runtime.paths import PipelinePaths
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.integration.e2e.test_streams_rest import Followed
from tests.pipelines import file_events, file_sink, mysql_source, wait_for
from tests.processes import pipeline_processes


def ask(path, command, **more):
    """What a process answers; None while it is not there yet."""
    with socket.socket(socket.AF_UNIX) as client, suppress(FileNotFoundError, ConnectionRefusedError):
        client.connect(str(path))
        client.sendall(json.dumps({"cmd": command, **more}).encode() + b"\n")
        return json.loads(client.makefile("rb").readline())
    return None


def own_metrics(path):
    """Those of one process, as far as it is there."""
    return (ask(path, "metrics", alone=True) or {"metrics": ""})["metrics"]


def test_whoever_asks_hears_of_all_processes(mysql_database, tmp_path):
    mysql_database.execute("create table t (id int primary key)")
    body = document(mysql_source(mysql_database), file_sink(tmp_path / "out.jsonl"), name="p")
    body["spec"] |= {
        "runtime": {"processes": 2},
        "sharding": {"mode": "key", "count": 2},
        "journal": {"enabled": True},
    }
    plane = ControlPlane(tmp_path).start()
    paths = PipelinePaths(tmp_path / "state", "p")

    def insert(first, last):
        rows = ", ".join(f"({number})" for number in range(first, last + 1))
        mysql_database.execute(f"insert into t values {rows}")

    def delivered():
        return [event["after"]["id"] for n in range(2) for event in file_events(tmp_path / f"out.{n}.jsonl")]

    def ops():
        return plane.call("GET", "/pipelines/p")[1]["ops"]

    def is_read(now):
        return [view["lane"] for view in now["checkpoints"]] == ["0", "1"] and now.get("lag_bytes") == 0

    def said(number):
        status = ask(paths.member_socket(number), "status")
        return status["state"], status["connected"], status["events_read"], sorted(filter(None, status["processes"]))

    def processes():
        return sorted(pipeline_processes(paths.state_dir))

    try:
        assert plane.call("POST", "/pipelines", body)[1]["status"] == "running"
        tail = Followed(plane, "/pipelines/p/events?limit=100")
        wait_for(lambda: all("tail_listeners{" in own_metrics(paths.member_socket(n)) for n in range(2)))
        insert(1, 100)
        wait_for(lambda: sorted(delivered()) == list(range(1, 101)))
        assert all(file_events(tmp_path / f"out.{n}.jsonl") for n in range(2))

        # every row is shown, and counted, once
        *shown, note = tail.rest()
        assert {event["after"]["id"] for event in shown} == set(range(1, 101))
        assert note["tail"] == {"ended": "limit", "shown": 100, "left_out": 0}
        counted = 'deltaforge_sink_events_total{pipeline="p",sink="file"} 100.0'  # behind the write
        text = wait_for(lambda: counted in (found := plane.call("GET", "/metrics")[1]) and found)
        assert 'deltaforge_sink_up{pipeline="p",sink="file"} 1.0' in text

        # status, from either process, which waits for the other one for a moment, and else says what it knows of it
        wait_for(lambda: is_read(ops()))
        for number in range(2):
            want = ("running", True, 100, processes())
            wait_for(lambda number=number, want=want: said(number) == want)

        # what is for the process that reads the log, or for all
        assert plane.call("POST", "/pipelines/p/pause")[0] == 200
        wait_for(lambda: {said(n)[0] for n in range(2)} == {"paused"})
        insert(101, 200)
        status, answer = plane.call("POST", "/pipelines/p/schemas/reload")
        assert (status, answer["tables_reloaded"]) == (200, 1)
        assert plane.call("PUT", "/log-level", {"level": "warn"})[0] == 200
        assert sorted(delivered()) == list(range(1, 101))
        assert plane.call("POST", "/pipelines/p/resume")[0] == 200
        wait_for(lambda: sorted(delivered()) == list(range(1, 201)))

        # one of them dies: the supervisor starts both anew
        before = processes()
        os.kill(next(pid for pid in before if pid != ask(paths.socket, "status")["pid"]), signal.SIGKILL)
        wait_for(lambda: len(processes()) == 2 and not set(processes()) & set(before))
        insert(201, 300)
        wait_for(lambda: set(delivered()) == set(range(1, 301)))
        assert "process 1 of the pipeline ended without a reason: killed by SIGKILL" in ops()["error"]
        assert plane.call("DELETE", "/pipelines/p")[0] in (200, 204)
        assert processes() == []
    finally:
        plane.stop()
