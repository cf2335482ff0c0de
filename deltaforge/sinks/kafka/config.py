"""The settings of the ``kafka`` sink and the client settings that follow from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from deltaforge.config.local import LocalUse
from deltaforge.config.secret import SecretMap
from deltaforge.core.encoded import MessageRules
from deltaforge.core.routing import Destination
from deltaforge.envelopes.debezium import DebeziumEnvelopeSpec
from deltaforge.envelopes.topics import DebeziumTopics
from deltaforge.sinks.base import EncodedSinkConfig, TemplateText
from deltaforge.sinks.kafka.settings import faults_of, local_uses_of, texts
from deltaforge.sinks.kafka.topics import TopicCreation

_PRODUCER_SETTINGS = {
    "socket.keepalive.enable": "true",
    "compression.type": "lz4",
    # A key goes where Java's producers put it; librdkafka's own default is another hash, and scatters empty keys.
    "partitioner": "murmur2_random",
    "linger.ms": "5",
    "batch.size": "1048576",
    "enable.idempotence": "true",
    # A message that fails for good must not be overtaken by those behind it.
    "enable.gapless.guarantee": "true",
    "acks": "all",
    "max.in.flight.requests.per.connection": "5",
    "retries": "10",
    "retry.backoff.ms": "100",
    "request.timeout.ms": "30000",
    "message.timeout.ms": "0",  # none: see "order over an outage" above
    # The producer's copies. More was measured to be no faster; a message has to fit in whole.
    "queue.buffering.max.kbytes": "16384",
    "statistics.interval.ms": "5000",
    "log_level": "2",  # syslog's "critical": what the client cannot mend becomes an error of the sink
}
TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")
"""Kafka's ``org.apache.kafka.common.internals.Topic``: a wrong name is found before anything is sent."""
MIN_TX_TIMEOUT_MS, MAX_TX_TIMEOUT_MS = 60_000, 900_000
"""librdkafka's default, and the broker's default of ``transaction.max.timeout.ms``."""
_TRANSACTIONAL = {
    "request.required.acks": ("all", "-1"),
    "enable.idempotence": ("true",),
    "max.in.flight.requests.per.connection": ("1", "2", "3", "4", "5"),
    "queuing.strategy": ("fifo",),
}
"""What transactions allow of the settings that could contradict them."""
_ALIASES = {
    "acks": "request.required.acks",
    "bootstrap.servers": "metadata.broker.list",
    "compression.type": "compression.codec",
    "delivery.timeout.ms": "message.timeout.ms",
    "linger.ms": "queue.buffering.max.ms",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "retries": "message.send.max.retries",
}
"""Two names of one setting in librdkafka's CONFIGURATION.md; the later of the two would win."""


