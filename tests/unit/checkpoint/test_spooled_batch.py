"""What a batch on disk keeps: everything that a sink or a processor can see."""

import time
from decimal import Decimal

import msgspec
import pytest

from deltaforge.checkpoint import spooled_batch
from deltaforge.checkpoint.spooled_batch import decode_batch, encode_batch
from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.errors import RecordError, StorageError
from deltaforge.core.event import Routing, Transaction
from deltaforge.core.exact_number import WrittenNumber
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.positions import MysqlPosition, PostgresPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.testing.fakes import make_batch, make_chunk, make_event

OTHER = TableSchema(TableId("app", None, "o"), (Column("a", "json", nullable=False, default="1", extra="x"),), ("a",))
NATIVE = JsonEncoder(NativeEnvelope())


def no_table(*_):
    pytest.fail("no group has a captured table")


def again(batch):
    return decode_batch(encode_batch(batch, no_table), no_table)


def event_with(**fields):
    return msgspec.structs.replace(make_event(1, 16), **fields)


def test_every_field_of_an_event_is_kept():
    events = [
        event_with(
            before={
                "id": 1,
                "n": None,
                "t": "\u20ac\U0001f600",
                "f": -0.5,
                "b": True,
                "o": {"a": [1, {"_base64": "AA=="}]},
            },
            after=None,
            op="d",
            transaction=Transaction("9", 4, 5),
            zero_dates={"d": "2024-00-15"},
            event_id="e-1",
            tenant_id="acme",
            schema_version="sha256:1",
            schema_sequence=3,
            ddl={"sql": "TRUNCATE", "cascade": False},
            trace_id="t",
            tags=["a", "b"],
            synthetic="p",
            tx_end=True,
            routing=Routing("topic", "key", {"h": "1"}),
        ),
        event_with(schema=OTHER),
        event_with(schema=None, after=[1, "a list, as a logical message may hold"]),
        event_with(),
    ]
    assert again(Batch(events, PostgresPosition(1))).events() == events


@pytest.mark.parametrize(
    "position", [MysqlPosition("b.000001", 4, "u:1-5", "mariadb", "s"), PostgresPosition(2**63, 7, "6", 3)]
)
def test_what_a_batch_says_of_itself_is_kept(position):
    made = Batch([], position, is_tx_end=False, byte_count=2**40, received_at=time.monotonic() - 100)
    found = again(made)
    assert (found.position, found.is_tx_end, found.byte_count, found.event_count) == (position, False, 2**40, 0)
    assert found.received_at == pytest.approx(made.received_at, abs=1)
    assert again(Batch([], position)).received_at == 0.0


def test_a_part_of_a_large_transaction_has_its_own_end():
    cut = make_batch(1, event_count=5, is_tx_end=False)
    cut.events()[-1].tx_end = True
    parts = [again(cut.between(0, 2)), again(cut.between(2, 5))]
    assert [event for part in parts for event in part.events()] == cut.events()
    assert [part.groups[-1].tx_end for part in parts] == [False, True]


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        Decimal("1e400"),
        [WrittenNumber("1e400"), WrittenNumber("0.00000012345678901234567890")],
        [Decimal("12345678901234567890.123"), {"a": Decimal("-0")}],
        2**63,
        2**64 - 1,
        -(2**63),
        2**64,
        [-(2**63) - 1, 10**40],
        5e-324,
        {"": []},
        {1: "a number as a key"},
        [[[]]],
    ],
)
def test_values_are_exact(value):
    batch = Batch([event_with(after={"id": value}, before={"x": {"in": value}})], PostgresPosition(1))
    found = again(batch)
    assert repr(found.events()) == repr(batch.events())
    assert found.encoded(NATIVE)[0] == batch.encoded(NATIVE)[0]


@pytest.mark.parametrize("value", ["\ud800", {"a": "\udfff"}, {"\ud800": 1}, object(), [object()], {(1, 2): 3}])
def test_what_no_sink_can_encode_is_refused_by_the_sink_and_nothing_else(value):
    good = event_with(after={"id": Decimal("1.0")})
    found = again(Batch([good, event_with(after={"id": value, "b": 2}), good], PostgresPosition(1)))
    with pytest.raises(RecordError) as caught:
        found.encoded(NATIVE)
    assert caught.value.index == 1
    assert (found.events()[0], found.events()[1].after["b"], found.events()[2]) == (good, 2, good)


