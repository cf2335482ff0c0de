"""Readers that expect Debezium: what they make of our topics after a random workload is the tables."""

import json
import uuid

import pytest

from tests.databases import begin_log_anew
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for
from tests.workload import Workload, selected, without_added

KEYS = {"items": ("id",), "pairs": ("a", "b")}


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        begin_log_anew(database)
        yield database


def applied(messages):
    """A reader of the kind of Flink's debezium-json and ClickHouse's: rows by key, as ``op`` says."""
    rows = {}
    for message in messages:
        if message.value() is None:
            continue  # a tombstone is for the broker
        change, key = json.loads(message.value()), tuple(json.loads(message.key()).values())
        if change["op"] == "d":
            assert change["after"] is None
            rows.pop(key, None)  # while a table is copied, rows are changed that were not copied yet
        else:
            rows[key] = change["after"]
    return rows


def compacted(messages):
    """A table of the kind of Kafka Streams' KTable: the last value of each key, without the keys that end in none."""
    last = {message.key(): message.value() for message in messages}
    return {
        tuple(json.loads(key).values()): json.loads(value)["after"] for key, value in last.items() if value is not None
    }


def read(kafka, topics, reader):
    return without_added({name: reader(kafka.messages(topic)) for name, topic in topics.items()})


def test_a_reader_of_schemaless_messages_gets_the_tables(database, kafka, tmp_path):
    workload, prefix = Workload(database, 11), uuid.uuid4().hex
    workload.has_truncates = False
    workload.create()
    workload.run(150)
    envelope = {"type": "debezium", "dialect": "connect", "topic_prefix": prefix, "decimal_handling": "string"}
    sink = {"id": "k", "brokers": kafka.bootstrap, "envelope": envelope, "encoding": {"type": "json"}}
    is_mysql = database.server.scheme == "mysql"
    source = (mysql_source if is_mysql else postgres_source)(database, snapshot={})
    topics = {name: f"{prefix}.{database.name if is_mysql else 'public'}.{name}" for name in KEYS}
    pipeline = PipelineProcess(tmp_path, source, [{"type": "kafka", "config": sink}])
    try:
        pipeline.start()
        workload.run(300)
        wanted = without_added(selected(database))
        # a table that DDL meets while it is copied is copied anew
        wait_for(lambda: read(kafka, topics, applied) == wanted, interval_secs=0.3)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    assert read(kafka, topics, compacted) == wanted
    changes = [json.loads(one.value()) for one in kafka.messages(topics["items"]) if one.value() is not None]
    assert {change["op"] for change in changes} == {"r", "c", "u", "d"}
    headers = {name for one in kafka.messages(topics["items"]) for name, _ in one.headers() or []}
    assert headers >= {"__debezium.newkey", "__debezium.oldkey"}, "no key was changed"
