"""5,000 requests that nobody should send, against a real control plane with real pipelines.

Two thirds of them are spoiled by hand, the others are made out of the server's own OpenAPI document. Whatever comes: no 5xx, no answer that is
not JSON, no answer that is not as described, no secret in an answer, no file outside of the folders of the server.
"""

import hashlib
import itertools
import json
import os

import jsonschema
import pytest
import requests
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.fuzz.tables import drawn
from tests.hostile import STREAM, Hostile, Request, send
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_sink, postgres_source

SEED = int(os.environ.get("DELTAFORGE_HOSTILE_SEED", "2026"))
COUNT = int(os.environ.get("DELTAFORGE_HOSTILE_REQUESTS", "5000"))
HANG_SECS = 5.0
WORK_SECS = 45.0
"""Of requests that start and stop processes, which says how long: the bounded wait for a pipeline to settle or to drain."""
SECRETS = (b"planted-in-the-environment", b"planted-in-a-document")
WORKING = ("/pause", "/resume", "/stop", "/reload", "/retry", "/reset")


@pytest.fixture
def plane(tmp_path, monkeypatch):
    for name in ("home", "tmp", "cwd"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("DELTAFORGE_TOKEN_OF_ANOTHER", SECRETS[0].decode())
    monkeypatch.chdir(tmp_path / "cwd")
    (tmp_path / "served").mkdir()
    plane = ControlPlane(tmp_path / "served").start()
    yield plane
    if plane.process.poll() is None:
        plane.stop()


@pytest.fixture
def precious(tmp_path):
    """Files that are somebody else's, without a last line end: what a careless writer would cut."""
    folder = tmp_path / "precious"
    folder.mkdir()
    for name in ("database.db", "other.jsonl"):
        (folder / name).write_text('{"a": 1}\n{"b": 2')
    return folder


class Judge:
    """Sends requests and looks at each answer."""

    def __init__(self, plane):
        host, _, port = plane.address.partition(":")
        self._address = (host, int(port))
        self.document = plane.call("GET", "/openapi.json")[1]
        self.counts = {}
        self.faults = []
        self._error = self._validator({"$ref": "#/components/schemas/Error"})

    def _validator(self, schema):
        return jsonschema.Draft202012Validator({**schema, "components": self.document["components"]})

    def judge(self, request, operation=None):
        """Note what is wrong with the answer: one run shows all of it."""
        try:
            self._judge(request, operation)
        except AssertionError as fault:
            self.faults.append(str(fault))

    def _judge(self, request, operation):
        answer = self._sent(request)
        self.counts[answer.status] = self.counts.get(answer.status, 0) + 1
        said = f"{request.encoded('x')[:600]!r} -> {answer.status} {answer.body[:600]!r}"
        if answer.status is None:
            assert request.raw is not None, f"closed without an answer: {said}"
            return
        is_health = request.target.partition("?")[0] == "/health"
        assert answer.status < 500 or answer.status in (501, 505) or (answer.status == 503 and is_health), said
        assert not [secret for secret in SECRETS if secret in answer.body], said
        if (
            request.method == "HEAD"
            or answer.status in (204, 304)
            or (request.method == "OPTIONS" and not answer.body)
            or 100 <= answer.status < 200
        ):
            assert answer.body == b"", said
            return
        if answer.status == 200 and answer.headers["content-type"].partition(";")[0] != "application/json":
            assert answer.headers["content-type"].startswith((STREAM, "text/plain; version=", "text/html")), said
            return
        assert answer.headers.get("content-type", "").startswith("application/json"), said
        body = json.loads(answer.body, parse_constant=lambda name: pytest.fail(f"{name} in {said}"))
        if answer.status >= 400 and not ("valid" in body or answer.status == 503):
            assert self._error.is_valid(body), said
        if operation is not None:
            self._compare(answer.status, body, operation, said)

    def _compare(self, status, body, operation, said):
        """The body is of the type that the document gives for this status."""
        described = operation["responses"].get(str(status), operation["responses"]["default"])
        schema = described["content"]["application/json"]["schema"]
        faults = [error.message for error in self._validator(schema).iter_errors(body)]
        assert faults == [], f"{faults} in {said}"

    def _sent(self, request):
        """A machine under load may be slow now and then; a request that blocks is slow each time."""
        works = request.method in ("POST", "PATCH", "DELETE") and (
            request.target.partition("?")[0].endswith(WORKING) or request.target.count("/") <= 2
        )
        answer = send(self._address, request, WORK_SECS)
        for _ in range(3):
            if works or answer.secs <= HANG_SECS:
                return answer
            answer = send(self._address, request, WORK_SECS)
        assert answer.secs <= HANG_SECS, request.encoded("x")[:600]
        return answer


def tree(folder):
    """Every file below a folder with its content's digest, and every folder. Sockets come and go with pipelines: where
    the path of the state directory is long, they are in the folder for temporary files.
    """
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if not name.startswith("served/") and not path.is_socket():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
    return found


def good_documents(database):
    """Documents that start: PostgreSQL to a file, and to sinks and from sources that do not answer."""
    kafka = {
        "type": "kafka",
        "config": {"id": "k", "brokers": "127.0.0.1:1", "topic": "t", "client_conf": {"linger.ms": "5"}},
    }
    redis = {
        "type": "redis",
        "config": {"id": "r", "uri": "redis://:planted-in-a-document@127.0.0.1:1/0", "stream": "s"},
    }
    mysql = {
        "type": "mysql",
        "config": {"id": "m", "dsn": "mysql://u:planted-in-a-document@127.0.0.1:1/d", "tables": ["d.t"]},
    }
    real = document(postgres_source(database), {"type": "stdout", "config": {"id": "out"}}, name="real")
    real["spec"]["schema_sensing"] = {"enabled": True}
    real["spec"]["journal"] = {"enabled": True}
    return [
        real,
        document(mysql, kafka, name="away"),
        document(dict(mysql, config={**mysql["config"], "id": "m2"}), redis, name="stopped"),
    ]


def made_by_schema(description, count):
    """Requests out of the OpenAPI document: right ones and wrong ones for each operation in turn."""
    schema = schemathesis.openapi.from_dict(description)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        described = description["paths"][operation.path][operation.method.lower()]
        for mode in GenerationMode:
            for case in cases_of(operation, mode, max(1, count // len(operations) // 2)):
                yield request_of(case), described


def cases_of(operation, mode, count):
    try:
        return drawn(operation.as_strategy(generation_mode=mode), SEED, count)
    except Unsatisfiable:  # an operation without anything that could be wrong
        return []


def request_of(case) -> Request:
    """The bytes that schemathesis would send, sent by us."""
    prepared = case.as_transport_kwargs(base_url="http://x")
    known = ("method", "url", "headers", "params", "json", "data", "cookies")
    sent = requests.Request(**{name: value for name, value in prepared.items() if name in known}).prepare()
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    texts = [
        (name, value.decode("latin-1") if isinstance(value, bytes) else value) for name, value in sent.headers.items()
    ]
    headers = [(name, value) for name, value in texts if name.lower() not in ("content-length", "user-agent")]
    return Request(sent.method, sent.path_url, headers, body)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("made_by", ["hand", "schema"])
def test_hostile_requests(made_by, plane, precious, tmp_path, postgres_database):
    postgres_database.execute("create table t (id int primary key)", "create publication pub for all tables")
    documents = good_documents(postgres_database)
    for body in documents:
        assert plane.call("POST", "/pipelines", body)[0] == 200
    assert plane.call("POST", "/pipelines/stopped/stop")[0] == 200
    outside = [
        str(precious),
        *map(str, precious.iterdir()),
        str(precious / "new"),
        f"{precious}/../cwd/new",
        file_sink(precious / "database.db"),
    ]
    documents.append(document(postgres_source(postgres_database), file_sink(precious / "other.jsonl"), name="cutter"))
    before, judge = tree(tmp_path), Judge(plane)
    operations = [(m.upper(), path) for path, methods in judge.document["paths"].items() for m in methods]
    if made_by == "schema":
        for request, described in made_by_schema(judge.document, COUNT // 3):
            judge.judge(request, described)
    else:
        spoiled = Hostile(SEED, operations, [d["metadata"]["name"] for d in documents], documents, outside)
        for request in itertools.islice(spoiled, COUNT * 2 // 3):
            judge.judge(request)
    assert not judge.faults, "\n\n".join(judge.faults[:20])
    assert plane.process.poll() is None
    assert plane.call("GET", "/ready")[0] == 200
    least = COUNT // 20 if made_by == "hand" else COUNT // 250  # which rarely guesses the name of a pipeline
    assert judge.counts[200] > least, judge.counts  # some of it gets through, or nothing was tried
    for info in plane.call("GET", "/pipelines")[1]:
        plane.call("DELETE", f"/pipelines/{info['name']}")
    plane.stop()
    assert tree(tmp_path) == before
    log = (tmp_path / "served" / "serve.log").read_bytes()
    assert b"Traceback" not in log
    assert not [secret for secret in SECRETS if secret in log]
