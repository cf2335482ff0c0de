"""How far a transactional sink is, kept on a topic of its own: one record per Kafka transaction.

Why a topic and not the offsets of a consumer group: these are limited to 4 KiB, which a GTID set can exceed, and
are bound to a topic that has to exist before the first event. Why one for each ``transactional.id``: a
``read_committed`` reader stops before the first open transaction, of whomever. Here only one producer writes, and it
reads after it has ended the transactions of its predecessors.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from deltaforge.core.errors import CheckpointError, MissingDependencyError, SinkError
from deltaforge.core.resume import SinkProgress
from deltaforge.sinks.kafka.errors import kind_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer

log = logging.getLogger(__name__)

TAIL = 100
"""Offsets from the end where the newest committed record is looked for first; aborted ones and markers count."""
POLL_SECS = 0.2
NEW_TOPIC_SECS = 0.05
_NOT_YET = ("_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_OR_PART", "NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE")
"""What is said of a topic that was created a moment ago."""
_TOPIC_SETTINGS = {"cleanup.policy": "compact", "segment.bytes": str(16 << 20)}
_READER_SETTINGS = ("bootstrap.", "metadata.broker.", "client.", "security.", "sasl.", "ssl.", "enable.ssl.",
                    "enable.sasl.", "socket.", "broker.address.", "log_level")  # fmt: skip
"""Beginnings of the producer's settings that a reader needs too."""


class PositionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is committed together with events.

    Attributes:
        generation: Of the pipeline, see ``SinkContext``.
        instance: Of the sink: one run of it in one process.
        seq: Number of the transaction in the instance.
        progress: None before the first event of a generation.
    """

    generation: str = msgspec.field(name="incarnation")
    instance: str
    seq: int
    progress: SinkProgress | None
    v: int = 1


class PositionsTopic:
    """Creates the topic and reads its newest committed record. The sink's producer writes it.

    Args:
        settings: Those of the producer, by librdkafka's names.
        timeout_secs: For each request.
    """

    def __init__(self, settings: Mapping[str, str], timeout_secs: float) -> None:
        self.key = settings["transactional.id"].encode()
        self.name = topic_name(settings["transactional.id"])
        self._settings = reader_settings(settings)
        self._timeout_secs = timeout_secs

    def create(self) -> None:
        """Create it unless it exists.

        Raises:
            SinkError: It does not exist and cannot be created.
        """
        with self._our_errors("create"):
            from confluent_kafka.admin import AdminClient
            from confluent_kafka.cimpl import NewTopic

            admin = AdminClient(dict(self._settings), logger=log)
            if self.name in admin.list_topics(timeout=self._timeout_secs).topics:
                return
            wanted = NewTopic(self.name, num_partitions=1, replication_factor=-1, config=_TOPIC_SETTINGS)
            future = admin.create_topics([wanted], operation_timeout=self._timeout_secs)[self.name]
            future.result(self._timeout_secs)
            log.info("created topic %s for source positions", self.name)

    def read(self) -> PositionRecord | None:
        """The newest committed record; None if there is none.

        Raises:
            SinkError: The topic cannot be read.
            CheckpointError: The record is not one that this version understands.
        """
        with self._our_errors("read"):
            from confluent_kafka import Consumer

            own = {
                "group.id": self.name,  # never joined: the partition is assigned
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # a broker that has nothing says so at once, instead of after half a second
            }
            consumer = Consumer({**self._settings, **own}, logger=log)
            try:
                value = self._newest(consumer)
            finally:
                consumer.close()
        return None if value is None else _decoded(value, self.name)

    def _ends(self, consumer: Consumer) -> tuple[int, int]:
        """The first offset and the one behind the last. Brokers learn of a topic one after the other."""
        from confluent_kafka import KafkaException, TopicPartition

        deadline = time.monotonic() + self._timeout_secs
        while True:
            try:
                low, high = consumer.get_watermark_offsets(TopicPartition(self.name, 0), timeout=self._timeout_secs)
            except KafkaException as exc:
                if exc.args[0].name() not in _NOT_YET or time.monotonic() > deadline:
                    raise
                time.sleep(NEW_TOPIC_SECS)
            else:
                return low, high

    def _newest(self, consumer: Consumer) -> bytes | None:
        from confluent_kafka import TopicPartition

        low, high = self._ends(consumer)
        count = TAIL
        while True:
            start = max(low, high - count)
            consumer.assign([TopicPartition(self.name, 0, start)])
            value = self._last(consumer)
            if value is not None or start == low:
                return value
            count *= 100

    def _last(self, consumer: Consumer) -> bytes | None:
        """The last value up to the end of the partition."""
        from confluent_kafka import KafkaError, KafkaException

        value: bytes | None = None
        deadline = time.monotonic() + self._timeout_secs
        while time.monotonic() < deadline:
            message = consumer.poll(POLL_SECS)
            if message is None:
                continue
            error = message.error()
            if error is None:
                value = message.value()
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the public name of the constant
                return value
            else:
                raise KafkaException(error)
        raise SinkError(f"topic {self.name} was not read to its end within {self._timeout_secs:g} s", kind="timeout")

    @contextmanager
    def _our_errors(self, what: str) -> Iterator[None]:
        try:
            from confluent_kafka import KafkaException
        except ImportError as exc:
            raise MissingDependencyError(
                "the kafka sink needs the `confluent-kafka` package", hint="pip install confluent-kafka"
            ) from exc
        try:
            yield
        except KafkaException as exc:
            error = exc.args[0]
            if error.name() == "TOPIC_ALREADY_EXISTS":
                return
            message = f"kafka did not {what} topic {self.name}: {error.str()} ({error.name()})"
            hint = "exactly once keeps source positions there; allow it, or create the topic compacted, one partition"
            kind = kind_of(error.name())
            raise SinkError(message, kind=kind if kind in ("auth", "connect", "timeout") else "io", hint=hint) from exc
        except TimeoutError as exc:
            message = f"topic {self.name} was not created within {self._timeout_secs:g} s"
            raise SinkError(message, kind="timeout") from exc


def reader_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of a producer's settings that other clients of the same brokers need."""
    return {name: value for name, value in settings.items() if name.startswith(_READER_SETTINGS)}


def topic_name(transactional_id: str) -> str:
    """The topic of the positions of a ``transactional.id``, in the characters and the length that Kafka allows."""
    plain = re.sub(r"[^a-zA-Z0-9._-]", "_", transactional_id)[:180]
    if plain != transactional_id:
        plain += "-" + hashlib.blake2b(transactional_id.encode(), digest_size=8).hexdigest()
    return f"__deltaforge_positions.{plain}"


def _decoded(value: bytes, topic: str) -> PositionRecord:
    try:
        record = msgspec.json.decode(value, type=PositionRecord)
    except msgspec.MsgspecError as exc:
        raise CheckpointError(f"the newest record of topic {topic} cannot be read: {exc}") from exc
    if record.v != 1:
        raise CheckpointError(
            f"the newest record of topic {topic} has version {record.v}, this program reads version 1",
            hint="run the newer DeltaForge that wrote it",
        )
    return record
