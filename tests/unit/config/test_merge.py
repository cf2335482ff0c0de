import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.config.merge import merge_patch_indexed, merge_patch_rfc7386
from deltaforge.core.errors import SpecError


def json_of(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3),
        max_leaves=12,
    )


WITHOUT_NULL = json_of(st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2))
JSON = json_of(st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2))

INDEXED = [
    ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 9}}, {"a": {"b": 9, "c": 2}}),
    ([1, 2, 3], [9], [9, 2, 3]),
    ([1], [9, 8], [9, 8]),
    ([{"id": "a", "x": 1}, {"id": "b"}], [{"x": 2}], [{"id": "a", "x": 2}, {"id": "b"}]),
    ({"a": [1]}, {"a": []}, {"a": [1]}),
    ({"a": {"b": 1}}, {"a": None}, {}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
    ({}, {"a": {"b": None, "c": [{"d": None}]}}, {"a": {"c": [{}]}}),
    ([{"a": 1}], [{"a": None}, {"b": None}], [{}, {}]),
    ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
    ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ([1, 2], [None], [None, 2]),
]

# The table of RFC 7386, appendix A.
RFC = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("base", "patch", "expected"), INDEXED)
def test_indexed_merge(base, patch, expected):
    assert merge_patch_indexed(base, patch) == expected


@pytest.mark.parametrize(("base", "patch", "expected"), RFC)
def test_rfc7386_merge(base, patch, expected):
    assert merge_patch_rfc7386(base, patch) == expected


@given(JSON, JSON)
def test_a_merge_changes_neither_argument_and_is_stable(base, patch):
    before = copy.deepcopy((base, patch))
    for merge in (merge_patch_indexed, merge_patch_rfc7386):
        merged = merge(base, patch)
        assert merge(merged, patch) == merged
    assert (base, patch) == before


@given(JSON)
def test_an_empty_patch_changes_nothing(base):
    if isinstance(base, dict):
        assert merge_patch_indexed(base, {}) == base
        assert merge_patch_rfc7386(base, {}) == base


@given(WITHOUT_NULL)
def test_a_document_patched_with_itself_stays(base):
    assert merge_patch_indexed(base, base) == base
    assert merge_patch_rfc7386(base, base) == base


@given(st.lists(JSON, max_size=4), st.lists(JSON, max_size=4))
def test_an_indexed_merge_never_shrinks_an_array(base, patch):
    assert len(merge_patch_indexed(base, patch)) == max(len(base), len(patch))


@pytest.mark.parametrize("merge", [merge_patch_indexed, merge_patch_rfc7386])
@pytest.mark.parametrize("kind", [lambda inner: {"a": inner}, lambda inner: [inner]])
def test_a_patch_that_is_nested_too_deeply_is_refused(merge, kind):
    patch = 1
    for _ in range(100):
        patch = kind(patch)
    assert merge(patch, patch) == patch
    for _ in range(5000):
        patch = kind(patch)
    with pytest.raises(SpecError, match="100 levels"):
        merge({}, patch)