def test_a_deep_value_is_refused_by_the_sink():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    found = again(Batch([event_with(after={"id": deep})], PostgresPosition(1)))
    with pytest.raises(RecordError):
        found.encoded(NATIVE)


@pytest.mark.parametrize("levels", [100, 400, 800])
def test_a_deep_document_is_the_same_again(levels):
    document = parse_json_exact('{"a":[1,' * (levels // 2) + "12345678901234567890.25" + "]}" * (levels // 2))
    batch = Batch([event_with(after={"id": 1, "doc": document})], PostgresPosition(1))
    found = again(batch)
    assert list(found.encoded(NATIVE)) == list(batch.encoded(NATIVE))
    assert found.events() == batch.events()


@pytest.mark.parametrize(
    "data", [b"\x91" * 10_000, b"\xc7\x01\x01x", b"\xc7\x01\x09x", b"\x81\x80\x01", b"\xc7\x01\x05x"]
)
def test_values_that_are_none_are_refused(data):
    event = msgspec.msgpack.decode(encode_batch(make_batch(1), no_table))
    event[5][0][2][0][0] = msgspec.Raw(data)
    with pytest.raises(StorageError, match="cannot be read"):
        decode_batch(msgspec.msgpack.encode(event), no_table)


def test_not_a_number_is_written_as_before():
    batch = Batch([event_with(after={"id": float("nan"), "x": [float("-inf")]})], PostgresPosition(1))
    assert again(batch).encoded(NATIVE)[0] == batch.encoded(NATIVE)[0]


def test_a_field_that_is_not_plain_data_stops_with_an_error():
    with pytest.raises(StorageError, match="not plain data"):
        again(Batch([event_with(trace_id="\ud800")], PostgresPosition(1)))


def test_each_table_definition_is_written_once():
    copies = [msgspec.structs.replace(OTHER) for _ in range(50)]
    sizes = [
        len(encode_batch(Batch([event_with(schema=schema) for schema in schemas], PostgresPosition(1)), no_table))
        for schemas in (copies, [OTHER] * 50)
    ]
    assert sizes[0] == sizes[1]
    groups = [DecodedGroup([event_with(schema=schema)]) for schema in copies]
    found = again(Batch.of_groups(groups, PostgresPosition(1))).events()
    assert all(event.schema is found[0].schema for event in found)


def test_a_chunk_says_which_it_is_and_a_batch_of_the_log_is_what_it_always_was():
    made = make_chunk(7, first=70, event_count=2, sinks=("k",))
    found = again(made)
    assert (found.chunk, found.events()) == (made.chunk, made.events())
    assert len(msgspec.msgpack.decode(encode_batch(make_batch(1), no_table))) == 6
    assert again(make_batch(1)).chunk is None


def test_every_cut_is_refused():
    data = encode_batch(make_batch(1, event_count=2), no_table)
    for size in range(len(data)):
        with pytest.raises(StorageError):
            decode_batch(data[:size], no_table)


def test_another_version_is_named():
    data = msgspec.msgpack.encode([2, "a record of a later version", {}])
    with pytest.raises(StorageError, match=r"version 2, expected 1 \(run the version of deltaforge that wrote it"):
        decode_batch(data, no_table)


def test_log_bytes_without_a_kernel_name_the_remedy(monkeypatch):
    monkeypatch.setattr(spooled_batch, "compiled", None)
    rows = spooled_batch.SpooledRows([0], b"")
    record = spooled_batch.SpooledBatch(1, b'{"type":"postgres","lsn":1}', True, 0, None, [rows])
    with pytest.raises(StorageError, match="run with the compiled kernel, or reset the checkpoint of the sink"):
        decode_batch(msgspec.msgpack.encode(record), no_table)


def test_an_event_of_an_unknown_table_definition_is_refused():
    record = msgspec.msgpack.decode(encode_batch(make_batch(1), no_table))
    record[5][0][1] = []
    with pytest.raises(StorageError, match="table definition 0 of 0"):
        decode_batch(msgspec.msgpack.encode(record), no_table)
