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
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, SourceInfo, Transaction
from deltaforge.core.positions import NOWHERE
from deltaforge.core.retry import Retry, retry_of
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


def written(sink, *events):
    """Write and flush once, as the engine does for a batch; what fails is raised."""
    sink.open()
    sink.write(batch(*events))
    sink.flush()


def fails(sink, *events):
    with pytest.raises(SinkError) as caught:
        written(sink, *events)
    return caught.value


def ids_of(kafka, topic):
    return [int.from_bytes(message.value()[1:5], "big") for message in kafka.messages(topic)]


def test_rows_before_and_after_ddl_have_the_schema_of_their_time(avro_sink, reader, registry, kafka):
    wider = with_columns(ORDERS, Column("sum", "double"))
    sink = avro_sink()
    deliver(sink, [batch(event(ORDERS, order(1)), event(wider, order(2, sum=1.5)), event(ORDERS, order(3)))])
    rows = [value["after"] for _, value in reader.messages(sink.topic)]
    assert [row.get("sum", "none") for row in rows] == ["none", 1.5, "none"]
    old, new, again = ids_of(kafka, sink.topic)
    assert old == again != new
    assert len(registry.versions(f"{sink.topic}-value")) == 2
    assert len(registry.versions(f"{sink.topic}-key")) == 1