class KafkaSinkConfig(EncodedSinkConfig):
    """Which brokers and topic, and how the client behaves."""

    brokers: str = Field(min_length=1, description="Bootstrap servers: `host:port`, separated by commas.")
    topic: TemplateText | None = Field(
        None,
        description="Topic of an event; a template. May be absent with the connect dialect: "
        "`<topic_prefix>.<schema or database>.<table>`.",
    )
    key: TemplateText | None = Field(
        None, description="Template of the key; absent: the primary key as JSON, or that of the connect dialect."
    )
    tombstones: bool | None = Field(
        None,
        description="Behind each delete, a message with its key and no value: a compacted topic forgets the row then. "
        "Absent: as `tombstones_on_delete` of the connect dialect says; without that dialect there are none.",
    )
    split_key_changes: bool | None = Field(
        None,
        description="Write an update that changes the primary key as a delete under the old key and an insert under "
        "the new one. Absent: with `tombstones`, and with the connect dialect. Not with `key`.",
    )
    topic_creation: TopicCreation | None = Field(
        None, description="Have the sink make topics that are missing, with these settings; absent: the brokers may."
    )
    shard_header: str | None = Field(
        None,
        min_length=1,
        description="Name of a header that says of every message which shard its row is of, e.g. `df-shard`; absent: "
        "there is none. Nor is there one without shards.",
    )
    exactly_once: bool = Field(
        False, description="Kafka transactions that hold the source position too: no gap and no duplicate."
    )
    send_timeout_secs: float = Field(30, gt=0, description="Seconds without any progress before an error.")
    client_conf: Annotated[SecretMap, BeforeValidator(texts)] = Field(
        default_factory=dict,
        description="librdkafka settings of producers; they win over those of this sink. None that loads code.",
    )

    @property
    def keeps_progress(self) -> bool:
        return self.exactly_once

    @model_validator(mode="after")
    def _has_topics(self) -> KafkaSinkConfig:
        self.destination()
        return self

    @model_validator(mode="after")
    def _are_keys_of_rows(self) -> KafkaSinkConfig:
        if self.split_key_changes and self.key is not None:
            raise ValueError("split_key_changes is about primary keys, and `key` replaces them: leave one of them out")
        return self

    @property
    def splits_key_changes(self) -> bool:
        rules, envelope = self.rules(), self.envelope
        is_connect = isinstance(envelope, DebeziumEnvelopeSpec) and envelope.dialect is not None
        return is_connect if rules.splits_key_changes is None else rules.splits_key_changes

    def rules(self) -> MessageRules:
        """Which messages there are besides those of the events."""
        splits = self.split_key_changes
        if splits is None and self.tombstones and self.key is None:
            splits = True  # else a compacted topic kept the row under its old key
        return MessageRules(self.tombstones, splits)

    def headers(self, shard: str) -> dict[str, str]:
        """What every message has, of a lane of this shard."""
        return {self.shard_header: shard} if self.shard_header and shard else {}

    def destination(self) -> Destination:
        """Where events go."""
        if self.topic is not None:
            return Destination(self.topic, "topic", allowed=TOPIC_NAME)
        envelope = self.envelope
        if not isinstance(envelope, DebeziumEnvelopeSpec) or envelope.dialect is None:
            raise ValueError("missing field `topic`")
        return DebeziumTopics(envelope.options(), TOPIC_NAME)

    @model_validator(mode="after")
    def _does_a_message_fit(self) -> KafkaSinkConfig:
        largest = self._largest_message_kbytes()
        queue = self.client_conf.get("queue.buffering.max.kbytes", "")
        if queue.isdecimal() and int(queue) < largest:
            raise ValueError(
                f"client_conf: queue.buffering.max.kbytes = {queue} is less than one message of message.max.bytes; "
                f"make it {largest} or more"
            )
        return self

    @model_validator(mode="after")
    def _is_exactly_once_possible(self) -> KafkaSinkConfig:
        if not self.exactly_once:
            return self
        for name, value in self.client_conf.items():
            allowed = _TRANSACTIONAL.get(_ALIASES.get(name, name))
            if allowed is not None and value not in allowed:
                raise ValueError(f"client_conf: {name} = {value} contradicts exactly_once; leave it out")
        if not self.client_conf.get("transactional.id", "x"):
            raise ValueError("client_conf: transactional.id must not be empty with exactly_once")
        if not self.client_conf.get("transaction.timeout.ms", "1").isdecimal():
            raise ValueError("client_conf: transaction.timeout.ms must be a number of milliseconds")
        return self

    def local_uses(self) -> Iterator[LocalUse]:
        return local_uses_of(self.client_conf)

    def refused(self) -> Iterator[tuple[tuple[str, ...], str]]:
        for name, reason in faults_of(self.client_conf):
            yield ("client_conf", name), reason

    def producer_settings(self, pipeline: str = "", lane: str = "") -> dict[str, str]:
        """Everything the client is configured with, each setting once.

        Args:
            pipeline: Its name, which makes the ``transactional.id`` together with the sink's.
            lane: Name of the lane, if there are several: it ends the ``transactional.id``.
        """
        defaults = {
            "bootstrap.servers": self.brokers,
            "client.id": f"deltaforge-{self.id}",
            "topic.metadata.propagation.max.ms": str(int(self.topic_patience_secs * 1000)),
            **_PRODUCER_SETTINGS,
        }
        queue_kbytes = int(_PRODUCER_SETTINGS["queue.buffering.max.kbytes"])
        defaults["queue.buffering.max.kbytes"] = str(max(queue_kbytes, self._largest_message_kbytes()))
        if self.client_conf.get("enable.idempotence", "true") != "true":
            del defaults["enable.gapless.guarantee"]  # refused without idempotence
        if self.exactly_once:
            defaults |= self._transaction_settings(pipeline)
            del defaults["enable.gapless.guarantee"]  # a transaction with a gap is never committed
        own = {_ALIASES.get(name, name) for name in self.client_conf}
        settings = {k: v for k, v in defaults.items() if _ALIASES.get(k, k) not in own} | self.client_conf
        if lane and "transactional.id" in settings:
            settings["transactional.id"] += f"#{lane}"
        return settings

    @property
    def topic_patience_secs(self) -> float:
        """How long a topic may be missing, since it may be about to come. It is named before the sink gives up."""
        return min(30.0, self.send_timeout_secs / 2)

    def _largest_message_kbytes(self) -> int:
        """Of ``message.max.bytes``, rounded up; 0: as the client has it. It never takes what its queue cannot hold."""
        largest = self.client_conf.get("message.max.bytes", "")
        return -(-int(largest) // 1024) if largest.isdecimal() else 0

    def _transaction_settings(self, pipeline: str) -> dict[str, str]:
        # Longer than the sink waits for the broker. After a crash, readers of committed messages wait so long at most.
        timeout_ms = min(max(MIN_TX_TIMEOUT_MS, int(2000 * self.send_timeout_secs)), MAX_TX_TIMEOUT_MS)
        return {"transactional.id": f"deltaforge-{pipeline}-{self.id}", "transaction.timeout.ms": str(timeout_ms)}
