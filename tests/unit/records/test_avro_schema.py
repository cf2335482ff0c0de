"""Avro schemas out of Connect schemas: what Apicurio's and Confluent's AvroData write, and plain ones."""

import json

import fastavro
import pytest

from deltaforge.records.avro_schema import avro_field_names, avro_name, avro_schema
from deltaforge.records.schema import Field, Schema, Type

DECIMAL = Schema(
    type=Type.BYTES, name="org.apache.kafka.connect.data.Decimal", version=1,
    parameters={"scale": "2", "connect.decimal.precision": "10"},
)  # fmt: skip
VALUE = Schema(
    type=Type.STRUCT, name="p.shop.orders.Value", optional=True,
    fields=(
        Field("id", Schema(type=Type.INT32)),
        Field("small", Schema(type=Type.INT16, optional=True)),
        Field("price", DECIMAL),
        Field("state", Schema(type=Type.STRING, optional=True, default="new", has_default=True)),
        Field("raw", Schema(type=Type.BYTES, default=b"\x00\xff", has_default=True)),
        Field("born", Schema(type=Type.INT32, name="org.apache.kafka.connect.data.Date", version=1, optional=True)),
        Field("tags", Schema(type=Type.ARRAY, items=Schema(type=Type.STRING, optional=True))),
    ),
)  # fmt: skip
ENVELOPE = Schema(
    type=Type.STRUCT, name="p.shop.orders.Envelope", version=2,
    fields=(Field("before", VALUE), Field("after", VALUE), Field("op", Schema(type=Type.STRING))),
)  # fmt: skip


def test_connect_flavour_is_what_avrodata_writes():
    assert json.loads(avro_schema(ENVELOPE, "connect")) == {
        "type": "record", "name": "Envelope", "namespace": "p.shop.orders",
        "fields": [
            {
                "name": "before", "default": None,
                "type": ["null", {
                    "type": "record", "name": "Value",
                    "fields": [
                        {"name": "id", "type": "int"},
                        {"name": "small", "type": ["null", {"type": "int", "connect.type": "int16"}], "default": None},
                        {"name": "price", "type": {
                            "type": "bytes", "scale": 2, "precision": 10, "connect.version": 1,
                            "connect.parameters": {"scale": "2", "connect.decimal.precision": "10"},
                            "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal",
                        }},
                        {"name": "state", "type": [{"type": "string", "connect.default": "new"}, "null"], "default": "new"},
                        {"name": "raw", "type": {"type": "bytes", "connect.default": "\x00ÿ"}, "default": "\x00ÿ"},
                        {"name": "born", "default": None, "type": ["null", {
                            "type": "int", "connect.version": 1, "connect.name": "org.apache.kafka.connect.data.Date",
                            "logicalType": "date",
                        }]},
                        {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
                    ],
                    "connect.name": "p.shop.orders.Value",
                }],
            },
            {"name": "after", "type": ["null", "Value"], "default": None},
            {"name": "op", "type": "string"},
        ],
        "connect.version": 2, "connect.name": "p.shop.orders.Envelope",
    }  # fmt: skip


def test_every_flavour_is_a_schema_that_fastavro_reads():
    for flavour in ("connect", "plain"):
        fastavro.parse_schema(json.loads(avro_schema(ENVELOPE, flavour)))


def test_plain_flavour_has_avros_logical_types_alone():
    label = Schema(type=Type.STRING, name="enum", parameters={"allowed": "a,b"}, optional=True)
    fields = (
        Field("n", Schema(type=Type.BYTES, name="decimal", parameters={"precision": "5", "scale": "2"})),
        Field("kind", label),
        Field("day", Schema(type=Type.INT32, name="date")),
    )
    one = Schema(type=Type.STRUCT, name="d.t.One", fields=fields)
    two = Schema(type=Type.STRUCT, name="d.t.Two", fields=fields)
    both = Schema(type=Type.STRUCT, name="d.t.Both", fields=(Field("one", one), Field("two", two)))
    text = avro_schema(both, "plain")
    fastavro.parse_schema(json.loads(text))
    first, second = (field["type"]["fields"] for field in json.loads(text)["fields"])
    assert first == [
        {"name": "n", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}},
        {
            "name": "kind",
            "type": ["null", {"type": "enum", "name": "kind_enum", "symbols": ["a", "b"]}],
            "default": None,
        },
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    ]
    assert second[1]["type"] == ["null", "kind_enum"]  # a named type is written once


@pytest.mark.parametrize(
    ("scale", "precision"), [("3", "2"), ("-1", "5")], ids=["more digits after the point", "negative scale"]
)
def test_decimals_that_avro_does_not_have_are_bytes(scale, precision):
    parameters = {"scale": scale, "connect.decimal.precision": precision}
    schema = Schema(type=Type.BYTES, name=DECIMAL.name, version=1, parameters=parameters)
    assert json.loads(avro_schema(schema, "connect")) == {
        "type": "bytes", "connect.version": 1, "connect.parameters": parameters, "connect.name": DECIMAL.name,
    }  # fmt: skip


def test_names_are_made_such_as_avro_allows_and_stay_apart():
    assert [avro_name(name) for name in ("a", "order-id", "1st", "größe", "")] == [
        "a",
        "order_id",
        "_1st",
        "gr__e",
        "_",
    ]
    assert avro_field_names(["a-b", "a.b", "a_b", "c"]) == ["a_b_2", "a_b_3", "a_b", "c"]


def test_a_struct_without_a_name_has_connects_own():
    nameless = Schema(type=Type.STRUCT, fields=(Field("a", Schema(type=Type.INT64)),))
    outer = Schema(type=Type.STRUCT, name="solo", fields=(Field("x", nameless),))
    assert json.loads(avro_schema(outer, "connect"))["fields"][0]["type"] == {
        "type": "record", "name": "ConnectDefault", "namespace": "io.confluent.connect.avro",
        "fields": [{"name": "a", "type": "long"}],
    }  # fmt: skip
