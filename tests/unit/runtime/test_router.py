"""Where an event goes: by its table, its key or a column, and nothing else."""

import zlib
from functools import partial

import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.errors import SourceError
from deltaforge.core.event import ChangeEvent, SourceInfo
from deltaforge.core.positions import NOWHERE
from deltaforge.core.table import Column, TableId, TableSchema
from tests.routing import router_of

COUNT = 5
router = partial(router_of, COUNT)
ORDERS = TableSchema(TableId("d", None, "orders"), (Column("id", "int"), Column("buyer", "int")), ("id",))
LOG = TableSchema(TableId("d", None, "log"), (Column("text", "text"),))


def event(schema, op, before, after, connector="mysql"):
    source = SourceInfo(
        version="1", connector=connector, name="s", ts_ms=1, db=schema.table.db, table=schema.table.name
    )
    return ChangeEvent(before=before, after=after, source=source, op=op, ts_ms=1, schema=schema)


def crc(text):
    return zlib.crc32(text.encode()) % COUNT


def test_by_key_a_row_goes_by_its_message_key_and_a_changed_key_by_the_new_one():
    lane_of = router(mode="key").lane_of
    assert lane_of(event(ORDERS, "c", None, {"id": 7, "buyer": 1})) == crc('{"id":7}')
    assert lane_of(event(ORDERS, "u", {"id": 7, "buyer": 1}, {"id": 8, "buyer": 1})) == crc('{"id":8}')
    assert lane_of(event(ORDERS, "d", {"id": 7}, None)) == crc('{"id":7}')


def test_what_has_no_key_goes_by_table():
    for lane_of in (router(mode="key").lane_of, router(mode="table").lane_of, router(mode="key", key="buyer").lane_of):
        assert lane_of(event(LOG, "c", None, {"text": "x"})) == crc("d.log")
        assert lane_of(event(ORDERS, "t", None, None)) == crc("d.orders")
    assert router(mode="table").lane_of(event(ORDERS, "c", None, {"id": 7, "buyer": 1})) == crc("d.orders")


def test_by_a_column_rows_go_by_its_value():
    lane_of = router(mode="key", key="buyer").lane_of
    assert lane_of(event(ORDERS, "c", None, {"id": 7, "buyer": 41})) == crc("41")
    assert lane_of(event(ORDERS, "u", {"id": 7, "buyer": 41}, {"id": 7})) == crc("41")
    assert lane_of(event(ORDERS, "c", None, {"id": 7, "buyer": None})) == crc("null")


@pytest.mark.parametrize(
    ("connector", "op", "before", "after"),
    [("mysql", "d", {"id": 7}, None), ("postgresql", "c", None, {"id": 7, "buyer": 1})],
)
def test_a_column_that_the_log_does_not_always_hold_is_refused(connector, op, before, after):
    refusing = router(mode="key", key="buyer")
    batch = Batch([event(ORDERS, op, before, after, connector)], NOWHERE)
    with pytest.raises(SourceError, match=r"column buyer in every change of d\.orders"):
        refusing([("delivery", batch)])


def test_each_lane_gets_its_rows_in_order_and_an_empty_batch_where_it_has_none():
    rows = [event(ORDERS, "c", None, {"id": n, "buyer": 1}) for n in range(40)]
    batch = Batch([*rows, event(LOG, "c", None, {"text": "x"})], NOWHERE, byte_count=4100, is_tx_end=False)
    parts = router(mode="key")([("delivery", batch), ("delivery", Batch((), NOWHERE))])
    assert [key for key, _ in parts] == [f"delivery#{n}" for n in range(COUNT)] * 2
    for lane, (_, part) in enumerate(parts[:COUNT]):
        ids = [each.after["id"] for each in part.events() if "id" in each.after]
        assert ids == [n for n in range(40) if crc(f'{{"id":{n}}}') == lane]
        assert part.byte_count == 100 * part.event_count
        assert not part.is_tx_end
    assert sum(part.event_count for _, part in parts) == 41
