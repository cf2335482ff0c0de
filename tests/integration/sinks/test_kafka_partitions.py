"""Which partition a key goes to: that of Java's producers, whoever makes the message."""

import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deltaforge.core.event import Routing
from deltaforge.testing.sink_contract import numbered_batch
from tests.integration.sinks.test_kafka import KafkaTarget, write_all
from tests.pipelines import PipelineProcess, postgres_source, wait_for

PARTITIONS = 7
KEYS = ["", "a", "ab", "abc", "abcd", "abcde", "größe", "\U0001f600", "x" * 1000, *(f"key-{n}" for n in range(200))]


def murmur2(data):
    """Kafka's ``org.apache.kafka.common.utils.Utils.murmur2``."""
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        value = value * factor & mask ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def partition_of(key):
    """Of ``DefaultPartitioner`` and ``BuiltInPartitioner``: the bytes of the key, however few."""
    return (murmur2(key) & 0x7FFFFFFF) % PARTITIONS


def test_the_oracle_knows_the_hashes_of_kafkas_own_test():
    """``UtilsTest.testMurmur2`` of Apache Kafka."""
    known = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
             "a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
             "abc": 479470107}  # fmt: skip
    assert {text: murmur2(text.encode()) for text in known} == {
        text: hash_ & 0xFFFFFFFF for text, hash_ in known.items()
    }


@pytest.fixture
def topics(kafka):
    """Names of new topics with some partitions."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def make(*names):
        made = [f"{name}-{uuid.uuid4().hex[:10]}" for name in names]
        for future in admin.create_topics([NewTopic(name, num_partitions=PARTITIONS) for name in made]).values():
            future.result(20)
        return made

    return make


def places(kafka, topic):
    """Pairs of key and partition."""
    return [(message.key(), message.partition()) for message in kafka.messages(topic)]


def keyed_events():
    batch = numbered_batch(1, len(KEYS))
    for event, key in zip(batch.events(), KEYS, strict=True):
        event.routing = Routing(key=key)
    return batch


@pytest.mark.parametrize("has_headers", [False, True])
def test_every_key_goes_where_java_puts_it(kafka, topics, has_headers):
    (topic,) = topics("keys")
    batch = keyed_events()
    if has_headers:
        for event in batch.events():
            event.routing.headers = {"h": "1"}
    sink = KafkaTarget(kafka, kafka.bootstrap).sink(destination=topic, send_timeout_secs=20)
    write_all(sink, batch)
    sink.close()
    found = places(kafka, topic)
    assert sorted(found) == sorted((key.encode(), partition_of(key.encode())) for key in KEYS)
    assert len({partition for _, partition in found}) == PARTITIONS


def test_a_key_template_that_is_empty_goes_to_one_partition(kafka, topics):
    (topic,) = topics("empty")
    sink = KafkaTarget(kafka, kafka.bootstrap).sink(destination=topic, key="${after.none}", send_timeout_secs=20)
    for first in (1, 101, 201):
        write_all(sink, numbered_batch(first, 100))
    sink.close()
    assert {partition for _, partition in places(kafka, topic)} == {partition_of(b"")}


def test_a_partitioner_of_the_document_wins(kafka, topics):
    (topic,) = topics("own")
    conf = {"partitioner": "fnv1a"}
    sink = KafkaTarget(kafka, kafka.bootstrap).sink(destination=topic, client_conf=conf, send_timeout_secs=20)
    write_all(sink, keyed_events())
    sink.close()
    assert any(partition != partition_of(key) for key, partition in places(kafka, topic))


def test_rows_of_a_pipeline_go_where_java_puts_their_keys(kafka, topics, postgres_database, tmp_path):
    """Row keys and templates, in blocks: with the kernel and without, at least once and exactly once."""
    names = topics("blocks", "exact", "templates", "odd", "even")
    by_column = {"topic": "${after.home}", "key": "${op}${after.name}"}
    settings = [{}, {"exactly_once": True}, {"key": "${after.name}"}, by_column]
    sinks = [
        {"type": "kafka", "config": {"id": f"k{n}", "brokers": kafka.bootstrap, "topic": names[n], **config}}
        for n, config in enumerate(settings)
    ]
    postgres_database.execute(
        "create table t (id int primary key, name text, home text)", "create publication pub for all tables"
    )
    pipeline = PipelineProcess(tmp_path, postgres_source(postgres_database), sinks, name=names[0]).start()
    homes = f"case when n % 2 = 1 then '{names[3]}' else '{names[4]}' end"
    postgres_database.execute(f"insert into t select n, repeat('ä', n % 9), {homes} from generate_series(1, 500) n")
    rows = [b'{"id":%d}' % n for n in range(1, 501)]
    texts = [("ä" * (n % 9)).encode() for n in range(1, 501)]
    keys = [rows, rows, texts, [b"c" + text for text in texts[::2]], [b"c" + text for text in texts[1::2]]]
    for name, of_name in zip(names, keys, strict=True):
        wait_for(lambda name=name, keys=of_name: len(places(kafka, name)) == len(keys))
    assert pipeline.stop() == 0
    for name, of_name in zip(names, keys, strict=True):
        assert sorted(places(kafka, name)) == sorted((key, partition_of(key)) for key in of_name)
