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


def shards_of(status):
    return {shard["id"]: shard for shard in status["source"]["shards"]}


def states_of(status):
    return {name: shard["state"] for name, shard in shards_of(status).items()}


def is_read_up_to_the_end(status):
    return all(shard.get("lag_bytes") == 0 and shard["events_read"] for shard in shards_of(status).values())


def test_a_shard_is_paused_by_itself_and_each_shows_where_it_is(databases, kafka, tmp_path):
    pipeline = Pipeline(tmp_path, kafka, databases[0].name, source_of(databases))
    try:
        pipeline.start()
        pipeline.ask("pause", shard="s0")
        insert(databases[0], 1, 2)
        insert(databases[1], 11)
        wait_for(lambda: pipeline.rows() == {"p.s1": [11]})
        pipeline.stop()
        pipeline.start(waits=False)
        insert(databases[1], 12)
        wait_for(lambda: pipeline.rows() == {"p.s1": [11, 12]})
        status = pipeline.wait_until(lambda status: set(states_of(status).values()) == {"paused", "running"})
        assert states_of(status) == {"s0": "paused", "s1": "running"}
        assert status["state"] == "running"
        pipeline.ask("resume", shard="s0")
        wait_for(lambda: pipeline.rows() == {"p.s0": [1, 2], "p.s1": [11, 12]})
        status = pipeline.wait_until(is_read_up_to_the_end)
        assert states_of(status) == {"s0": "running", "s1": "running"}
        assert {name: shard["events_read"] for name, shard in shards_of(status).items()} == {"s0": 2, "s1": 1}
        assert (status["events_read"], status["lag_bytes"], status["connected"]) == (3, 0, True)
        found = {checkpoint["lane"]: checkpoint["position"] for checkpoint in status["checkpoints"]}
        assert found == {name: shard["position"] for name, shard in shards_of(status).items()}
        metrics = pipeline.ask("metrics")["metrics"]
        for name in ("s0", "s1"):
            assert f'deltaforge_source_shard_up{{pipeline="p",shard="{name}"}} 1.0' in metrics
            assert f'deltaforge_source_shard_lag_bytes{{pipeline="p",shard="{name}"}} 0.0' in metrics
            assert f'deltaforge_source_events_total{{op="c",pipeline="p",source="src@{name}"' in metrics
        assert pipeline.ask("pause", shard="other")["kind"] == "not_found"
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()


def drop_slot(database):
    database.execute(f"select pg_drop_replication_slot('s_{database.name}')")


def test_a_shard_that_is_lost_stops_the_pipeline_or_stands_alone(databases, kafka, tmp_path):
    pipeline = Pipeline(tmp_path, kafka, databases[0].name, source_of(databases))
    try:
        pipeline.start()
        insert(databases[0], 1)
        insert(databases[1], 11)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11]})
        assert pipeline.stop() == 0, pipeline.log()
        before = read_source_states(pipeline.paths.recovery)["log@s0"]
        drop_slot(databases[0])
        insert(databases[0], 2)
        insert(databases[1], 12)

        outcome = pipeline.start(waits=False).wait()
        assert (outcome.kind, outcome.message[:9]) == ("checkpoint", "shard s0:")
        pipeline.document["spec"]["source"]["config"]["shard_failure"] = "go_on"
        pipeline.start(waits=False)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11, 12]})
        status = pipeline.wait_until(lambda status: states_of(status) == {"s0": "failed", "s1": "running"})
        assert "shard s0: " in status["source"]["last_error"]
        assert 'source_shard_up{pipeline="p",shard="s0"} 0.0' in pipeline.ask("metrics")["metrics"]
        pipeline.ask("resume", shard="s0")  # which tries again, and finds the same
        pipeline.wait_until(lambda status: states_of(status)["s0"] == "failed")
        insert(databases[1], 13)
        wait_for(lambda: pipeline.rows() == {"p.s0": [1], "p.s1": [11, 12, 13]})
        assert pipeline.stop() == 0, pipeline.log()
        assert read_source_states(pipeline.paths.recovery)["log@s0"] == before
        assert pipeline.log_text().count("source failed: ") == 3
    finally:
        pipeline.end()
