"""Avro to Kafka with a real registry, read as consumers read it."""

import io
import json
import socket
import uuid
from decimal import Decimal
from urllib.error import HTTPError
from urllib.parse import urlsplit

import fastavro
import jsonschema
import pytest
from pydantic import TypeAdapter

from deltaforge.core.errors import RecordError, SinkError, SpecError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, SourceInfo
from deltaforge.core.retry import Retry, retry_of
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.doctor import Level, examine
from deltaforge.plugins import AnySink
from deltaforge.records.avro_schema import avro_schema
from deltaforge.records.cdc import compile_cdc
from deltaforge.records.schema import Field, Schema, Type
from deltaforge.records.types import CdcModes
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.sinks.redis import RedisSinkSpec
from deltaforge.spec import parse_document
from deltaforge.testing.sink_contract import context, deliver
from tests.avro import ORDERS, batch, event, order, reading, with_columns


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


@pytest.fixture
def reader(kafka, registry):
    with reading(kafka, registry) as reader:
        yield reader


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


@pytest.mark.parametrize("envelope", ["native", {"type": "debezium", "dialect": "connect"}])
def test_a_null_that_the_definition_does_not_have_is_null_in_a_wider_schema(avro_sink, reader, registry, envelope):
    sink = avro_sink(envelope=envelope)
    deliver(sink, [batch(*(event(ORDERS, {**order(n), "price": price}) for n, price in enumerate((1, None, 2))))])
    messages = [value for _, value in reader.messages(sink.topic)]
    assert [message["after"]["price"] for message in messages] == [1, None, 2]
    assert not any(message.get("unavailable") for message in messages)
    assert len(registry.versions(f"{sink.topic}-value")) == 2


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


def test_an_event_without_a_definition_has_the_one_of_its_values_or_is_a_fault_of_its_own(avro_sink, reader):
    source = SourceInfo(
        version="1", connector="postgresql", name="p", ts_ms=1, db="app", schema="__wal_message", table="audit"
    )  # fmt: skip
    content = {"who": "me", "n": 5, "yes": True, "share": 0.5, "tags": ["a", 1], "none": None}
    message = ChangeEvent(before=None, after=content, source=source, op="c", ts_ms=1)
    sink = avro_sink()
    written(sink, message)
    ((key, value),) = reader.messages(sink.topic)
    assert (key, value["after"]) == (None, content | {"tags": '["a",1]'})
    lone = event(ORDERS, order(1))
    lone.schema = None
    error = fails(avro_sink(), event(ORDERS, order(2)), lone)
    assert (error.kind, error.index) == ("schema_mismatch", 1)


