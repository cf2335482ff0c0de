"""What an examination says of healthy set-ups, and how the command says it."""

import json
import socket

import pytest
from confluent_kafka.admin import AdminClient

from deltaforge.cli import main
from deltaforge.doctor import Level, examine
from tests.fixtures.database import wait_until_left
from tests.pipelines import PipelineProcess
from tests.set_ups import kafka_sink, mysql_set_up, postgres_set_up, redis_sink


@pytest.mark.parametrize("server", ["mysql", "mariadb", "mariadb_10", "postgres_15", "postgres_18"])
def test_nothing_is_found_in_a_healthy_set_up_and_nothing_is_changed(request, server, kafka, redis_server, tmp_path):
    make = postgres_set_up if "postgres" in server else mysql_set_up
    with make(request.getfixturevalue(server), tmp_path) as set_up:
        name = set_up.database.name
        exactly_once = kafka_sink(kafka, name, id="kafka-2", exactly_once=True)
        exactly_once["config"]["id"] = "kafka-2"
        stdout = {"type": "stdout", "config": {"id": "screen"}}
        set_up.sinks += [kafka_sink(kafka, name), exactly_once, redis_sink(redis_server, name), stdout]
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        before = set(admin.list_topics(timeout=20).topics)
        assert set_up.found() == []
        assert set(admin.list_topics(timeout=20).topics) == before
        with redis_server.connect() as client:
            assert client.exists(name) == 0
        assert list(tmp_path.iterdir()) == []
        if make is postgres_set_up:
            assert set_up.database.rows("select 1 from pg_replication_slots where database = %s", [name]) == []


def test_nothing_is_found_beside_a_pipeline_that_runs(postgres_15, tmp_path):
    with postgres_set_up(postgres_15, tmp_path) as set_up:
        pipeline = PipelineProcess(tmp_path, set_up.source, set_up.sinks).start()
        try:
            found = set_up.found()
        finally:
            pipeline.stop()
        wait_until_left(set_up.database)
        assert [(finding.check, str(pipeline.pid) in finding.what) for finding in found] == [("state.process", True)]
        assert set_up.found() == []


@pytest.fixture
def command(sink_case, tmp_path, capsys):
    def run(*options, verb="doctor"):
        path = tmp_path / "p.json"
        path.write_text(json.dumps(sink_case.document().raw))
        words = verb.split()
        code = main([words[0], str(path), *words[1:], "--state-dir", str(tmp_path / "state"), *options])
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize("verb", ["doctor", "validate --connect"])
def test_the_exit_code_says_whether_anything_was_found(sink_case, command, verb):
    code, text = command(verb=verb)
    assert (code, text.splitlines()[-1].split(", ")[:2]) == (0, ["0 errors", "0 warnings"])
    sink_case.database.execute("alter table t replica identity default")
    code, text = command(verb=verb)
    assert code == 0
    assert '→ alter table "public"."t" replica identity full' in text
    assert command("--strict", verb=verb)[0] == 1
    sink_case.database.execute("drop publication pub")
    code, text = command("--json", verb=verb)
    found = json.loads(text)
    assert (code, found["ok"], found["pipeline"]) == (1, False, "p")
    (error,) = [finding for finding in found["findings"] if finding["level"] == "error"]
    assert error["check"] == "postgres.publication"
    assert error["remedy"].startswith("create it: CREATE PUBLICATION pub")
    assert "postgres:postgres" not in text


def test_a_secret_of_a_file_is_used_and_not_told(sink_case, command, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "dsn").write_text(
        sink_case.config["dsn"].replace("postgres:postgres@", "postgres:wr0ng-one@")
    )
    sink_case.config["dsn"] = "${file:dsn}"
    code, text = command("--secrets-dir", str(tmp_path / "secrets"))
    assert code == 1
    assert "wr0ng-one" not in text
    assert "password authentication failed" in text


def test_a_server_that_never_answers_does_not_hold_it_up(sink_case, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink_case.config["dsn"] = f"postgres://u:p@127.0.0.1:{silent.getsockname()[1]}/d"
        findings = examine(sink_case.document(), tmp_path / "state", patience_secs=4)
    assert next(each.check for each in findings if each.level is Level.ERROR) in ("postgres.connect", "time")
