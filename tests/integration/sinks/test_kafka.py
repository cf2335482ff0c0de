"""The kafka sink: the contract of all sinks, and what is Kafka's own."""

import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import (
    Delivered,
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
    deliver,
    numbered_batch,
    with_row,
    without_repeats,
)
from tests.fixtures.fix_kafka import MISSED_SOON
from tests.patience import LONG_SECS, SHORT_SECS, patience_of
from tests.pipelines import wait_for
from tests.unit.waiting import wait_until


class KafkaTarget:
    patience_secs = LONG_SECS

    def __init__(self, broker, bootstrap):
        self.name = uuid.uuid4().hex
        self._broker = broker
        self._bootstrap = bootstrap

    def sink(self, *, destination="", **settings):
        return self.sink_at(self._bootstrap, topic=destination or f"{self.name}.s", **settings)

    def sink_at(self, brokers, **settings):
        config = {"id": "s", "brokers": brokers, "topic": f"{self.name}.s", "send_timeout_secs": self.patience_secs}
        return KafkaSinkSpec.model_validate({"type": "kafka", "config": config | settings}).build(context())

    def delivered(self):
        topics = AdminClient({"bootstrap.servers": self._broker.bootstrap}).list_topics(timeout=20).topics
        return [
            Delivered(
                message.value(),
                topic,
                (message.key() or b"").decode(),
                {name: value.decode() for name, value in message.headers() or []},
            )
            for topic in sorted(topics)
            if topic.startswith(self.name)
            for message in self._broker.messages(topic)
        ]


class KafkaTargetBehindProxy(KafkaTarget):
    def __init__(self, line, private_kafka):
        super().__init__(line.broker, line.bootstrap)
        self._private_kafka = private_kafka
        proxy = line.proxy
        self.down, self.up, self.stall, self.unstall = proxy.down, proxy.up, proxy.stall, proxy.unstall

    def unreachable(self):
        return self.sink_at("127.0.0.1:1")

    def unwelcome(self):
        broker = self._private_kafka(*WITH_PASSWORDS)
        return self.sink_at(broker.bootstrap, client_conf=credentials("wrong-password"), send_timeout_secs=10)


PLAIN_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="admin" password="right" user_admin="right";'
)
WITH_PASSWORDS = (
    "listener.security.protocol.map=DIRECT:SASL_PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms=PLAIN",
    "sasl.mechanism.inter.broker.protocol=PLAIN",
    "listener.name.direct.plain.sasl.jaas.config=" + PLAIN_LOGIN,
)


def credentials(password):
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "admin",
        "sasl.password": password,
    }


@pytest.fixture
def target(request, kafka_behind_proxy, private_kafka):
    target = KafkaTargetBehindProxy(kafka_behind_proxy, private_kafka)
    target.patience_secs = patience_of(request)
    if target.patience_secs < LONG_SECS:  # the topic may take longer than that
        first = target.sink(send_timeout_secs=60)
        first.open()
        first.close()
    return target


class TestKafkaSink(SinkContract, RoutedSinkContract, NetworkSinkContract):
    """The contract."""


def write_all(sink, *batches):
    sink.open()
    write_more(sink, *batches)


def write_more(sink, *batches):
    for batch in batches:
        sink.write(batch)
    sink.flush()


def test_the_right_password_is_welcome(private_kafka):
    broker = private_kafka(*WITH_PASSWORDS)
    sink = KafkaTarget(broker, broker.bootstrap).sink(client_conf=credentials("right"), send_timeout_secs=20)
    assert deliver(sink, [numbered_batch(1)], is_open=False) == []
    sink.close()


def test_a_silent_line_gives_neither_repeats_nor_disorder(target):
    """Requests under way during an outage come out late; the broker must know that they are old."""
    sink = target.sink(send_timeout_secs=SHORT_SECS)
    deliver(sink, [numbered_batch(1, 10)], is_open=False)
    target.stall()
    batches = [numbered_batch(11, 500), numbered_batch(511, 500)]
    for batch in batches:
        sink.write(batch)
    for _ in range(3):
        with pytest.raises(SinkError):
            sink.flush()
        sink.suspend()
        sink.open()
        for batch in batches:
            sink.write(batch)
    target.unstall()
    deliver(sink, batches, written=len(batches))
    deliver(sink, [numbered_batch(1011, 10)])
    sink.close()
    assert [event.number for event in target.delivered()] == list(range(1, 1021))


