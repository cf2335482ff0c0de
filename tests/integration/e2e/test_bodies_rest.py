"""Bodies of requests: what is wrong with them and where, YAML, and large ones beside other requests."""

import json
import threading

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_sink, postgres_source, wait_for

MYSQL = {"type": "mysql", "config": {"id": "m", "dsn": "mysql://u:p@127.0.0.1:1/db", "tables": []}}
KAFKA = {"type": "kafka", "config": {"id": "k", "brokers": "127.0.0.1:1", "topic": "t"}}
YAML = "application/yaml"


@pytest.fixture
def plane(tmp_path):
    plane = ControlPlane(tmp_path).start()
    yield plane
    plane.stop()


def send(plane, method, path, text, kind="application/json"):
    data = text if isinstance(text, bytes) else text.encode()
    return plane.call(method, path, raw=data, headers={"Content-Type": kind})


WRONG = [
    ('{\n "metadata": }', "body is not JSON: Expecting value at line 2 column 14"),
    ('{"metadata": {"name": "p", "tenant": "t"},\n "spec": {"sinks": []}}', "missing field `processors` at line 2 column 10"),
    ('{"metadata": {"name": "p"},\n"spec": 7}', "spec: must be an object, got an integer at line 2 column 9"),
    ('{"a": 1, "a": 2}', "key 'a' stands twice at line 1 column 10"),
    ('{"metadata": {"annotations": {"n": NaN}}}', "must be a finite number at line 1 column 36"),
    ('{"metadata": {"labels": {"n": "\\ud800"}}}', "metadata.labels.n: must be Unicode text"),
    ('{"metadata": {"labels": {"n": "\\u0000"}}}', "metadata.labels.n: must not hold the character NUL"),
    ('{"x": 1e400}', "x: must be a finite number"),
    (b'{"x": "\xff"}', "body is not UTF-8: byte 7"),
    ("[" * 100_000, "nested too deeply"),
    ("[" + "1," * 200_000 + "1]", "has more than 100000 values"),
    ("{}", "missing field `metadata` at line 1 column 1"),
]  # fmt: skip


def test_what_is_wrong_with_a_body_is_said_with_its_place(plane):
    for text, message in WRONG:
        status, answer = send(plane, "POST", "/validate", text)
        assert (status, answer["valid"], message in answer["error"]) == (400, False, True), answer
        status, answer = send(plane, "POST", "/pipelines", text)
        assert (status, answer["code"]) == (400, "PIPELINE_NAME_MISMATCH")
        assert message in answer["message"]
    assert plane.call("GET", "/pipelines") == (200, [])
    assert send(plane, "POST", "/pipelines", "{}", "text/plain")[0] == 400
    assert send(plane, "POST", "/pipelines/x/journal/dlq/ack", "up_to_seq: 1", YAML)[0] == 400


def yaml_of(body, **spec):
    """A document as a person writes it."""
    source = json.dumps(body["spec"]["source"])
    sinks = "".join(f"    - {json.dumps(sink)}\n" for sink in body["spec"]["sinks"])
    more = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return f"metadata: {{name: orders-cdc, tenant: acme}}\nspec:\n  source: {source}\n  processors: []\n  sinks:\n{sinks}{more}"


