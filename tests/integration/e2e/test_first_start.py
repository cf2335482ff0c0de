"""The first rows of a pipeline do not wait for its first save, and a crash before that loses none of them."""

import json

import pytest

from deltaforge.checkpoint.reader import read_delivery_state, read_source_state
from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, postgres_source, wait_for

NEVER_SECS = "3600"
"""Between two saves: the pipeline is killed before the first."""


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_rows_come_before_the_first_save_and_a_kill_then_loses_none(request, tmp_path, kind):
    database = request.getfixturevalue(f"{kind}_database")
    database.execute("create table t (id int primary key)")
    if kind == "postgres":
        database.execute("create publication pub for all tables")
    source = (postgres_source if kind == "postgres" else mysql_source)(database)
    out = tmp_path / "out.jsonl"
    pipeline = PipelineProcess(tmp_path, source, [file_sink(out)])
    pipeline.arguments = ["--epoch-secs", NEVER_SECS]
    paths = pipeline.paths
    request.addfinalizer(pipeline.end)
    pipeline.start()
    database.execute("insert into t values (1)")
    wait_for(lambda: len(file_events(out)) == 1)
    began = paths.first_position.read_bytes(), paths.first_delivery.read_bytes()
    pipeline.kill()
    assert read_source_state(paths.recovery) is None
    database.execute("insert into t values (2)")
    pipeline.start()
    wait_for(lambda: {event["after"]["id"] for event in file_events(out)} == {1, 2})
    assert (paths.first_position.read_bytes(), paths.first_delivery.read_bytes()) == began
    pipeline.kill()
    # then
    pipeline.arguments = []
    pipeline.start()
    database.execute("insert into t values (3)")
    wait_for(lambda: file_events(out)[-1]["after"]["id"] == 3)
    wait_for(lambda: not paths.first_position.exists() and not paths.first_delivery.exists())
    assert pipeline.stop() == 0
    assert paths.started.exists()
    assert read_delivery_state(paths.recovery).generation == json.loads(began[1])["incarnation"]
    assert list(dict.fromkeys(event["after"]["id"] for event in file_events(out))) == [1, 2, 3]
