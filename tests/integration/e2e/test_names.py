"""Names of pipelines and sinks: what is allowed for new ones, and what goes on under the names of earlier versions."""

import contextlib
import json
import sqlite3
from urllib.parse import quote

import pytest

from deltaforge.checkpoint.reader import read_checkpoints
from deltaforge.cli import main
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.storage.sqlite import SqliteStorage
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_events, file_sink, postgres_source, wait_for

OLD_NAMES = ["my pipe é?", "-x", "100%25#?mode=rwc", ".hidden"]
REFUSED = [
    "my pipe é?", "-x", ".x", "..", "a/b", "a\\b", "a\nb", "a\0b", "a b", " a", "a:b", "\N{CYRILLIC SMALL LETTER A}", "a\u202eb",
    "\ud800", "a" * 129, "é" * 65, "", "%41", "a\u200bb", "\N{FULLWIDTH LATIN SMALL LETTER A}",
]  # fmt: skip
ALLOWED = ["a", "A.b_c-9", "0", "a" * 128]


@pytest.fixture
def database(postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    return postgres_database


def test_new_names_are_letters_digits_and_three_marks(tmp_path):
    plane = ControlPlane(tmp_path).start()
    try:
        for place in ("metadata.name", "spec.sinks[0].config.id"):
            for name in (*REFUSED, *ALLOWED):
                body = document(
                    {"type": "mysql", "config": {"id": "s", "dsn": "mysql://u:p@127.0.0.1:1/x", "tables": []}},
                    file_sink(tmp_path / "out", **({} if place == "metadata.name" else {"id": name})),
                    **({"name": name} if place == "metadata.name" else {}),
                )
                status, answer = plane.call("POST", "/validate", body)
                assert status == (200 if name in ALLOWED else 400), (name, answer)
                if name in REFUSED:
                    assert place in answer["error"]
                    assert plane.call("POST", "/pipelines", body)[0] == 400
        told = plane.call(
            "POST", "/validate", document(body["spec"]["source"], file_sink(tmp_path / "out"), name="-x")
        )[1]
        assert "allowed: 1 to 128 of the characters A-Z a-z 0-9 . _ -, and a letter or digit first" in told["error"]
        assert plane.call("GET", "/pipelines")[1] == []
    finally:
        plane.stop()


def test_run_refuses_a_new_name_and_goes_on_with_an_old_one(tmp_path, capsys):
    file = tmp_path / "p.json"
    source = {"type": "mysql", "config": {"id": "s", "dsn": "mysql://u:p@127.0.0.1:1/x", "tables": []}}
    file.write_text(json.dumps(document(source, file_sink(tmp_path / "out"), name="-x")))
    assert main(["run", str(file), "--state-dir", str(tmp_path / "state")]) == 2
    assert "allowed: 1 to 128 of the characters" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
    assert main(["validate", str(file)]) == 0
    assert "warning: metadata.name" in capsys.readouterr().err


def test_pipelines_with_names_of_earlier_versions_go_on(database, tmp_path):
    """State as earlier versions left it: a folder with a recovery store, and a registration."""
    outs, storage = {}, SqliteStorage(tmp_path / "df.db")
    for number, name in enumerate(OLD_NAMES):
        outs[name] = tmp_path / f"out{number}"
        source = postgres_source(database, id=f"s{number}", slot=f"s{number}_{database.name}")
        before = PipelineProcess(tmp_path, source, [file_sink(outs[name], id="old sink?", required=False)], name=name)
        before.arguments = ["--storage-path", str(tmp_path / "df.db")]
        _run_as_before(before, database, number)
        kept = {"document": before.document, "desired": "stopped", "former_sources": []}
        storage.kv.put("pipelines", name, json.dumps(kept).encode())
        assert read_checkpoints(before.paths.recovery)[0].sink_id == "old sink?"
    storage.close()
    plane = ControlPlane(tmp_path).start()
    try:
        for number, name in enumerate(OLD_NAMES):
            _goes_on(plane, database, name, outs[name], 100 * number)
            assert not PipelinePaths(tmp_path / "state", name).root.exists()
    finally:
        plane.stop()


def _run_as_before(process, database, number):
    process.start()
    database.execute(f"insert into t values ({1000 + number})")
    wait_for(lambda: read_checkpoints(process.paths.recovery))
    assert process.stop() == 0


def _goes_on(plane, database, name, out, first):
    path = f"/pipelines/{quote(name, safe='')}"

    def delivered(number):
        database.execute(f"insert into t values ({number})")
        wait_for(lambda: number in [event["after"]["id"] for event in file_events(out)])

    assert plane.call("POST", f"{path}/resume")[1]["status"] == "running"
    delivered(first + 1)
    assert plane.call("POST", f"{path}/stop")[1]["status"] == "stopped"
    database.execute(f"insert into t values ({first + 2})")
    assert plane.call("PATCH", path, {"spec": {"batch": {"max_events": 7}}})[1]["status"] == "running"
    wait_for(lambda: first + 2 in [event["after"]["id"] for event in file_events(out)])
    assert plane.call("GET", path)[1]["ops"]["checkpoints"][0]["sink_id"] == "old sink?"
    assert plane.call("DELETE", path)[0] == 204


def test_an_id_of_dots_names_no_other_folder(tmp_path):
    paths = PipelinePaths(tmp_path, "p")
    assert [paths.spool(sink).parent for sink in (".", "..", "...", "a.b")] == [paths.spools] * 4
    assert paths.spool("a.b").name == "a.b"


def test_a_recovery_store_is_read_wherever_it_is(tmp_path):
    folder = tmp_path / "100%25 é?x=1#y" / "recovery"
    folder.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(folder / "part-0.sqlite3")) as store:
        store.executescript(
            "create table exs (ex_num, worker_count, resume_epoch);"
            "create table fronts (ex_num, worker_index, worker_frontier)"
        )
    assert read_checkpoints(folder) == []
