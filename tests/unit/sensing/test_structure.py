from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.sensing.structure import (
    ARRAY,
    INTEGER,
    OBJECT,
    OPAQUE,
    STRING,
    field_term,
    kind_of,
    mix,
    name_hash,
    signature,
    structure_hash,
)

MASK = (1 << 64) - 1

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.decimals())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(st.text(max_size=5), inner, max_size=6)),
    max_leaves=30,
)


def plain_hash(value, depth, max_depth):
    """The rule as it stands in the design, word for word and slow."""
    kind = kind_of(value)
    if kind not in (ARRAY, OBJECT):
        return mix(kind)
    if depth >= max_depth:
        return mix(OPAQUE)
    if kind == OBJECT:
        total = sum(mix(name_hash(k) ^ (plain_hash(v, depth + 1, max_depth) * 3 & MASK)) for k, v in value.items())
        return mix((8 + total) & MASK)
    hashes = [plain_hash(v, depth + 1, max_depth) for v in value]
    distinct = list(dict.fromkeys(hashes))[:16]
    total = 7 + sum(mix(h) for h in distinct)
    if any(h not in distinct for h in hashes):
        total += min(hashes) * 5 + max(hashes) * 7
    return mix(total & MASK)


@given(values, st.integers(1, 4))
def test_hash_follows_the_rule(value, max_depth):
    found = plain_hash(value, 0, max_depth)
    assert structure_hash(value, max_depth) == (found if found > 1 else 2)


def test_names_are_hashed_as_fnv_1a():
    # vectors of the FNV authors, http://www.isthe.com/chongo/tech/comp/fnv/
    assert [name_hash(text) for text in ("", "a", "foobar")] == [
        0xCBF29CE484222325,
        0xAF63DC4C8601EC8C,
        0x85944171F73967E8,
    ]


def test_mix_is_the_finalizer_of_splitmix64():
    # the first outputs of splitmix64 with seed 0 are the mixed multiples of its increment
    assert [mix(0x9E3779B97F4A7C15 * n & MASK) for n in (1, 2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_same_structure_with_other_values_and_order_has_one_hash():
    assert structure_hash({"a": 1, "b": ["x", "y"]}, 10) == structure_hash({"b": ["z"], "a": 2}, 10)


@pytest.mark.parametrize(
    "other",
    [
        {"a": 1.5, "b": {"c": None}},
        {"a": 1, "b": {"c": 1}},
        {"a": 1, "b": {"d": None}},
        {"a": 1},
        {"a": 1, "b": [None]},
        [],
        None,
        True,
        "x",
    ],
)
def test_kind_and_nested_keys_change_the_hash(other):
    assert structure_hash(other, 10) != structure_hash({"a": 1, "b": {"c": None}}, 10)


def test_nothing_below_max_depth_changes_the_hash():
    assert structure_hash({"a": {"b": 1}}, 1) == structure_hash({"a": [2]}, 1) != structure_hash({"a": 2}, 1)


def test_array_with_more_than_16_shapes_still_tells_some_apart():
    shapes = [{str(n): 1} for n in range(30)]
    assert structure_hash(shapes[:16], 10) != structure_hash(shapes[:17], 10)


def test_repeated_elements_do_not_change_the_hash():
    assert structure_hash([1, "a", 2, "b"], 10) == structure_hash([1, "a"], 10)


def test_decimals_are_numbers_and_unknown_objects_opaque():
    assert kind_of(Decimal(1)) == kind_of(1.0)
    assert kind_of(b"x") == OPAQUE


def test_signature_knows_columns_and_top_kinds_only():
    row = {"id": 1, "doc": {"a": 1}}
    total = field_term("id", INTEGER) + field_term("doc", OBJECT)
    assert signature(row) == mix(total & MASK) == signature({"doc": {"b": "x"}, "id": 7})
    assert signature(row) != signature({"id": "1", "doc": {}})
    assert signature({"id": "1"}) == mix(field_term("id", STRING))


@given(st.dictionaries(st.text(), scalars))
def test_hashes_fit_64_bits_and_never_look_absent(row):
    assert 2 <= signature(row) <= MASK
    assert 2 <= structure_hash(row, 3) <= MASK
