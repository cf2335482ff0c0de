import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.sensing.keys import DynamicKeys, collapsed_hash
from deltaforge.sensing.shape import (
    INTEGER,
    MAX_FIELDS,
    NULL,
    OPTIONAL,
    STRING,
    Compound,
    Shape,
    collapsed,
    fingerprint,
    learned,
    type_names,
    union,
)
from deltaforge.sensing.structure import structure_hash

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text("abé\ud800", max_size=3))
wrappers = st.builds(lambda text: {"_base64": text}, st.text("ab", max_size=3))
values = st.recursive(
    st.one_of(scalars, wrappers),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abcdé\ud800", max_size=2), inner, max_size=5)
    ),
    max_leaves=20,
)


def shape_of(*seen, depth=10, dynamic=None):
    shape = None
    for value in seen:
        shape = learned(shape, value, depth, dynamic)
    return shape


def test_field_missing_in_some_values_is_optional_and_one_seen_null_nullable():
    shape = shape_of({"a": 1, "b": "x"}, {"a": None})
    assert shape.fields == {"a": INTEGER | NULL, "b": STRING | OPTIONAL}


def test_field_that_comes_later_is_optional():
    assert shape_of({"a": 1}, {"a": 1, "b": 2}).fields["b"] == INTEGER | OPTIONAL


def test_field_beside_scalars_is_not_optional():
    assert shape_of(None, 5, {"a": 1}).fields == {"a": INTEGER}


def test_alternating_shapes_settle():
    both = [{"a": 1}, {"b": 1}]
    shape = shape_of(*both)
    assert shape_of(*both, *both, *both) == shape
    assert learned(shape, both[0], 10) is shape


def test_elements_of_all_arrays_are_one_shape():
    shape = shape_of({"l": [1, "x"]}, {"l": []}, {"l": [{"q": 1}, {}]})
    items = shape.fields["l"].items
    assert type_names(items) == ["integer", "string", "object"]
    assert items.fields == {"q": INTEGER | OPTIONAL}


def test_wrapped_bytes_are_bytes_and_look_alikes_objects():
    assert type_names(shape_of({"_base64": "AA=="})) == ["bytes"]
    assert type_names(shape_of({"_base64": "AA==", "srid": 0})) == ["bytes"]
    assert type_names(shape_of({"_base64": 1})) == ["object"]
    assert type_names(shape_of({"_base64": "AA==", "more": 1})) == ["object"]


def test_containers_at_max_depth_are_opaque():
    shape = shape_of({"a": {"b": {"c": 1}}, "l": [[1]]}, depth=2)
    assert type_names(shape.fields["a"].fields["b"]) == ["opaque"]
    assert type_names(shape.fields["l"].items) == ["opaque"]


def test_types_of_a_union_are_named_in_fixed_order():
    assert type_names(shape_of({}, "x", None, 1.5, [], 2, True)) == [
        "boolean",
        "integer",
        "number",
        "string",
        "array",
        "object",
    ]
    assert type_names(shape_of(None)) == ["null"]


def test_object_with_names_without_end_becomes_a_map():
    shape = shape_of(*({f"k{n}": n} for n in range(MAX_FIELDS + 50)))
    assert len(shape.fields) == MAX_FIELDS
    assert shape.values == INTEGER


def test_fingerprint_is_of_shapes_not_of_order_or_values():
    shape = shape_of({"a": 1, "b": ["x"]})
    assert fingerprint(shape) == fingerprint(shape_of({"b": ["y", "z"], "a": 7}))
    assert fingerprint(shape).startswith("sha256:")
    assert len(fingerprint(shape)) == len("sha256:") + 64


@pytest.mark.parametrize("other", [{"a": 1}, {"a": 1, "b": [1]}, {"a": None, "b": ["x"]}, {"a": 1, "c": ["x"]}, [], 1])
def test_every_difference_changes_the_fingerprint(other):
    shape = shape_of({"a": 1, "b": ["x"]})
    assert fingerprint(learned(shape, other, 10)) != fingerprint(shape)


@given(st.lists(values, min_size=1, max_size=6), st.randoms())
def test_learning_is_independent_of_order_and_repetition(seen, dice):
    shuffled = [*seen, dice.choice(seen)]
    dice.shuffle(shuffled)
    assert fingerprint(shape_of(*seen)) == fingerprint(shape_of(*shuffled))


@given(st.lists(values, min_size=1, max_size=6))
def test_a_value_that_was_learned_teaches_nothing(seen):
    shape = shape_of(*seen)
    assert all(learned(shape, value, 10) is shape for value in seen)


@given(values, values, st.integers(1, 3))
def test_values_of_one_structure_have_one_shape(left, right, depth):
    if structure_hash(left, depth) == structure_hash(right, depth):
        shape = shape_of(left, depth=depth)
        assert learned(shape, right, depth) is shape


@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_union_is_learning_both(left, right):
    both = union(shape_of(*left), shape_of(*right))
    assert both == shape_of(*left, *right)


@given(st.lists(values, min_size=1, max_size=4))
def test_shape_survives_saving(seen):
    shape = shape_of(*seen)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(shape), type=Shape) == shape


DYNAMIC = DynamicKeys(frozenset({"a"}), {"a": DynamicKeys(frozenset())}, None, DynamicKeys(frozenset({"b"})))


def test_dynamic_keys_are_one_map():
    shape = shape_of({"a": 1, "s1": "x"}, {"a": 2, "s2": None}, dynamic=DynamicKeys(frozenset({"a"})))
    assert shape == Compound(shape.flags, {"a": INTEGER}, None, STRING | NULL)


@given(st.lists(values, min_size=1, max_size=5))
def test_dynamic_keys_found_later_give_the_same_map(seen):
    late, early = collapsed(shape_of(*seen), DYNAMIC), shape_of(*seen, dynamic=DYNAMIC)
    assert fingerprint(late) == fingerprint(early)
    assert all(learned(late, value, 10, DYNAMIC) is late for value in seen)


@given(values, values)
def test_values_of_one_collapsed_structure_have_one_shape(left, right):
    if collapsed_hash(left, 10, DYNAMIC) == collapsed_hash(right, 10, DYNAMIC):
        shape = shape_of(left, dynamic=DYNAMIC)
        assert learned(shape, right, 10, DYNAMIC) is shape


def test_collapsed_hash_forgets_dynamic_names_only():
    dynamic = DynamicKeys(None, {"m": DynamicKeys(frozenset({"t"}))}, None, None)
    first = collapsed_hash({"m": {"t": 1, "s1": {"q": 1}}}, 10, dynamic)
    assert first == collapsed_hash({"m": {"s9": {"q": 5}, "s8": {"q": 1}, "t": 3}}, 10, dynamic)
    assert first != collapsed_hash({"m": {"t": 1, "s1": {"q": "x"}}}, 10, dynamic)
    assert first != collapsed_hash({"m": {"s1": {"q": 1}}}, 10, dynamic)


def test_a_name_that_stops_being_dynamic_still_holds_for_what_it_was():
    shape = shape_of({"a": "x"}, dynamic=DynamicKeys(frozenset()))
    assert learned(shape, {"a": 1}, 10).fields["a"] == INTEGER | STRING | OPTIONAL
