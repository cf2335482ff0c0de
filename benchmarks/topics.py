"""A Kafka topic, made for one run and looked at from outside."""

from __future__ import annotations

import time
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_SECS = 20


class Topic:
    """One topic of one partition. The consumer behind it asks for watermarks and reads nothing until ``sample``."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.name = name
        self._partition = TopicPartition(name, 0)
        self._bootstrap = bootstrap
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})

    def __enter__(self) -> Self:
        self.create()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 3})
        admin.delete_topics([self.name])[self.name].result(TIMEOUT_SECS)

    def create(self) -> None:
        """Make it, empty, where the broker has not made it for somebody who asked for it."""
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 3})  # kept until the answer is there
        try:
            admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result(TIMEOUT_SECS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        deadline = time.monotonic() + TIMEOUT_SECS
        while not self._consumer.list_topics(self.name, TIMEOUT_SECS).topics[self.name].partitions:
            assert time.monotonic() < deadline, f"topic {self.name} has no partition"

    def close(self) -> None:
        """Leave the topic as it is."""
        self._consumer.close()

    def count(self) -> int:
        """Messages in the topic."""
        low, high = self._consumer.get_watermark_offsets(self._partition, timeout=TIMEOUT_SECS)
        return int(high - low)

    def sample(self, count: int) -> list[bytes]:
        """The values of the first ``count`` messages, which must be there."""
        self._consumer.assign([TopicPartition(self.name, 0, 0)])
        values = [message.value() for message in self._consumer.consume(count, timeout=TIMEOUT_SECS)]
        self._consumer.unassign()
        return values
