"""Files of pipelines that ran before files had markers."""

import pytest

from tests.pipelines import PipelineProcess, file_events, file_sink, postgres_source, wait_for


@pytest.fixture
def pipeline(tmp_path, postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    pipeline = PipelineProcess(tmp_path, postgres_source(postgres_database), [file_sink(tmp_path / "a.jsonl")])
    yield pipeline
    pipeline.end()


def test_a_file_of_an_earlier_version_goes_on_and_no_other_file_is_touched(pipeline, tmp_path, postgres_database):
    out, marker, foreign = (tmp_path / name for name in ("a.jsonl", ".a.jsonl.deltaforge", "foreign.jsonl"))

    def runs_to(count):
        pipeline.start()
        postgres_database.execute(f"insert into t values ({count})")
        wait_for(lambda: len(file_events(out)) == count)
        assert pipeline.stop() == 0

    runs_to(1)
    marker.unlink()  # as an earlier version leaves it
    pipeline.paths.unmarked.unlink()
    runs_to(2)
    assert marker.exists()
    foreign.write_bytes(b"torn")
    pipeline.document["spec"]["sinks"] = [file_sink(foreign)]
    assert "did not write" in pipeline.start(waits=False).wait().message
    assert foreign.read_bytes() == b"torn"
    pipeline.document["spec"]["sinks"] = [file_sink(out)]
    marker.unlink()
    runs_to(3)


def test_a_first_start_takes_no_file_that_is_there_already(pipeline, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"torn")
    assert "did not write" in pipeline.start(waits=False).wait().message
    assert (tmp_path / "a.jsonl").read_bytes() == b"torn"
