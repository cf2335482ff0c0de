"""The control plane when something goes wrong in the middle: what it says, what runs and what is stored agree."""

import contextlib
import http.client
import json
import os
import resource
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, postgres_source, wait_for
from tests.processes import pipeline_processes

NAME = "orders-cdc"


@pytest.fixture
def make_plane(tmp_path):
    planes = []

    def start(*options):
        planes.append(ControlPlane(tmp_path, *options).start())
        return planes[-1]

    yield start
    for plane in planes:
        if plane.process.poll() is None:
            plane.stop()
    assert pipeline_processes(tmp_path / "state") == {}


@pytest.fixture
def database(postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    return postgres_database


@pytest.fixture
def body(database, tmp_path):
    return document(postgres_source(database), file_sink(tmp_path / "out"))


@pytest.fixture
def delivers(database, tmp_path):
    """Asserts that a row of now gets to the sink."""
    numbers = iter(range(1, 1000))

    def check():
        number = next(numbers)
        database.execute(f"insert into t values ({number})")
        wait_for(lambda: number in [event["after"]["id"] for event in file_events(tmp_path / "out")])

    return check


def status_of(plane):
    code, info = plane.call("GET", f"/pipelines/{NAME}")
    return info["status"] if code == 200 else code


def the_process(folder):
    (pid,) = pipeline_processes(folder / "state")
    return pid


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_stop_and_delete_leave_no_process_that_was_just_made(make_plane, body, tmp_path, verb):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    for _ in range(2):
        before = the_process(tmp_path)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda before=before: pipeline_processes(tmp_path / "state").keys() - {before}, interval_secs=0.01)
        if verb == "stop":
            assert plane.call("POST", f"/pipelines/{NAME}/stop")[1]["status"] == "stopped"
            assert pipeline_processes(tmp_path / "state") == {}
            assert plane.call("POST", f"/pipelines/{NAME}/resume")[1]["status"] == "running"
    if verb == "delete":
        assert plane.call("DELETE", f"/pipelines/{NAME}")[0] == 204
        assert pipeline_processes(tmp_path / "state") == {}
        assert not (tmp_path / "state/pipelines" / NAME).exists()


def test_a_new_control_plane_ends_what_the_old_one_had_just_made(make_plane, body, tmp_path, delivers):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    before = the_process(tmp_path)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: pipeline_processes(tmp_path / "state").keys() - {before}, interval_secs=0.01)
    plane.process.kill()
    plane.process.wait()
    plane.start()
    wait_for(lambda: status_of(plane) == "running")
    delivers()
    assert list(pipeline_processes(tmp_path / "state").values()) == [NAME]
    assert plane.call("POST", f"/pipelines/{NAME}/stop")[1]["status"] == "stopped"
    assert pipeline_processes(tmp_path / "state") == {}


def test_a_process_that_cannot_be_made_is_shown_and_tried_again(make_plane, body, tmp_path, delivers):
    plane = make_plane()
    folder = tmp_path / "state/pipelines"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text("in the way")
    code, info = plane.call("POST", "/pipelines", body)
    assert (code, info["status"]) == (200, "failed")
    # while it is tried again, there is no next try
    ops = wait_for(lambda: "next_try_seconds" in (ops := plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]) and ops)
    assert "its process cannot be started" in ops["error"]
    assert (ops["error_code"], ops["next_try_seconds"] >= 0) == ("start_failed", True)
    assert plane.call("GET", "/health")[0] == 503
    assert 'deltaforge_pipeline_failed_starts_total{pipeline="orders-cdc"}' in plane.call("GET", "/metrics")[1]
    (folder / NAME).unlink()
    wait_for(lambda: plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["checkpoints"])
    assert status_of(plane) == "running"
    delivers()
    assert "next_try_seconds" not in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]


