"""Transforms of Kafka Connect: those that name topics, where a template says the same; all others have no equal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from deltaforge.debezium.draft import Draft
from deltaforge.debezium.names import split_list

_REGEX = "org.apache.kafka.connect.transforms.RegexRouter"
_LOGICAL = "io.debezium.transforms.ByLogicalTableRouter"
_ROUTERS = {_REGEX: ("regex", "replacement"), _LOGICAL: ("topic.regex", "topic.replacement")}
_NO_TEMPLATE = "the topics of these tables are no template over schema and table that is sure"
_REASONS = {
    "ExtractNewRecordState": "a message is always the whole change: before, after, source, op",
    "EventRouter": "rows of an outbox are delivered like those of other tables",
    "Filter": "its conditions are code; skipped_operations and tables of the document leave events out",
    "ContentBasedRouter": "its conditions are code; topic of the sink is a template that may have columns of the row",
    "PartitionRouting": "the partition follows from the key, and key of the sink is a template",
    "ByLogicalTableRouter": f"{_NO_TEMPLATE}, or it changes keys (key.enforce.uniqueness)",
    "RegexRouter": _NO_TEMPLATE,
}
_GENERAL = "there is nothing here that does the same"
_PLAIN = re.compile(r"[^.*%`\"!]+\.[^.*%`\"!]+")
_GROUP = re.compile(r"\$(\d)")


def take_transforms(draft: Draft, tables: Sequence[str], prefix: str) -> None:
    """Set ``topic`` of the sink where the transforms name topics of tables that are known by name; refuse the others.

    Args:
        draft: The document in the making.
        tables: Table patterns of the document.
        prefix: The topic prefix.
    """
    topics = {table: f"{prefix}.{table}" for table in tables if _PLAIN.fullmatch(table)}
    is_known, is_routed = bool(tables) and len(topics) == len(tables), False
    for alias in split_list(draft.config.get("transforms", "")):
        begin = f"transforms.{alias}."
        own = {name[len(begin) :]: value for name, value in draft.config.items() if name.startswith(begin)}
        kind = own.get("type", "").strip()
        routed = _routed(kind, own, topics) if is_known else None
        if routed is None:
            short = kind.partition("$")[0].rpartition(".")[2]
            draft.refuse(f"{short[:60] or 'no type'}: {_REASONS.get(short, _GENERAL)}", f"transforms.{alias}")
        else:
            topics, is_routed = routed, True
            if kind == _LOGICAL and draft.encoding.get("schemas") != "none":
                draft.refuse(
                    "it names schemas after the new topic, and here they keep their names", f"transforms.{alias}"
                )
    if is_routed:
        template = next(_templates(topics, "schema" if draft.kind == "postgresql" else "db"), None)
        if template is None:
            draft.refuse(_NO_TEMPLATE, "transforms")
        else:
            draft.sink["topic"] = template


def _routed(kind: str, own: Mapping[str, str], topics: Mapping[str, str]) -> dict[str, str] | None:
    """The topics behind a router; None if it is none, or does more, or what it does is not sure."""
    if kind not in _ROUTERS or "predicate" in own:
        return None
    if kind == _LOGICAL and own.get("key.enforce.uniqueness", "true").strip().lower() != "false":
        return None  # it puts a field into the key
    regex, replacement = (own.get(name, "") for name in _ROUTERS[kind])
    if "\\" in replacement or "${" in replacement:
        return None
    try:
        pattern = re.compile(regex)
        return {
            table: topic
            if pattern.fullmatch(topic) is None
            else pattern.sub(_GROUP.sub(r"\\g<\1>", replacement), topic, count=1)  # what Java replaces is found anew
            for table, topic in topics.items()
        }
    except (re.error, IndexError):
        return None


def _templates(topics: Mapping[str, str], qualifier: str) -> Iterator[str]:
    """Templates that name exactly these topics: a constant, or the first one's with its own names made paths."""
    table, topic = next(iter(topics.items()))
    schema, _, name = table.partition(".")
    with_name = topic.replace(name, "${source.table}", 1)
    for template in (topic, with_name, with_name.replace(schema, f"${{source.{qualifier}}}", 1)):
        if all(_rendered(template, table, qualifier) == topic for table, topic in topics.items()):
            yield template


def _rendered(template: str, table: str, qualifier: str) -> str:
    schema, _, name = table.partition(".")
    return template.replace("${source.table}", name).replace(f"${{source.{qualifier}}}", schema)
