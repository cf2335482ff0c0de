from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deltaforge.core.event import UNCHANGED_TOAST
from deltaforge.sensing.sample import WHOLE_ROW, EventSample
from deltaforge.sensing.sensor import KeyState, Sensor
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.structure import NOT_HASHED

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def settings(**parts):
    return SchemaSensing(enabled=True, **parts)


class CountingSample(EventSample):
    """Knows which rows were decoded; ``hashes`` stand for those of a kernel."""

    hashes = None

    def __init__(self, values, *, total=None):
        rows = [{"doc": value} for value in values]
        given = sum(value is not None for value in values) if total is None else total
        super().__init__(rows, ("doc",), [given], row_count=len(rows), max_depth=10)
        self.decoded = []

    def structures(self, column):
        return super().structures(column) if self.hashes is None else self.hashes

    def after(self, row):
        self.decoded.append(row)
        return super().after(row)


class Learner:
    """A sensor that is fed value by value, or in batches."""

    def __init__(self, **parts):
        self.sensor = Sensor("orders", "doc", settings(**parts))
        self.state = self.sensor.state

    def feed(self, *values, now=NOW, total=None):
        self.sample = CountingSample(values, total=total)
        return self.sensor.observe(self.sample, 0, now)


PLAIN = {"id": 1, "tags": ["a"], "address": {"city": "x", "zip": None}}


def test_first_value_is_version_1_and_no_evolution():
    learner = Learner()
    assert learner.feed(PLAIN) == []
    assert (learner.state.event_count, learner.state.sequence) == (1, 1)
    assert learner.state.fingerprint.startswith("sha256:")


def test_evolution_tells_old_and_new_fingerprint():
    learner = Learner()
    learner.feed({"a": 1})
    old = learner.state.fingerprint
    (evolution,) = learner.feed({"a": 1}, {"a": 1, "b": 2})
    assert (evolution.key, evolution.row, evolution.sequence) == ("orders:doc", 1, 2)
    assert (evolution.old_fingerprint, evolution.new_fingerprint) == (old, learner.state.fingerprint)
    assert old != learner.state.fingerprint


def test_several_evolutions_in_one_sample_are_told_one_by_one():
    learner = Learner()
    assert [e.sequence for e in learner.feed({"a": 1}, {"b": 1}, {"a": 1}, {"c": 1})] == [2, 3]


def test_every_value_counts_sampled_or_not_and_nulls_do_not():
    learner = Learner()
    learner.feed(PLAIN, None, total=17)
    learner.feed(None, None)
    assert learner.state.event_count == 17
    assert learner.state.sequence == 1


def test_first_and_last_seen_are_of_values_not_of_samples():
    learner = Learner()
    learner.feed(None)
    assert learner.state.first_seen is None
    learner.feed(PLAIN, now=NOW)
    learner.feed(PLAIN, now=NOW + timedelta(seconds=5))
    learner.feed(None, now=NOW + timedelta(seconds=9))
    assert (learner.state.first_seen, learner.state.last_seen) == (NOW, NOW + timedelta(seconds=5))


def test_known_structures_are_never_decoded_once_the_key_is_plain():
    learner = Learner()
    learner.feed(*[PLAIN] * 300)
    assert learner.state.tracker is None
    learner.feed(*[PLAIN] * 500)
    assert learner.sample.decoded == []
    assert (learner.state.cache_hits, learner.state.cache_misses) == (799, 1)


def test_new_structure_is_found_after_stabilization():
    learner = Learner()
    learner.feed(*[PLAIN] * 2000)
    assert learner.sensor.is_stabilized
    assert len(learner.feed(*[PLAIN] * 50, {**PLAIN, "tags": [1]})) == 1
    assert learner.sample.decoded == [50]


def test_stabilization_can_be_turned_off():
    learner = Learner(deep_inspect={"max_sample_size": 0})
    learner.feed(*[PLAIN] * 5000)
    assert not learner.sensor.is_stabilized


def test_nested_change_of_type_is_an_evolution():
    learner = Learner()
    learner.feed(*[PLAIN] * 10)
    assert len(learner.feed({**PLAIN, "address": {"city": "x", "zip": "10115"}})) == 1


