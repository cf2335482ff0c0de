from datetime import UTC, datetime

import pytest

from deltaforge.core.event import UNCHANGED_TOAST
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sensing.drift import PipelineDrift
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import EventSample
from deltaforge.sensing.settings import SchemaSensing

SCHEMA = TableSchema(
    TableId("shop", None, "orders"),
    (
        Column("id", "bigint", nullable=False),
        Column("amount", "decimal(10,2)", nullable=False),
        Column("note", "text"),
        Column("level", "tinyint unsigned"),
        Column("doc", "json"),
    ),
    ("id",),
)
GOOD = {"id": 1, "amount": "99.99", "note": None, "level": 3, "doc": {"a": 1}}


class CountingSample(EventSample):
    def __init__(self, rows):
        super().__init__(rows, (), [], row_count=len(rows), max_depth=10)
        self.decoded = []

    def after(self, row):
        self.decoded.append(row)
        return super().after(row)


class Watcher:
    def __init__(self):
        self.states = {}
        self.drift = PipelineDrift(self.states)

    def feed(self, *rows, schema=SCHEMA, **options):
        self.sample = CountingSample(list(rows))
        return self.drift.observe("orders", schema, self.sample, **options)

    @property
    def state(self):
        return self.states["orders"]

    def record(self, column, kind):
        return self.state.records[column][kind]


def test_good_rows_are_no_drift_and_only_counted():
    watcher = Watcher()
    assert watcher.feed(*[GOOD] * 100) == []
    assert (watcher.state.events_analyzed, watcher.state.events_with_drift, watcher.state.records) == (100, 0, {})
    assert watcher.sample.decoded == [0]
    watcher.feed(*[GOOD] * 100)
    assert watcher.sample.decoded == []
    assert not watcher.drift.has_drift("orders")


def test_null_in_a_not_null_column():
    watcher = Watcher()
    (first,) = watcher.feed(GOOD, {**GOOD, "amount": None}, {**GOOD, "amount": None})
    assert (first.table, first.column, first.kind) == ("orders", "amount", "unexpected_null")
    record = watcher.record("amount", "unexpected_null")
    assert (record.expected_type, record.observed_types) == ("NOT NULL", ["NULL"])
    assert (record.count, record.examples) == (2, ["null"])
    assert (watcher.state.events_analyzed, watcher.state.events_with_drift) == (3, 2)
    assert watcher.state.null_rates() == {"amount": 0.666667}


def test_high_null_list_leaves_out_a_rare_null():
    watcher = Watcher()
    watcher.feed({**GOOD, "amount": None}, *[GOOD] * 1500)
    assert watcher.state.null_counts == {"amount": 1}
    assert watcher.state.null_rates() == {}


def test_wrong_kind_of_a_processor():
    watcher = Watcher()
    (first,) = watcher.feed(GOOD, {**GOOD, "id": "7"}, {**GOOD, "id": 7.5}, checks_values=True)
    assert (first.kind, first.expected_type, first.observed_type) == ("type_mismatch", "bigint", "string")
    record = watcher.record("id", "type_mismatch")
    assert (record.count, record.observed_types, record.examples) == (2, ["string", "number"], ['"7"', "7.5"])


def test_columns_that_a_processor_added_and_removed():
    watcher = Watcher()
    row = {"extra": [1]} | {name: value for name, value in GOOD.items() if name != "level"}
    found = watcher.feed(row, row, checks_values=True)
    assert [(drift.column, drift.kind) for drift in found] == [
        ("extra", "undeclared_column"),
        ("level", "missing_column"),
    ]
    assert watcher.record("extra", "undeclared_column").examples == ["[1]"]
    missing = watcher.record("level", "missing_column")
    assert (missing.expected_type, missing.observed_types, missing.examples) == ("tinyint unsigned", ["missing"], [])
    assert watcher.state.events_with_drift == 2, "events, not kinds"


def test_partial_image_of_the_log_is_no_drift():
    watcher = Watcher()
    assert watcher.feed({"id": 1, "amount": "1.00"}) == []


def test_values_outside_the_declared_range():
    watcher = Watcher()
    watcher.feed({**GOOD, "level": 256}, {**GOOD, "amount": "123456789.00"}, GOOD, checks_values=True)
    assert watcher.record("level", "value_out_of_range").examples == ["256"]
    assert watcher.record("amount", "value_out_of_range").examples == ['"123456789.00"']
    assert watcher.state.events_with_drift == 2


