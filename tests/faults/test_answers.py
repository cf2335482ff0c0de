"""What the control plane has answered as done, the next one knows, and so do its pipelines: all of them are killed at once."""

import os
import signal
from contextlib import suppress

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_sink, postgres_source, wait_for
from tests.processes import pipeline_processes

NAMES = ("shards", "paused", "stopped", "patched", "deleted")


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    if plane.process.poll() is None:
        plane.stop()


@pytest.fixture
def ask(plane):
    def ask(method, path, body=None):
        status, answer = plane.call(method, f"/pipelines/{path}", body)
        assert status < 300, answer
        return answer

    return ask


def source_of(database, name):
    if name != "shards":
        snapshot = {"mode": "never", "chunk_size": 1}
        return postgres_source(database, id=name, slot=f"{name}_{database.name}", snapshot=snapshot)
    shards = [{"id": f"s{n}", "dsn": database.url(), "slot": f"s{n}_{database.name}"} for n in range(2)]
    return {"type": "postgres", "config": {"id": name, "publication": "pub", "tables": [], "shards": shards}}


def crash(plane, tmp_path):
    """Kill the control plane and all its pipelines at once, and start it again."""
    plane.process.kill()
    plane.process.wait()
    for pid in pipeline_processes(tmp_path / "state"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not pipeline_processes(tmp_path / "state"), interval_secs=0.02)
    plane.start()


def test_what_was_answered_holds_over_a_kill_of_everything(plane, ask, postgres_database, tmp_path):
    postgres_database.execute(
        "create table t (id int primary key)",
        "insert into t select generate_series(1, 1000)",
        "create publication pub for all tables",
    )
    for name in NAMES:
        ask("POST", "", document(source_of(postgres_database, name), file_sink(tmp_path / name), name=name))
    jobs = [ask("POST", "patched/snapshots", {"tables": ["*.t"], "max_rows_per_second": 5})["id"] for _ in range(2)]
    of_shard = ask("POST", "shards/snapshots", {"tables": ["*.t"], "shard": "s1", "max_rows_per_second": 1})["id"]
    ask("POST", "stopped/stop")
    ask("POST", "stopped/checkpoints/reset", {"to": "earliest"})
    waiting = ask("POST", "stopped/snapshots", {"tables": ["*.t"]})["id"]
    ask("PATCH", "patched", {"spec": {"batch": {"max_events": 7}}})
    wait_for(lambda: [job["status"] for job in ask("GET", "patched/snapshots")] == ["running"] * len(jobs))
    ask("POST", f"patched/snapshots/{jobs[0]}/pause")
    ask("DELETE", f"patched/snapshots/{jobs[1]}")
    ask("POST", f"stopped/snapshots/{waiting}/pause")
    ask("POST", "shards/pause?shard=s0")
    ask("DELETE", f"shards/snapshots/{of_shard}")
    ask("POST", "paused/pause")
    ask("DELETE", "deleted")
    crash(plane, tmp_path)

    def found():
        """The status of all, of the shards, and of the jobs."""
        views = [ask("GET", view["spec"]["metadata"]["name"]) for view in plane.call("GET", "/pipelines")[1]]
        statuses = {view["spec"]["metadata"]["name"]: view["status"] for view in views}
        shards = {shard["id"]: shard["state"] for view in views for shard in view["ops"].get("shards", ())}
        listed = [plane.call("GET", f"/pipelines/{name}/snapshots") for name in statuses]
        return statuses, shards, {job["id"]: job["status"] for code, jobs in listed if code == 200 for job in jobs}

    statuses = {"shards": "running", "patched": "running", "paused": "paused", "stopped": "stopped"}
    states = {"s0": "paused", "s1": "running"}
    asked = {jobs[0]: "paused", jobs[1]: "cancelled", waiting: "paused", of_shard: "cancelled"}
    wait_for(lambda: found() == (statuses, states, asked))
    assert not (tmp_path / "state/pipelines/deleted").exists()
    assert ask("GET", "patched")["spec"]["spec"]["batch"]["max_events"] == 7
    assert ask("GET", "stopped")["ops"]["pending_reset"] == {"to": "earliest"}

    ask("POST", "shards/resume?shard=s0")
    ask("POST", "paused/resume")
    ask("POST", f"patched/snapshots/{jobs[0]}/resume")
    ask("DELETE", f"stopped/snapshots/{waiting}")
    ask("POST", "stopped/resume")
    crash(plane, tmp_path)
    states, asked = dict.fromkeys(states, "running"), {**asked, jobs[0]: "running", waiting: "cancelled"}
    wait_for(lambda: found() == (dict.fromkeys(NAMES[:-1], "running"), states, asked))
