"""Messages of the connect dialect: the JSON that Debezium 3.6 writes, and the schemas that it says."""

from __future__ import annotations

import hashlib
import io
import json
import re
from typing import Any

import fastavro
import msgspec
import pytest
from pydantic import ValidationError

from deltaforge.core.errors import RecordError, SpecError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, LoggedMessage, Origin, SourceInfo
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.envelopes.debezium import ConnectEnvelope, DebeziumEnvelopeSpec
from deltaforge.envelopes.native import NativeEnvelopeSpec
from deltaforge.records.avro_schema import avro_schema
from deltaforge.records.masking import hashed
from deltaforge.records.names import adjusted_field_name, adjusted_schema_name
from deltaforge.records.taking import key_of, messages_of, value_of
from deltaforge.records.whole import avro_of, json_of

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
    options.setdefault("provide_transaction_metadata", True)
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
    compiled = envelope(topic_prefix="srv", provide_transaction_metadata=True).compiled(change, "avro")
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


def messages(change: ChangeEvent, **options: Any) -> list[Any]:
    plan = envelope(**options).compiled(change, "json").plan
    return [
        (json.loads(key or b"null"), json.loads(value)["op"] if value else None, headers)
        for key, value, headers in messages_of(plan, change, NOW)
    ]


def test_a_delete_has_a_tombstone_unless_nobody_wants_one() -> None:
    deleted = event(ROW, None, "d")
    assert messages(deleted) == [({"id": 1}, "d", {}), ({"id": 1}, None, {})]
    assert messages(deleted, tombstones_on_delete=False) == [({"id": 1}, "d", {})]


def test_an_update_of_the_key_is_a_delete_a_tombstone_and_an_insert_that_name_each_other() -> None:
    changed = event(ROW, {**ROW, "id": 2}, "u")
    new, old = {"__debezium.newkey": b'{"id":2}'}, {"__debezium.oldkey": b'{"id":1}'}
    assert messages(changed) == [({"id": 1}, "d", new), ({"id": 1}, None, new), ({"id": 2}, "c", old)]
    assert messages(changed, skipped_operations=["c", "d", "u"]) == messages(changed)
    assert messages(event(ROW, {**ROW, "name": "x"}, "u"), skipped_operations=["u"]) == []
    assert messages(event({"name": "x"}, ROW, "u")) == [({"id": 1}, "u", {})]  # nobody knows what the key was


def test_skipped_operations_have_no_messages_and_truncates_no_key() -> None:
    truncated = event(None, None, "t")
    assert messages(truncated) == []
    assert messages(truncated, skipped_operations=["none"]) == [(None, "t", {})]
    assert messages(event(None, ROW, "c"), skipped_operations=["c", "t"]) == []
    assert messages(event(None, ROW, "r"), skipped_operations=["c", "t"]) == [({"id": 1}, "r", {})]


def test_updates_that_change_no_column_of_the_message_are_skipped_if_asked_for() -> None:
    update = event(ROW, {**ROW, "score": 8}, "u")
    options: dict[str, Any] = {"skip_messages_without_change": True}
    assert len(messages(update, **options)) == 1
    assert messages(update, **options, column_exclude_list=[r"public\.users\.score"]) == []
    assert len(messages(event(ROW, {**ROW, "name": UNCHANGED_TOAST}, "u"), **options)) == 1
    assert len(messages(event({"id": 1}, ROW, "u"), **options)) == 1


