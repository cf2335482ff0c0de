"""Whatever a row holds, its JSON is one line that reads back as the same row, in every envelope."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.spec import build_encoder
from deltaforge.envelopes.spec import AnyEnvelope
from deltaforge.testing.fakes import make_event

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    TEXT,
)
ROWS = st.dictionaries(
    TEXT, st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10)
)
ENVELOPES = {
    "native": lambda document: document,
    "debezium": lambda document: document["payload"],
    "cloudevents": lambda document: document["data"],
}


def exact(value):
    """Numbers as exact decimals, so that 1 and 1.0 and Decimal(1) compare as JSON numbers do."""
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    if isinstance(value, float):
        return Decimal(repr(value))
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("name", ENVELOPES)
@given(row=ROWS)
def test_a_row_reads_back_from_one_line(name, row):
    spec = TypeAdapter(AnyEnvelope).validate_python(
        {"type": name} | ({"type_prefix": "a"} if name == "cloudevents" else {})
    )
    encoder = build_encoder(spec, JsonEncodingSpec())
    value = encoder.encode(msgspec.structs.replace(make_event(1, 2), after=row))
    assert b"\n" not in value
    assert b"\r" not in value
    document = json.loads(value, parse_float=Decimal, parse_int=Decimal)
    assert exact(ENVELOPES[name](document)["after"]) == exact(row)
