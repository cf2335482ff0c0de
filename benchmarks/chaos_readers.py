"""Destinations of the chaos runs that are followed: each event is read and decoded once, however often one asks.

The judgement of a round reads the destination anew and compares, so an error of the following cannot hide one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.destinations import ExactlyOnceDestination, FileDestination, KafkaDestination, RedisDestination

END_SECS = 30.0


class _Followed:
    """What was read so far. The timeline's thread counts while the trial reads."""

    def follow(self) -> None:
        """Begin."""
        self._lock = threading.Lock()
        self._values: list[bytes] = []
        self._decoded: list[Any] = []

    def count(self) -> int:
        """Events that have come through."""
        with self._lock:
            self._values += self._arrived()
            return len(self._values)

    def events(self) -> list[Any]:
        """Everything that the destination holds now, in order."""
        with self._lock:
            self._values += self._rest()
            self._decoded += map(json.loads, self._values[len(self._decoded) :])
            return list(self._decoded)

    def read_anew(self) -> list[Any]:
        """The same from the beginning, as the tests read it."""
        return list(super().events())  # type: ignore[misc] # of the destination that this is mixed into

    def close(self) -> None:
        """End."""

    def _arrived(self) -> Iterable[bytes]:
        """Values that can be had at once."""
        return self._rest()

    def _rest(self) -> Iterable[bytes]:
        """Values up to the end as it is now."""
        raise NotImplementedError


class _FollowedTopic(_Followed):
    """One consumer that stays; a reader of committed messages."""

    _broker: Any
    _topic: str

    def follow(self) -> None:
        super().follow()
        servers = {"bootstrap.servers": self._broker.bootstrap, "log_level": 2}
        self._admin = AdminClient(servers)
        self._consumer = Consumer({
            **servers, "group.id": "chaos", "enable.auto.commit": False, "isolation.level": "read_committed",
            "enable.partition.eof": True, "topic.metadata.refresh.interval.ms": 500, "fetch.wait.max.ms": 50,
        })  # fmt: skip
        self._place = TopicPartition(self._topic, 0, OFFSET_BEGINNING)
        self._consumer.assign([self._place])
        self._end_seen = 0

    def close(self) -> None:
        self._consumer.close()

    def _arrived(self, wait_secs: float = 0.0) -> list[bytes]:
        values = []
        while messages := self._consumer.consume(1000, timeout=wait_secs):
            wait_secs = 0.0
            for message in messages:
                error = message.error()
                if error is None:
                    values.append(message.value())
                elif error.name() == "_PARTITION_EOF":
                    self._end_seen = message.offset()
        return values

    def _rest(self) -> list[bytes]:
        end, deadline, values = self._committed_end(), time.monotonic() + END_SECS, self._arrived()
        while self._end_seen < end:
            assert time.monotonic() < deadline, f"read to {self._end_seen}, the topic ends at {end}"
            values += self._arrived(0.05)
        return values

    def _committed_end(self) -> int:
        request = {TopicPartition(self._topic, 0): OffsetSpec.latest()}
        try:
            (found,) = self._admin.list_offsets(request, isolation_level=IsolationLevel.READ_COMMITTED).values()
            return int(found.result(END_SECS).offset)
        except KafkaException as exc:
            if exc.args[0].name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_PARTITION", "_UNKNOWN_TOPIC", "_NOENT"):
                return 0  # nothing was delivered yet; the last one: a topic that was made just now has no leader
            raise


class FollowedKafka(_FollowedTopic, KafkaDestination):
    """At least once."""


class FollowedExactlyOnceKafka(_FollowedTopic, ExactlyOnceDestination):
    """In transactions."""


class FollowedRedis(_Followed, RedisDestination):
    """One stream."""

    def follow(self) -> None:
        super().follow()
        self._client = self._server.connect()
        self._newest = b"-"

    def close(self) -> None:
        self._client.close()

    def _rest(self) -> list[bytes]:
        found = self._client.xrange(self._stream, min=self._newest)
        if found:
            self._newest = b"(" + found[-1][0]
        return [fields[b"df-event"] for _, fields in found]


class FollowedFile(_Followed, FileDestination):
    """Whole lines."""

    def follow(self) -> None:
        super().follow()
        self._offset = 0

    def _rest(self) -> list[bytes]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return whole.split(b"\n") if newline else []
