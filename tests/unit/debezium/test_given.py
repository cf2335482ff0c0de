"""Files of connectors, as Java reads them."""

import json

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.debezium.given import read_given, read_properties


def test_properties_are_those_of_java():
    text = (
        "# a comment\n! another\n\n"
        "name = shop\r\n  connector.class:io.x.Y\n"
        "table.include.list=shop\\\\.orders,\\\n    shop\\\\.items\n"
        "lost.backslash=shop\\.orders\n"
        "key\\ with\\=signs value with = and :\n"
        "unicode=\\u00e9\\t|\nempty=\nalone\ntwice=1\ntwice=2\nno\\\\\\\n  end=#5"
    )
    assert read_properties(text) == {
        "name": "shop",
        "connector.class": "io.x.Y",
        "table.include.list": r"shop\.orders,shop\.items",
        "lost.backslash": "shop.orders",
        "key with=signs": "value with = and :",
        "unicode": "é\t|",
        "empty": "",
        "alone": "",
        "twice": "2",
        "no\\end": "#5",
    }


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_json_of_connect_is_read_with_and_without_its_name(tmp_path, is_wrapped):
    config = {"connector.class": "x", "tasks.max": 1, "tombstones.on.delete": False, "transforms": None}
    path = tmp_path / "connector.json"
    path.write_text(json.dumps({"name": "shop", "config": config} if is_wrapped else {"name": "shop", **config}))
    given = read_given(path)
    assert given.config == {"name": "shop", "connector.class": "x", "tasks.max": "1", "tombstones.on.delete": "false"}
    assert not given.is_server


def test_the_parts_of_debezium_server_are_told_apart(tmp_path):
    path = tmp_path / "application.properties"
    path.write_text(
        "debezium.source.connector.class=x\ndebezium.source.topic.prefix=p\ndebezium.sink.type=kafka\n"
        "debezium.sink.kafka.producer.bootstrap.servers=h:1\ndebezium.format.value=json\ndebezium.transforms=a\n"
        "debezium.transforms.a.type=t\nquarkus.http.port=8080\n"
    )
    given = read_given(path)
    assert given.is_server
    assert given.config == {"connector.class": "x", "topic.prefix": "p", "transforms": "a", "transforms.a.type": "t"}
    assert given.sink == {"sink.type": "kafka", "sink.kafka.producer.bootstrap.servers": "h:1", "format.value": "json"}


@pytest.mark.parametrize("text", ["{", '{"config": []}', '{"a": {"b": 1}}', "{" * 100_000])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "connector.json"
    path.write_text(text)
    with pytest.raises(SpecError):
        read_given(path)
