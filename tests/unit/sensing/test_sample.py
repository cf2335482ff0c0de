import pytest

from deltaforge.core.event import ChangeEvent, SourceInfo
from deltaforge.sensing.sample import WHOLE_ROW, is_sampled, sample_of_events
from deltaforge.sensing.structure import ABSENT, signature, structure_hash

SOURCE = SourceInfo(version="1", connector="mysql", name="s", ts_ms=0, db="shop", table="orders")


def event(after):
    return ChangeEvent(before=None, after=after, source=SOURCE, op="c", ts_ms=0)


def sample(rows, columns=("doc",), *, seen=0, warmup=1000, rate=10, max_depth=10):
    return sample_of_events(list(map(event, rows)), columns, seen=seen, warmup=warmup, rate=rate, max_depth=max_depth)


def test_rows_without_an_after_image_do_not_count():
    found = sample([{"doc": {}}, None, {"doc": None}])
    assert (found.row_count, found.sampled_count, found.totals) == (2, 2, [1])


def test_nulls_and_missing_values_are_absent():
    found = sample([{"doc": {"a": 1}}, {"doc": None}, {"id": 1}])
    assert found.structures(0) == [structure_hash({"a": 1}, 10), ABSENT, ABSENT]


def test_warmup_counts_rows_of_earlier_samples():
    rows = [{"id": n, "doc": {}} for n in range(25)]
    found = sample(rows, seen=5, warmup=10, rate=10)
    assert [found.after(n)["id"] for n in range(found.sampled_count)] == [0, 1, 2, 3, 4, 5, 15]
    assert found.totals == [25]


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_how_rows_are_grouped_does_not_change_which_are_sampled(cut):
    rows = [{"id": n} for n in range(40)]
    whole = sample(rows, (), warmup=3, rate=7)
    ids, seen = [], 0
    for start in range(0, 40, cut):
        part = sample(rows[start : start + cut], (), seen=seen, warmup=3, rate=7)
        ids += [part.after(n)["id"] for n in range(part.sampled_count)]
        seen += part.row_count
    assert ids == [whole.after(n)["id"] for n in range(whole.sampled_count)]
    assert ids == [n for n in range(40) if is_sampled(n, 3, 7)]


def test_whole_rows_can_be_asked_for():
    rows = [{"id": 1, "doc": None}, {"id": 2}]
    found = sample(rows, (WHOLE_ROW,))
    assert found.totals == [2]
    assert found.structures(0) == [structure_hash(row, 10) for row in rows]
    assert found.signatures == list(map(signature, rows))
