"""The comparison sees what is spoiled, and only that."""

import copy

import pytest

from tests.compat.comparing import MISSING, Difference, compare, report, unexplained
from tests.compat.reading import Side

HEADERS = [["__debezium.newkey", '{"id":40}'], ["__debezium.context.taskId", "0"], ["__debezium.context.runId", "1f"]]


def source(**more):
    return {
        "version": "3.6.1.Final",
        "connector": "mysql",
        "name": "server",
        "ts_ms": 5,
        "snapshot": "false",
        "pos": 7,
        **more,
    }


def value(op, before, after, **more):
    return {
        "before": before,
        "after": after,
        "source": source(**more),
        "transaction": None,
        "op": op,
        "ts_ms": 9,
        "ts_us": 9,
    }


SCHEMA = {
    "type": "struct", "optional": False, "name": "server.Envelope",
    "fields": [{"type": "int64", "optional": False, "default": 0, "field": "id"}, {"type": "string", "optional": True, "field": "note"}],
}  # fmt: skip


def message(key, document, *, topic="server.orders", headers=HEADERS):
    return {"topic": topic, "partition": 0, "key": key, "value": document, "headers": headers}


def side():
    """A copied row, an insert, a change of its key and a message with its schema."""
    row, other = ({"id": 4, "note": "n", "big": 1}, {"id": 40, "note": None, "big": 1})
    messages = [
        message({"id": 1}, value("r", None, {"id": 1}, snapshot="first", pos=3)),
        message({"id": 4}, value("c", None, dict(row))),
        message({"id": 4}, value("d", row, None)),
        message({"id": 4}, None),
        message({"id": 40}, value("c", None, other)),
        message(
            {"schema": SCHEMA, "payload": {"id": 2}},
            {"schema": SCHEMA, "payload": value("c", None, other)},
            topic="server.parts",
        ),
    ]
    return copy.deepcopy(
        Side(
            messages,
            {
                "server.orders-value": [
                    {"type": "record", "name": "Envelope", "fields": [{"name": "id", "type": "long"}]}
                ]
            },
        )
    )


def in_value(number, *path, to):
    def spoil(spoiled):
        place = spoiled.messages[number]["value"]
        for name in path[:-1]:
            place = place[name]
        if to is MISSING:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return spoil


def of_message(number, name, to):
    return lambda spoiled: spoiled.messages[number].update({name: to})


def swap(number):
    def spoil(spoiled):
        spoiled.messages[number : number + 2] = reversed(spoiled.messages[number : number + 2])

    return spoil


SPOILED = {
    "topic": (of_message(1, "topic", "server.other"), "message"),
    "partition": (of_message(1, "partition", 1), "message"),
    "key": (of_message(1, "key", {"id": 5}), "key.id"),
    "type of the key": (of_message(1, "key", {"id": "4"}), "key.id"),
    "no key": (of_message(1, "key", None), "key"),
    "value": (in_value(1, "after", "note", to="m"), "value.after.note"),
    "number as text": (in_value(1, "after", "id", to="4"), "value.after.id"),
    "whole number as a float": (in_value(1, "after", "big", to=1.0), "value.after.big"),
    "number as a truth": (in_value(1, "after", "big", to=True), "value.after.big"),
    "null": (in_value(1, "after", "note", to=None), "value.after.note"),
    "null of theirs": (in_value(4, "after", "note", to=""), "value.after.note"),
    "field missing": (in_value(1, "after", "note", to=MISSING), "value.after.note"),
    "null field missing": (in_value(1, "transaction", to=MISSING), "value.transaction"),
    "field too many": (in_value(1, "after", "extra", to=None), "value.after.extra"),
    "order of fields": (in_value(1, "after", to={"note": "n", "id": 4, "big": 1}), "value.after(order)"),
    "operation": (in_value(1, "op", to="u"), "value.op"),
    "time of the change": (in_value(1, "source", "ts_ms", to=6), "value.source.ts_ms"),
    "position": (in_value(1, "source", "pos", to=8), "value.source.pos"),
    "mark of the copy": (in_value(0, "source", "snapshot", to="true"), "value.source.snapshot"),
    "copied row as a change": (in_value(0, "source", "snapshot", to="false"), "value.source.snapshot"),
    "tombstone missing": (lambda spoiled: spoiled.messages.pop(3), "message"),
    "tombstone as text": (of_message(3, "value", "null"), "value"),
    "message missing": (lambda spoiled: spoiled.messages.pop(1), "message"),
    "last message missing": (lambda spoiled: spoiled.messages.pop(5), "message"),
    "message twice": (lambda spoiled: spoiled.messages.insert(1, spoiled.messages[1]), "message"),
    "order of messages": (swap(1), "message"),
    "header": (of_message(1, "headers", [[HEADERS[0][0], '{"id":41}'], *HEADERS[1:]]), "headers.__debezium.newkey[1]"),
    "header missing": (of_message(1, "headers", HEADERS[1:]), "headers.__debezium.newkey"),
    "header too many": (of_message(1, "headers", [*HEADERS, ["x", "1"]]), "headers.x"),
    "order of headers": (of_message(1, "headers", HEADERS[::-1]), "headers(order)"),
    "name of a schema": (in_value(5, "schema", "name", to="server.Value"), "value.schema.name"),
    "default in a schema": (in_value(5, "schema", "fields", 0, "default", to=1), "value.schema.fields.id.default"),
    "default in a schema missing": (in_value(5, "schema", "fields", 0, "default", to=MISSING), "value.schema.fields.id.default"),
    "optional in a schema": (in_value(5, "schema", "fields", 1, "optional", to=False), "value.schema.fields.note.optional"),
    "field of a schema missing": (lambda spoiled: spoiled.messages[5]["value"]["schema"]["fields"].pop(), "value.schema.fields.note"),
    "order of fields in a schema": (lambda spoiled: spoiled.messages[5]["value"]["schema"]["fields"].reverse(), "value.schema.fields(order)"),
    "value beside a schema": (in_value(5, "payload", "after", "id", to=41), "value.payload.after.id"),
    "registered schema": (lambda spoiled: spoiled.subjects["server.orders-value"][0].update(name="Value"), "subject[0].name"),
    "version of a subject missing": (lambda spoiled: spoiled.subjects["server.orders-value"].pop(), "subject[0]"),
    "subject missing": (lambda spoiled: spoiled.subjects.clear(), "subject"),
    "subject too many": (lambda spoiled: spoiled.subjects.update({"server.orders-key": []}), "subject"),
}  # fmt: skip


