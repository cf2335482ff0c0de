"""Snapshots as an operator drives them: over REST and by the command line, with real pipelines and databases."""

import json
import os
import pty
import subprocess
import sys

import pytest

from deltaforge.cli import main
from tests.databases import database_with
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_events, file_sink, wait_for
from tests.processes import child
from tests.screen import Screen
from tests.trial import source_of

NAME = "orders-cdc"
PATH = f"/pipelines/{NAME}/snapshots"
TABLES = (
    "create table t (id int primary key, note varchar(20))",
    "create table u (id int primary key)",
    "insert into t values (1, 'a'), (2, 'b'), (3, 'c')",
    "insert into u values (1), (2)",
)


@pytest.fixture
def plane(tmp_path, monkeypatch):
    plane = ControlPlane(tmp_path, "--allow-code").start()
    monkeypatch.setenv("DELTAFORGE_SERVER", f"http://{plane.address}")
    yield plane
    plane.stop()


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, *TABLES) as database:
        yield database


def copied(path):
    """Table and key of the copied rows, in order."""
    return sorted((e["source"]["table"], e["after"]["id"]) for e in file_events(path) if e["op"] == "r")


def assert_copied(path, *expected):
    """The last rows of a snapshot that is completed may still be on their way to the file."""
    wait_for(lambda: len(copied(path)) >= len(expected))
    assert copied(path) == [*expected]


def finished(plane, job_id):
    job = wait_for(lambda: (job := plane.call("GET", f"{PATH}/{job_id}")[1])["status"] == "completed" and job)
    return job["rows"], {table["name"].rpartition(".")[2]: (table["status"], table["rows"]) for table in job["tables"]}


def table_name(database, table):
    return f"{database.name if database.server.scheme == 'mysql' else 'public'}.{table}"


