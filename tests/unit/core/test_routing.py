"""Where events go and under which key."""

import re

import msgspec
import pytest

from deltaforge.core.errors import RecordError
from deltaforge.core.event import Routing, Transaction
from deltaforge.core.routing import Destination, MessageKey, headers_of, idempotency_key, row_key
from deltaforge.testing.fakes import make_event

EVENT = make_event(7, 16)


def changed(**fields):
    return msgspec.structs.replace(EVENT, **fields)


def no_warning(text):
    raise AssertionError(text)


def test_the_idempotency_key_has_a_place_for_what_is_not_set():
    assert idempotency_key(EVENT) == "_|app.t||_"
    full = changed(tenant_id="acme", transaction=Transaction("771"), event_id="e1")
    assert idempotency_key(full) == "acme|app.t|771|e1"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, '{"id":7}'),
        ({"after": {"id": "a\n\u00fc"}}, '{"id":"a\\n\u00fc"}'),
        ({"op": "u", "before": {"id": 7}, "after": {"id": 8}}, '{"id":8}'),
        ({"op": "d", "before": {"id": 7}, "after": None}, '{"id":7}'),
        ({"op": "t", "after": None}, "_|app.t||_"),
        ({"schema": None}, "_|app.t||_"),
        ({"after": {"other": 1}}, "_|app.t||_"),
    ],
)
def test_the_row_key_is_the_primary_key_as_json(fields, expected):
    assert row_key(changed(**fields)) == expected


def test_a_destination_comes_from_routing_then_from_the_template():
    destination = Destination("cdc.${source.table}", "topic")
    assert destination.of(EVENT, 0) == "cdc.t"
    assert destination.of(changed(routing=Routing(topic="x")), 0) == "x"
    assert destination.of(changed(routing=Routing(topic="")), 0) == "cdc.t"
    assert Destination("orders", "topic").of(EVENT, 0) == "orders"


@pytest.mark.parametrize(
    "fields", [{}, {"after": {"f": None}}, {"after": {"f": ""}}, {"after": {"f": "\ud800"}}, {"after": None}]
)
def test_an_event_without_a_destination_is_a_routing_error(fields):
    with pytest.raises(RecordError) as caught:
        Destination("${after.f}", "topic").of(changed(**fields), 3)
    assert (caught.value.kind, caught.value.index) == ("routing", 3)


def test_a_key_comes_from_routing_then_from_the_template_then_from_the_default():
    assert MessageKey(None, row_key, no_warning).of(EVENT, 0) == b'{"id":7}'
    assert MessageKey("k${after.id}", row_key, no_warning).of(EVENT, 0) == b"k7"
    assert MessageKey("k${after.id}", row_key, no_warning).of(changed(routing=Routing(key="")), 0) == b""


def test_what_is_missing_in_a_key_is_empty_and_reported_once_per_path():
    warnings = []
    key = MessageKey("${after.a}-${after.b}", row_key, warnings.append)
    assert [key.of(EVENT, 0), key.of(EVENT, 1)] == [b"-", b"-"]
    assert [text.count("after.a") for text in warnings] == [1, 0]
    assert [text.count("after.b") for text in warnings] == [0, 1]


def test_a_key_that_is_not_unicode_is_named_by_its_index():
    with pytest.raises(RecordError) as caught:
        MessageKey(None, row_key, no_warning).of(changed(after={"id": "\ud800"}), 5)
    assert (caught.value.kind, caught.value.index) == ("serialization", 5)


def test_headers_are_those_of_the_routing():
    assert headers_of(EVENT, 0) == {}
    assert headers_of(changed(routing=Routing(headers={"a": "b"})), 0) == {"a": "b"}
    with pytest.raises(RecordError) as caught:
        headers_of(changed(routing=Routing(headers={"a": "\ud800"})), 2)
    assert caught.value.index == 2


def test_a_destination_of_an_event_must_be_a_name_that_is_allowed():
    destination = Destination("x.${source.table}.${after.id}", "topic", allowed=re.compile("[a-z.]+"))
    with pytest.raises(RecordError, match="not a name that a topic can have") as caught:
        destination.of(EVENT, 3)
    assert (caught.value.index, caught.value.kind) == (3, "routing")
    assert "x.t.7" not in str(caught.value)
    assert destination.of(changed(after={"id": "seven"}), 0) == "x.t.seven"
    with pytest.raises(RecordError):
        destination.of(changed(routing=Routing(topic="7")), 0)


def test_an_event_chose_its_destination_by_a_template_or_a_routing():
    assert Destination("x.${source.table}", "topic").is_of_event(EVENT)
    assert not Destination("x", "topic").is_of_event(EVENT)
    assert not Destination("x", "topic").is_of_event(changed(routing=Routing(key="k")))
    assert Destination("x", "topic").is_of_event(changed(routing=Routing(topic="y")))