def test_a_killed_broker_is_waited_for(private_kafka):
    broker = private_kafka(*MISSED_SOON)
    target = KafkaTarget(broker, broker.bootstrap)
    sink = target.sink(send_timeout_secs=SHORT_SECS)
    deliver(sink, [numbered_batch(1, 10)], is_open=False)
    batches = [numbered_batch(11, 10), numbered_batch(21, 10)]
    broker.kill()
    sink.write(batches[0])
    with pytest.raises(SinkError) as caught:
        sink.flush()
    assert retry_of(caught.value) is Retry.BACKOFF
    sink.suspend()
    broker.start()
    deliver(sink, batches, is_open=False)
    sink.close()
    assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 31))


@pytest.fixture
def strict_kafka(private_kafka):
    """A broker that creates no topics."""
    return private_kafka("auto.create.topics.enable=false")


def test_a_missing_topic_is_named_with_what_mends_it(strict_kafka):
    """By the sink at once if all events go there; else by the event that chose it, which alone is at fault."""
    target = KafkaTarget(strict_kafka, strict_kafka.bootstrap)
    fixed = target.sink(destination="missing", send_timeout_secs=2)
    with pytest.raises(SinkError, match=r"kafka has no topic missing: .*create the topic") as caught:
        fixed.open()
    fixed.close()
    assert (caught.value.kind, retry_of(caught.value)) == ("routing", Retry.OPERATOR)
    assert not isinstance(caught.value, RecordError)
    chosen = target.sink(destination="missing.${source.table}", send_timeout_secs=2)
    chosen.open()
    with pytest.raises(RecordError, match=r"kafka has no topic missing\.t: .*create the topic") as caught:
        write_all(chosen, numbered_batch(1, 3))
    chosen.close()
    assert caught.value.kind == "routing"


def test_a_topic_that_vanishes_is_named(strict_kafka):
    target = KafkaTarget(strict_kafka, strict_kafka.bootstrap)
    admin = AdminClient({"bootstrap.servers": strict_kafka.bootstrap})
    admin.create_topics([NewTopic("gone", num_partitions=1)])["gone"].result(20)
    sink = target.sink(destination="gone", send_timeout_secs=4, client_conf={"topic.metadata.refresh.interval.ms": 200})
    write_all(sink, numbered_batch(1, 3))
    admin.delete_topics(["gone"])["gone"].result(20)

    def is_missed():
        try:
            write_all(sink, numbered_batch(4, 1))
        except SinkError as error:
            sink.suspend()
            return error if error.kind == "routing" else None

    error = wait_for(is_missed)
    sink.close()
    assert "topic gone: " in str(error)
    assert "create the topic" in error.hint


def test_a_topic_name_that_kafka_cannot_have_is_a_routing_error(target):
    sink = target.sink(destination=f"{target.name}.${{after.name}}", send_timeout_secs=5)
    batch = numbered_batch(1)
    named = [*with_row({"id": 1, "name": "good"}).events(), *with_row({"id": 2, "name": "not a topic"}).events()]
    with pytest.raises(RecordError) as caught:
        write_all(sink, batch.with_events(named))
    sink.close()
    assert (caught.value.kind, caught.value.index, caught.value.written_count) == ("routing", 1, 0)
    assert "not a topic" not in str(caught.value)