def test_documents_may_be_yaml(plane, postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    text = yaml_of(document(postgres_source(postgres_database), file_sink(tmp_path / "a.jsonl")))
    batch = "{max_events: 1_000, respect_source_tx: yes}"
    assert send(plane, "POST", "/validate", text + f"  batch: {batch}\n", YAML)[0] == 200
    status, answer = send(plane, "POST", "/pipelines", text + f"  batch: {batch}\n", "application/x-yaml")
    assert (status, answer["spec"]["spec"]["batch"]["max_events"]) == (200, 1000)
    status, answer = send(plane, "PATCH", "/pipelines/orders-cdc", "spec:\n  batch:\n    max_events: 'x'\n", YAML)
    assert (status, "got a string at line 3 column 17" in answer["message"]) == (400, True)
    status, answer = send(plane, "PATCH", "/pipelines/orders-cdc", "spec: {batch: {max_events: ~, max_ms: 7}}", YAML)
    assert (status, answer["spec"]["spec"]["batch"]["max_events"], answer["spec"]["spec"]["batch"]["max_ms"]) == (
        200, 2000, 7,
    )  # fmt: skip
    for key in ("metadata", "processors"):
        patch = {"metadata": None} if key == "metadata" else {"spec": {"processors": None}}
        status, answer = plane.call("PATCH", "/pipelines/orders-cdc", patch)
        assert (status, f"missing field `{key}`" in answer["message"]) == (400, True)
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\n"
    assert "aliases are not taken" in send(plane, "POST", "/validate", bomb, YAML)[1]["error"]
    assert "tags are not taken" in send(plane, "POST", "/validate", "a: !!binary eA==", YAML)[1]["error"]
    status, answer = send(plane, "POST", "/pipelines", "a: " + "x" * (300 << 10), YAML)
    assert (status, answer["code"]) == (413, "BODY_TOO_LARGE")


def sink(number, **config):
    return {"type": "kafka", "config": {"id": f"k{number}", "brokers": "b", "topic": "t", **config}}


def worst():
    """Documents of up to 4 MiB, each the worst for another step."""
    body = document(MYSQL, KAFKA)
    yield "sinks", document(MYSQL, *(sink(number, key="x" * 100) for number in range(15_000)))
    yield "one id", document(MYSQL, *(KAFKA for _ in range(15_000)))
    patterns = [f"shop.{number:040}" for number in range(70_000)]
    yield "patterns", document({**MYSQL, "config": {**MYSQL["config"], "tables": patterns}}, KAFKA)
    yield "types", document({**MYSQL, "config": {**MYSQL["config"], "tables": [1] * 90_000}}, KAFKA)
    yield "keys", {**body, "spec": {**body["spec"], "batch": {f"k{number:035}": 1 for number in range(90_000)}}}
    yield "settings", document(MYSQL, sink(1, client_conf={f"lingr.ms{n:030}": "x" for n in range(45_000)}))
    yield "deep", "[" * 4_000_000
    yield "objects", '{"a":' * 800_000
    yield "values", "[" + "1," * 2_000_000 + "1]"
    yield "twice", "{" + ",".join(f'"key{number}":1' for number in range(250_000)) + ',"key7":1}'
    yield "template", document(MYSQL, sink(1, topic="${a}" * 900_000))
    yield "digits", '{"a": ' + "9" * 4_000_000 + "}"


def test_large_bodies_hold_up_nobody_else(plane):
    """The answers to somebody else come while the large body is being worked on."""
    total = 0
    for name, body in worst():
        text = body if isinstance(body, str) else json.dumps(body)
        assert len(text) <= 4 << 20, name
        answers, healthy = [], 0
        sender = threading.Thread(target=lambda t=text, a=answers: a.append(send(plane, "POST", "/validate", t)))
        sender.start()
        while sender.is_alive():
            assert plane.call("GET", "/health")[0] == 200
            healthy += 1
        sender.join()
        assert answers[0][0] in (200, 400), name
        total += healthy
    assert total >= 100  # a loop that waits for the bodies gives about 30


def test_the_answer_to_a_patch_comes_after_those_to_others(plane, postgres_database, tmp_path):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    body = document(postgres_source(postgres_database), file_sink(tmp_path / "a.jsonl"))
    assert plane.call("POST", "/pipelines", body)[0] == 200
    patch = json.dumps(
        {"spec": {"batch": {f"k{number:035}": number for number in range(60_000)}, "sinks": [{"x": 1}] * 9}}
    )
    done = []
    sender = threading.Thread(target=lambda: done.append(send(plane, "PATCH", "/pipelines/orders-cdc", patch)))
    sender.start()
    healthy = 0
    while sender.is_alive():
        assert plane.call("GET", "/health")[0] == 200
        healthy += 1
    sender.join()
    assert done[0][0] == 400
    assert healthy >= 2
    wait_for(lambda: plane.call("GET", "/pipelines/orders-cdc")[1]["status"] == "running")