NOT_NULL, NULLABLE = Column("sum", "int", nullable=False), Column("sum", "int")
CHANGES = {  # from, to, and whether BACKWARD, FORWARD and FULL take it, as docs/avro.md says
    "nullable column added": ([], [NULLABLE], (True, True, True)),
    "not null column added": ([], [NOT_NULL], (False, True, False)),
    "nullable column dropped": ([NULLABLE], [], (True, True, True)),
    "not null column dropped": ([NOT_NULL], [], (True, False, False)),
    "int to bigint": ([NOT_NULL], [Column("sum", "bigint", nullable=False)], (True, False, False)),
    "int to text": ([NOT_NULL], [Column("sum", "text", nullable=False)], (False, False, False)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_registry_takes_of_changed_tables_what_the_page_says(registry, change):
    old, new, expected = CHANGES[change]

    def schema(columns):
        table = with_columns(ORDERS, *columns)
        compiled = compile_cdc(event(table, {}), table, CdcModes())
        return {"schema": avro_schema(compiled.value, "plain"), "schemaType": "AVRO"}

    def takes(level):
        subject = f"{uuid.uuid4().hex}-value"
        registry.post(f"/subjects/{subject}/versions", schema(old))
        registry.put(f"/config/{subject}", {"compatibility": level})
        try:
            return bool(registry.post(f"/subjects/{subject}/versions", schema(new)))
        except HTTPError as error:
            assert error.code == 409  # noqa: PT017 - any other answer is a fault of the test
            return False

    assert tuple(map(takes, ("BACKWARD", "FORWARD", "FULL"))) == expected


@pytest.mark.parametrize("default", ["{}", "[]", '{"a":1}', "x{}", '"{}"'])
def test_the_registry_takes_every_text_as_a_default(registry, default):
    column = Schema(type=Type.STRING, default=default, has_default=True)
    text = avro_schema(Schema(type=Type.STRUCT, name="R", fields=(Field("a", column),)), "connect")
    subject = f"{uuid.uuid4().hex}-value"
    registry.post(f"/subjects/{subject}/versions", {"schema": text, "schemaType": "AVRO"})
    registered = json.loads(registry.get(f"/subjects/{subject}/versions/1")["schema"])
    assert registered["fields"][0]["default"] == default


def test_json_behind_the_id_of_its_schema_is_valid_by_it(kafka, registry, avro_sink):
    envelope = {"type": "debezium", "dialect": "connect", "tombstones_on_delete": False}
    sink = avro_sink(encoding={"type": "json_schema"}, envelope=envelope)
    deliver(sink, [batch(event(ORDERS, order(1)), event(ORDERS, order(2, note="x"), "d"))])
    first, second = kafka.messages(sink.topic)
    for message in (first, second):
        for data, part in ((message.key(), "Key"), (message.value(), "Envelope")):
            schema = registry.schema(int.from_bytes(data[1:5], "big"))
            assert schema["title"] == f"p.shop.orders.{part}"
            jsonschema.Draft7Validator.check_schema(schema)
            jsonschema.Draft7Validator(schema).validate(json.loads(data[5:]))
    assert json.loads(second.value()[5:])["op"] == "d"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({"before": 1})
    versions = registry.get(f"/subjects/{sink.topic}-value/versions/1")
    assert versions["schemaType"] == "JSON"


def test_streams_of_redis_take_the_place_of_topics(redis_server, registry):
    stream = f"avro-{uuid.uuid4().hex}"
    config = {
        "id": "s", "uri": redis_server.uri, "stream": stream,
        "encoding": {"type": "avro", "schema_registry_url": registry.url},
    }  # fmt: skip
    sink = RedisSinkSpec.model_validate({"type": "redis", "config": config}).build(context())
    deliver(sink, [batch(event(ORDERS, order(7)))], is_open=False)
    client = redis_server.connect()
    ((_, fields),) = client.xrange(stream)
    client.close()
    data = fields[b"df-event"]
    schema = fastavro.parse_schema(registry.schema(int.from_bytes(data[1:5], "big")))
    assert fastavro.schemaless_reader(io.BytesIO(data[5:]), schema)["after"]["id"] == "7"
    assert len(registry.versions(f"{stream}-value")) == 1


@pytest.mark.parametrize("kind", ["file", "stdout"])
def test_sinks_without_destinations_take_no_avro(kind, tmp_path):
    config = {"id": "s", "encoding": {"type": "avro", "schema_registry_url": "http://r"}}
    config |= {"path": str(tmp_path / "x")} if kind == "file" else {}
    spec = TypeAdapter(AnySink).validate_python({"type": kind, "config": config})
    with pytest.raises(SpecError, match="avro needs a sink with destinations"):
        spec.build(context())


def test_doctor_asks_the_registry(kafka, registry, tmp_path):
    def found(url, **settings):
        encoding = {"type": "avro", "schema_registry_url": url, **settings}
        sink = {"type": "kafka", "config": {"id": "s", "brokers": kafka.bootstrap, "topic": "t", "encoding": encoding}}
        source = {
            "type": "postgres",
            "config": {"id": "src", "dsn": "postgres://127.0.0.1:1/x", "publication": "p", "slot": "s", "tables": []},
        }
        spec = {"source": source, "processors": [], "sinks": [sink]}
        document = parse_document({"metadata": {"name": "p", "tenant": "t"}, "spec": spec})
        findings = examine(document, tmp_path / "state", patience_secs=20)
        return {
            finding.check: (finding.level, finding.what) for finding in findings if "registry of s" in finding.where
        }

    assert found(registry.url) == {
        "registry.connect": (Level.OK, f"the schema registry answers at {urlsplit(registry.url).netloc}"),
        "registry.compatibility": (Level.OK, "the compatibility of subjects is BACKWARD, unless they say otherwise"),
    }  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    ((level, what),) = found(f"http://me:hidden-word@127.0.0.1:{port}").values()
    assert (level, "refused" in what, "hidden-word" in what) == (Level.ERROR, True, False)
    assert found("ftp://x")["registry.connect"][0] is Level.ERROR
