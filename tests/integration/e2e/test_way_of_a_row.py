"""How many files, functions and threads of ours a row passes between the socket and the file that it is written to.

The limits leave little room above what was measured last (``docs/architecture.md``); a change that needs fewer lowers
them.
"""

import json
from pathlib import Path

import pytest

from tests.corpus.expected import PLAIN
from tests.databases import database_with
from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, postgres_source, wait_for

TRACER = Path(__file__).parents[2] / "row_tracer.py"
ROWS = 15
FILES, FUNCTIONS, THREADS = 15, 28, 3


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, "create table t (id int primary key, c varchar(30))") as database:
        yield database


def test_a_row_passes_few_files_functions_and_queues(database, tmp_path):
    plain = f"{database.url()}?{PLAIN[database.server.scheme]}"  # so that bytes come out of a socket
    source = (mysql_source if database.server.scheme == "mysql" else postgres_source)(database, url=plain)
    pipeline = PipelineProcess(tmp_path, source, [file_sink(tmp_path / "out.jsonl")])
    pipeline.program = [str(TRACER), str(tmp_path / "traced.json")]
    try:
        pipeline.start(environment={"DELTAFORGE_PURE": ""})  # the way through the kernel, whatever else is tested
        for number in range(ROWS):
            database.execute(f"insert into t values ({number}, 'the text of the row')")
            wait_for(lambda seen=number: len(file_events(tmp_path / "out.jsonl")) > seen, interval_secs=0.02)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    traced = json.loads((tmp_path / "traced.json").read_text())
    files = {name.partition(":")[0] for name in traced["functions"]}
    assert traced["rows"] >= ROWS / 2
    assert len(files) <= FILES, sorted(files)
    assert len(traced["functions"]) <= FUNCTIONS, traced["functions"]
    assert traced["threads"] <= THREADS  # a queue between two of them
    assert len(traced["functions"]) > 10, f"too few to be true: {traced['functions']}"
