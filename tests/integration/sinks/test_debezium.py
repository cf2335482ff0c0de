"""Rows of databases as Debezium's messages on topics, from the log to the broker."""

import json
import uuid

import pytest

from tests.databases import database_with
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for

TABLES = (
    "create table t (id int primary key, name varchar(20), price decimal(10,2) not null)",
    "create table no_key (a int)",
)


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, *TABLES) as database:
        yield database


@pytest.mark.parametrize("environment", [{}, {"DELTAFORGE_PURE": "1"}], ids=["compiled", "pure"])
def test_rows_are_on_topics_of_their_tables_as_debezium_writes_them(database, kafka, tmp_path, environment):
    prefix = uuid.uuid4().hex
    is_mysql = database.server.scheme == "mysql"
    source = (mysql_source if is_mysql else postgres_source)(database)
    envelope = {
        "type": "debezium", "dialect": "connect", "topic_prefix": prefix, "provide_transaction_metadata": True,
        "extended_headers": True,
    }  # fmt: skip
    sink = {"id": "k", "brokers": kafka.bootstrap, "envelope": envelope, "encoding": {"type": "json"}}
    schema = database.name if is_mysql else "public"
    topic = f"{prefix}.{schema}.t"
    pipeline = PipelineProcess(tmp_path, source, [{"type": "kafka", "config": sink}])
    statements = [
        "insert into t values (1, 'Alice', 1.50)",
        "update t set name = null where id = 1",
        "update t set id = 2 where id = 1",
        "insert into no_key values (1)",
        "delete from t where id = 2",
    ]
    if not is_mysql:
        statements.insert(0, "select pg_logical_emit_message(true, 'tasks', 'no json')")
    try:
        pipeline.start(environment=environment)
        for statement in statements:
            database.execute(statement)
        wait_for(lambda: len(kafka.messages(f"{prefix}.transaction")) >= 2 * len(statements), interval_secs=0.2)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    found = kafka.messages(topic)
    values = [json.loads(message.value() or "null") for message in found]
    keys = [message.key() for message in found]
    assert [value and value["op"] for value in values] == ["c", "u", "d", None, "c", "d", None]
    assert keys == [b'{"id":1}'] * 4 + [b'{"id":2}'] * 3
    new, old = ("__debezium.newkey", b'{"id":2}'), ("__debezium.oldkey", b'{"id":1}')
    context = [
        ("__debezium.context.connectorLogicalName", prefix.encode()),
        ("__debezium.context.taskId", b"0"),
        ("__debezium.context.connectorName", b"mysql" if is_mysql else b"postgresql"),
    ]
    own = [[], [], [new], [new], [old], [], []]
    assert [message.headers() for message in found] == [[*headers, *context] for headers in own]
    inserted, updated = values[:2]
    assert inserted["after"] == {"id": 1, "name": "Alice", "price": "AJY="}
    assert updated["after"] == {"id": 1, "name": None, "price": "AJY="}
    assert updated["before"] == (inserted["after"] if is_mysql else None)
    place = inserted["source"]
    assert (place["name"], place["table"], place["snapshot"]) == (prefix, "t", "false")
    assert place["lsn" if not is_mysql else "pos"] > 0
    assert list(inserted) == ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
    assert [message.key() for message in kafka.messages(f"{prefix}.{schema}.no_key")] == [None]

    assert all(message.headers() is None for message in kafka.messages(f"{prefix}.transaction"))
    marks = [json.loads(message.value()) for message in kafka.messages(f"{prefix}.transaction")]
    assert [mark["status"] for mark in marks] == ["BEGIN", "END"] * len(statements)
    number = 0 if is_mysql else 2
    assert marks[number + 1]["data_collections"] == [{"data_collection": f"{schema}.t", "event_count": 1}]
    assert marks[number + 5]["event_count"] == 2  # of the update of the key
    assert [values[place]["transaction"]["total_order"] for place in (2, 4)] == [1, 2]
    assert inserted["transaction"]["total_order"] == inserted["transaction"]["data_collection_order"] == 1
    assert inserted["transaction"]["id"].split(":")[0] == marks[number]["id"].split(":")[0]
    if not is_mysql:
        [logged] = [json.loads(message.value()) for message in kafka.messages(f"{prefix}.message")]
        assert (logged["op"], logged["message"]) == ("m", {"prefix": "tasks", "content": "bm8ganNvbg=="})
