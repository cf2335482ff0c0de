"""A ``kafka`` sink: brokers, login, topics, sizes, and what exactly once needs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from deltaforge.config.unset import naming_unset
from deltaforge.core.errors import SinkError
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.doctor.templates import note_template
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.config import KafkaSinkConfig
from deltaforge.sinks.kafka.errors import kind_of
from deltaforge.sinks.kafka.positions import reader_settings, topic_name
from deltaforge.sinks.kafka.topics import differences

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

CHECKS = {
    "kafka.connect": Check(
        "the brokers answer and let the client in", "as the message says: `brokers`, and in `client_conf` SASL and TLS"
    ),
    "kafka.topic": Check(
        "the topic is there, or the sink or the brokers make it",
        "`kafka-topics.sh --create --topic … --bootstrap-server …`, or `topic_creation`",
    ),
    "kafka.settings": Check(
        "the topic is as `topic_creation` would make it",
        "`kafka-configs.sh --alter --topic …`, or change `topic_creation`: a topic that is there stays as it is",
    ),
    "kafka.rights": Check(
        "the user may write to the topic", "`kafka-acls.sh --add --producer --topic … --allow-principal User:…`"
    ),
    "kafka.replicas": Check(
        "the topic has as many replicas as `min.insync.replicas` asks for",
        "add replicas to the topic, or lower its `min.insync.replicas`",
    ),
    "kafka.size": Check(
        "the topic takes messages as large as the client sends them",
        "raise `max.message.bytes` of the topic, or lower `message.max.bytes` in `client_conf`",
    ),
    "kafka.acks": Check(
        "every replica acknowledges",
        "leave `acks` out of `client_conf`: with another one, acknowledged rows may be lost",
    ),
    "kafka.transactions": Check(
        "the brokers allow transactions as long as the sink needs them",
        "raise `transaction.max.timeout.ms` of the brokers, or lower `transaction.timeout.ms` in `client_conf`",
    ),
    "kafka.positions": Check(
        "the topic for source positions is there, or may be made (exactly once)",
        "allow the user to create it, or create it compacted with one partition",
    ),
    "kafka.key": Check(
        "the key of every change of a row is the same, also of its delete",
        "leave `key` out: the primary key is the default, and deletes have it",
    ),
}

log = logging.getLogger(__name__)


def where(config: KafkaSinkConfig) -> str:
    """The bootstrap servers."""
    return config.brokers


def examine(subject: Subject, config: KafkaSinkConfig, notes: Notes) -> None:
    """Ask the brokers of a sink."""
    note_template(notes, "kafka.key", "key", config.key)
    settings = config.producer_settings(subject.spec.metadata.name)
    acks = config.client_conf.get("acks", config.client_conf.get("request.required.acks", "all"))
    if acks not in ("all", "-1"):
        notes.warn("kafka.acks", f"client_conf: acks = {acks}")
    with notes.of("kafka.connect"):
        _connect(subject, config, settings)
        notes.ok("kafka.connect", f"the brokers answer at {config.brokers}")
        brokers = _Brokers(settings, subject.patience_secs / 2)
        _topic(notes, brokers, config, settings)
        if config.exactly_once:
            _transactions(notes, brokers, settings)
            for lane in subject.spec.lanes():
                _positions(notes, brokers, config.producer_settings(subject.spec.metadata.name, lane.name))


def _connect(subject: Subject, config: KafkaSinkConfig, settings: dict[str, str]) -> None:
    """Log in as the sink does.

    Raises:
        SinkError: With the kind and the remedy.
    """
    name = subject.spec.metadata.name
    context = SinkContext(name, subject.spec.metadata.tenant, PipelineMetrics(name))
    client = Client(settings, context, sink_id=config.id, timeout_secs=subject.patience_secs / 2)
    try:
        with naming_unset(config.brokers, *config.client_conf.values()):
            client.connect()
    finally:
        client.close()


class _Brokers:
    """Questions to the brokers, over a client that makes no topic by asking for it."""

    def __init__(self, settings: dict[str, str], secs: float) -> None:
        from confluent_kafka.admin import AdminClient

        self._secs = secs
        self._admin: AdminClient = AdminClient(dict(reader_settings(settings)), logger=log)
        self._metadata = self._asked("list topics", lambda: self._admin.list_topics(timeout=secs))

    @property
    def topics(self) -> dict[str, Any]:
        """Those that the user may see."""
        return dict(self._metadata.topics)

    def topic_config(self, topic: str) -> dict[str, str]:
        """The settings of a topic; none if the user may not know."""
        return self._config("TOPIC", topic)

    def broker_config(self) -> dict[str, str]:
        """The settings of a broker; none if the user may not know."""
        return self._config("BROKER", str(next(iter(self._metadata.brokers))))

    def operations(self, topic: str) -> set[str] | None:
        """What the user may do with a topic; None if the brokers do not say."""
        from confluent_kafka import TopicCollection

        answer = self._admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True)
        try:
            found = answer[topic].result(self._secs).authorized_operations
        except self._failures():
            return None
        return None if found is None else {operation.name for operation in found}

    def may_create(self) -> bool | None:
        """Whether the user may create any topic; None if the brokers do not say."""
        try:
            found = self._admin.describe_cluster(include_authorized_operations=True).result(self._secs)
        except self._failures():
            return None
        operations = found.authorized_operations
        return None if operations is None else "CREATE" in {operation.name for operation in operations}

    def _config(self, kind: str, name: str) -> dict[str, str]:
        from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]  # not in its stubs

        resource = ConfigResource(ConfigResource.Type[kind], name)
        try:
            entries = self._admin.describe_configs([resource])[resource].result(self._secs)
        except self._failures():
            return {}
        return {key: str(entry.value) for key, entry in entries.items()}

    def _asked(self, what: str, ask: Any) -> Any:
        from confluent_kafka import KafkaException

        try:
            return ask()
        except KafkaException as exc:
            error = exc.args[0]
            raise SinkError(
                f"kafka did not {what}: {error.str()} ({error.name()})", kind=kind_of(error.name())
            ) from exc

    @staticmethod
    def _failures() -> tuple[type[Exception], ...]:
        from confluent_kafka import KafkaException

        return KafkaException, TimeoutError


def _topic(notes: Notes, brokers: _Brokers, config: KafkaSinkConfig, settings: dict[str, str]) -> None:
    destination = config.destination()
    topic = destination.fixed
    makes = brokers.broker_config().get("auto.create.topics.enable")
    if config.topic_creation is not None and topic not in brokers.topics:
        _creation(notes, brokers, destination.template.text)
        return
    if topic is None:
        if makes == "false":
            notes.warn(
                "kafka.topic", f"the brokers make no topics: those of {destination.template.text} have to be there"
            )
        else:
            notes.ok(
                "kafka.topic", f"topics of {destination.template.text} are made by the brokers, where they are missing"
            )
        return
    if topic not in brokers.topics:
        if makes == "true":
            notes.ok("kafka.topic", f"topic {topic} is made by the brokers at the start")
        else:
            text = "and the brokers make none" if makes else "or the user may not see it"
            notes.error("kafka.topic", f"topic {topic} is not there, {text}")
        return
    notes.ok("kafka.topic", f"topic {topic} is there")
    if config.topic_creation is not None:
        parts = brokers.topics[topic].partitions
        replicas = max((len(part.replicas) for part in parts.values()), default=0)
        found = {"partitions": str(len(parts)), "replication_factor": str(replicas), **brokers.topic_config(topic)}
        for name, value in differences(config.topic_creation, found):
            notes.warn("kafka.settings", f"topic {topic} has {name} = {value}, not what topic_creation says")
    operations = brokers.operations(topic)
    if operations is not None and "WRITE" not in operations:
        notes.error("kafka.rights", f"the user may not write to topic {topic}")
    _sizes(notes, brokers, topic, settings)


def _creation(notes: Notes, brokers: _Brokers, topics: str) -> None:
    """Of topics that the sink makes."""
    if brokers.may_create() is False:
        notes.warn("kafka.topic", f"the sink makes what is missing of {topics}, and the user may not create any topic")
    else:
        notes.ok("kafka.topic", f"the sink makes what is missing of {topics}")


def _sizes(notes: Notes, brokers: _Brokers, topic: str, settings: dict[str, str]) -> None:
    own = brokers.topic_config(topic)
    replicas = min((len(part.replicas) for part in brokers.topics[topic].partitions.values()), default=0)
    wanted = int(own.get("min.insync.replicas", "1"))
    if replicas < wanted:
        notes.error("kafka.replicas", f"topic {topic} has {replicas} replica(s), and min.insync.replicas is {wanted}")
    largest, taken = int(settings.get("message.max.bytes", "1000000")), int(own.get("max.message.bytes", "0"))
    if taken and largest > taken:
        text = f"topic {topic} takes messages of {taken} bytes, and the client sends them up to {largest}"
        notes.warn("kafka.size", text)


def _transactions(notes: Notes, brokers: _Brokers, settings: dict[str, str]) -> None:
    longest = brokers.broker_config().get("transaction.max.timeout.ms", "")
    wanted = int(settings["transaction.timeout.ms"])
    if longest.isdecimal() and wanted > int(longest):
        text = f"transactions may take {longest} ms, and transaction.timeout.ms is {wanted}"
        notes.error("kafka.transactions", text)
    else:
        notes.ok("kafka.transactions", "the brokers allow transactions as long as the sink needs them")


def _positions(notes: Notes, brokers: _Brokers, settings: dict[str, str]) -> None:
    name = topic_name(settings["transactional.id"])
    if name in brokers.topics:
        operations = brokers.operations(name)
        if operations is not None and not {"READ", "WRITE"} <= operations:
            notes.error("kafka.positions", f"the user may not read and write topic {name}")
    elif brokers.may_create() is False:
        notes.error("kafka.positions", f"topic {name} is not there, and the user may not create it")
    else:
        notes.ok("kafka.positions", f"topic {name} is made at the start")
