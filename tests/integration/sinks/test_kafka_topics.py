"""Topics that the sink makes: their settings as the broker has them, and what is left alone."""

import logging

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
)

from deltaforge.core.errors import SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.testing.sink_contract import numbered_batch
from tests.integration.sinks.test_kafka import WITH_PASSWORDS, KafkaTarget, credentials

COMPACTED = {"partitions": 3, "replication_factor": 1, "config": {"cleanup.policy": "compact", "segment.ms": 60000}}


@pytest.fixture
def target(kafka):
    return KafkaTarget(kafka, kafka.bootstrap)


@pytest.fixture
def admin(kafka):
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


def settings_of(admin, topic):
    """Partitions, and two settings, as the broker says."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    entries = admin.describe_configs([resource])[resource].result(20)
    partitions = admin.list_topics(topic, timeout=20).topics[topic].partitions
    return len(partitions), entries["cleanup.policy"].value, entries["segment.ms"].value


@pytest.mark.parametrize("exactly_once", [False, True])
def test_missing_topics_are_made_as_the_document_says(target, admin, exactly_once):
    """The one of the sink at the start, those of a template when the first event goes there."""
    more = {"exactly_once": True, "client_conf": {"transactional.id": target.name}} if exactly_once else {}
    fixed = target.sink(topic_creation=COMPACTED, send_timeout_secs=20, **more)
    fixed.open()
    assert settings_of(admin, f"{target.name}.s") == (3, "compact", "60000")
    fixed.close()
    chosen = target.sink(
        destination=f"{target.name}.${{after.id}}", topic_creation=COMPACTED, send_timeout_secs=20, **more
    )
    chosen.open()
    for first in (1, 3, 3):
        chosen.write(numbered_batch(first, 2))
        chosen.flush()
    chosen.close()
    for number in (1, 2, 3, 4):
        assert settings_of(admin, f"{target.name}.{number}") == (3, "compact", "60000")
    assert [event.number for event in target.delivered()] == [1, 2, 3, 3, 4, 4]


def test_without_settings_they_are_as_the_brokers_have_them(target, admin):
    sink = target.sink(topic_creation={}, send_timeout_secs=20)
    sink.open()
    sink.close()
    assert settings_of(admin, f"{target.name}.s")[:2] == (1, "delete")


def test_a_topic_that_is_there_is_left_alone_and_what_differs_is_said_once(target, admin, caplog):
    name = f"{target.name}.s"
    admin.create_topics([NewTopic(name, 2, 1, config={"segment.ms": "60000"})])[name].result(20)
    sink = target.sink(topic_creation=COMPACTED, send_timeout_secs=20)
    with caplog.at_level(logging.WARNING, "deltaforge"):
        for _ in range(2):
            sink.open()
            sink.write(numbered_batch(1))
            sink.flush()
            sink.close()
    assert settings_of(admin, name) == (2, "delete", "60000")
    said = [record.getMessage() for record in caplog.records if "topic_creation" in record.getMessage()]
    assert ["partitions = 2" in said[0], "cleanup.policy = delete" in said[1], len(said)] == [True, True, 2]


@pytest.mark.parametrize(
    "creation",
    [{"replication_factor": 9}, {"config": {"cleanup.policy": "shred"}}, {"config": {"no.such.setting": "1"}}],
    ids=["more replicas than brokers", "a wrong value", "an unknown setting"],
)
def test_a_topic_that_cannot_be_made_waits_for_the_operator(target, creation):
    sink = target.sink(topic_creation=creation, send_timeout_secs=10)
    with pytest.raises(SinkError, match=rf"create topic {target.name}\.s") as caught:
        sink.open()
    sink.close()
    assert (caught.value.kind, retry_of(caught.value)) == ("incompatible", Retry.OPERATOR)
    assert "topic_creation" in caught.value.hint


def test_without_the_right_to_create_it_the_remedy_is_named(private_kafka):
    rights = (
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS",
    )
    broker = private_kafka(*WITH_PASSWORDS, *rights)
    sink = KafkaTarget(broker, broker.bootstrap).sink(
        topic_creation={}, client_conf=credentials("right"), send_timeout_secs=20
    )
    with pytest.raises(SinkError, match="did not create topic") as caught:
        sink.open()
    sink.close()
    assert (caught.value.kind, retry_of(caught.value)) == ("auth", Retry.OPERATOR)
    assert "Create on the topic" in caught.value.hint
