"""What a side has written: every message of its topics, with key and value decoded as far as the form says."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import fastavro
import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.compat.cases import AVRO


class Side(msgspec.Struct):
    """Messages as they are compared, in the order of each topic; and the registered schemas by subject, oldest first."""

    messages: list[dict[str, Any]]
    subjects: dict[str, list[Any]]


def read_side(bootstrap: str, registry: Any, form: str, names: dict[str, str]) -> Side:
    """Everything below the prefix, the first of ``names``; each of them becomes another one wherever it stands."""
    prefix = next(iter(names))
    schemas = _Schemas(registry)
    messages = []
    for raw in _messages(bootstrap, prefix):
        message = {
            "topic": raw.topic(), "partition": raw.partition(),
            "key": _decoded(raw.key(), form, schemas), "value": _decoded(raw.value(), form, schemas),
            "headers": [[name, value.decode()] for name, value in raw.headers() or []],
        }  # fmt: skip
        messages.append(message)
    subjects = {}
    if form == AVRO:
        mine = sorted(
            name
            for name in registry.get("/subjects")
            if name.startswith((f"{prefix}.", f"{prefix}-", f"__debezium-heartbeat.{prefix}"))
        )
        subjects = {name: registry.versions(name) for name in mine}
    for old, new in names.items():
        messages, subjects = _renamed(messages, old, new), _renamed(subjects, old, new)
    return Side(messages, subjects)


def _messages(bootstrap: str, prefix: str) -> list[Any]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "compat",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        topics = consumer.list_topics(timeout=20).topics
        mine = sorted(
            name
            for name in topics
            if name == prefix or name.startswith((f"{prefix}.", f"__debezium-heartbeat.{prefix}"))
        )
        places = [TopicPartition(name, place, OFFSET_BEGINNING) for name in mine for place in topics[name].partitions]
        consumer.assign(places)
        found: dict[tuple[str, int], list[Any]] = {(place.topic, place.partition): [] for place in places}
        unread = set(found)
        while unread:
            message = consumer.poll(20)
            assert message is not None, f"{sorted(unread)} neither answer nor end"
            if message.error() is None:
                found[message.topic(), message.partition()].append(message)
            else:
                unread.discard((message.topic(), message.partition()))
        return [message for place in sorted(found) for message in found[place]]
    finally:
        consumer.close()


class _Schemas:
    def __init__(self, registry: Any) -> None:
        self._registry, self._parsed = registry, {}

    def get(self, schema_id: int) -> Any:
        if schema_id not in self._parsed:
            text = self._registry.schema(schema_id)
            self._parsed[schema_id] = (text, fastavro.parse_schema(_bare(text)))
        return self._parsed[schema_id]


def _decoded(data: bytes | None, form: str, schemas: _Schemas) -> Any:
    """JSON as it is, with floats of every kind; Avro as a pair of the writer's schema and the value."""
    if data is None:
        return None
    if form != AVRO:
        try:
            return json.loads(data)
        except ValueError:
            return {"not json": data.decode(errors="replace")}
    if data[:1] != b"\0":
        return {"not avro": base64.b64encode(data).decode()}
    schema, parsed = schemas.get(int.from_bytes(data[1:5], "big"))
    value = fastavro.schemaless_reader(io.BytesIO(data[5:]), parsed, None)
    return {"schema": schema, "payload": _plain(value)}


def _bare(schema: Any) -> Any:
    """Without logical types: values stay the bytes they are, also where a scale is larger than its precision."""
    if isinstance(schema, dict):
        return {name: _bare(one) for name, one in schema.items() if name != "logicalType"}
    return [_bare(one) for one in schema] if isinstance(schema, list) else schema


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {name.replace(old, new): _renamed(one, old, new) for name, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, old, new) for one in value]
    return value
