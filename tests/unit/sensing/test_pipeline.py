from datetime import UTC, datetime

import msgspec
import pytest

from deltaforge.core.errors import CheckpointError
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import WHOLE_ROW, EventSample
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.state import decode_sensing_state

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SCHEMA = TableSchema(TableId("shop", None, "orders"), (Column("doc", "text"),))


def sensing(**parts):
    return PipelineSensing(SchemaSensing(enabled=True, **parts))


def feed(pipeline, rows, columns=("doc",), table="orders"):
    totals = [len(rows) if c == WHOLE_ROW else sum(row.get(c) is not None for row in rows) for c in columns]
    sample = EventSample(rows, columns, totals, row_count=len(rows), max_depth=10)
    return pipeline.observe(table, columns, sample, NOW), sample


def test_rows_are_counted_per_table():
    pipeline = sensing()
    feed(pipeline, [{"doc": {}}, {"doc": None}])
    feed(pipeline, [{"x": 1}], (), table="other")
    assert (pipeline.seen("orders"), pipeline.seen("other"), pipeline.seen("none")) == (2, 1, 0)


@pytest.mark.parametrize(
    ("tables", "table", "is_taken"),
    [
        ({}, "orders", True),
        ({"include": ["orders"]}, "orders", True),
        ({"include": ["orders"]}, "order_items", False),
        ({"include": ["order%"]}, "order_items", True),
        ({"include": ["order*"]}, "orders", True),
        ({"include": ["*"], "exclude": ["orders"]}, "orders", False),
        ({"exclude": ["audit%"]}, "orders", True),
        ({"include": ["shop.orders"]}, "orders", True),
        ({"include": ["other.orders"]}, "orders", False),
    ],
)
def test_table_filter(tables, table, is_taken):
    pipeline = sensing(tables=tables)
    assert pipeline.asked(table, ["doc"], qualifier="shop") == (("doc",) if is_taken else ())
    assert pipeline.asked(table, None, qualifier="shop") == ((WHOLE_ROW,) if is_taken else ())


@pytest.mark.parametrize(
    ("columns", "asked"),
    [
        ({}, ("meta", "payload", "payload_old")),
        ({"include": ["payload%"]}, ("payload", "payload_old")),
        ({"include": ["payload*"], "exclude": ["payload_old"]}, ("payload",)),
    ],
)
def test_column_filter(columns, asked):
    pipeline = sensing(deep_inspect={"columns": columns})
    assert pipeline.asked("orders", ["meta", "payload", "payload_old"]) == asked


def test_nothing_is_asked_when_turned_off():
    assert PipelineSensing(SchemaSensing()).asked("orders", ["doc"]) == ()
    assert sensing(deep_inspect={"enabled": False}).asked("orders", ["doc"]) == ()


def test_version_is_of_the_key():
    pipeline = sensing()
    assert pipeline.version("orders") is None
    feed(pipeline, [{"id": 1}, {"id": 1, "b": 2}], (WHOLE_ROW,))
    fingerprint, sequence = pipeline.version("orders")
    assert fingerprint.startswith("sha256:")
    assert sequence == 2
    assert pipeline.version("orders", "doc") is None


def test_cache_counts_are_of_all_keys_of_a_table():
    pipeline = sensing()
    feed(pipeline, [{"a": {}, "b": {"x": 1}}] * 5, ("a", "b"))
    assert pipeline.cache_counts("orders") == (8, 2)
    assert pipeline.cache_counts("none") == (0, 0)


def test_everything_survives_saving():
    pipeline = sensing(tracking={"field_statistics": True})
    rows = [{"doc": {f"s{n}": n, "k": "ab"[n % 2]}, "note": None} for n in range(300)]
    evolutions, sample = feed(pipeline, rows)
    pipeline.drift.observe("orders", SCHEMA, sample, evolutions, checks_values=True)
    data = pipeline.to_bytes()
    restored = PipelineSensing.from_bytes(pipeline.settings, data)
    assert restored.to_bytes() == data
    assert restored.seen("orders") == 300
    assert restored.version("orders", "doc") == pipeline.version("orders", "doc")
    assert decode_sensing_state(data) == decode_sensing_state(restored.to_bytes())
    for one in (pipeline, restored):
        _, sample = feed(one, rows)
        one.drift.observe("orders", SCHEMA, sample, checks_values=True)
    assert restored.to_bytes() == pipeline.to_bytes()


def test_saved_bytes_follow_every_change():
    pipeline = sensing()
    feed(pipeline, [{"doc": {}}])
    pipeline.to_bytes()
    feed(pipeline, [{"doc": {}}])
    feed(pipeline, [{"doc": {}}], table="other")
    state = decode_sensing_state(pipeline.to_bytes())
    assert {table: known.keys["doc"].event_count for table, known in state.tables.items()} == {"orders": 2, "other": 1}


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xc1", msgspec.msgpack.encode({"tables": {}}), msgspec.msgpack.encode({"v": 1, "tables": 5})]
)
def test_damaged_state_is_a_clear_error(data):
    with pytest.raises(CheckpointError, match="cannot be read"):
        decode_sensing_state(data)


def test_state_of_a_newer_version_is_refused():
    with pytest.raises(CheckpointError, match="version 2"):
        decode_sensing_state(msgspec.msgpack.encode({"v": 2, "tables": "otherwise"}))


def test_names_that_are_not_unicode_can_be_saved():
    pipeline = sensing(tracking={"field_statistics": True})
    feed(pipeline, [{"doc": {"\ud800": "\ud801", "l": [{"\udfff": None}]}}] * 30)
    assert PipelineSensing.from_bytes(pipeline.settings, pipeline.to_bytes()).version("orders", "doc")
