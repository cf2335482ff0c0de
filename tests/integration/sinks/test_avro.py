"""Avro to Kafka with a real registry, read as consumers read it."""

import io
import json
import uuid
from decimal import Decimal

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deltaforge.core.batch import Batch
from deltaforge.core.event import ChangeEvent, SourceInfo, Transaction
from deltaforge.core.positions import NOWHERE
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import context, deliver

ORDERS = TableSchema(
    TableId("shop", None, "orders"),
    (
        Column("id", "bigint unsigned", nullable=False), Column("price", "decimal(10,2)", nullable=False),
        Column("note", "varchar(20)"), Column("state", "enum('new','paid')", nullable=False),
    ),
    ("id",),
)  # fmt: skip


def with_columns(table, *columns):
    """The table after DDL."""
    return TableSchema(table.table, (*table.columns, *columns), table.primary_key)


def event(table, row, op="c", **settings):
    source = SourceInfo(
        version="deltaforge-1", connector="mysql", name="p", ts_ms=1_700_000_000_000, db=table.table.db,
        table=table.table.name, server_id=1, file="bin.1", pos=4, row=0,
    )  # fmt: skip
    return ChangeEvent(
        before=row if op == "d" else None, after=None if op == "d" else row, source=source, op=op, ts_ms=source.ts_ms,
        transaction=Transaction("u:7"), event_id=str(uuid.uuid4()), schema_version=table.fingerprint(), schema=table,
        **settings,
    )  # fmt: skip


def batch(*events):
    return Batch(list(events), NOWHERE)


def order(number, **more):
    return {"id": number, "price": "12.50", "note": None, "state": "paid", **more}


@pytest.fixture
def avro_sink(kafka, registry):
    """``avro_sink(setting=…)``: a new sink to a topic of its own; settings of ``encoding`` go there."""

    def make(*, url=registry.url, topic=None, encoding=(), **settings):
        topic = topic or f"avro-{uuid.uuid4().hex}"
        config = {
            "id": "s", "brokers": kafka.bootstrap, "topic": topic, "send_timeout_secs": 20,
            "encoding": {"type": "avro", "schema_registry_url": url, **dict(encoding)}, **settings,
        }  # fmt: skip
        sink = KafkaSinkSpec.model_validate({"type": "kafka", "config": config}).build(context())
        sink.topic = topic
        return sink

    return make


class Reader:
    """Reads as consumers do: confluent-kafka's own deserializer, and fastavro with the schema of the id."""

    def __init__(self, kafka, registry, client):
        self._kafka, self._registry = kafka, registry
        self._deserializer = AvroDeserializer(client)

    def messages(self, topic):
        """Pairs of key and value."""
        return [
            (self._read(message.key(), topic, MessageField.KEY), self._read(message.value(), topic, MessageField.VALUE))
            for message in self._kafka.messages(topic)
        ]

    def _read(self, data, topic, field):
        if data is None:
            return None
        found = self._deserializer(data, SerializationContext(topic, field))
        schema = fastavro.parse_schema(self._registry.schema(int.from_bytes(data[1:5], "big")))
        assert found == fastavro.schemaless_reader(io.BytesIO(data[5:]), schema)
        return found


@pytest.fixture
def reader(kafka, registry):
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield Reader(kafka, registry, client)


def test_native_events_are_records_that_consumers_read(avro_sink, reader, registry):
    sink = avro_sink()
    deliver(sink, [batch(event(ORDERS, order(2**64 - 1)), event(ORDERS, order(2), "d"))])
    (first_key, first), (second_key, second) = reader.messages(sink.topic)
    assert (first_key, second_key) == ({"id": "18446744073709551615"}, {"id": "2"})
    assert first["after"] == {"id": "18446744073709551615", "price": Decimal("12.50"), "note": None, "state": "paid"}
    assert (second["before"]["id"], second["after"], second["op"]) == ("2", None, "d")
    assert first["source"] == {
        "version": "deltaforge-1", "connector": "mysql", "name": "p", "ts_ms": 1_700_000_000_000, "db": "shop",
        "schema": None, "table": "orders", "snapshot": None,
        "position": {"server_id": 1, "file": "bin.1", "pos": 4, "gtid": None, "row": 0},
    }  # fmt: skip
    assert first["transaction"] == {"id": "u:7", "total_order": None, "data_collection_order": None}
    (schema,) = registry.versions(f"{sink.topic}-value")
    assert (schema["name"], schema["namespace"]) == ("Envelope", "deltaforge.cdc.mysql.shop.orders")
    (key,) = registry.versions(f"{sink.topic}-key")
    assert json.dumps(key) == json.dumps({
        "type": "record", "name": "Key", "namespace": "deltaforge.cdc.mysql.shop.orders",
        "fields": [{"name": "id", "type": "string"}],
    })  # fmt: skip


def test_debezium_events_are_records_that_consumers_read(avro_sink, reader, registry):
    sink = avro_sink(envelope={"type": "debezium", "dialect": "connect", "topic_prefix": "pre"})
    deliver(sink, [batch(event(ORDERS, order(1)), event(ORDERS, order(2, note="x"), "u"))])
    (key, first), (_, second) = reader.messages(sink.topic)
    assert key == {"id": Decimal(1)}
    assert first["after"] == {"id": Decimal(1), "price": Decimal("12.50"), "note": None, "state": "paid"}
    assert (second["after"]["note"], second["op"], second["source"]["name"]) == ("x", "u", "pre")
    (schema,) = registry.versions(f"{sink.topic}-value")
    assert (schema["name"], schema["namespace"]) == ("Envelope", "pre.shop.orders")
    assert schema["connect.name"] == "pre.shop.orders.Envelope"
