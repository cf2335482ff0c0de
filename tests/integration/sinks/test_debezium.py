"""Rows of databases as Debezium's messages on topics, from the log to the broker."""

import json
import uuid

import pytest

from tests.databases import database_with
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for

TABLE = "create table t (id int primary key, name varchar(20), price decimal(10,2) not null)"


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, TABLE) as database:
        yield database


def test_rows_are_on_topics_of_their_tables_as_debezium_writes_them(database, kafka, tmp_path):
    prefix = uuid.uuid4().hex
    is_mysql = database.server.scheme == "mysql"
    source = (mysql_source if is_mysql else postgres_source)(database)
    envelope = {"type": "debezium", "dialect": "connect", "topic_prefix": prefix}
    sink = {"id": "k", "brokers": kafka.bootstrap, "envelope": envelope, "encoding": {"type": "json"}}
    topic = f"{prefix}.{database.name if is_mysql else 'public'}.t"
    pipeline = PipelineProcess(tmp_path, source, [{"type": "kafka", "config": sink}])
    try:
        pipeline.start()
        for statement in (
            "insert into t values (1, 'Alice', 1.50)",
            "update t set name = null where id = 1",
        ):
            database.execute(statement)
        wait_for(lambda: len(kafka.messages(topic)) >= 2, interval_secs=0.2)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    inserted, updated = (json.loads(message.value()) for message in kafka.messages(topic)[:2])
    assert inserted["after"] == {"id": 1, "name": "Alice", "price": "AJY="}
    assert updated["after"] == {"id": 1, "name": None, "price": "AJY="}
    assert updated["before"] == (inserted["after"] if is_mysql else None)
    assert [inserted["op"], updated["op"]] == ["c", "u"]
    assert {message.key() for message in kafka.messages(topic)} == {b'{"id":1}'}
    found = inserted["source"]
    assert (found["name"], found["table"], found["snapshot"]) == (prefix, "t", "false")
    assert found["lsn" if not is_mysql else "pos"] > 0
    assert list(inserted) == ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