def test_cache_is_cleared_on_evolution_and_bounded():
    learner = Learner(sampling={"structure_cache_size": 3}, high_cardinality={"enabled": False})
    everything = {"a": 1, "b": 1, "c": 1, "d": 1}
    learner.feed(everything, {"a": 1}, {"b": 1}, {"c": 1}, {"d": 1})
    assert learner.state.sequence == 3, "b, c and d become optional at once, then a"
    for name in "abcd":
        learner.feed({name: 1})
    assert len(learner.state.structures) == 3
    before = learner.state.cache_misses
    learner.feed({"a": 1, "b": 1}, {"a": 1, "b": 1})
    assert learner.state.cache_misses == before + 2, "a full cache only looks up"


def test_without_cache_every_sampled_value_is_learned():
    learner = Learner(sampling={"structure_cache": False})
    learner.feed(*[PLAIN] * 300)
    assert len(learner.sample.decoded) == 300
    assert (learner.state.cache_hits, learner.state.cache_misses, learner.state.sequence) == (0, 0, 1)


def test_values_that_were_not_hashed_are_looked_at():
    learner = Learner(high_cardinality={"enabled": False})
    learner.feed(PLAIN)
    learner.sample = CountingSample([PLAIN, {"new": 1}, None, UNCHANGED_TOAST])
    learner.sample.hashes = [NOT_HASHED] * 4
    assert len(learner.sensor.observe(learner.sample, 0, NOW)) == 1
    assert (learner.state.cache_hits, learner.state.cache_misses) == (1, 2)


def test_toast_marker_teaches_nothing():
    learner = Learner()
    learner.feed(PLAIN)
    assert learner.feed(UNCHANGED_TOAST, PLAIN) == []
    assert learner.state.event_count == 3


def test_max_depth_is_honoured():
    learner = Learner(deep_inspect={"max_depth": 1})
    learner.feed({"a": {"b": 1}})
    learner.sensor.observe(EventSample([{"doc": {"a": [1]}}], ("doc",), [1], row_count=1, max_depth=1), 0, NOW)
    assert learner.state.sequence == 1


def test_whole_rows_are_sensed_under_the_table():
    sensor = Sensor("orders", WHOLE_ROW, settings())
    rows = [{"id": 1}, {"id": 1, "note": "x"}]
    (evolution,) = sensor.observe(EventSample(rows, (WHOLE_ROW,), [2], row_count=2, max_depth=10), 0, NOW)
    assert (evolution.key, sensor.state.event_count) == ("orders", 2)


def test_a_million_plain_values_never_evolve():
    shapes = [PLAIN, {**PLAIN, "tags": []}, {**PLAIN, "address": None}, {"id": 5, "tags": ["b"] * 3}]
    learner = Learner()
    learner.feed(*shapes)
    sequence = learner.state.sequence
    sample = CountingSample(shapes * 250)
    sample.hashes = sample.structures(0)
    for _ in range(1000):
        assert learner.sensor.observe(sample, 0, NOW) == []
    assert learner.state.sequence == sequence
    assert learner.state.event_count == 1_000_004
    assert learner.state.cache_hits > 999_000


DYNAMIC = {
    "the root": lambda n: {f"s{n}": {"at": n, "by": "x"}},
    "a nested object": lambda n: {"id": n, "sessions": {f"s{n}": 1, "total": 2}},
    "objects in arrays": lambda n: {"id": n, "l": [{f"s{n}": 1}]},
    "two levels": lambda n: {f"u{n}": {f"v{n}": 1}},
    "one value in ten": lambda n: {"id": n, "m": {f"s{n}": 1} if n % 10 == 0 else {}},
}


@pytest.mark.parametrize("place", DYNAMIC)
def test_dynamic_keys_hardly_ever_evolve(place):
    learner, evolutions, count = Learner(), 0, 100_000 if place == "the root" else 8000
    for start in range(0, count, 1000):
        evolutions += len(learner.feed(*map(DYNAMIC[place], range(start, start + 1000))))
    assert evolutions < count / 100
    assert evolutions <= 45
    assert learner.state.event_count == count
    late = learner.feed(*map(DYNAMIC[place], range(count, count + 1000)))
    assert late == []


def test_dynamic_keys_hit_the_cache_and_few_are_decoded_once_stabilized():
    learner = Learner()
    for start in range(0, 10_000, 1000):
        learner.feed(*map(DYNAMIC["the root"], range(start, start + 1000)))
    assert len(learner.sample.decoded) < 100
    state = learner.state
    assert state.cache_hits > 30 * state.cache_misses
    assert "<*>" in state.judged_paths()


def test_evolution_below_dynamic_keys_is_still_seen():
    learner = Learner()
    for start in range(0, 3000, 1000):
        learner.feed(*map(DYNAMIC["the root"], range(start, start + 1000)))
    changed = [{f"t{n}": {"at": n, "by": "x", "why": "y"}} for n in range(200)]
    assert len(learner.feed(*changed)) == 1


