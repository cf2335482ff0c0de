from datetime import UTC, datetime

from deltaforge.sensing.field_list import add_statistics, field_rows
from deltaforge.sensing.keys import DynamicKeys
from deltaforge.sensing.sample import EventSample
from deltaforge.sensing.sensor import Sensor
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.shape import collapsed, learned


def shape_of(*seen):
    shape = None
    for value in seen:
        shape = learned(shape, value, 10)
    return shape


def test_rows_of_the_contract():
    shape = shape_of(
        {"id": 1, "metadata": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, "tags": ["x"]},
        {"id": 2, "metadata": None},
    )
    assert field_rows(shape) == [
        {"name": "id", "types": ["integer"], "nullable": False, "optional": False},
        {"name": "metadata", "types": ["object"], "nullable": True, "optional": False, "nested_field_count": 5},
        {"name": "tags", "types": ["array"], "nullable": False, "optional": True, "array_element_types": ["string"]},
    ]


def test_union_is_one_entry_per_type():
    rows = field_rows(shape_of({"a": 1}, {"a": "x"}, {"a": None}))
    assert rows[0]["types"] == ["integer", "string"]
    assert field_rows(shape_of({"a": None}))[0]["types"] == ["null"]


def test_empty_arrays_have_no_element_types_and_null_elements_are_named():
    assert "array_element_types" not in field_rows(shape_of({"l": []}))[0]
    assert field_rows(shape_of({"l": [None, 1]}))[0]["array_element_types"] == ["null", "integer"]


def test_depth_adds_dotted_rows():
    shape = shape_of({"o": {"tags": ["x"], "p": {"q": 1}}, "items": [{"sku": "a"}]})
    assert [row["name"] for row in field_rows(shape, 2)] == ["o", "o.tags", "o.p", "items", "items[].sku"]
    assert [row["name"] for row in field_rows(shape, 3)] == ["o", "o.tags", "o.p", "o.p.q", "items", "items[].sku"]


def test_dynamic_keys_are_one_row():
    dynamic = DynamicKeys(frozenset({"id"}))
    shape = collapsed(shape_of({"id": 1, "s1": {"n": 1}}, {"id": 1, "s2": {"n": 1}}), dynamic)
    assert [row["name"] for row in field_rows(shape, 2)] == ["id", "<*>", "<*>.n"]
    assert field_rows(shape)[1] == {
        "name": "<*>",
        "types": ["object"],
        "nullable": False,
        "optional": True,
        "nested_field_count": 1,
    }


def test_values_that_are_arrays_list_their_elements():
    assert [row["name"] for row in field_rows(shape_of([{"a": 1}]), 2)] == ["[]", "[].a"]
    assert field_rows(shape_of("x")) == []


def test_facts_are_added_where_there_are_any():
    settings = SchemaSensing(enabled=True, tracking={"field_statistics": True})
    sensor = Sensor("t", "doc", settings)
    rows = [{"doc": {"n": n, "s": "ab"[n % 2], "z": None if n % 4 else True}} for n in range(40)]
    sensor.observe(EventSample(rows, ("doc",), [40], row_count=40, max_depth=10), 0, datetime.now(UTC))
    found = field_rows(sensor.state.shape)
    add_statistics(found, sensor.state)
    by_name = {row["name"]: row for row in found}
    assert by_name["z"]["null_rate"] == 0.75
    assert by_name["s"]["enum_values"] == ["a", "b"]
    assert (by_name["n"]["minimum"], by_name["n"]["maximum"]) == (0, 39)
    assert abs(by_name["n"]["cardinality"] - 40) <= 2
    assert (by_name["s"]["min_length"], by_name["s"]["max_length"]) == (1, 1)
    assert "enum_values" not in by_name["n"]
