"""JSON that PostgreSQL holds: every document is delivered, as its value or as the text that is stored."""

import json
from decimal import Decimal

import pytest

from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.native import NativeEnvelope
from tests.reading import postgres_reader, wire

DEEP = "[" * 5000 + "]" * 5000
UNHELD = [
    '{"n":1e1000000000000000000}', '{"n": -1E-99999999999999999999 , "a":[1]}', "[" * 1100 + "1" + "]" * 1100, DEEP,
    '{"a":' * 1500 + "null" + "}" * 1500, r'"\ud83d"', r'{"\udc00 key": 1}', r'["\ude00\ud83d", "\ud83d\ude00"]',
    r'{"a":"\ud83dx"}',
]  # fmt: skip
HELD = [
    ('{"a":1,"a":2}', {"a": 2}), (r'"\u0000"', "\0"), (r'{"\u0000":"\ud83d\ude00"}', {"\0": "\U0001f600"}),
    (r'"\\ud83d"', "\\ud83d"), ("-0", 0), ("-0.0", -0.0), (" [ 1 , 2 ] ", [1, 2]), ("1E400", Decimal("1E400")),
    ("1e-400", Decimal("1e-400")), ("9" * 5000, Decimal("9" * 5000)), ("0." + "1" * 5000, Decimal("0." + "1" * 5000)),
    ("1e999999", Decimal("1e999999")), ('""', ""), ("null", None), ('"' + "[" * 3000 + '"', "[" * 3000),
    ("[" * 200 + "]" * 200, json.loads("[" * 200 + "]" * 200)), ("[" + "[]," * 3000 + "[]]", [[]] * 3001),
]  # fmt: skip


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute(
        "create table t (id int primary key, j json, b jsonb, js json[])", "alter table t replica identity full",
        "create publication pub for all tables",
    )  # fmt: skip
    return any_postgres_database


@pytest.fixture
def reader(database, tmp_path):
    found = postgres_reader(database, tmp_path / "state", outbox={"prefixes": ["out"]}).open()
    yield found
    found.close()


def test_documents_that_no_value_can_hold_are_their_text(database, reader):
    with database.connect() as connection:
        for n, text in enumerate(UNHELD):
            connection.execute("insert into t values (%s, %s, '1', array[%s, '{}']::json[])", (n, text, text))
        connection.execute("delete from t")
    events = reader.read(2 * len(UNHELD))
    for event, text in zip(events, UNHELD, strict=False):
        assert event.after == {"id": event.after["id"], "j": {"_json": text}, "b": 1, "js": [{"_json": text}, {}]}
        value = JsonEncoder(NativeEnvelope()).encode(event)
        assert json.loads(value)["after"]["j"] == {"_json": text}
    assert [event.before["j"]["_json"] for event in events[len(UNHELD) :]] == UNHELD


def test_documents_that_a_value_can_hold_are_that_value(database, reader):
    with database.connect() as connection:
        for n, (text, _) in enumerate(HELD):
            connection.execute("insert into t (id, j) values (%s, %s)", (n, text))
        connection.execute("insert into t (id, b) values (-1, '1e400'), (-2, %s)", ["[" * 3000 + "]" * 3000])
    events = reader.read(len(HELD) + 2)
    for event, (text, expected) in zip(events, HELD, strict=False):
        assert event.after["j"] == expected, text[:50]
        assert repr(event.after["j"]) == repr(expected)
    assert wire(events[-2].after)["b"] == 10**400
    assert events[-1].after["b"] == {"_json": "[" * 3000 + "]" * 3000}


def test_logical_messages_hold_them_too(database, reader):
    with database.connect() as connection:
        for text in UNHELD:
            connection.execute("select pg_logical_emit_message(true, 'out', %s)", [text])
            connection.execute("select pg_logical_emit_message(false, 'other', %s)", [text])
        connection.execute("select pg_logical_emit_message(true, 'out', '[1]')")
    events = reader.read(2 * len(UNHELD) + 1)
    assert [event.after["_json"] for event in events[:-1]] == [text for text in UNHELD for _ in range(2)]
    assert events[-1].after == [1]
