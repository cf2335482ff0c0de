"""Envelopes: the exact bytes of named events. ``make golden`` rewrites the files."""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, SourceInfo, Transaction
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.spec import build_encoder
from deltaforge.envelopes.spec import AnyEnvelope

GOLDEN = Path(__file__).parents[2] / "golden" / "envelopes"
COMMON = {"version": "deltaforge-0.1.0", "ts_ms": 1_700_000_000_123}
MYSQL = SourceInfo(
    **COMMON, connector="mysql", name="orders-db", db="shop", table="customers", server_id=1,
    gtid="3e11fa47-71ca-11e1-9e33-c80aa9429562:7", file="mysql-bin.000003", pos=12345, row=0,
)  # fmt: skip
POSTGRES = SourceInfo(
    **COMMON, connector="postgresql", name="users-pg", db="app", schema="public", table="users",
    lsn="0/16B6C50", txId=771,
)  # fmt: skip
SNAPSHOT = SourceInfo(
    **COMMON, connector="postgresql", name="users-pg", db="app", schema="public", table="users",
    snapshot="true", lsn="0/16B6C50",
)  # fmt: skip
ROW = {"id": 1, "name": "Alice"}
TIME = {"ts_ms": 1_700_000_000_123}
EVENTS = {
    "insert": ChangeEvent(
        before=None, after=ROW, source=MYSQL, op="c", **TIME, event_id="e1", tenant_id="acme",
        transaction=Transaction("3e11fa47-71ca-11e1-9e33-c80aa9429562:7"),
    ),
    "update": ChangeEvent(
        before={"id": 1, "name": None}, after={**ROW, "bio": UNCHANGED_TOAST}, source=POSTGRES, op="u", **TIME,
        event_id="e2", transaction=Transaction("771", 2, 1), tx_end=True,
    ),
    "delete": ChangeEvent(before=ROW, after=None, source=POSTGRES, op="d", **TIME, event_id="e3"),
    "snapshot": ChangeEvent(before=None, after=ROW, source=SNAPSHOT, op="r", **TIME, event_id="e4"),
    "truncate": ChangeEvent(
        before=None, after=None, source=POSTGRES, op="t", **TIME, event_id="e5",
        ddl={"sql": "TRUNCATE", "cascade": False, "restart_identity": True},
    ),
    "values": ChangeEvent(
        before=None, source=MYSQL, op="c", **TIME, event_id="e6",
        after={
            "u64": 2**64 - 1, "i64": -(2**63), "big": Decimal("12345678901234567890.123456789"), "huge": Decimal(2**70),
            "exp": Decimal("1E+400"), "dec": "12.30", "f": 0.1, "b": True, "bytes": {"_base64": "AP8="}, "nil": None,
            "text": 'line\nend\r\t"quoted" \\ \u2028 \x00 \x7f \u00fc \U0001f600', "doc": {"a": [1, {"b": []}]},
        },
    ),
    "everything": ChangeEvent(
        before=ROW, after=ROW, source=MYSQL, op="u", **TIME, transaction=Transaction("t"), event_id="e7",
        tenant_id="acme", schema_version="sha256:00", schema_sequence=0, ddl={}, trace_id="abc", tags=[],
        synthetic="outbox", tx_end=True,
    ),
}  # fmt: skip
ENVELOPES = {
    "native": "native",
    "debezium": {"type": "debezium"},
    "cloudevents": {"type": "cloudevents", "type_prefix": "com.acme.shop"},
    "cloudevents-nulls": {"type": "cloudevents", "type_prefix": "com.acme.shop", "include_nulls": True},
}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("event", EVENTS)
def test_the_bytes_are_those_of_the_golden_file(envelope, event):
    spec = TypeAdapter(AnyEnvelope).validate_python(ENVELOPES[envelope])
    value = build_encoder(spec, JsonEncodingSpec()).encode(EVENTS[event])
    path = GOLDEN / envelope / f"{event}.json"
    if os.environ.get("DELTAFORGE_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value + b"\n")
    assert value + b"\n" == path.read_bytes()