def test_dynamic_keys_that_come_late_are_recognized():
    learner = Learner()
    learner.feed(*[{"id": 1}] * 1000)
    assert learner.state.tracker is None
    count = sum(len(learner.feed(*({"id": 1, "m": {f"s{n}-{k}": 1}} for k in range(100)))) for n in range(30))
    assert count < 60


def test_plain_key_publishes_its_judgement_sure_or_not():
    learner = Learner()
    learner.feed(*({"id": 1, "half": 1} if n % 2 else {"id": 1} for n in range(300)))
    assert learner.state.tracker is None
    (judgement,) = [path.judgement for path in learner.state.paths.values()]
    assert judgement.stable_fields[0].name == "id"
    assert not judgement.has_dynamic_fields


def test_recognition_of_dynamic_keys_can_be_turned_off():
    learner = Learner(high_cardinality={"enabled": False})
    learner.feed(*({f"s{n}": 1} for n in range(50)))
    assert learner.state.sequence == 50
    assert learner.state.judged_paths() == {}


def test_null_rates_count_every_sampled_value():
    learner = Learner()
    learner.feed(*[{"a": 1, "b": None}] * 300, *[{"a": None, "b": None}] * 100)
    assert learner.state.null_rates() == {"a": 0.25, "b": 1.0}
    learner.feed({"a": 1, "b": 1, "c": 1})
    assert learner.state.null_rates() == {"a": 0.2494, "b": 0.9975}, "an evolution forgets no counts"


def test_null_rates_can_be_turned_off():
    learner = Learner(tracking={"null_rates": False})
    learner.feed(*[{"a": None}] * 30)
    assert learner.state.null_rates() == {}


def test_field_with_few_strings_is_an_enum_and_one_that_never_repeats_is_not():
    learner = Learner()
    learner.feed(*({"status": "new" if n % 3 else "paid", "token": f"t{n}"} for n in range(400)))
    facts = learner.state.facts
    assert facts["status"].enum_values() == ["new", "paid"]
    assert facts["token"].enum_values() is None
    assert facts["token"].texts is None


def test_enum_has_a_limit():
    learner = Learner(tracking={"enum_max_cardinality": 2, "field_statistics": True})
    learner.feed(*({"status": "abc"[n % 3]} for n in range(100)))
    assert learner.state.facts["status"].enum_values() is None


def test_statistics_look_at_every_sampled_value():
    learner = Learner(tracking={"field_statistics": True})
    learner.feed(*({"n": n, "text": "x" * (n % 7)} for n in range(1000)))
    facts = learner.state.facts
    assert (facts["n"].minimum, facts["n"].maximum) == (0.0, 999.0)
    assert (facts["text"].min_length, facts["text"].max_length) == (0, 6)
    assert abs(facts["n"].distinct.estimate() - 1000) < 150
    assert len(learner.sample.decoded) == 1000


@pytest.mark.parametrize("place", DYNAMIC)
def test_saved_sensor_goes_on_as_if_nothing_had_happened(place):
    values = list(map(DYNAMIC[place], range(600)))
    whole, first = Learner(), Learner()
    whole.feed(*values[:300])
    whole.feed(*values[300:])
    first.feed(*values[:300])
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(first.state), type=KeyState)
    second = Sensor("orders", "doc", settings(), saved)
    second.observe(CountingSample(values[300:]), 0, NOW)
    assert second.state == whole.state


def test_recognition_can_be_turned_off_and_on_again():
    first = Learner()
    first.feed(*map(DYNAMIC["the root"], range(300)))
    off = Sensor("orders", "doc", settings(high_cardinality={"enabled": False}), first.state)
    assert len(off.observe(CountingSample([{"new": 1}]), 0, NOW)) == 1
    on = Sensor("orders", "doc", settings(), off.state)
    count = sum(len(on.observe(CountingSample([DYNAMIC["the root"](n)]), 0, NOW)) for n in range(1000, 1200))
    assert 0 < count < 30


def test_deeper_look_after_a_change_of_settings_learns_on():
    first = Learner(deep_inspect={"max_depth": 1})
    first.sensor.observe(EventSample([{"doc": {"a": {"b": 1}}}], ("doc",), [1], row_count=1, max_depth=1), 0, NOW)
    deeper = Sensor("orders", "doc", settings(), first.state)
    assert len(deeper.observe(CountingSample([{"a": {"b": 1}}]), 0, NOW)) == 1