def test_changed_shape_of_a_json_column():
    sensing = PipelineSensing(SchemaSensing(enabled=True, high_cardinality={"min_events": 1}))
    rows = [GOOD, GOOD, {**GOOD, "doc": {"a": 1, "b": 2}}, {**GOOD, "amount": None, "doc": {"c": 1}}]
    sample = EventSample(rows, ("doc",), [4], row_count=4, max_depth=10)
    evolutions = sensing.observe("orders", ("doc",), sample, datetime.now(UTC))
    found = sensing.drift.observe("orders", SCHEMA, sample, evolutions)
    assert {drift.kind for drift in found} == {"unexpected_null", "json_structure_change"}
    state = sensing.drift._states["orders"]
    record = state.records["doc"]["json_structure_change"]
    assert (record.expected_type, record.observed_types, record.count) == ("json", ["object"], 2)
    assert record.examples == ['{"a":1,"b":2}', '{"c":1}']
    assert state.events_with_drift == 2, "the last row drifts in two ways but is one event"


@pytest.mark.parametrize("checks_values", [True, False])
def test_toast_markers_are_no_drift(checks_values):
    watcher = Watcher()
    rows = [{**GOOD, "note": UNCHANGED_TOAST}] * 50
    assert watcher.feed(*rows, checks_values=checks_values) == []
    assert checks_values or watcher.sample.decoded == [0]


def test_at_most_5_examples_of_100_characters():
    watcher = Watcher()
    rows = [{**GOOD, "id": "x" * (n + 95)} for n in range(10)]
    watcher.feed(*rows, checks_values=True)
    examples = watcher.record("id", "type_mismatch").examples
    assert len(examples) == 5
    assert max(map(len, examples)) == 100
    assert examples[0] == '"' + "x" * 95 + '"'


def test_known_drift_is_counted_without_decoding_once_there_are_examples():
    watcher = Watcher()
    rows = [{**GOOD, "new": n} for n in range(20)]
    watcher.feed(*rows)
    assert watcher.record("new", "undeclared_column").examples == ["0", "1", "2", "3", "4"]
    assert watcher.feed(*rows) == []
    assert watcher.sample.decoded == []
    assert watcher.record("new", "undeclared_column").count == 40


def test_first_occurrence_is_told_once_for_each_kind():
    watcher = Watcher()
    assert len(watcher.feed({**GOOD, "id": "7"}, checks_values=True)) == 1
    assert watcher.feed({**GOOD, "id": "8"}, checks_values=True) == []
    assert len(watcher.feed({**GOOD, "id": None}, checks_values=True)) == 1


def test_rows_are_compared_with_the_version_they_were_written_under():
    watcher = Watcher()
    altered = TableSchema(SCHEMA.table, (*SCHEMA.columns, Column("added", "int")), ("id",))
    assert watcher.feed(GOOD) == []
    assert watcher.feed({**GOOD, "added": 1}, schema=altered) == []
    assert len(watcher.feed({**GOOD, "added": 1}, schema=SCHEMA)) == 1


def test_column_names_without_end_are_bounded():
    watcher = Watcher()
    watcher.feed(*({**GOOD, f"n{n}\ud800": 1} for n in range(1500)), checks_values=True)
    assert len(watcher.state.records) == 1000
    assert watcher.state.events_with_drift == 1500
    assert watcher.drift.encoded(["orders"])


def test_values_without_json_text_still_make_an_example():
    watcher = Watcher()
    watcher.feed({**GOOD, "id": "\ud800"}, checks_values=True)
    assert watcher.record("id", "type_mismatch").examples == [r'''"'\\ud800'"''']
    assert watcher.drift.encoded(["orders"])


def test_an_example_that_cannot_be_written_is_described():
    deep = []
    for _ in range(5000):
        deep = [deep]
    watcher = Watcher()
    watcher.feed({**GOOD, "level": deep}, {**GOOD, "level": 10**5000}, checks_values=True)
    assert watcher.record("level", "type_mismatch").examples == ["[array: nested too deeply]"]
    (example,) = watcher.record("level", "value_out_of_range").examples
    assert example.startswith("[integer: ")


def test_empty_sample_creates_nothing():
    watcher = Watcher()
    assert watcher.feed() == []
    assert watcher.states == {}


def test_shape_that_is_still_being_learned_is_no_drift():
    settings = SchemaSensing(enabled=True, high_cardinality={"min_events": 10})
    sensing = PipelineSensing(settings)
    schema = TableSchema(TableId("d", None, "t"), (Column("doc", "json"),))

    def feed(documents):
        rows = [{"doc": document} for document in documents]
        sample = EventSample(rows, ("doc",), [len(rows)], row_count=len(rows), max_depth=10)
        evolutions = sensing.observe("t", ("doc",), sample, datetime(2026, 1, 1, tzinfo=UTC))
        return evolutions, sensing.drift.observe("t", schema, sample, evolutions)

    evolutions, drift = feed([{"a": 1}, {"a": 1, "b": 2}])
    assert (len(evolutions), drift) == (1, [])
    feed([{"a": 1}] * 10)
    evolutions, drift = feed([{"a": 1, "c": 2}])
    assert (len(evolutions), [found.kind for found in drift]) == (1, ["json_structure_change"])
