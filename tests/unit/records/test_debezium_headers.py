"""Keys of rows in the headers of a changed key, as Kafka Connect writes structs there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deltaforge.core.table import Column, TableId, TableSchema
from tests.unit.records.test_debezium import ROW, event, messages


@pytest.mark.parametrize(
    ("type_", "key", "text"),
    [
        ("numeric(38,10)", "12345678901234567890123456.5", "12345678901234567890123456.5000000000"),
        ("numeric(20,10)", "0", "0E-10"),
        ("double precision", 1e300, "1.0E300"),
        ("double precision", 0.00012, "1.2E-4"),
        ("double precision", 9999999.5, "9999999.5"),
        ("double precision", 1e7, "1.0E7"),
        ("double precision", -12.0, "-12.0"),
        ("double precision", "NaN", "NaN"),
        ("text", 'a"b\\\n\tü', '"a\\"b\\\\\n\tü"'),
        ("boolean", True, "true"),
    ],
)
def test_keys_in_headers_are_written_as_connect_does(type_: str, key: Any, text: str) -> None:
    table = TableSchema(TableId("app", "public", "users"), (Column("id", type_, nullable=False),), ("id",))
    other: Any = {"text": "x", "boolean": False}.get(type_, 1)
    headers = messages(event({"id": other}, {"id": key}, "u", schema=table))[0][2]
    assert headers["__debezium.newkey"].decode() == f'{{"id":{text}}}'


def test_decimals_of_keys_are_numbers_in_headers() -> None:
    changed = event(ROW, {**ROW, "balance": "-2.00"}, "u")
    found = messages(changed, message_key_columns=r"public\.users:balance")
    assert [(key, list(headers.values())) for key, _, headers in found] == [
        ({"balance": "AJY="}, [b'{"balance":-2.00}']),
        ({"balance": "AJY="}, [b'{"balance":-2.00}']),
        ({"balance": "/zg="}, [b'{"balance":1.50}']),
    ]


@pytest.mark.parametrize(
    ("type_", "moment", "text"),
    [
        ("date", "1960-02-03", "1960-02-03"),
        ("date", "1970-01-01", "00:00:00.000Z"),
        ("time without time zone", "12:34:56.5", "12:34:56.500Z"),
        ("timestamp without time zone", "2026-11-28T00:00:00", "2026-11-28"),
        ("timestamp without time zone", "1960-02-03T04:05:06.789", "1960-02-03T04:05:06.789Z"),
        ("timestamp without time zone", "0044-03-15T12:00:00 BC", "-043-03-15T12:00:00.000Z"),
    ],
)
def test_moments_of_connect_are_bare_texts_in_headers(type_: str, moment: str, text: str) -> None:
    table = TableSchema(TableId("app", "public", "users"), (Column("id", type_, nullable=False),), ("id",))
    other = "1999-01-01T00:00:00" if "stamp" in type_ else "1999-01-01" if type_ == "date" else "01:01:01"
    changed = event({"id": other}, {"id": moment}, "u", schema=table)
    headers = messages(changed, time_precision="connect")[0][2]
    assert headers == {"__debezium.newkey": f'{{"id":{text}}}'.encode()}
    headers = messages(changed)[0][2]
    assert json.loads(headers["__debezium.newkey"])["id"] != text
