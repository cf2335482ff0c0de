from decimal import Decimal

import msgspec
import pytest

from deltaforge.core.errors import StorageError
from deltaforge.core.event import Routing, Transaction
from deltaforge.journal.entries import Meta, decode_entry, entry_of, event_of, view_of
from deltaforge.storage.base import QueueEntry
from deltaforge.testing.fakes import make_event


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


def test_what_is_no_entry_is_a_storage_error():
    with pytest.raises(StorageError, match="dead letter 7"):
        decode_entry(QueueEntry(7, b"{}", 0.0))
