from deltaforge.sensing.cardinality import KeyTracker, wants_look
from deltaforge.sensing.keys import ANY_KEY
from deltaforge.sensing.settings import HighCardinality

SETTINGS = HighCardinality()


def tracker(values, settings=SETTINGS, *, weight=1, depth=10):
    found = KeyTracker()
    for value in values:
        found.observe(value, weight, depth, settings)
    return found


def judged(found):
    return {path: judgement for path, judgement, _ in found.judgements()}


def test_plain_object_is_judged_plain_after_min_events():
    rows = [{"id": n, "name": "x"} for n in range(100)]
    assert judged(tracker(rows[:99])) == {}
    found = judged(tracker(rows))[""]
    assert [(field.name, field.frequency, field.count) for field in found.stable_fields] == [
        ("id", 1.0, 100),
        ("name", 1.0, 100),
    ]
    assert not found.has_dynamic_fields
    assert (found.dynamic_count, found.confidence, found.based_on_events) == (0, 0.75, 100)


def test_session_ids_beside_stable_fields_are_dynamic():
    found = tracker({"id": 1, f"s{n}": n} for n in range(100))
    judgement = judged(found)[""]
    assert judgement.has_dynamic_fields
    assert [field.name for field in judgement.stable_fields] == ["id"]
    assert abs(judgement.unique_keys - 101) <= 3
    assert judgement.dynamic_count == judgement.unique_keys - 1
    assert found.dynamic_keys().stable == {"id"}


def test_path_is_dynamic_for_the_time_being_when_every_object_brings_a_name():
    found = tracker({f"s{n}": n} for n in range(20))
    assert found.dynamic_keys().stable == frozenset()
    assert judged(found) == {}, "nothing is published before min_events"


def test_few_rare_fields_are_not_dynamic():
    found = tracker({"id": 1, **({f"rare_{n % 4}": 1} if n % 10 == 0 else {})} for n in range(200))
    assert not judged(found)[""].has_dynamic_fields
    assert found.dynamic_keys() is None
    assert not found.is_open(SETTINGS)


def test_unsure_judgement_is_not_accepted():
    # 6 rare names, but one field hardly above the threshold: confidence 0.5 + 0.5 * 0.02
    found = tracker({**({"b": 1} if n % 100 < 51 else {}), f"r{n % 6}": 1} for n in range(100))
    assert judged(found) == {}
    assert found.dynamic_keys() is None
    assert found.is_open(SETTINGS)


def test_nested_paths_are_judged_on_their_own():
    found = tracker({"id": n, "m": {f"s{n}": {"a": 1}}, "l": [{"q": 1}, {f"z{n}": 1, f"y{n}": 1}]} for n in range(150))
    paths = judged(found)
    assert {path for path, judgement in paths.items() if judgement.has_dynamic_fields} == {"m"}
    assert f"m.{ANY_KEY}" in paths
    dynamic = found.dynamic_keys()
    assert dynamic.stable is None
    assert dynamic.fields["m"].stable == frozenset()
    assert dynamic.fields["l"].items.stable == {"q"}, "for the time being: half of the elements are too few to be sure"


def test_bytes_and_values_beyond_max_depth_have_no_keys():
    found = tracker(({"b": {"_base64": "x"}, "deep": {f"s{n}": 1}} for n in range(100)), depth=1)
    assert set(judged(found)) == {""}


def test_judgement_is_renewed_after_the_interval():
    settings = HighCardinality(reevaluate_interval=100)
    rows = [{"id": 1}] * 100 + [{"id": 1, "new": 1}] * 600
    assert [field.name for field in judged(tracker(rows[:150], settings))[""].stable_fields] == ["id"]
    assert [field.name for field in judged(tracker(rows, settings))[""].stable_fields] == ["id", "new"]


def test_zero_interval_means_never_again():
    settings = HighCardinality(reevaluate_interval=0)
    rows = [{f"s{n}": 1} for n in range(100)] + [{"new": 1}] * 1000
    assert judged(tracker(rows, settings))[""].stable_fields == ()


def test_plain_path_that_gets_dynamic_keys_is_judged_again():
    rows = [{"id": 1}] * 150 + [{f"s{n}": 1} for n in range(60)]
    assert judged(tracker(rows))[""].has_dynamic_fields


def test_weights_stand_for_values():
    assert judged(tracker([{"id": 1}] * 20, weight=5))[""].based_on_events == 100


def test_looks_get_rarer():
    looks = [number for number in range(300) if wants_look(number, 100)]
    assert looks == [*range(20), *range(20, 100, 5), *range(100, 300, 20)]
