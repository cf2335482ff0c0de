"""Avro in tests: events of a table, and messages as consumers read them."""

import io
import uuid
from contextlib import contextmanager

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deltaforge.core.batch import Batch
from deltaforge.core.event import ChangeEvent, SourceInfo, Transaction
from deltaforge.core.positions import NOWHERE
from deltaforge.core.table import Column, TableId, TableSchema

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


@contextmanager
def reading(kafka, registry):
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield Reader(kafka, registry, client)
