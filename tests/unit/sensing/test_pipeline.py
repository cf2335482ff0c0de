from datetime import UTC, datetime

import msgspec
import pytest

from deltaforge.core.errors import CheckpointError
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sensing import pipeline as module
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import WHOLE_ROW, EventSample
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.state import SHARDS, SensingState, TableState, decode_sensing_state, merged, shard_of

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
    data = pipeline.pipeline_bytes()
    restored = PipelineSensing(pipeline.settings, decode_sensing_state(data))
    assert restored.pipeline_bytes() == data
    assert restored.seen("orders") == 300
    assert restored.version("orders", "doc") == pipeline.version("orders", "doc")
    assert decode_sensing_state(data) == decode_sensing_state(restored.pipeline_bytes())
    for one in (pipeline, restored):
        _, sample = feed(one, rows)
        one.drift.observe("orders", SCHEMA, sample, checks_values=True)
    assert restored.pipeline_bytes() == pipeline.pipeline_bytes()


def test_saved_bytes_follow_every_change():
    pipeline = sensing()
    feed(pipeline, [{"doc": {}}])
    pipeline.pipeline_bytes()
    feed(pipeline, [{"doc": {}}])
    feed(pipeline, [{"doc": {}}], table="other")
    state = decode_sensing_state(pipeline.pipeline_bytes())
    assert {table: known.keys["doc"].event_count for table, known in state.tables.items()} == {"orders": 2, "other": 1}


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xc1", msgspec.msgpack.encode({"tables": {}}), msgspec.msgpack.encode({"v": 1, "tables": 5})]
)
def test_damaged_state_is_a_clear_error(data):
    with pytest.raises(CheckpointError, match="cannot be read"):
        decode_sensing_state(data)


def test_state_of_a_newer_version_is_refused():
    with pytest.raises(CheckpointError, match="version 3"):
        decode_sensing_state(msgspec.msgpack.encode({"v": 3, "tables": "otherwise"}))


def test_names_that_are_not_unicode_can_be_saved():
    pipeline = sensing(tracking={"field_statistics": True})
    feed(pipeline, [{"doc": {"\ud800": "\ud801", "l": [{"\udfff": None}]}}] * 30)
    assert PipelineSensing(pipeline.settings, decode_sensing_state(pipeline.pipeline_bytes())).version("orders", "doc")


def test_shards_and_the_rest_are_everything_and_each_table_is_saved_once():
    whole = sensing()
    for number in range(300):
        feed(whole, [{"doc": {}}] * (number + 1), table=f"t{number}")
    saved = [whole.pipeline_bytes(range(SHARDS)), *map(whole.shard_bytes, range(SHARDS))]
    states = [decode_sensing_state(data) for data in saved]
    assert sum(len(state.tables) for state in states) == 300
    assert {name: shard_of(name) for state in states[1:] for name in state.tables} == {
        name: number for number, state in enumerate(states[1:]) for name in state.tables
    }
    assert merged(states).tables == decode_sensing_state(whole.pipeline_bytes()).tables


def test_tables_whose_shard_is_saved_elsewhere_are_saved_with_the_pipeline():
    pipeline = sensing()
    feed(pipeline, [{"doc": {}}], table="here")
    feed(pipeline, [{"doc": {}}], table="there")
    assert [*decode_sensing_state(pipeline.pipeline_bytes({shard_of("here")})).tables] == ["there"]


def test_state_of_one_piece_is_read_as_it_was_written():
    pipeline = sensing()
    feed(pipeline, [{"doc": {}}])
    parts = msgspec.msgpack.decode(pipeline.pipeline_bytes())
    old = msgspec.msgpack.encode({**parts, "v": 1})
    assert merged([decode_sensing_state(old)]).tables == decode_sensing_state(pipeline.pipeline_bytes()).tables


def test_of_two_states_of_a_table_the_one_that_counted_more_holds():
    few, many = (SensingState(tables={"t": TableState(row_count=count)}) for count in (3, 8))
    assert merged([few, many]).tables["t"].row_count == merged([many, few]).tables["t"].row_count == 8


def test_the_table_of_which_nothing_was_read_for_longest_gives_way(monkeypatch):
    monkeypatch.setattr(module, "MAX_TABLES", 3)
    pipeline = sensing()
    for table in ("a", "b", "c", "a", "d"):
        _, sample = feed(pipeline, [{"doc": {}}], table=table)
        pipeline.drift.observe(table, SCHEMA, sample)
    assert pipeline.tables() == ["c", "a", "d"]
    state = decode_sensing_state(pipeline.pipeline_bytes())
    assert (sorted(state.tables), sorted(state.drift), state.tables["a"].row_count) == (
        ["a", "c", "d"],
        ["a", "c", "d"],
        2,
    )


def test_tables_of_one_name_share_a_shard():
    assert shard_of("shop.orders") == shard_of("orders") == shard_of("other.orders")