def test_tables_are_copied_as_it_is_asked_for(plane, database, tmp_path, capsys):
    out = tmp_path / "out"
    source = source_of(database)
    status, info = plane.call("POST", "/pipelines", document(source, file_sink(out)))
    assert (status, info["status"]) == (200, "running"), info
    assert plane.call("GET", PATH) == (200, [])
    t, u = (table_name(database, name) for name in "tu")
    status, job = plane.call("POST", PATH, {"tables": [t], "where": "id > 1"})
    assert (status, job["kind"], job["where"]) == (202, "ad_hoc", "id > 1"), job
    assert finished(plane, job["id"]) == (2, {"t": ("completed", 2)})
    assert_copied(out, ("t", 2), ("t", 3))
    for body, path in (
        ({"tables": ["nowhere.t"]}, "tables"),
        ({"tables": [t], "where": "no_such_column > 1"}, "where"),
        ({"tables": [t], "where": "id > 1; drop table t"}, "where"),
    ):
        status, answer = plane.call("POST", PATH, body)
        assert (status, answer["message"].startswith(f"{path}: ")) == (400, True), answer
    assert plane.call("POST", f"{PATH}/{job['id']}/pause")[0] == 409
    assert plane.call("GET", f"{PATH}/nothing")[0] == 404

    assert main(["snapshot", NAME, "--table", u, "--follow"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[:2] for line in shown.splitlines()][-1] == [u, "completed"]
    assert_copied(out, ("t", 2), ("t", 3), ("u", 1), ("u", 2))
    samples = plane.call("GET", "/metrics")[1]
    assert f'deltaforge_snapshot_rows_total{{pipeline="{NAME}",table="{u}"}} 2.0' in samples
    assert f'deltaforge_snapshot_progress_ratio{{pipeline="{NAME}",table="{u}"}} 1.0' in samples

    assert plane.call("POST", f"/pipelines/{NAME}/stop")[1]["status"] == "stopped"
    listed = plane.call("GET", PATH)[1]
    assert [(job["status"], job["rows"]) for job in listed] == [("completed", 2), ("completed", 2)]
    status, waiting = plane.call("POST", PATH, {"tables": [t]})
    assert (status, waiting["status"]) == (202, "requested")
    assert plane.call("POST", f"/pipelines/{NAME}/resume")[1]["status"] == "running"
    assert finished(plane, waiting["id"]) == (3, {"t": ("completed", 3)})
    assert_copied(out, ("t", 1), ("t", 2), ("t", 2), ("t", 3), ("t", 3), ("u", 1), ("u", 2))


def tailed_until(condition):
    """The rows of a terminal on which ``deltaforge tail`` runs until they fulfil a condition."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "deltaforge", "tail", NAME]
    environment = {**os.environ, "COLUMNS": "150", "LINES": "50", "TERM": "xterm"}
    process = child(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    screen = Screen(10_000)
    with os.fdopen(master, "rb", buffering=0) as terminal:
        while not condition(screen.rows):
            screen.feed(terminal.read(65536).decode(errors="replace"))
        process.kill()
        process.wait()
    return screen.rows


def change_while_stopped(plane, job_id, table):
    """Of a pipeline that does not run, snapshots are what was asked for last: now, at the next start, after a reset."""

    def found():
        return {job["id"]: job["status"] for job in plane.call("GET", PATH)[1] if job["kind"] == "ad_hoc"}

    assert plane.call("POST", f"/pipelines/{NAME}/stop")[0] == 200
    before = found()
    waiting, dropped = (plane.call("POST", PATH, {"tables": [table]})[1]["id"] for _ in range(2))
    for job, change, status in (
        (job_id, "pause", "paused"),
        (job_id, "resume", "running"),
        (job_id, "pause", "paused"),
        (waiting, "pause", "paused"),
        (waiting, "resume", "requested"),
        (waiting, "pause", "paused"),
    ):
        assert plane.call("POST", f"{PATH}/{job}/{change}") == (200, plane.call("GET", f"{PATH}/{job}")[1])
        assert found()[job] == status
    assert plane.call("DELETE", f"{PATH}/{dropped}")[1]["status"] == "cancelled"
    assert plane.call("POST", f"{PATH}/{dropped}/resume")[0] == 409
    assert plane.call("POST", f"{PATH}/nothing/pause")[0] == 404
    want = {**before, job_id: "paused", waiting: "paused", dropped: "cancelled"}
    assert found() == want
    assert plane.call("POST", f"/pipelines/{NAME}/checkpoints/reset", {"to": "latest"})[0] == 200
    assert plane.call("POST", f"/pipelines/{NAME}/resume")[0] == 200
    wait_for(lambda: found() == want)
    assert plane.call("DELETE", f"{PATH}/{waiting}")[1]["status"] == "cancelled"
    assert plane.call("POST", f"{PATH}/{job_id}/resume")[1]["status"] == "running"


def test_a_snapshot_is_paused_resumed_and_cancelled(plane, database, tmp_path):
    numbers = ", ".join(f"({n})" for n in range(3, 3000))
    database.execute(f"insert into u values {numbers}")
    out = tmp_path / "out"
    source = source_of(database, snapshot={"mode": "never", "chunk_size": 50})
    assert plane.call("POST", "/pipelines", document(source, file_sink(out)))[0] == 200
    t, u = (table_name(database, name) for name in "tu")
    _, slow = plane.call("POST", PATH, {"tables": [u], "max_rows_per_second": 50})
    wait_for(lambda: plane.call("GET", f"{PATH}/{slow['id']}")[1]["rows"])
    rows = tailed_until(lambda rows: any("━" in row for row in rows))
    assert any(row.startswith(f"snapshot {slow['id'][:8]} (ad hoc)  ") for row in rows), rows
    command = [sys.executable, "-m", "deltaforge", "snapshot", NAME, "pause", slow["id"][:8], "--json"]
    paused = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (paused["id"], paused["status"]) == (slow["id"], "paused")
    _, next_one = plane.call("POST", PATH, {"tables": [t]})
    assert finished(plane, next_one["id"]) == (3, {"t": ("completed", 3)})
    (shown,) = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["snapshots"]
    assert (shown["id"], shown["status"]) == (slow["id"], "paused")
    assert plane.call("POST", f"{PATH}/{slow['id']}/resume")[1]["status"] == "running"
    change_while_stopped(plane, slow["id"], u)
    status, gone = plane.call("DELETE", f"{PATH}/{slow['id']}")
    assert (status, gone["status"]) == (200, "cancelled")
    assert plane.call("POST", f"{PATH}/{slow['id']}/resume")[0] == 409
    assert "snapshots" not in plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]
    assert 0 < len([key for key in copied(out) if key[0] == "u"]) < 2999


def test_the_file_of_a_pipeline_that_runs_on_this_machine(postgres_database, tmp_path, capsys):
    postgres_database.execute(*TABLES, "create publication pub for all tables")
    pipeline = PipelineProcess(tmp_path, source_of(postgres_database), [file_sink(tmp_path / "out")])
    file = tmp_path / "p.json"
    file.write_text(json.dumps(pipeline.document))

    def snapshot(*arguments):
        code = main(["snapshot", str(file), *arguments, "--state-dir", str(tmp_path / "state")])
        return code, capsys.readouterr().out

    pipeline.start()
    try:
        assert snapshot("--table", "public.t", "--where", "id > 1", "--follow")[0] == 0
        assert_copied(tmp_path / "out", ("t", 2), ("t", 3))
        assert snapshot("--table", "nowhere.t")[0] == 2
        code, text = snapshot()
        assert (code, text.splitlines()[1].split()[1:3]) == (0, ["ad_hoc", "completed"])
        assert pipeline.stop() == 0
        assert snapshot() == (0, text)
    finally:
        pipeline.end()


def test_a_table_that_could_not_be_copied_degrades_the_pipeline_until_one_is(
    plane, postgres_database, tmp_path, capsys
):
    role = f"c_{postgres_database.name}"
    postgres_database.execute(
        *TABLES,
        "create publication pub for all tables",
        f"create role {role} login replication password 'pass'",
        f"grant select on u to {role}",
    )
    try:
        source = source_of(postgres_database, url=postgres_database.url(user=role, password="pass"))
        assert plane.call("POST", "/pipelines", document(source, file_sink(tmp_path / "out")))[1]["status"] == "running"
        assert main(["snapshot", NAME, "--table", "*", "--follow"]) == 1
        assert "permission denied" in capsys.readouterr().out
        (failed,) = plane.call("GET", PATH)[1]
        assert {t["name"]: t["status"] for t in failed["tables"]} == {"public.t": "failed", "public.u": "completed"}
        wait_for(lambda: plane.call("GET", "/health")[1].get("degraded_pipelines") == [NAME])
        degraded = plane.call("GET", f"/pipelines/{NAME}")[1]["ops"]["degraded"]
        assert list(degraded) == [f"snapshot {failed['id']}"]
        assert f'snapshot_tables{{pipeline="{NAME}",status="failed"}} 1.0' in plane.call("GET", "/metrics")[1]
        postgres_database.execute(f"grant select on t to {role}")
        assert main(["snapshot", NAME, "--table", "t", "--follow"]) == 0
        wait_for(lambda: "degraded_pipelines" not in plane.call("GET", "/health")[1])
        assert plane.call("DELETE", f"/pipelines/{NAME}")[0] == 204
    finally:
        postgres_database.execute(f"drop owned by {role}", f"drop role {role}")
