"""Several databases as shards of one source, in one pipeline."""

import json
from contextlib import ExitStack

import pytest

from deltaforge.checkpoint.reader import read_delivery_states, read_source_states
from tests.pipelines import PipelineProcess, wait_for


@pytest.fixture
def databases(postgres):
    """Two databases of one PostgreSQL server."""
    with ExitStack() as stack:
        found = [stack.enter_context(postgres.fresh_database()) for _ in range(2)]
        for database in found:
            database.execute("create table t (id int primary key, v text)", "create publication pub for all tables")
        yield found


def source_of(databases, **config):
    shards = [{"id": f"s{n}", "dsn": each.url(), "slot": f"s_{each.name}"} for n, each in enumerate(databases)]
    return {"type": "postgres", "config": {"id": "src", "publication": "pub", "tables": [], "shards": shards, **config}}


def kafka_sink(broker, topic):
    return {"type": "kafka", "config": {"id": "kafka", "brokers": broker.bootstrap, "topic": topic}}


class Pipeline(PipelineProcess):
    """Writes to a Kafka topic of its own."""

    def __init__(self, folder, broker, topic, source, **spec):
        super().__init__(folder, source, [kafka_sink(broker, topic)], **spec)
        self.broker, self.topic = broker, topic

    def rows(self):
        """What arrived: the name of the source with the ids of its rows, in order."""
        found = {}
        for message in self.broker.messages(self.topic):
            event = json.loads(message.value())
            found.setdefault(event["source"]["name"], []).append(event["after"]["id"])
        return found


def insert(database, *ids):
    database.execute(*(f"insert into t values ({number}, 'row {number}')" for number in ids))


def test_two_databases_of_one_server_arrive_and_each_goes_on_at_its_place(databases, kafka, tmp_path):
    pipeline = Pipeline(tmp_path, kafka, databases[0].name, source_of(databases))
    try:
        pipeline.start()
        for number, database in enumerate(databases):
            insert(database, *range(number * 10, number * 10 + 3))
        wait_for(lambda: sum(map(len, pipeline.rows().values())) == 6)
        assert pipeline.stop() == 0, pipeline.log()
        assert pipeline.rows() == {"p.s0": [0, 1, 2], "p.s1": [10, 11, 12]}
        saved = read_source_states(pipeline.paths.recovery)
        assert {key: state.source_id for key, state in saved.items()} == {"log@s0": "src@s0", "log@s1": "src@s1"}
        assert sorted(read_delivery_states(pipeline.paths.recovery)) == ["delivery@s0", "delivery@s1"]
        assert {key: state.position.lsn for key, state in saved.items()} == {
            f"log@{shard}": state.sinks[0].position.lsn
            for shard in ("s0", "s1")
            for state in [read_delivery_states(pipeline.paths.recovery)[f"delivery@{shard}"]]
        }
        insert(databases[1], 13)
        pipeline.start()
        insert(databases[0], 3)
        wait_for(lambda: sum(map(len, pipeline.rows().values())) == 8)
        assert pipeline.stop() == 0, pipeline.log()
        assert pipeline.rows() == {"p.s0": [0, 1, 2, 3], "p.s1": [10, 11, 12, 13]}
    finally:
        pipeline.end()