def test_columns_are_left_out_masked_hashed_and_cut() -> None:
    table = TableSchema(
        TABLE.table,
        (
            Column("id", "integer", nullable=False),
            Column("card", "character varying(40)"),
            Column("phone", "character varying(6)", nullable=False),
            Column("note", "text"),
            Column("raw", "bytea"),
            Column("hidden", "text"),
        ),
        ("id",),
    )
    row = {"id": 1, "card": "4711", "phone": "0815", "note": "ab\U0001f600cd", "raw": {"_base64": "AQIDBA=="}}
    options: dict[str, Any] = {
        "column_exclude_list": [r".*\.hidden"],
        "column_mask": [{"columns": [r".*\.(card|ID)"], "length": 3}],
        "column_hash": [{"columns": [r".*\.phone"], "algorithm": "SHA-256", "salt": "pepper"}],
        "column_truncate": [{"columns": [r".*\.note", r".*\.raw"], "length": 3}],
    }
    change = event(None, {**row, "hidden": "x"}, "c", schema=table)
    digest = hashlib.sha256(b"pepper0815").hexdigest()
    assert value(change, **options)["after"] == {
        "id": 1, "card": "***", "phone": digest[:6], "note": "ab", "raw": "AQID"
    }  # fmt: skip
    nulls = event(None, {**dict.fromkeys(row), "id": 1, "phone": "1", "note": UNCHANGED_TOAST}, "c", schema=table)
    after = value(nulls, **options)["after"]
    assert (after["card"], after["note"], after["raw"]) == ("***", "__d", None)
    fields = {field.name: field.schema for field in envelope(**options).compiled(change, "json").value.fields}
    columns = {field.name: field.schema.parameters for field in fields["after"].fields}
    assert columns["card"] == columns["phone"] == {"masked": "true"}
    assert columns["note"] == {"truncateLength": "3"}
    assert value(change, column_include_list=[r"public\.users\.(id|note)"])["after"] == {"id": 1, "note": row["note"]}


def test_columns_of_keys_may_be_others_than_those_of_the_primary_key() -> None:
    options = {"message_key_columns": r"public\.users:name,id; other:a", "column_exclude_list": [".*[.]name"]}
    assert messages(event(None, ROW, "c"), **options) == [({"name": "Alice", "id": 1}, "c", {})]
    assert messages(event(None, ROW, "c"), message_key_columns="other:id") == [({"id": 1}, "c", {})]


def test_columns_whose_adjusted_names_are_equal_are_fields_of_their_own() -> None:
    names = ("a-b", "a_b", "left out", "left_out", "a b", "a_b_2")
    table = TableSchema(TableId("app", "public", "users"), tuple(Column(name, "integer") for name in names), ("a_b",))
    change = event(None, {name: place for place, name in enumerate(names)}, "c", schema=table)
    options: dict[str, Any] = {"field_name_adjustment": "avro", "column_exclude_list": [".*[.]left out"]}
    assert value(change, **options)["after"] == {"a_b": 0, "a_b_3": 1, "left_out": 3, "a_b_4": 4, "a_b_2": 5}
    assert messages(change, **options)[0][0] == {"a_b_3": 1}


@pytest.mark.parametrize(
    ("name", "schema", "field", "in_unicode"),
    [
        ("a-b.c", "a_b.c", "a_b_c", "a_u002db_u002ec"),
        ("1a", "_1a", "_1a", "_u0031a"),
        ("_a_", "_a_", "_a_", "_u005fa_u005f"),
        ("ü", "_", "_", "_u00fc"),
        ("a€", "a_", "a_", "a_u20ac"),
    ],
)
def test_names_are_adjusted_as_debezium_does(name: str, schema: str, field: str, in_unicode: str) -> None:
    assert adjusted_schema_name(name, "avro") == schema
    assert adjusted_field_name(name, "avro") == field
    assert adjusted_field_name(name, "avro_unicode") == in_unicode
    assert adjusted_field_name(name, "none") == name


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"column_include_list": ["("]}, "no regular expression"),
        ({"message_key_columns": "users"}, "table:column"),
        ({"message_key_columns": "(:a"}, "no regular expression"),
        ({"column_hash": [{"columns": ["a"], "algorithm": "ROT13", "salt": "s"}]}, "SHA-256"),
        ({"topic_prefix": "a b"}, "pattern"),
        ({"skipped_operations": ["x"]}, "'c', 'u', 'd', 't' or 'none'"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(text)):
        DebeziumEnvelopeSpec(dialect="connect", **options)


