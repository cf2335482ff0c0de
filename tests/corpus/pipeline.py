"""The pipeline of the corpus: one source, and a sink for each way in which an event becomes bytes."""

from contextlib import closing

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.pipelines import file_sink

CLOUDEVENTS = {"type": "cloudevents", "type_prefix": 'com."acme"'}
FILES = {
    "native": "native",
    "debezium": "debezium",
    "cloudevents": CLOUDEVENTS,
    "cloudevents-nulls": {**CLOUDEVENTS, "include_nulls": True},
}
_COLUMNS = "|".join(f"${{after.c{n}}}" for n in range(70))
KAFKA = {
    "kafka": {"topic": "all"},
    "kafka-of-table": {"topic": "of.${source.connector}.${op}", "envelope": "debezium", "key": "${after.id}"},
    "kafka-keys": {"topic": "keys", "key": f"${{op}} ${{source.pos}}${{source.lsn}} {_COLUMNS}"},
    "kafka-of-row": {"topic": "row.${after.kind}", "key": "${source.table}:${before.id}:${after.id}:${tenant_id}"},
}
REDIS = {
    "redis": {"stream": "all"},
    "redis-of-table": {"stream": "of.${source.table}", "key": "${after.id}", "envelope": CLOUDEVENTS},
    "redis-of-row": {"stream": "row.${after.kind}", "key": "${transaction.id}"},
}


class Broker:
    """The broker that librdkafka has inside for tests: it keeps every message as it came."""

    def __init__(self):
        self._owner = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        (broker,) = self._owner.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        del self._owner

    def messages(self):
        """Topic, partition, key, headers and value of all, partition by partition."""
        settings = {"bootstrap.servers": self.address, "group.id": "corpus", "enable.partition.eof": True}
        settings |= {"fetch.wait.max.ms": 10, "enable.auto.commit": False, "log_level": 2}
        with closing(Consumer(settings)) as consumer:
            topics = consumer.list_topics(timeout=10).topics
            places = [TopicPartition(t, p, 0) for t, one in topics.items() for p in one.partitions]
            consumer.assign(places)
            found, left = {}, len(places)
            while left:
                one = consumer.poll(10)
                assert one is not None, "the broker does not answer"
                if one.error() is not None:
                    assert one.error().name() == "_PARTITION_EOF", one.error()
                    left -= 1
                else:
                    found.setdefault((one.topic(), one.partition()), []).append(one)
        return [
            (topic, partition, one.key(), one.headers(), one.value())
            for (topic, partition), each in sorted(found.items())
            for one in each
        ]


def document_sinks(folder, broker=None, redis=None, prefix=""):
    """The sinks of the document; topics and streams begin with the prefix."""
    sinks = [file_sink(folder / f"{name}.jsonl", id=name, envelope=envelope) for name, envelope in FILES.items()]
    if broker is not None:
        for name, config in KAFKA.items():
            topic = f"{name}.{config['topic']}"
            sinks.append({"type": "kafka", "config": {"id": name, "brokers": broker.address, **config, "topic": topic}})
    if redis is not None:
        for name, config in REDIS.items():
            stream = f"{prefix}{name}.{config['stream']}"
            sinks.append({"type": "redis", "config": {"id": name, "uri": redis.uri, **config, "stream": stream}})
    return sinks