def test_equal_sides_have_no_difference():
    assert compare(side(), side()) == []


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_message_is_reported(kind):
    spoil, path = SPOILED[kind]
    for spoils_ours in (True, False):
        spoiled = side()
        spoil(spoiled)
        found = compare(side(), spoiled) if spoils_ours else compare(spoiled, side())
        assert path in {one.path for one in found}, report(found)


@pytest.mark.parametrize(
    "leave_out",
    [
        in_value(1, "ts_ms", to=10),
        in_value(5, "payload", "ts_us", to=10),
        in_value(1, "source", "version", to="1.0"),
        in_value(0, "source", "pos", to=4),
        of_message(1, "headers", [*HEADERS[:2], ["__debezium.context.runId", "2f"]]),
    ],
)
def test_times_of_processing_versions_and_places_of_a_copy_are_left_out(leave_out):
    other = side()
    leave_out(other)
    assert compare(side(), other) == []


def test_one_message_less_does_not_shift_those_behind_it():
    other = side()
    other.messages.pop(1)
    [found] = compare(side(), other)
    assert (found.path, found.ours) == ("message", MISSING)


def test_attributes_of_a_schema_have_no_order_and_no_number_is_none():
    one, other = side(), side()
    for spoiled in (one, other):
        in_value(1, "after", "big", to=float("nan"))(spoiled)
    schema = other.messages[5]["value"]["schema"]
    other.messages[5]["value"]["schema"] = dict(reversed(schema.items()))
    assert compare(one, other) == []


def test_tables_in_end_have_no_order():
    counts = [{"data_collection": name, "event_count": n} for n, name in enumerate("ab")]
    one, other, wrong = (
        Side([message(None, {"status": "END", "data_collections": tables}, topic="server.transaction")], {})
        for tables in (counts, counts[::-1], [counts[0], counts[1] | {"event_count": 5}])
    )
    assert compare(one, other) == []
    assert [found.path for found in compare(one, wrong)] == ["value.data_collections.b.event_count"]


def test_heartbeats_count_once():
    beats = [message({"serverName": "server"}, {"ts_ms": i}, topic="__debezium-heartbeat.server") for i in range(3)]
    assert compare(Side(beats, {}), Side(beats[:1], {})) == []
    assert compare(Side(beats, {}), Side([], {})) != []


def test_a_listed_difference_covers_what_it_says_and_no_more():
    other, further = side(), side()
    in_value(2, "before", "note", to="m")(other)
    in_value(2, "before", "note", to="o")(further)
    listed = Difference("mysql .*", "server[.]orders", "value[.]before[.]note", "n", "m", "a reason")
    unused = Difference("mysql .*", ".*", "value[.]op", ".*", ".*", "never seen")
    assert unexplained("mysql json", compare(side(), other), [listed, unused]) == ([], {listed})
    assert unexplained("postgres json", compare(side(), other), [listed])[0] != []
    assert unexplained("mysql json", compare(side(), further), [listed])[0] != []