@pytest.mark.parametrize("limits", ["client", "broker"])
def test_a_message_too_large_is_named_by_its_index_and_nothing_overtakes_it(target, private_kafka, limits):
    if limits == "broker":
        broker = private_kafka("message.max.bytes=100000")
        target = KafkaTarget(broker, broker.bootstrap)
    size, conf = (2_000_000, {}) if limits == "client" else (200_000, {"compression.type": "none"})
    sink = target.sink(client_conf=conf, send_timeout_secs=10)
    write_all(sink, numbered_batch(1))  # from now on the broker knows which request of this producer is the next
    small = numbered_batch(2, 3)
    large = with_row({"id": 5, "text": "x" * size}, event_id="large")
    bad = small.with_events([*small.events(), *large.events()])
    with pytest.raises(RecordError) as caught:
        write_more(sink, bad, numbered_batch(6, 500))
    sink.close()
    assert (caught.value.kind, caught.value.index) == ("serialization", 3)
    assert caught.value.written_count == (3 if limits == "client" else None)
    numbers = [event.number for event in target.delivered()]
    assert numbers in ([1], [1, 2], [1, 2, 3], [1, 2, 3, 4])  # as many as had left when the sink was closed


def test_a_message_larger_than_the_usual_queue_of_the_client_is_delivered(private_kafka):
    broker = private_kafka("message.max.bytes=50000000")
    target = KafkaTarget(broker, broker.bootstrap)
    sink = target.sink(client_conf={"message.max.bytes": 30_000_000}, send_timeout_secs=10)
    write_all(sink, numbered_batch(1, 3), with_row({"id": 4, "text": "x" * 20_000_000}), numbered_batch(5, 2))
    sink.close()
    *before, large, five, six = target.delivered()
    assert [event.number for event in [*before, five, six]] == [1, 2, 3, 5, 6]
    assert len(large.value) > 20_000_000


def test_the_key_is_the_primary_key_even_of_a_deleted_row(target):
    deleted = numbered_batch(1, op="d", before={"id": 9}, after=None)
    moved = numbered_batch(2, op="u", before={"id": 2}, after={"id": 3})
    keyless = numbered_batch(4, schema=None, tenant_id="acme")
    sink = target.sink()
    write_all(sink, deleted, moved, keyless)
    sink.close()
    assert [event.key for event in target.delivered()] == ['{"id":9}', '{"id":3}', "acme|app.t||event-4"]


def test_settings_that_the_client_does_not_take_are_named(target):
    sink = target.sink(client_conf={"compression.codec": "zip"})
    with pytest.raises(SinkError, match=r"compression\.codec") as caught:
        sink.open()
    assert retry_of(caught.value) is Retry.OPERATOR


def test_the_queue_of_the_client_shows_in_the_metrics(target):
    about = context()
    settings = {
        "client_conf": {"statistics.interval.ms": 50},
        "topic": f"{target.name}.s",
        "send_timeout_secs": LONG_SECS,
    }
    config = {"id": "s", "brokers": target._bootstrap} | settings
    sink = KafkaSinkSpec.model_validate({"type": "kafka", "config": config}).build(about)
    sink.open()
    target.stall()
    sink.write(numbered_batch(1, 500))
    queued = about.metrics.kafka_queue_messages.labels("p", "s")
    wait_until(lambda: queued._value.get() == 500)
    target.unstall()
    sink.flush()
    wait_until(lambda: queued._value.get() == 0)
    sink.close()
    assert about.metrics.sink_bytes.labels("p", "s")._value.get() == sum(
        len(event.value) for event in target.delivered()
    )


def test_closing_ends_every_thread_of_the_client(target):
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    sink = target.sink()
    sink.open()
    sink.write(numbered_batch(1))
    assert len(list(tasks.iterdir())) > before
    sink.close()
    wait_until(lambda: len(list(tasks.iterdir())) <= before)


def test_a_bad_event_leaves_the_batches_before_it_in_doubt_and_unrepeated(target):
    sink = target.sink()
    good = numbered_batch(1, 10)
    sink.open()
    sink.write(good)
    with pytest.raises(RecordError):
        sink.write(with_row({"id": "\ud800"}))
    sink.write(good)
    sink.write(numbered_batch(11, 10))
    sink.flush()
    sink.close()
    assert [event.number for event in target.delivered()] == list(range(1, 21))