@pytest.mark.parametrize(
    ("handling", "content"), [("bytes", "AP8="), ("base64", "AP8="), ("base64-url-safe", "AP8="), ("hex", "00ff")]
)
def test_a_logical_message_is_one_of_its_own_topic(handling: str, content: str) -> None:
    origin = msgspec.structs.replace(ORIGIN, message=LoggedMessage("tasks", b"\x00\xff", is_transactional=True))
    source = msgspec.structs.replace(SOURCE, schema="__wal_message", table="tasks")
    change = event(None, None, "c", schema=None, origin=origin, source=source)
    extra = envelope(binary_handling=handling, provide_transaction_metadata=True).extra_message(change, NOW)
    assert extra is not None
    assert extra.topic == "shop.message"
    assert json_of(*extra.key) == b'{"prefix":"tasks"}'
    found = json.loads(json_of(*extra.value))
    assert list(found) == ["op", "ts_ms", "source", "transaction", "message"]
    assert (found["op"], found["message"]) == ("m", {"prefix": "tasks", "content": content})
    assert (found["source"]["schema"], found["source"]["table"], found["source"]["lsn"]) == ("", "", 24)
    assert found["transaction"]["total_order"] == 3
    read: Any = fastavro.schemaless_reader(
        io.BytesIO(avro_of(*extra.value)), json.loads(avro_schema(extra.value.schema, "connect")), None
    )
    assert read["source"]["txId"] == 771


def test_heartbeats_are_on_a_topic_of_their_own() -> None:
    change = event(None, None, "c", schema=None, origin=Origin(notice="heartbeat"))
    extra = envelope(topic_prefix="srv", heartbeat_topics_prefix="beat").extra_message(change, NOW)
    assert extra is not None
    assert extra.topic == "beat.srv"
    assert (json_of(*extra.key), json_of(*extra.value)) == (b'{"serverName":"srv"}', b'{"ts_ms":1700000000123}')
    encoder = JsonEncodingSpec(schemas="inline").build(envelope())
    assert json.loads(encoder.encode(change))["schema"]["name"] == "io.debezium.connector.common.Heartbeat"


def test_rows_of_tables_have_no_extra_message() -> None:
    assert envelope().extra_message(event(None, ROW, "c"), NOW) is None


def test_what_processors_add_to_a_row_is_an_error_and_not_lost() -> None:
    with pytest.raises(RecordError, match="more"):
        JsonEncodingSpec().build(envelope()).encode(event(None, {**ROW, "more": 1}, "c"))


def test_envelopes_ask_sources_for_what_they_have_messages_of() -> None:
    assert DebeziumEnvelopeSpec().asks == frozenset()
    assert DebeziumEnvelopeSpec(dialect="connect").asks == {"message", "heartbeat"}
    more = DebeziumEnvelopeSpec(dialect="connect", include_query=True, include_schema_changes=True)
    assert more.asks == {"message", "heartbeat", "query", "definition"}


def test_transactions_begin_and_end_on_a_topic_of_their_own() -> None:
    options = envelope(provide_transaction_metadata=True)
    begun = event(None, None, "c", schema=None, origin=Origin(notice="begin", lsn=24))
    extra = options.extra_message(begun, NOW)
    assert extra is not None
    assert extra.topic == "shop.transaction"
    assert json.loads(json_of(*extra.key)) == {"id": "771:24"}
    assert json.loads(json_of(*extra.value)) == {
        "status": "BEGIN", "id": "771:24", "event_count": None, "data_collections": None, "ts_ms": SOURCE.ts_ms
    }  # fmt: skip
    counts = {"public.users": 2, "public.orders": 1}
    ended = event(None, None, "c", schema=None, origin=Origin(notice="end", lsn=32, table_counts=counts))
    extra = options.extra_message(ended, NOW)
    assert extra is not None
    assert json.loads(json_of(*extra.value)) == {
        "status": "END", "id": "771:32", "event_count": 3, "ts_ms": SOURCE.ts_ms,
        "data_collections": [
            {"data_collection": "public.users", "event_count": 2},
            {"data_collection": "public.orders", "event_count": 1},
        ],
    }  # fmt: skip
    assert value(event(None, ROW, "c"), provide_transaction_metadata=False)["transaction"] is None


