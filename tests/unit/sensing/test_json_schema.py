import jsonschema
from hypothesis import example, given
from hypothesis import strategies as st

from deltaforge.sensing.json_schema import json_schema
from deltaforge.sensing.keys import DynamicKeys
from deltaforge.sensing.shape import collapsed, learned

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.decimals(allow_nan=False), st.text("ab")
)
wrappers = st.one_of(
    st.builds(lambda text: {"_base64": text}, st.text("ab")),
    st.builds(lambda text, srid: {"_base64": text, "srid": srid}, st.text("ab"), st.integers()),
)
values = st.recursive(
    st.one_of(scalars, wrappers),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "c", "d", "_base64", "srid"]), inner, max_size=5),
    ),
    max_leaves=20,
)
ALL_DYNAMIC = DynamicKeys(frozenset())
DYNAMIC_BELOW = DynamicKeys(None, {"b": DynamicKeys(frozenset({"a"}))}, DynamicKeys(frozenset()), None)
dynamic_keys = st.sampled_from(
    [
        None,
        ALL_DYNAMIC,
        DynamicKeys(frozenset({"a"}), {"a": DynamicKeys(frozenset({"b"}))}, None, DynamicKeys(frozenset({"c"}))),
        DYNAMIC_BELOW,
    ]
)


def shape_of(*seen, depth=10):
    shape = None
    for value in seen:
        shape = learned(shape, value, depth)
    return shape


def schema_of(*seen):
    return json_schema("orders", shape_of(*seen))


def test_document_of_the_contract():
    document = schema_of(
        {"id": 1, "metadata": {}, "tags": ["a"]},
        {"id": 2, "metadata": None},
    )
    assert document == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "orders",
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "metadata": {"type": ["object", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["id", "metadata"],
    }
    assert list(document) == ["$schema", "title", "type", "properties", "required"]


def test_nested_objects_have_properties_of_their_own():
    assert schema_of({"o": {"a": 1}}, {"o": {"a": 1.5, "b": "x"}})["properties"]["o"] == {
        "type": "object",
        "properties": {"a": {"type": ["integer", "number"]}, "b": {"type": "string"}},
        "required": ["a"],
    }


def test_bytes_are_a_wrapped_string_of_format_byte():
    field = schema_of({"b": {"_base64": "AA=="}})["properties"]["b"]
    assert field["properties"]["_base64"] == {"type": "string", "format": "byte"}
    assert field["required"] == ["_base64"]


def test_dynamic_keys_are_additional_properties():
    shape = collapsed(shape_of({"id": 1, "s1": {"n": 1}}, {"id": 1, "s2": {"n": 2}}), DynamicKeys(frozenset({"id"})))
    document = json_schema("orders", shape)
    assert document["properties"] == {"id": {"type": "integer"}}
    assert document["additionalProperties"]["properties"] == {"n": {"type": "integer"}}
    jsonschema.validate({"id": 5, "new": {"n": 3}}, document)


def test_opaque_values_may_be_anything_nested():
    document = json_schema("t", shape_of({"o": {"deep": [1]}, "l": [[{"x": 1}]]}, depth=2))
    assert document["properties"]["o"]["properties"]["deep"] == {"type": ["array", "object"]}
    jsonschema.validate({"o": {"deep": {"other": 1}}, "l": [[{"x": 1}]]}, document)


def test_empty_object_has_empty_properties():
    assert schema_of({}) == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "orders",
        "type": "object",
        "properties": {},
        "required": [],
    }


@given(st.lists(values, min_size=1, max_size=6), dynamic_keys, dynamic_keys, st.integers(1, 4))
@example([{"a": {"a": 1, "b": 1}}, {"b": {"a": 1, "b": True}}], ALL_DYNAMIC, DYNAMIC_BELOW, 2)
def test_document_accepts_every_value_it_was_learned_from(seen, early, late, depth):
    shape, half = None, len(seen) // 2
    for value in seen[:half]:
        shape = learned(shape, value, depth, early)
    shape = collapsed(shape, late)
    for value in seen[half:]:
        shape = learned(shape, value, depth, late)
    document = json_schema("t", shape)
    jsonschema.Draft7Validator.check_schema(document)
    validator = jsonschema.Draft7Validator(document)
    for value in seen:
        validator.validate(value)
