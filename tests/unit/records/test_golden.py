"""Messages of the connect dialect: the exact bytes of named events. ``make golden`` rewrites the files."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, LoggedMessage, Origin, SourceInfo, Transaction
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.encodings.records import nullable, with_inline_schemas
from deltaforge.envelopes.debezium import DebeziumEnvelopeSpec
from deltaforge.records.avro_schema import avro_schema
from deltaforge.records.connect_schema import connect_schema
from deltaforge.records.taking import messages_of
from deltaforge.records.whole import avro_of, json_of

GOLDEN = Path(__file__).parents[2] / "golden" / "records"
NOW_NS = 1_700_000_000_123_456_789
COMMON = {"version": "deltaforge-0.1.0", "ts_ms": 1_700_000_000_123}
MYSQL = SourceInfo(
    **COMMON, connector="mysql", name="orders-db", db="shop", table="customers", server_id=1,
    gtid="3e11fa47-71ca-11e1-9e33-c80aa9429562:7", file="mysql-bin.000003", pos=12345, row=1,
)  # fmt: skip
POSTGRES = SourceInfo(
    **COMMON, connector="postgresql", name="users-pg", db="app", schema="public", table="users", lsn="0/16B6C50",
    txId=771,
)  # fmt: skip
CUSTOMERS = TableSchema(
    TableId("shop", None, "customers"),
    (
        Column("id", "bigint unsigned", nullable=False), Column("name", "varchar(20)", default="nobody"),
        Column("price", "decimal(10,2)", nullable=False), Column("at", "timestamp(3)"), Column("day", "date"),
        Column("kind", "enum('a','b')"), Column("raw", "varbinary(8)"), Column("doc", "json"),
    ),
    ("id",),
)  # fmt: skip
USERS = TableSchema(
    TableId("app", "public", "users"),
    (
        Column("id", "integer", nullable=False), Column("name", "text"), Column("amount", "numeric"),
        Column("tags", "text[]"), Column("at", "timestamp(6) without time zone"), Column("pause", "interval"),
    ),
    ("id",),
)  # fmt: skip
MYSQL_ORIGIN = Origin(ts_us=1_700_000_000_123_456, thread=9, pos_begin=12_300, total_order=1, table_order=1)
ORIGIN = Origin(ts_us=1_700_000_000_123_456, lsn=23_816_272, last_commit_lsn=23_816_000, total_order=5, table_order=2)
CUSTOMER = {
    "id": 2**63, "name": "Alice", "price": "-12.30", "at": "2024-02-29T01:02:03.450000Z", "day": "1969-12-31",
    "kind": "b", "raw": {"_base64": "AP8="}, "doc": {"a": [1, None]},
}  # fmt: skip
USER = {
    "id": 1,
    "name": "Bob",
    "amount": "1.500",
    "tags": ["a", None],
    "at": "1970-01-01T00:00:01.5",
    "pause": "01:00:00",
}
IN_MYSQL = {"source": MYSQL, "ts_ms": MYSQL.ts_ms, "schema": CUSTOMERS, "origin": MYSQL_ORIGIN}
IN_POSTGRES = {"source": POSTGRES, "ts_ms": POSTGRES.ts_ms, "schema": USERS, "origin": ORIGIN}
OF_NO_ROW = {**IN_POSTGRES, "schema": None}


def event(before, after, op, fields):
    transaction = Transaction(MYSQL.gtid if fields["source"] is MYSQL else "771")
    return ChangeEvent(before=before, after=after, op=op, transaction=transaction, **fields)


def notice(**fields):
    return event(None, None, "c", {**OF_NO_ROW, "origin": msgspec.structs.replace(ORIGIN, **fields)})


EVENTS = {
    "mysql-insert": event(None, CUSTOMER, "c", IN_MYSQL),
    "mysql-nulls": event(CUSTOMER, dict.fromkeys(CUSTOMER) | {"id": 2**63, "price": "0"}, "u", IN_MYSQL),
    "mysql-copied": event(
        None, CUSTOMER, "r",
        IN_MYSQL | {"source": msgspec.structs.replace(MYSQL, snapshot="true"), "origin": Origin(snapshot="first")},
    ),
    "postgres-toast": event(None, {**USER, "name": UNCHANGED_TOAST, "tags": UNCHANGED_TOAST}, "u", IN_POSTGRES),
    "postgres-key-change": event(dict.fromkeys(USER) | {"id": 1}, {**USER, "id": 2}, "u", IN_POSTGRES),
    "postgres-delete": event(dict.fromkeys(USER) | {"id": 1}, None, "d", IN_POSTGRES),
    "postgres-truncate": event(None, None, "t", IN_POSTGRES),
    "postgres-message": notice(message=LoggedMessage("tasks", b"\x00\xff", is_transactional=True)),
    "begin": notice(notice="begin"),
    "end": notice(notice="end", table_counts={"public.users": 2}),
    "heartbeat": notice(notice="heartbeat"),
}  # fmt: skip
ENVELOPE = DebeziumEnvelopeSpec(
    dialect="connect", topic_prefix="srv", skipped_operations=["none"], provide_transaction_metadata=True
).build()


def said(change):
    """Everything that is written of an event, as JSON."""
    extra = ENVELOPE.extra_message(change, NOW_NS)
    if extra is not None:
        return {
            "topic": extra.topic,
            "json": [json.loads(json_of(*extra.key)), json.loads(json_of(*extra.value))],
            "schemas": [json.loads(connect_schema(each.schema)) for each in (extra.key, extra.value)],
            "avro": [avro_of(*extra.key).hex(), avro_of(*extra.value).hex()],
            "avro schemas": [json.loads(avro_schema(each.schema, "connect")) for each in (extra.key, extra.value)],
        }
    in_json, in_avro = ENVELOPE.compiled(change, "json"), ENVELOPE.compiled(change, "avro")
    return {
        "json": [texts(message) for message in messages_of(nullable(in_json.plan), change, NOW_NS)],
        "inline": [texts(message) for message in messages_of(with_inline_schemas(in_json), change, NOW_NS)],
        "avro": [
            [None if part is None else part.hex() for part in (message.key, message.value)]
            for message in messages_of(in_avro.plan, change, NOW_NS)
        ],
        "avro schemas": [json.loads(avro_schema(schema, "connect")) for schema in (in_avro.key, in_avro.value)],
    }


def texts(message):
    headers = {name: value.decode() for name, value in message.headers.items()}
    return [json.loads(message.key or b"null"), json.loads(message.value or b"null"), headers]


@pytest.mark.parametrize("name", EVENTS)
def test_the_messages_are_those_of_the_golden_file(name):
    path = GOLDEN / f"{name}.json"
    found = json.dumps(said(EVENTS[name]), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("DELTAFORGE_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
