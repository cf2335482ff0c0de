import contextlib
import copy
import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from deltaforge.config.merge import merge_patch_indexed, merge_patch_rfc7386
from deltaforge.core.errors import SpecError
from deltaforge.spec import ParsedDocument, check_supported, has_redacted, parse_document, restore_secrets

SMALLEST = {
    "metadata": {"name": "orders-cdc", "tenant": "acme"},
    "spec": {
        "source": {
            "type": "mysql",
            "config": {"id": "mysql-1", "dsn": "mysql://user:pass@host/db", "tables": ["shop.orders"]},
        },
        "processors": [{"type": "filter", "fields": [{"path": "a", "op": "eq", "value": 1}]}],
        "sinks": [
            {"type": "kafka", "config": {"id": "k", "brokers": "localhost:9092", "topic": "orders"}},
            {"type": "redis", "config": {"id": "r", "uri": "redis://:pw@localhost", "stream": "s"}},
        ],
    },
}

WORDS = st.sampled_from(
    [
        "type",
        "mode",
        "config",
        "id",
        "mysql",
        "kafka",
        "quorum",
        "native",
        "avro",
        "***",
        "a b",
        "",
        "batch",
        "${",
        "\ud800",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | WORDS
    | st.text(st.characters(), max_size=5)
    | st.just(10**400)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


def places(data, steps=()):
    yield steps
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*steps, key))


PLACES = sorted((place for place in places(SMALLEST) if place), key=str)


def changed(data, steps, action, key, value):
    """A copy of ``data`` with something done at ``steps``; as it is if there is no such place any more."""
    if not steps:
        return value if action == "replace" else {**data, key: value} if isinstance(data, dict) else data
    first, rest = steps[0], steps[1:]
    if isinstance(data, dict) and first in data:
        if action == "remove" and not rest:
            return {name: inner for name, inner in data.items() if name != first}
        return {**data, first: changed(data[first], rest, action, key, value)}
    if isinstance(data, list) and isinstance(first, int) and first < len(data):
        return [changed(inner, rest, action, key, value) if at == first else inner for at, inner in enumerate(data)]
    return data


CHANGES = st.tuples(st.sampled_from(PLACES), st.sampled_from(["replace", "remove", "add"]), WORDS, JSON)


@st.composite
def near_documents(draw):
    """A right document with a few places replaced, keys added, or removed."""
    document = SMALLEST
    for steps, action, key, value in draw(st.lists(CHANGES, min_size=1, max_size=3)):
        document = changed(document, steps, action, key, value)
    return copy.deepcopy(document)


def parsed_or_refused(data, *, strict):
    try:
        return parse_document(data, strict=strict)
    except SpecError:
        return None


@given(JSON | st.fixed_dictionaries({"metadata": JSON, "spec": JSON}), st.booleans())
def test_any_json_value_is_a_document_or_a_spec_error(data, strict):
    before = copy.deepcopy(data)
    parsed_or_refused(data, strict=strict)
    assert str(before) == str(data)


@settings(max_examples=400)
@given(near_documents(), st.booleans())
def test_a_damaged_document_is_a_document_or_a_spec_error(document, strict):
    parsed = parsed_or_refused(document, strict=strict)
    if parsed is None:
        return
    assert isinstance(parsed, ParsedDocument)
    assert msgspec.json.decode(msgspec.json.encode(parsed.raw)) == parsed.raw
    echo = parsed.spec.echo()
    assert json.loads(json.dumps(echo)) is not None
    assert "pass@" not in str(echo["spec"]["source"]["config"]["dsn"])
    with contextlib.suppress(SpecError):
        check_supported(parsed.spec)


@given(near_documents(), JSON)
def test_secrets_survive_a_patch_with_any_echo(document, patch):
    parsed = parsed_or_refused(document, strict=False)
    if parsed is None:
        return
    echo = parsed.spec.echo()
    for merge in (merge_patch_indexed, merge_patch_rfc7386):
        assert not has_redacted(restore_secrets(merge(parsed.raw, echo), parsed.raw))
        with contextlib.suppress(SpecError):
            restore_secrets(merge(echo, patch if isinstance(patch, dict) else {}), parsed.raw)
