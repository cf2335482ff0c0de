"""Messages of the connect dialect: the JSON that Debezium 3.6 writes, and the schemas that it says."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from pydantic import ValidationError

from deltaforge.core.errors import RecordError, SpecError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, Origin, SourceInfo
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.envelopes.debezium import ConnectEnvelope, DebeziumEnvelopeSpec
from deltaforge.envelopes.native import NativeEnvelopeSpec
from deltaforge.records.avro_schema import avro_schema
from deltaforge.records.taking import key_of, value_of

NOW = 1_700_000_000_123_456_789
TABLE = TableSchema(
    TableId("app", "public", "users"),
    (
        Column("id", "integer", nullable=False),
        Column("name", "text"),
        Column("balance", "numeric(10,2)"),
        Column("score", "integer", nullable=False),
        Column("tags", "text[]"),
    ),
    ("id",),
)
SOURCE = SourceInfo(
    version="v", connector="postgresql", name="shop", ts_ms=1_700_000_000_001, db="app", schema="public",
    table="users", lsn="0/20", txId=771,
)  # fmt: skip
ORIGIN = Origin(ts_us=1_700_000_000_001_002, lsn=24, last_commit_lsn=16, total_order=3, table_order=2)
ROW: dict[str, Any] = {"id": 1, "name": "Alice", "balance": "1.50", "score": 7, "tags": ["a", None]}


def event(before: Any, after: Any, op: Any, **more: Any) -> ChangeEvent:
    fields: dict[str, Any] = {"source": SOURCE, "ts_ms": SOURCE.ts_ms, "schema": TABLE, "origin": ORIGIN} | more
    return ChangeEvent(before=before, after=after, op=op, **fields)


def envelope(**options: Any) -> ConnectEnvelope:
    built = DebeziumEnvelopeSpec(dialect="connect", **options).build()
    assert isinstance(built, ConnectEnvelope)
    return built


def value(change: ChangeEvent, **options: Any) -> Any:
    return json.loads(value_of(envelope(**options).compiled(change, "json").plan, change, NOW))


def test_a_row_of_postgresql_is_the_message_that_debezium_writes() -> None:
    assert list(value(event(None, ROW, "c")).items()) == [
        ("before", None),
        ("after", {"id": 1, "name": "Alice", "balance": "AJY=", "score": 7, "tags": ["a", None]}),
        (
            "source",
            {
                "version": "v", "connector": "postgresql", "name": "shop", "ts_ms": 1_700_000_000_001,
                "snapshot": "false", "db": "app", "sequence": '["16","24"]', "ts_us": 1_700_000_000_001_002,
                "ts_ns": 1_700_000_000_001_002_000, "schema": "public", "table": "users", "txId": 771, "lsn": 24,
                "xmin": None, "origin": None, "origin_lsn": None,
            },
        ),
        ("transaction", {"id": "771:24", "total_order": 3, "data_collection_order": 2}),
        ("op", "c"),
        ("ts_ms", 1_700_000_000_123),
        ("ts_us", 1_700_000_000_123_456),
        ("ts_ns", 1_700_000_000_123_456_789),
    ]  # fmt: skip


def test_what_the_log_does_not_hold_is_null_or_nothing_and_toast_is_the_placeholder() -> None:
    key_alone = {"id": 1, "name": None, "balance": None, "score": None, "tags": None}
    after = {**ROW, "name": UNCHANGED_TOAST, "tags": UNCHANGED_TOAST}
    found = value(event(key_alone, after, "u"), unavailable_value_placeholder="gone")
    assert found["before"] == {"id": 1, "name": None, "balance": None, "score": 0, "tags": None}
    assert found["after"] == {"id": 1, "name": "gone", "balance": "AJY=", "score": 7, "tags": ["gone"]}


def test_avro_and_json_of_one_description_say_the_same() -> None:
    change = event(ROW, {**ROW, "name": None}, "u")
    compiled = envelope(topic_prefix="srv").compiled(change, "avro")
    data = value_of(compiled.plan, change, NOW)
    schema = json.loads(avro_schema(compiled.value, "connect"))
    read: Any = fastavro.schemaless_reader(io.BytesIO(data), schema, None)
    assert read["source"] == value(change, topic_prefix="srv")["source"]
    assert read["transaction"] == {"id": "771:24", "total_order": 3, "data_collection_order": 2}
    assert str(read["before"]["balance"]) == "1.50"
    assert read["after"]["name"] is None
    assert schema["name"] == "Envelope"
    assert schema["namespace"] == "srv.public.users"
    assert compiled.key is not None
    key = key_of(compiled.plan, ROW)
    assert key is not None
    assert fastavro.schemaless_reader(io.BytesIO(key), json.loads(avro_schema(compiled.key, "connect")), None) == {
        "id": 1
    }


def test_inline_schemas_say_names_versions_and_defaults() -> None:
    encoder = JsonEncodingSpec(schemas="inline").build(envelope())
    message = json.loads(encoder.encode(event(None, ROW, "c")))
    assert message["payload"]["after"]["name"] == "Alice"
    schema = message["schema"]
    assert (schema["name"], schema["version"]) == ("shop.public.users.Envelope", 2)
    fields = {field["field"]: field for field in schema["fields"]}
    assert fields["after"]["name"] == "shop.public.users.Value"
    source = {field["field"]: field for field in fields["source"]["fields"]}
    assert source["snapshot"]["default"] == "false"
    values = encoder.encode_groups([])
    assert len(values) == 0


def test_a_key_that_the_log_does_not_hold_is_an_error_of_the_event() -> None:
    encoder = JsonEncodingSpec().build(envelope())
    with pytest.raises(RecordError, match="id"):
        encoder.encode(event(None, {"name": "x"}, "u"))


def test_options_of_the_dialect_without_it_are_refused() -> None:
    with pytest.raises(ValidationError, match="add `dialect: connect`"):
        DebeziumEnvelopeSpec(decimal_handling="string")
    with pytest.raises(SpecError, match=r"encoding\.schemas"):
        JsonEncodingSpec(schemas="inline").build(NativeEnvelopeSpec().build())
