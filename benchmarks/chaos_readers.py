"""Destinations of the chaos runs that are followed: each event is read and decoded once, however often one asks.

The judgement of a round reads the destination anew and compares, so an error of the following cannot hide one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.destinations import (
    Destination,
    ExactlyOnceDestination,
    FileDestination,
    KafkaDestination,
    RedisDestination,
)
from tests.pipelines import file_sink

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

    _path: Path

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


class FollowedFiles(Destination):
    """A file for each lane; their events are put together as they come.

    Args:
        folder: Of the files.
        lanes: What each has in its name.
    """

    def __init__(self, folder: Path, lanes: Sequence[str]) -> None:
        super().__init__(file_sink(folder / "out.jsonl"))
        self._files = [FollowedFile(folder, f"out{lane}.jsonl") for lane in lanes]
        self._taken = [0] * len(lanes)

    def follow(self) -> None:
        """Begin."""
        for file in self._files:
            file.follow()

    def count(self) -> int:
        """Events that have come through."""
        return sum(file.count() for file in self._files)

    def events(self) -> list[Any]:
        """Everything that the files hold now; each in its order."""
        for number, file in enumerate(self._files):
            events = file.events()
            self._events += events[self._taken[number] :]
            self._taken[number] = len(events)
        return list(self._events)

    def read_anew(self) -> list[Any]:
        """The same, if each file reads from the beginning as it was followed."""
        anew = [file.read_anew() for file in self._files]
        if anew == [file.events() for file in self._files]:
            return self.events()
        return [event for events in anew for event in events]

    def close(self) -> None:
        """End."""
