"""Topics that the sink makes, with the settings that the document asks for. What is there stays as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from deltaforge.config.model import StrictModel
from deltaforge.core.errors import SinkError
from deltaforge.sinks.kafka.errors import kind_of
from deltaforge.sinks.kafka.positions import reader_settings
from deltaforge.sinks.kafka.settings import texts

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

log = logging.getLogger(__name__)

_BROKERS_OWN = -1
_HINTS = {
    "auth": "allow the user to create it (Create on the topic or the cluster), or create it yourself",
    "incompatible": "change topic_creation, or create the topic yourself",
}
_WRONG = ("INVALID_PARTITIONS", "INVALID_REPLICATION_FACTOR", "INVALID_CONFIG", "POLICY_VIOLATION", "INVALID_REQUEST")
"""What is wrong with the topic that was asked for, and stays so."""


class TopicCreation(StrictModel):
    """Topics that are missing are made by the sink, not by the brokers."""

    partitions: int | None = Field(None, ge=1, description="Of each topic; absent: as the brokers have it.")
    replication_factor: int | None = Field(
        None, ge=1, le=32_767, description="Of each partition; absent: as the brokers have it."
    )
    config: Annotated[dict[str, str], BeforeValidator(texts)] = Field(
        default_factory=dict, description="Settings of a topic by Kafka's names, such as `cleanup.policy: compact`."
    )


class Topics:
    """Makes topics, each once.

    Args:
        creation: How.
        settings: Those of the producer, by librdkafka's names.
        timeout_secs: For each request.
        sink: Its id, for the log.
    """

    def __init__(self, creation: TopicCreation, settings: Mapping[str, str], timeout_secs: float, sink: str) -> None:
        self._creation = creation
        self._settings = reader_settings(settings)
        self._timeout_secs = timeout_secs
        self._sink = sink
        self._known: set[str] = set()

    def ensure(self, names: Iterable[str]) -> None:
        """Return once the brokers have these topics.

        Raises:
            SinkError: One is missing and cannot be made; the hint names the remedy.
        """
        if self._known.issuperset(names):
            return
        with _our_errors("list topics"):
            from confluent_kafka.admin import AdminClient

            admin = AdminClient(dict(self._settings), logger=log)
            found = admin.list_topics(timeout=self._timeout_secs).topics
        for name in sorted({*names} - self._known):
            if name in found:
                self._compare(admin, name, list(found[name].partitions.values()))
            else:
                self._create(admin, name)
            self._known.add(name)

    def _create(self, admin: AdminClient, name: str) -> None:
        from confluent_kafka.cimpl import NewTopic

        with _our_errors(f"create topic {name}"):
            wanted = NewTopic(
                name,
                num_partitions=self._creation.partitions or _BROKERS_OWN,
                replication_factor=self._creation.replication_factor or _BROKERS_OWN,
                config=self._creation.config,
            )
            admin.create_topics([wanted], operation_timeout=self._timeout_secs)[name].result(self._timeout_secs)
            log.info("created topic %s", name, extra={"sink": self._sink})

    def _compare(self, admin: AdminClient, name: str, partitions: list[Any]) -> None:
        """Say once what is otherwise than a new topic would be."""
        replicas = max((len(partition.replicas) for partition in partitions), default=0)
        found = {"partitions": str(len(partitions)), "replication_factor": str(replicas)}
        for setting, difference in differences(self._creation, found | self._config(admin, name)):
            log.warning(
                "topic %s is there and has %s = %s, not what topic_creation says; it stays as it is",
                name,
                setting,
                difference,
                extra={"sink": self._sink},
            )

    def _config(self, admin: AdminClient, name: str) -> dict[str, str]:
        """The settings of a topic; none if the user may not know."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]  # not in its stubs

        if not self._creation.config:
            return {}
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        try:
            entries = admin.describe_configs([resource])[resource].result(self._timeout_secs)
        except (KafkaException, TimeoutError):
            return {}
        return {key: str(entry.value) for key, entry in entries.items()}


def differences(creation: TopicCreation, found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The settings of a topic that are otherwise than asked for, each with the value that it has."""
    wanted: dict[str, Any] = {
        "partitions": creation.partitions,
        "replication_factor": creation.replication_factor,
        **creation.config,
    }
    for name, value in wanted.items():
        if value is not None and name in found and found[name] != str(value):
            yield name, found[name]


@contextmanager
def _our_errors(what: str) -> Iterator[None]:
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as exc:
        error = exc.args[0]
        if error.name() == "TOPIC_ALREADY_EXISTS":
            return
        kind = "incompatible" if error.name() in _WRONG else kind_of(error.name())
        text = f"kafka did not {what}: {error.str()} ({error.name()})"
        raise SinkError(text, kind=kind, hint=_HINTS.get(kind, "")) from exc
    except TimeoutError as exc:
        raise SinkError(f"kafka did not {what} in time", kind="timeout") from exc
