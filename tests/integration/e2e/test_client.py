"""The client verbs against a running server: what people and programs read, and the exit codes."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from deltaforge.cli import main
from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import file_events, file_sink, postgres_source, wait_for
from tests.processes import child


@pytest.fixture
def plane(tmp_path, monkeypatch):
    plane = ControlPlane(tmp_path).start()
    monkeypatch.setenv("DELTAFORGE_SERVER", f"http://{plane.address}")
    yield plane
    plane.stop()


@pytest.fixture
def shop(postgres_database, tmp_path):
    """A document of a pipeline, in YAML."""
    postgres_database.execute("create table t (id int primary key, note text)", "create publication pub for all tables")
    body = document(postgres_source(postgres_database), file_sink(tmp_path / "out"), name="shop")
    body["metadata"]["labels"] = {"env": "dev"}
    body["spec"]["journal"] = {"enabled": True}
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def told(capsys, *argv):
    """Exit code, output and words of a command."""
    code = main([str(part) for part in argv])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_pipeline_is_made_watched_changed_and_removed(plane, shop, postgres_database, tmp_path, capsys):
    assert told(capsys, "list") == (0, "NAME  STATUS  SOURCE  SINKS  LABELS\n", "")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("metadata: {name: x}\nspec:\n  source: {type: oracle}\n")
    code, _, err = told(capsys, "create", wrong)
    assert (code, "line 3" in err) == (2, True), err
    assert told(capsys, "create", tmp_path / "none.yaml")[0] == 2
    assert told(capsys, "create", shop) == (0, "shop is created, running\n", "")
    code, out, err = told(capsys, "create", shop)
    assert (code, out, err) == (1, "", "error: pipeline shop already exists\n")
    assert told(capsys, "list", "--label", "env:dev", "--label", "env")[1].splitlines()[1].split("  ") == [
        "shop", "running", "postgres src", "file file", "env:dev",
    ]  # fmt: skip
    assert json.loads(told(capsys, "list", "--label", "env:live", "--json")[1]) == []

    command = [sys.executable, "-m", "deltaforge", "tail", "shop", "-n", "2", "--table", "public.t"]
    tail = child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: 'tail_listeners{pipeline="shop"} 1.0' in plane.call("GET", "/metrics")[1])
    postgres_database.execute("insert into t values (1, E'a\\x1b[2J')", "update t set note = 'b'")
    out, err = tail.communicate(timeout=60)
    assert [line.split(" ", 1)[1] for line in out.splitlines()] == [
        "insert   public.t  id=1 note=a\\x1b[2J", "update   public.t  id=1 note=b",
    ]  # fmt: skip
    assert (tail.returncode, err) == (0, "")
    wait_for(lambda: len(file_events(tmp_path / "out")) == 2)

    wait_for(lambda: json.loads(told(capsys, "status", "shop", "--json")[1])["ops"]["checkpoints"])
    text = told(capsys, "status", "shop")[1]
    assert re.search(r"^status +running$", text, re.MULTILINE)
    assert "ago  lsn " in text

    assert told(capsys, "patch", "shop", "--set", "spec.batch.max_events=7")[1] == "shop is patched, running\n"
    assert plane.call("GET", "/pipelines/shop")[1]["spec"]["spec"]["batch"]["max_events"] == 7
    patch = tmp_path / "patch.yaml"
    patch.write_text("metadata: {labels: {env: null, team: x}}")
    assert told(capsys, "patch", "shop", patch, "--replace-lists")[0] == 0
    assert plane.call("GET", "/pipelines/shop")[1]["spec"]["metadata"]["labels"] == {"team": "x"}
    code, _, err = told(capsys, "patch", "shop", "--set", "spec.batch.max_events=none")
    assert code == 2
    assert "spec.batch.max_events" in err

    for verb, status in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert told(capsys, verb, "shop") == (0, f"shop is {status}\n", "")
    assert told(capsys, "tail", "shop")[0] == 1
    lines = told(capsys, "logs", "shop", "-n", "500")[1]
    assert "pipeline shop starts" in lines

    assert told(capsys, "dlq", "shop")[1] == "SEQ  AT  SINK  KIND  TABLE  ERROR\n"
    assert told(capsys, "dlq", "shop", "count")[1] == "0 entries\n"
    assert told(capsys, "dlq", "shop", "ack", "--up-to", "9")[1] == "0 entries are removed\n"
    assert told(capsys, "dlq", "shop", "purge", "--yes", "--json")[1] == '{\n  "purged": 0\n}\n'
    assert told(capsys, "dlq", "shop", "ack")[0] == 2
    code, _, err = told(capsys, "dlq", "shop", "retry", "--seq", "1")
    assert (code, err[:7]) == (1, "error: ")

    level = told(capsys, "log-level")[1]
    assert told(capsys, "log-level", "info,deltaforge.sinks=debug")[1] == "info,deltaforge.sinks=debug\n"
    assert told(capsys, "log-level", "loud")[0] == 2
    assert told(capsys, "log-level", level.strip())[1] == level

    assert told(capsys, "delete", "shop")[0] == 2  # nobody to ask
    code, out, err = told(capsys, "delete", "shop", "--yes")
    assert (code, out) == (0, "shop is deleted\n")
    slot = f"s_{postgres_database.name}"
    assert err.startswith(f"its replication slot is left on the server: {slot}; retained_bytes=")
    for verb in ("status", "tail", "logs", "pause", "delete", "dlq"):
        code, _, err = told(capsys, verb, "shop", *(["--yes"] if verb == "delete" else []))
        assert (code, err) == (4, "error: pipeline shop not found\n"), verb
    assert told(capsys, "status", "shop é?")[::2] == (4, "error: pipeline shop é? not found\n")


def test_a_tail_ends_with_its_pipeline(plane, shop, capsys, tmp_path):
    assert told(capsys, "create", shop)[0] == 0
    for end, code, words in (("stop", 0, "pipeline shop has ended\n"), ("kill", 1, "error: the process of pipeline")):
        told(capsys, "resume", "shop")
        command = [sys.executable, "-m", "deltaforge", "tail", "shop", "--json"]
        tail = child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: 'tail_listeners{pipeline="shop"} 1.0' in plane.call("GET", "/metrics")[1])
        if end == "stop":
            told(capsys, "stop", "shop")
        else:
            [lock] = (tmp_path / "state" / "pipelines").glob("shop/lock")
            os.kill(int(lock.read_text()), signal.SIGKILL)
        out, err = tail.communicate(timeout=60)
        assert (tail.returncode, err.startswith(words)) == (code, True), err
        assert "ended" in json.loads(out.splitlines()[-1])["tail"]
    assert told(capsys, "delete", "shop", "--yes", "--drop-slot") == (0, "shop is deleted\n", "")


class Answers(BaseHTTPRequestHandler):
    """A server over TLS that says who asked."""

    def do_GET(self):
        body = json.dumps([]).encode()
        self.server.seen.append(self.headers.get("Authorization"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def tls_server(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.seen = []
    server.handle_error = lambda *_: None  # a client that does not trust us goes away
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, certificate, key
    server.shutdown()
    thread.join()
    server.server_close()


def test_tls_client_certificates_and_tokens(tls_server, tmp_path, capsys):
    server, certificate, key = tls_server
    url = f"https://localhost:{server.server_address[1]}"
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    code, _, err = told(capsys, "list", "--server", url)
    assert (code, "not trusted" in err, "--ca" in err) == (1, True, True)
    code, _, err = told(capsys, "list", "--server", url, "--ca", certificate)
    assert (code, "--cert" in err) == (1, True), err
    options = ["--server", url, "--ca", certificate, "--cert", certificate, "--key", key, "--token-file", token]
    assert told(capsys, "list", *options)[::2] == (0, "")
    assert server.seen == ["Bearer t0ken"]


def test_what_is_wrong_with_the_way_to_a_server_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DELTAFORGE_TOKEN", "t0ken")
    empty = tmp_path / "empty"
    empty.touch()
    for options, code, words in (
        (["--server", "http://127.0.0.1:1"], 1, "deltaforge serve"),
        (["--server", "ftp://x"], 2, "expected a URL"),
        (["--server", "http://x:99999"], 2, "Port out of range"),
        (["--token-file", tmp_path / "none"], 2, "cannot read"),
        (["--token-file", empty], 2, "is empty"),
        (["--ca", empty], 2, "https://"),
        (["--server", "https://x", "--ca", empty], 2, "PEM"),
    ):
        found, _, err = told(capsys, "list", *options)
        assert (found, words in err, "t0ken" in err) == (code, True, False), err