def test_hashes_of_version_1_are_of_what_java_serializes() -> None:
    serialized = b"\xac\xed\x00\x05t\x00\x0bA\xc0\x80\xc3\xbc\xed\xa0\xbd\xed\xb8\x80"
    assert (
        hashed("SHA-256", "s", "A\0\u00fc\U0001f600", is_serialized=True)
        == hashlib.sha256(b"s" + serialized).hexdigest()
    )
    long = b"\xac\xed\x00\x05\x7c\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536
    assert hashed("sha-512", "", "x" * 65536, is_serialized=True) == hashlib.sha512(long).hexdigest()


def test_a_null_that_the_definition_does_not_have_is_in_a_wider_schema_and_nothing_is_made_up() -> None:
    change = event(None, {**ROW, "score": None}, "c")  # the definition is older than the row, or younger
    assert json.loads(JsonEncodingSpec().build(envelope()).encode(change))["after"]["score"] is None
    encoder = JsonEncodingSpec(schemas="inline").build(envelope())

    def score(row: Any) -> tuple[Any, bool]:
        message = json.loads(encoder.encode(event(None, row, "c")))
        columns = message["schema"]["fields"][1]["fields"]
        return message["payload"]["after"]["score"], columns[3]["optional"]

    assert [score(ROW), score({**ROW, "score": None}), score(ROW)] == [(7, False), (None, True), (7, False)]
    keyless = event(None, {**ROW, "id": None}, "c")
    assert json.loads(JsonEncodingSpec().build(envelope()).encode(keyless))["after"]["id"] is None
    partial = event(None, {"id": 1}, "u")  # with binlog_row_image = MINIMAL
    with pytest.raises(RecordError, match=r"column name.*binlog_row_image"):
        JsonEncodingSpec().build(envelope()).encode(partial)


def test_a_zero_date_of_mysql_is_1970_where_there_is_no_null() -> None:
    table = TableSchema(TableId("app", None, "t"), (Column("id", "int", False), Column("d", "date", False)), ("id",))
    source = SourceInfo(version="v", connector="mysql", name="p", ts_ms=1, db="app", table="t")
    change = event(None, {"id": 1, "d": None}, "c", schema=table, source=source, origin=None)
    assert value(change)["after"] == {"id": 1, "d": 0}


def test_headers_of_the_connector_are_of_every_message_if_asked_for() -> None:
    [(_, _, headers)] = messages(event(None, ROW, "c"), extended_headers=True)
    assert headers == {
        "__debezium.context.connectorLogicalName": b"shop",
        "__debezium.context.taskId": b"0",
        "__debezium.context.connectorName": b"postgresql",
    }
    changed = messages(event(ROW, {**ROW, "id": 2}, "u"), extended_headers=True)
    assert [next(iter(headers)) for _, _, headers in changed] == [
        "__debezium.newkey", "__debezium.newkey", "__debezium.oldkey"
    ]  # fmt: skip


def test_a_truncate_without_a_definition_has_a_message_where_messages_have_no_schema() -> None:
    truncated = event(None, None, "t", schema=None)
    form = envelope(skipped_operations=["none"])
    found = json.loads(JsonEncodingSpec().build(form).encode(truncated))
    assert (found["op"], found["before"], found["after"]) == ("t", None, None)
    assert found["source"]["table"] == "users"
    with pytest.raises(RecordError, match="no row of a table"):
        JsonEncodingSpec(schemas="inline").build(form).encode(truncated)


def test_the_insert_of_a_split_update_stands_behind_the_delete_in_its_transaction() -> None:
    changed = event(ROW, {**ROW, "id": 2}, "u")
    plan = envelope(provide_transaction_metadata=True).compiled(changed, "json").plan
    found = [json.loads(value)["transaction"] for _, value, _ in messages_of(plan, changed, NOW) if value]
    assert [(each["total_order"], each["data_collection_order"]) for each in found] == [(3, 2), (4, 3)]
