"""The kafka sink: the contract of all sinks, and what is Kafka's own."""

import uuid

import pytest
from confluent_kafka.admin import AdminClient

from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import (
    Delivered,
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
)


class KafkaTarget:
    def __init__(self, broker, bootstrap):
        self.name = uuid.uuid4().hex
        self._broker = broker
        self._bootstrap = bootstrap

    def sink(self, *, destination="", **settings):
        return self.sink_at(self._bootstrap, topic=destination or f"{self.name}.s", **settings)

    def sink_at(self, brokers, **settings):
        config = {"id": "s", "brokers": brokers, "topic": f"{self.name}.s", "send_timeout_secs": 1}
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
    def __init__(self, line):
        super().__init__(line.broker, line.bootstrap)
        proxy = line.proxy
        self.down, self.up, self.stall, self.unstall = proxy.down, proxy.up, proxy.stall, proxy.unstall

    def unreachable(self):
        return self.sink_at("127.0.0.1:1")

    def unwelcome(self):
        return self.sink_at("127.0.0.1:1")


@pytest.fixture
def target(kafka_behind_proxy):
    return KafkaTargetBehindProxy(kafka_behind_proxy)


class TestKafkaSink(SinkContract, RoutedSinkContract, NetworkSinkContract):
    pass
