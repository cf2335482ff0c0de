from decimal import Decimal

import msgspec
import pytest

from deltaforge.core.errors import StorageError
from deltaforge.core.event import (
    DefinitionChange,
    LoggedMessage,
    Origin,
    Routing,
    TableChange,
    Transaction,
)
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.journal.entries import Meta, decode_entry, entry_of, event_of, view_of
from deltaforge.storage.base import QueueEntry
from deltaforge.testing.fakes import make_event

TABLE = TableId("d", None, "t")
SCHEMA = TableSchema(TABLE, (Column("id", "int"),), ("id",))


def event_with(**fields):
    return msgspec.structs.replace(make_event(1, 16), event_id="e-1", tenant_id="acme", tx_end=True, **fields)


def entry(event, *, max_bytes=10_000):
    made = entry_of(
        event, Meta("k", "serialization", "too large"), pipeline="p", max_bytes=max_bytes, now=1700
    )  # fmt: skip
    return decode_entry(QueueEntry(7, msgspec.json.encode(made), 0.0))


def shown(found):
    return msgspec.json.decode(msgspec.json.encode(view_of(7, found)))


def test_an_entry_has_the_shape_of_the_contract():
    assert shown(entry(event_with())) == {
        "seq": 7,
        "timestamp": 1700,
        "pipeline": "p",
        "stream": "dlq",
        "event_id": "e-1",
        "source_cursor": {"lsn": "0/10"},
        "event": {
            "before": None,
            "after": {"id": 1},
            "source": {
                "version": "test", "connector": "postgresql", "name": "p", "ts_ms": 1, "db": "app", "schema": "public",
                "table": "t", "lsn": "0/10",
            },
            "op": "c",
            "ts_ms": 1,
            "event_id": "e-1",
            "tenant_id": "acme",
            "tx_end": True,
        },
        "payload_truncated": False,
        "meta": {"sink_id": "k", "error_kind": "serialization", "error_message": "too large", "attempts": 1},
    }  # fmt: skip


def test_an_event_comes_back_as_it_was():
    event = event_with(
        after={"id": 1, "big": 1 << 63, "exact": Decimal("0.12345678901234567890123"), "f": 1e300, "t": "\u00e9"},
        transaction=Transaction("77", 1),
        routing=Routing(topic="elsewhere", key="k", headers={"h": "v"}),
        tags=["a"],
        zero_dates={"d": "2024-00-15"},
    )

    assert event_of(entry(event)) == event


def test_an_event_that_is_too_large_keeps_everything_but_its_images():
    event = event_with(after={"id": 1, "text": "x" * 500})

    found = entry(event, max_bytes=400)

    view = shown(found)
    assert view["payload_truncated"] is True
    assert view["event"]["before"] == view["event"]["after"]
    assert view["event"]["after"].startswith("[truncated: ")
    assert "xxx" not in view["event"]["after"]
    assert view["event"]["source"]["table"] == "t"
    assert view["event"]["event_id"] == "e-1"
    with pytest.raises(StorageError, match="truncated"):
        event_of(found)


def test_an_event_at_the_limit_is_kept_whole():
    size = len(bytes(entry(event_with()).event))

    assert entry(event_with(), max_bytes=size).payload_truncated is False
    assert entry(event_with(), max_bytes=size - 1).payload_truncated is True


def test_an_event_without_a_json_form_is_kept_without_its_images():
    found = entry(event_with(after={"id": 1, "text": "secret\ud800"}))

    assert found.payload_truncated is True
    assert "secret" not in str(shown(found))


@pytest.mark.parametrize(
    "origin",
    [
        Origin(ts_us=5, thread=0, query="insert \u00fc", pos_begin=4, snapshot="last", total_order=2, table_order=1),
        Origin(lsn=2**64 - 1, last_commit_lsn=7, message=LoggedMessage("p", b"\xff\0", False), notice="message"),
        Origin(
            definition=DefinitionChange(
                "d", "t", "alter \u2026", (TableChange("ALTER", TABLE, SCHEMA, None, (None,)),)
            ),
            notice="definition",
        ),
    ],
    ids=["mysql", "postgres", "ddl"],
)
def test_an_event_keeps_its_origin_and_nobody_sees_it(origin):
    found = entry(event_with(origin=origin))
    assert event_of(found).origin == origin
    assert "origin" not in shown(found)
    assert "origin" not in shown(found)["event"]


def test_what_is_no_entry_is_a_storage_error():
    with pytest.raises(StorageError, match="dead letter 7"):
        decode_entry(QueueEntry(7, b"{}", 0.0))


@pytest.mark.parametrize("depth", [10, 300, 850])
def test_a_nested_event_is_shown_and_comes_back_as_it_was_whoever_reads_it(depth):
    value = [1]
    for _ in range(depth):
        value = {"a": value} if depth == 10 else [value]
    event = event_with(after={"id": 1, "doc": value})

    made = entry_of(event, Meta("k", "serialization", "m"), pipeline="p", max_bytes=10_000, now=1700)
    stored = QueueEntry(7, msgspec.json.encode(made), 0.0)

    found = at_depth(150, lambda: decode_entry(stored))

    assert found.payload_truncated is False
    assert msgspec.json.encode(event_of(found)) == msgspec.json.encode(event)
    assert b'"doc":%s' % msgspec.json.encode(value) in msgspec.json.encode(view_of(7, found))


def at_depth(depth, call):
    """The result of a call with a deeper stack than that of the writer."""
    return call() if depth == 0 else at_depth(depth - 1, call)


def test_what_is_nested_too_deeply_to_be_an_entry_is_a_storage_error():
    with pytest.raises(StorageError, match="dead letter 7"):
        decode_entry(QueueEntry(7, b'{"event":' + b"[" * 5000, 0.0))


def test_routing_and_definitions_without_a_json_form_are_not_kept():
    for fields in (
        {"routing": Routing(topic="\ud800")},
        {"schema": TableSchema(TableId("d", None, "t"), (Column("\ud800", "int"),))},
    ):
        found = entry(event_with(**fields))

        assert (found.payload_truncated, found.schema, found.routing) == (True, None, None)
        assert shown(found)["event"]["after"] == {"id": 1}


def test_an_event_whose_other_fields_have_no_json_form_keeps_those_that_have():
    found = shown(entry(event_with(tags=["\ud800"])))

    assert "tags" not in found["event"]
    assert found["event"]["source"]["table"] == "t"
