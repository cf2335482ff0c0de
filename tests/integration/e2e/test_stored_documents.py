"""Documents that PostgreSQL holds and values cannot: through whole pipelines."""

import json

import pytest

from tests.pipelines import PipelineProcess, file_events, file_sink, postgres_source, wait_for

DOCUMENTS = [
    '{"n":1e1000000000000000000}', "[" * 1100 + "]" * 1100, r'{"a":"\ud83d"}', '{"a":' * 190 + "1e400" + "}" * 190,
    '{"a":1}',
]  # fmt: skip
IMAGES = {
    "native": lambda event: event["after"],
    "debezium": lambda event: event["payload"]["after"],
    "cloudevents": lambda event: event["data"]["after"],
}


@pytest.mark.parametrize("keeps_dead_letters", [False, True], ids=["no-journal", "journal"])
def test_no_document_ends_a_pipeline(tmp_path, postgres_database, keeps_dead_letters):
    postgres_database.execute("create table t (id int primary key, j json)", "create publication pub for all tables")
    outs = {name: tmp_path / f"{name}.jsonl" for name in IMAGES}
    sinks = [
        file_sink(path, id=name, envelope={"type": name, **({"type_prefix": "x"} if name == "cloudevents" else {})})
        for name, path in outs.items()
    ]
    sinks[2]["config"]["required"] = False  # by way of its spool, if it falls behind
    pipeline = PipelineProcess(
        tmp_path, postgres_source(postgres_database), sinks, schema_sensing={"enabled": True},
        journal={"enabled": keeps_dead_letters},
    )  # fmt: skip
    try:
        pipeline.start()
        with postgres_database.connect() as connection:
            for n, text in enumerate(DOCUMENTS):
                connection.execute("insert into t values (%s, %s)", (n, text))
                connection.execute("select pg_logical_emit_message(true, 'm', %s)", [text])
                connection.execute("select pg_logical_emit_message(false, 'm', %s)", [text])
            connection.execute("update t set id = id + 100")
        count = 4 * len(DOCUMENTS)
        for name, path in outs.items():
            wait_for(lambda path=path: (pipeline.assert_runs(), len(file_events(path)) == count)[1])
            images = [IMAGES[name](event) for event in file_events(path)]
            held = [image["j"] if "id" in image else image for image in images]
            for n, text in enumerate(DOCUMENTS):
                expected = {"_json": text} if n < 3 else json.loads(text)
                assert [*held[3 * n : 3 * n + 3], held[3 * len(DOCUMENTS) + n]] == [expected] * 4
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
