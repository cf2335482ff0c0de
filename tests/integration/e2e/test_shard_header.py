"""A reader of a topic sees which shard a message is of, without looking into it."""

from tests.integration.e2e.test_shards import databases, insert, source_of
from tests.pipelines import PipelineProcess, postgres_source, wait_for

__all__ = ["databases"]
HEADER = "df-shard"


def sink(kafka, name, **config):
    return {"type": "kafka", "config": {"id": name, "brokers": kafka.bootstrap, **config}}


def shard_in(message):
    """What the header says, and the other headers."""
    headers = dict(message.headers() or [])
    return headers.pop(HEADER, None), set(headers)


def test_every_message_says_its_shard_if_that_is_wanted(databases, kafka, tmp_path):
    prefix = databases[0].name
    for number, database in enumerate(databases):
        insert(database, number * 100)
    connect = {"type": "debezium", "dialect": "connect", "topic_prefix": prefix}
    sinks = [
        sink(kafka, "native", topic=f"{prefix}.native", tombstones=True, shard_header=HEADER),
        sink(kafka, "connect", envelope=connect, exactly_once=True, shard_header=HEADER),
        sink(kafka, "plain", topic=f"{prefix}.plain"),
    ]
    native, connected, plain = topics = [f"{prefix}.native", f"{prefix}.public.t", f"{prefix}.plain"]
    pipeline = PipelineProcess(tmp_path, source_of(databases, snapshot={"mode": "initial"}), sinks)
    try:
        pipeline.start()
        wait_for(lambda: [len(kafka.messages(topic)) for topic in topics] == [2, 2, 2])  # the copies
        for number, database in enumerate(databases):
            insert(database, *range(number * 100 + 1, number * 100 + 4))
            database.execute(
                f"update t set id = {number * 100 + 50} where id = {number * 100 + 1}",
                f"delete from t where id = {number * 100 + 2}",
            )
        # of each shard a copied row, three inserts, a change of a key, a delete
        wait_for(lambda: [len(kafka.messages(topic)) for topic in topics] == [18, 18, 12])
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    for topic in (native, connected):
        for message in kafka.messages(topic):
            shard, others = shard_in(message)
            assert shard == (b"s1" if b"10" in message.key() or b"150" in message.key() else b"s0")
            assert all(name.startswith("__debezium") for name in others)
    assert [message.headers() for message in kafka.messages(plain)] == [None] * 12


def test_without_shards_there_is_no_header(postgres_database, kafka, tmp_path):
    postgres_database.execute("create table t (id int primary key, v text)", "create publication pub for all tables")
    topic = f"{postgres_database.name}.native"
    sinks = [sink(kafka, "native", topic=topic, shard_header=HEADER)]
    pipeline = PipelineProcess(tmp_path, postgres_source(postgres_database), sinks)
    try:
        pipeline.start()
        insert(postgres_database, 1)
        wait_for(lambda: len(kafka.messages(topic)) == 1)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    assert not kafka.messages(topic)[0].headers()