STRATEGIES = {
    "record_name": ["{record}.Envelope", "{record}.Key"],
    "topic_record_name": ["{topic}-{record}.Envelope", "{topic}-{record}.Key"],
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tables_on_one_topic_have_schemas_of_their_own(avro_sink, reader, registry, strategy):
    sink = avro_sink(encoding={"subject_strategy": strategy})
    names = [f"t{uuid.uuid4().hex}" for _ in range(2)]
    tables = [TableSchema(TableId("shop", None, name), ORDERS.columns, ("id",)) for name in names]
    tables[1] = with_columns(tables[1], Column("extra", "int"))
    events = [event(tables[0], order(1)), event(tables[1], order(2, extra=7)), event(tables[0], order(3))]
    deliver(sink, [batch(*events)])
    assert [value["after"].get("extra") for _, value in reader.messages(sink.topic)] == [None, 7, None]
    subjects = set(registry.get("/subjects"))
    for name in names:
        record = f"deltaforge.cdc.mysql.shop.{name}"
        assert {form.format(record=record, topic=sink.topic) for form in STRATEGIES[strategy]} <= subjects


def test_two_tables_under_one_subject_are_refused_by_the_registry_and_never_mixed_up(avro_sink, reader):
    """Topic names as subjects and two tables on the topic: the second one is not compatible, and nothing is written with
    the schema of the first.
    """
    other = TableSchema(TableId("shop", None, "other"), (Column("id", "int", nullable=False),), ("id",))
    sink = avro_sink()
    written(sink, event(ORDERS, order(1)))
    error = fails(sink, event(other, {"id": 5}))
    assert (error.kind, type(error)) == ("schema_mismatch", RecordError)
    assert [value["after"]["price"] for _, value in reader.messages(sink.topic)] == [Decimal("12.50")]


def test_a_refused_schema_leaves_the_one_before_to_rows_that_say_all_in_it(avro_sink, reader, registry):
    sink = avro_sink()
    written(sink, event(ORDERS, order(1)))
    registry.put(f"/config/{sink.topic}-value", {"compatibility": "FULL"})
    wider = with_columns(ORDERS, Column("sum", "int", nullable=False))
    error = fails(sink, event(wider, order(2, sum=3)))
    assert (error.kind, error.index) == ("schema_mismatch", 0)
    assert "column sum would be left out" in error.message
    assert "12.50" not in str(error)
    retyped = TableSchema(ORDERS.table, (*ORDERS.columns[:2], Column("note", "int"), ORDERS.columns[3]), ("id",))
    assert "column note has another type" in fails(sink, event(retyped, order(9, note=1))).message
    written(sink, event(wider, order(3, sum=None)))  # as while a DEFAULT is filled in: nothing of it is lost
    more = with_columns(ORDERS, Column("more", "int"))
    written(sink, event(more, order(4, more=5)))  # which is compatible
    found = [(value["after"]["id"], value["after"].get("more", "none")) for _, value in reader.messages(sink.topic)]
    assert found == [("1", "none"), ("3", "none"), ("4", 5)]


def test_a_dropped_column_that_may_not_be_dropped_is_null_in_the_schema_before_if_it_can_be(
    avro_sink, reader, registry
):
    sink = avro_sink()
    written(sink, event(ORDERS, order(1, note="x")))
    registry.put(f"/config/{sink.topic}-value", {"compatibility": "FORWARD"})
    without_state = TableSchema(ORDERS.table, ORDERS.columns[:3], ("id",))
    row = {name: value for name, value in order(2).items() if name != "state"}
    assert "column state is gone" in fails(sink, event(without_state, row)).message
    registry.put(f"/config/{sink.topic}-value", {"compatibility": "FULL"})
    without_note = with_columns(
        TableSchema(ORDERS.table, (*ORDERS.columns[:2], ORDERS.columns[3]), ("id",)),
        Column("new", "int", nullable=False),
    )
    row = {name: value for name, value in order(3, new=None).items() if name != "note"}
    written(sink, event(without_note, row))
    assert [value["after"]["note"] for _, value in reader.messages(sink.topic)] == ["x", None]


def test_without_a_registry_the_batch_waits_unless_its_ids_are_known(avro_sink, private_registry, kafka):
    registry = private_registry()
    sink = avro_sink(url=registry.url)
    written(sink, event(ORDERS, order(1)))
    registry.kill()
    sink.suspend()
    written(sink, event(ORDERS, order(2)))  # a known id, also behind a new connection
    wider = with_columns(ORDERS, Column("sum", "int"))
    error = fails(sink, event(wider, order(3, sum=3)))
    assert (error.kind, retry_of(error)) == ("connect", Retry.BACKOFF)
    assert not isinstance(error, RecordError)
    assert fails(avro_sink(url=registry.url), event(ORDERS, order(4))).kind == "connect"
    registry.start()
    sink.suspend()
    written(sink, event(wider, order(3, sum=3)))
    assert len(ids_of(kafka, sink.topic)) == 3
    sink.close()
    registry.kill()
    (registry.process.folder / "h2.mv.db").unlink()  # wiped
    registry.start()
    registry.post("/subjects/x/versions", {"schema": '{"type":"string"}'})  # takes the first id
    sink.suspend()
    written(sink, event(wider, order(5, sum=5)))
    last = ids_of(kafka, sink.topic)[-1]
    assert registry.schema(last)["name"] == "Envelope"


def test_rows_without_values_in_the_log_say_which(avro_sink, reader):
    table = TableSchema(
        TableId("app", "public", "docs"),
        (
            Column("id", "integer", nullable=False), Column("body", "text"),
            Column("tags", "text[]", nullable=False),
        ),
        ("id",),
    )  # fmt: skip
    source = SourceInfo(
        version="1", connector="postgresql", name="p", ts_ms=1, db="app", schema="public", table="docs", lsn="0/10",
        txId=7,
    )  # fmt: skip
    rows = [{"id": 1, "body": UNCHANGED_TOAST, "tags": UNCHANGED_TOAST}, {"id": 1, "body": None, "tags": ["a", None]}]
    events = [
        ChangeEvent(before=None, after=row, source=source, op="u", ts_ms=1, schema=table, event_id="e") for row in rows
    ]
    sink = avro_sink()
    deliver(sink, [batch(*events)])
    (key, first), (_, second) = reader.messages(sink.topic)
    assert key == {"id": 1}
    assert (first["after"], first["unavailable"]) == ({"id": 1, "body": None, "tags": []}, ["body", "tags"])
    assert (second["after"], second["unavailable"]) == ({"id": 1, "body": None, "tags": ["a", None]}, None)
    assert first["source"]["position"] == {"lsn": "0/10", "tx_id": 7, "xmin": None}


def test_an_event_without_a_table_is_a_fault_of_its_own(avro_sink):
    lone = event(ORDERS, order(1))
    lone.schema = None
    error = fails(avro_sink(), event(ORDERS, order(2)), lone)
    assert (error.kind, error.index) == ("schema_mismatch", 1)
