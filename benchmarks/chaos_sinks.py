"""Destinations of the chaos runs: behind a fault proxy where there is a connection to break, with short timeouts."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.servers import FileTarget, RedisTarget, Servers
from tests.destinations import ExactlyOnceDestination, KafkaDestination
from tests.fixtures.fault_proxy import FaultProxy

SINKS = ("kafka", "kafka-exactly-once", "redis", "file")
_KAFKA: dict[str, Any] = {
    "send_timeout_secs": 2,
    "client_conf": {"request.timeout.ms": "1000", "socket.timeout.ms": "1000"},
}
_REDIS = {"send_timeout_secs": 1, "batch_timeout_secs": 1, "connect_timeout_secs": 1}


@dataclass(frozen=True)
class Place:
    """Where a round runs; ``name`` is of its database, topic and stream."""

    servers: Servers
    name: str
    folder: Path


class _Counted:
    """Counts the committed messages of a topic as they come, with one consumer that stays."""

    def watch(self, bootstrap: str, topic: str) -> None:
        self._watcher = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "chaos", "enable.auto.commit": False,
            "isolation.level": "read_committed", "log_level": 2, "topic.metadata.refresh.interval.ms": 500,
        })  # fmt: skip
        self._watcher.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self._seen = 0

    def count(self) -> int:
        """Messages that a reader has got by now; while the topic is missing, none."""
        while messages := self._watcher.consume(1000, timeout=0):
            self._seen += sum(message.error() is None for message in messages)
        return self._seen

    def close(self) -> None:
        self._watcher.close()


class _Kafka(_Counted, KafkaDestination):
    """At least once."""


class _ExactlyOnceKafka(_Counted, ExactlyOnceDestination):
    """In transactions."""


class _File(FileTarget):
    """Nothing before the first line."""

    def count(self) -> int:
        return super().count() if self._path.exists() else 0


def destination_of(sink: str, place: Place, opened: ExitStack) -> tuple[Any, FaultProxy | None]:
    """The destination and the proxy in front of it, which a file does not have.

    Args:
        sink: One of :data:`SINKS`.
        place: Of the round.
        opened: Closes what this opens.
    """
    if sink == "file":
        return _File(place.folder), None
    if sink == "redis":
        server = place.servers.get("redis")
        proxy = opened.enter_context(FaultProxy(server.port))
        return RedisTarget(server, place.name, port=proxy.port, **_REDIS), proxy
    broker = place.servers.get("kafka")
    listens_on, sends_to = broker.behind
    proxy = opened.enter_context(FaultProxy(listens_on, port=sends_to))
    kind = _Kafka if sink == "kafka" else _ExactlyOnceKafka
    target = kind(broker, place.name, bootstrap=f"127.0.0.1:{sends_to}", **_KAFKA)
    target.watch(broker.bootstrap, place.name)
    opened.callback(target.close)
    return target, proxy