def test_no_more_files_is_a_failed_start_and_not_a_lie(make_plane, body, tmp_path, delivers):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    open_files = len(list(Path(f"/proc/{plane.process.pid}/fd").iterdir()))
    before = resource.prlimit(plane.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(plane.process.pid, resource.RLIMIT_NOFILE, (open_files + 1, before[1]))
    os.kill(the_process(tmp_path), signal.SIGKILL)
    wait_for(lambda: "next try" in (log := (tmp_path / "serve.log").read_text()) and "cannot be started" in log)
    resource.prlimit(plane.process.pid, resource.RLIMIT_NOFILE, before)
    wait_for(lambda: status_of(plane) == "running" and pipeline_processes(tmp_path / "state"))
    delivers()


def test_an_end_that_cannot_be_judged_is_no_end_of_the_watching(make_plane, body, tmp_path, delivers):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    outcome = tmp_path / "state/pipelines" / NAME / "outcome.json"
    outcome.mkdir()
    os.kill(the_process(tmp_path), signal.SIGKILL)
    wait_for(lambda: status_of(plane) == "failed")
    assert plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["error_code"] in ("unforeseen", "start_failed")
    assert pipeline_processes(tmp_path / "state") == {}
    outcome.rmdir()
    wait_for(lambda: status_of(plane) == "running")
    delivers()


def test_a_full_disk_is_shown_and_waited_out(make_plane, body, tmp_path, small_disk, delivers):
    plane = make_plane("--state-dir", str(small_disk.folder / "state"))
    plane.call("POST", "/pipelines", body)
    wait_for(lambda: plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["checkpoints"])
    small_disk.fill()
    os.kill(the_process(small_disk.folder), signal.SIGKILL)

    def reason():
        small_disk.fill()  # what the process had is free again
        ops = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
        return ops["error"] if ops.get("error_code") in ("start_failed", "storage") else None

    assert "No space left" in (found := wait_for(reason)) or "is full" in found
    small_disk.free()
    delivers()
    assert status_of(plane) == "running"
    plane.stop()  # before the disk goes
    assert pipeline_processes(small_disk.folder / "state") == {}


def test_a_process_whose_folder_was_taken_away_is_ended_all_the_same(make_plane, body, tmp_path):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    shutil.rmtree(tmp_path / "state/pipelines" / NAME)
    assert plane.call("POST", f"/pipelines/{NAME}/stop")[1]["status"] == "stopped"
    assert pipeline_processes(tmp_path / "state") == {}


def test_a_text_that_cannot_be_written_changes_nothing(make_plane, body, delivers):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    for patch in (rb'{"metadata": {"annotations": {"a": "\ud800"}}}', rb'{"spec": {"\udfff": 1}}'):
        status, answer = plane.call("PATCH", f"/pipelines/{NAME}", raw=patch)
        assert (status, answer["code"]) == (400, "PIPELINE_NAME_MISMATCH")
        status, answer = plane.call("POST", "/pipelines", raw=json.dumps({**body, "n": json.loads(patch)}).encode())
        assert status == 400
    assert status_of(plane) == "running"
    delivers()


def test_a_crash_loop_fails_with_the_last_reason(make_plane, body, tmp_path, delivers):
    plane = make_plane("--crash-limit", "2")
    plane.call("POST", "/pipelines", body)
    os.kill(before := the_process(tmp_path), signal.SIGKILL)
    wait_for(lambda: pipeline_processes(tmp_path / "state").keys() - {before})
    assert plane.call("GET", "/health")[1]["degraded_pipelines"] == [NAME]
    os.kill(the_process(tmp_path), signal.SIGKILL)
    wait_for(lambda: status_of(plane) == "failed")
    ops = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
    assert ops["error_code"] == "crash_loop"
    assert "ended 2 times within 300 s, the last time so: the process ended without a reason" in ops["error"]
    assert plane.call("GET", "/health")[0] == 503
    assert plane.call("POST", f"/pipelines/{NAME}/resume")[1]["status"] == "running"
    assert plane.call("GET", "/health")[0] == 200
    delivers()
    assert 'deltaforge_pipeline_restarts_total{pipeline="orders-cdc"} 1.0' in plane.call("GET", "/metrics")[1]


@contextlib.contextmanager
def full_storage(folder):
    """Registrations cannot be written; everything else can."""
    with contextlib.closing(sqlite3.connect(folder / "df.db", timeout=10, isolation_level=None)) as storage:
        storage.execute(
            "create trigger full before insert on df_kv when new.ns = 'pipelines' begin select raise(abort, 'full'); end"
        )
        yield
        storage.execute("drop trigger full")


def test_what_cannot_be_stored_does_not_happen(make_plane, body, tmp_path, delivers):
    plane = make_plane()
    with full_storage(tmp_path):
        assert plane.call("POST", "/pipelines", body)[0] == 500
        assert plane.call("GET", "/pipelines")[1] == []
        assert pipeline_processes(tmp_path / "state") == {}
        assert not (tmp_path / "state/pipelines" / NAME).exists()
    assert plane.call("POST", "/pipelines", body)[0] == 200
    with full_storage(tmp_path):
        for method, path, change in (
            ("PATCH", "", {"spec": {"batch": {"max_events": 7}}}),
            ("POST", "/stop", None),
            ("POST", "/pause", None),
            ("DELETE", "", None),
        ):
            assert plane.call(method, f"/pipelines/{NAME}{path}", change)[0] == 500
            info = plane.call("GET", f"/pipelines/{NAME}")[1]
            assert (info["status"], info["spec"]["spec"]["batch"]) == ("running", None)
            delivers()
    plane.process.kill()
    plane.process.wait()
    plane.start()
    wait_for(lambda: status_of(plane) == "running")
    delivers()
    assert plane.call("GET", f"/pipelines/{NAME}")[1]["spec"]["spec"]["batch"] is None


def test_a_deletion_that_was_interrupted_is_finished(make_plane, body, tmp_path):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)
    plane.process.kill()
    plane.process.wait()
    with contextlib.closing(sqlite3.connect(tmp_path / "df.db", isolation_level=None)) as storage:
        ((kept,),) = storage.execute("select val from df_kv where ns = 'pipelines'")
        storage.execute("update df_kv set val = ?", [json.dumps({**json.loads(kept), "desired": "deleted"}).encode()])
    plane.start()
    wait_for(lambda: status_of(plane) == 404)
    assert not (tmp_path / "state/pipelines" / NAME).exists()
    assert pipeline_processes(tmp_path / "state") == {}


def test_requests_that_are_given_up_are_finished_all_the_same(make_plane, body, tmp_path, delivers):
    plane = make_plane()
    plane.call("POST", "/pipelines", body)

    def is_patched():
        return plane.call("GET", f"/pipelines/{NAME}")[1]["spec"]["spec"]["batch"] is not None

    for method, path, asked, is_finished in (
        ("POST", "/stop", None, lambda: status_of(plane) == "stopped"),
        ("POST", "/resume", None, lambda: status_of(plane) == "running"),
        ("PATCH", "", b'{"spec": {"batch": {"max_events": 9}}}', is_patched),
    ):
        for stay_secs in (0.05, 0.5, 5):  # whoever leaves before anybody has heard him has not asked
            connection = http.client.HTTPConnection(plane.address, timeout=60)
            connection.request(method, f"/pipelines/{NAME}{path}", asked, {"Content-Type": "application/json"})
            time.sleep(stay_secs)
            connection.close()
            with contextlib.suppress(AssertionError):
                wait_for(is_finished, 30)  # the next one would else be free to come before it
                break
        assert is_finished()
    wait_for(lambda: status_of(plane) == "running")
    assert len(pipeline_processes(tmp_path / "state")) == 1
    delivers()
