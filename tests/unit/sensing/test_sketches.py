import msgspec
import pytest

from deltaforge.sensing.sketches import HyperLogLog, KeySketch

SIZES = (50, 12, 50)


def sketch(objects, *, sizes=SIZES, weight=1):
    found = KeySketch()
    for names in objects:
        found.add(names, weight, sizes)
    return found


@pytest.mark.parametrize("count", [1, 100, 5_000, 12_000, 100_000])
def test_estimate_is_within_five_standard_errors(count):
    counter = HyperLogLog.empty(12)
    for number in range(count):
        counter.add(f"session-{number}")
    assert abs(counter.estimate() - count) <= max(1, 5 * 0.0163 * count)


def test_a_name_counts_once():
    counter = HyperLogLog.empty(8)
    for _ in range(1000):
        counter.add("id")
    assert counter.estimate() == 1


def test_few_names_are_counted_exactly_and_cheaply():
    found = sketch([["id", "name"], ["id"], ["id", "email"]], weight=5)
    assert found.guaranteed() == {"id": 15, "name": 5, "email": 5}
    assert found.distinct_count() == 3
    assert found.distinct is None
    assert found.examples == []


def test_frequent_names_stay_among_many_rare_ones():
    found = sketch([["id", "kind", f"s{n}", f"t{n}"] for n in range(5000)])
    assert found.counts["id"] == found.counts["kind"] == 5000
    guaranteed = found.guaranteed()
    assert guaranteed["id"] == 5000
    assert max(count for name, count in guaranteed.items() if name not in ("id", "kind")) < 500
    assert abs(found.distinct_count() - 10_002) < 800
    assert len(found.counts) == 50
    assert len(found.examples) == 50


def test_objects_wider_than_the_room_keep_their_stable_names():
    found = sketch([["id", *(f"s{n}-{k}" for k in range(80))] for n in range(200)])
    assert found.guaranteed()["id"] == 200


def test_wide_plain_objects_are_counted_exactly():
    names = [f"column_{n}" for n in range(300)]
    found = sketch([names] * 20)
    assert found.distinct_count() == 300
    assert set(found.guaranteed().values()) == {20}


def test_equal_input_gives_equal_state():
    objects = [[f"s{n % 700}", "id"] for n in range(3000)]
    assert msgspec.msgpack.encode(sketch(objects)) == msgspec.msgpack.encode(sketch(objects))


def test_state_survives_saving():
    found = sketch([["id", f"s{n}"] for n in range(300)])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=KeySketch) == found


def test_examples_are_of_the_whole_stream():
    found = sketch([[f"s{n}"] for n in range(20_000)])
    numbers = sorted(int(name[1:]) for name in found.examples)
    assert numbers[10] < 10_000 < numbers[-10]
