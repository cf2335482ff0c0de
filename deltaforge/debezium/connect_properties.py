"""Properties that Kafka Connect, or Debezium Server, gives a connector."""

from __future__ import annotations

from deltaforge.debezium.draft import Draft
from deltaforge.debezium.properties import Property, elsewhere, lost, needless

_VERSIONS = "there are no plug-ins to choose from"
_NUMBERS = {"partitions": "partitions", "replication.factor": "replication_factor"}


def _exactly_once(draft: Draft, value: str) -> None:
    if value.strip().lower() == "required":
        draft.sink["exactly_once"] = True


def _tolerance(draft: Draft, value: str) -> None:
    if value.strip().lower() != "none":
        draft.refuse("an event that cannot be delivered is kept, not dropped: `spec.journal.enabled`")


def _topics(draft: Draft, value: str) -> None:
    (name,) = draft.parts
    made = draft.sink.setdefault("topic_creation", {})
    if name not in _NUMBERS:
        made.setdefault("config", {})[name] = value
    elif value.strip().lstrip("-").isdecimal():
        if int(value) > 0:  # -1: as the brokers have it
            made[_NUMBERS[name]] = int(value)
    else:
        draft.refuse(f"{value[:40]!r} is no whole number")


PROPERTIES: tuple[Property, ...] = (
    Property("name", "`metadata.name`", elsewhere),
    Property("connector.class", "`source.type`", elsewhere),
    needless("connector.plugin.version", _VERSIONS),
    needless("tasks.max", "one log is one task there, too; `spec.sharding` and `spec.runtime` spread its work"),
    needless("tasks.max.enforce", "one log is one task there, too"),
    Property("key.converter", "`encoding` of the sink: keys are encoded as values are.", elsewhere),
    Property("key.converter.<name>", "As `key.converter`.", elsewhere),
    Property("value.converter", "`encoding` of the sink: see above.", elsewhere),
    Property("value.converter.<name>", "As `value.converter`.", elsewhere),
    lost(
        "header.converter",
        "headers are JSON",
        "",
        "org.apache.kafka.connect.json.jsonconverter",
        "org.apache.kafka.connect.storage.simpleheaderconverter",
    ),
    needless("header.converter.<name>", "headers are JSON"),
    Property("transforms", "See above: few have an equal.", elsewhere),
    Property("transforms.<name>", "As `transforms`.", elsewhere),
    needless("predicates", "they belong to transforms"),
    needless("predicates.<name>", "they belong to transforms"),
    Property("producer.override.<name>", "`client_conf` of the sink, where librdkafka has the setting.", elsewhere),
    Property("exactly.once.support", "`exactly_once` of the sink, for `required`.", _exactly_once),
    needless(
        "transaction.boundary",
        "with `exactly_once` a Kafka transaction ends where batches of whole source transactions do",
    ),
    needless("transaction.boundary.interval.ms", "with `exactly_once` a Kafka transaction ends where batches do"),
    needless("offsets.storage.topic", "positions are in the state directory"),
    needless("offset.storage", "positions are in the state directory"),
    needless("offset.storage.<name>", "positions are in the state directory"),
    needless("offset.flush.<name>", "positions are saved every second, behind what the sinks have acked"),
    needless("topic.creation.enable", "topics are made by the brokers, or by the sink: `topic_creation`"),
    needless("topic.creation.groups", "the sink makes all its topics alike: `topic_creation`"),
    Property(
        "topic.creation.default.<name>", "`topic_creation` of the sink: partitions, replication, settings.", _topics
    ),
    needless("topic.creation.<name>", "the sink makes all its topics alike: `topic_creation`"),
    needless("config.action.reload", "variables are read at the start"),
    Property("errors.tolerance", "`spec.journal`: what cannot be delivered is kept there.", _tolerance),
    needless("errors.log.enable", "errors are always in the log"),
    needless("errors.log.include.messages", "no row is ever in the log"),
    needless("errors.retry.timeout", "what may pass is tried again for as long as it takes"),
    needless("errors.retry.delay.max.ms", "pauses grow from 1 s to 60 s"),
)
