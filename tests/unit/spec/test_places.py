"""Errors of a document say where in its text they are."""

import json

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.spec import parse_document
from deltaforge.spec.places import json_places
from deltaforge.spec.reading import DocumentText

JSON = """{
  "metadata": {"name": "p", "tenant": "t"},
  "spec": {
    "source": {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u@h/d", "tables": []}},
    "sinks": [
      {"type": "kafka", "config": {"id": "a", "brokers": "b", "topic": "t"}},
      {"type": "kafka", "config": {"id": "b", "brokers": "b", "topic": 7,
                                   "client_conf": {"a \\"b": [1]}}}
    ]
  }
}
"""
YAML = """\
metadata: {name: p, tenant: t}
spec:
  source:
    type: mysql
    config: {id: m, dsn: "mysql://u@h/d", tables: []}
  sinks:
    - type: kafka
      config: {id: a, brokers: b, topic: t}
    - type: kafka
      config: {id: b, brokers: b, topic: 7}
"""


def refusal(text, *, is_yaml=False):
    document = DocumentText(text, is_yaml, "the body", is_remote=True)
    try:
        parse_document(document.values())
    except SpecError as error:
        return str(document.located(error))
    return None


def test_faults_of_json_have_their_line_and_column():
    assert refusal(JSON) == (
        "spec: missing field `processors` at line 3 column 11; "
        "spec.sinks[1].config.topic: must be a string, got an integer at line 7 column 72; "
        'spec.sinks[1].config.client_conf["a \\"b"]: must be a string, got an array at line 8 column 61'
    )


def test_faults_of_yaml_have_their_line_and_column():
    assert refusal(YAML, is_yaml=True) == (
        "spec: missing field `processors` at line 3 column 3; "
        "spec.sinks[1].config.topic: must be a string, got an integer at line 10 column 42"
    )


def test_a_value_that_cannot_be_stored_has_its_place():
    assert refusal('{"a": 1,\n "b": [0, NaN]}') == "b[1]: must be a finite number at line 2 column 11"
    assert refusal("a: 1\nb: [.inf]", is_yaml=True) == "b[0]: must be a finite number at line 2 column 5"


BROKEN = [
    ('{"a": }', False, "is not JSON: Expecting value at line 1 column 7"),
    ('{"a": 1,\n "b": {"c": 1, "d": 2, "c": 3}}', False, "key 'c' stands twice at line 2 column 24"),
    (r'{"a": {"x\u0041": 1, "xA": 3}}', False, "key 'xA' stands twice at line 1 column 22"),
    ("[" * 100_000, False, "nested too deeply"),
    ("9" * 5000, False, "a number too long"),
    ("a: [", True, "is not YAML"),
    ("a: 1\na: 2", True, "key 'a' stands twice at line 2 column 1"),
    ("a: &x [1]\nb: *x", True, "anchors and aliases are not taken over REST at line 1 column 4"),
    ("a: !!binary eA==", True, "tags are not taken over REST at line 1 column 4"),
    ("a: !!python/object/apply:os.system [x]", True, "tags are not taken"),
    ("[" * 1000, True, "nested more than 100 levels deep"),
    ("a: " + "1:" * 5000 + "1", True, "a number is too long"),
    ("a: 1\n---\nb: 1", True, "is not YAML"),
]


@pytest.mark.parametrize(("text", "is_yaml", "message"), BROKEN)
def test_a_text_that_is_no_document_says_where(text, is_yaml, message):
    with pytest.raises(SpecError) as caught:
        DocumentText(text, is_yaml, "the body", is_remote=True).values()
    assert message in str(caught.value)


def test_yaml_means_what_it_says():
    text = "on: no\nplain: yes\nquoted: 'yes'\nnumber: 1_000\ntext: '1000'\ndate: 2024-01-01\n"
    values = DocumentText(text.replace("on:", "'on':"), True, "x", is_remote=True).values()
    assert values == {
        "on": False,
        "plain": True,
        "quoted": "yes",
        "number": 1000,
        "text": "1000",
        "date": "2024-01-01",
    }


def test_every_path_of_a_text_is_found_where_it_is():
    values = json.loads(JSON)

    def walk(value, path):
        yield path, value
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, inner in items:
            plain = f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
            if " " not in plain:
                yield from walk(inner, path + plain)

    paths = dict(walk(values, ""))
    lines = JSON.split("\n")
    for path, place in json_places(JSON, list(paths)).items():
        _, _, line, _, column = place.split()
        rest = "\n".join([lines[int(line) - 1][int(column) - 1 :], *lines[int(line) :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == paths[path]
    assert set(json_places(JSON, list(paths))) == set(paths)
