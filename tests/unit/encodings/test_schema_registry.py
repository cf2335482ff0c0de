"""The client of schema registries against servers that mean no good."""

import base64
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deltaforge.core.errors import SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.encodings.schema_registry import MAX_ANSWER_BYTES, RejectedSchemaError, SchemaRegistry
from tests.fixtures.kafka_tls import self_signed

SCHEMA = '{"type":"string"}'


@contextmanager
def answering(status=200, body=b'{"id":7}', headers=(), context=None):
    """A server that gives one answer to everything; ``seen`` are the requests."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            seen.append((self.path, dict(self.headers), content))
            told = body(self.headers) if callable(body) else body
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """Clients that go away are what some of these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.seen = seen
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def speaking(*parts, then=b"", pause=0.01):
    """A server that sends raw bytes, and ``then`` again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                try:
                    for part in parts:
                        connection.sendall(part)
                    while not ended.wait(pause) and then:
                        connection.sendall(then)
                    ended.wait(5)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def client(port, path="", user="", scheme="http", **settings):
    return SchemaRegistry(f"{scheme}://{user}127.0.0.1:{port}{path}", **settings)


def refused(registry, **settings):
    with pytest.raises(SinkError) as caught:
        registry.register("s", SCHEMA, "AVRO", **settings)
    return caught.value


def test_requests_are_those_of_the_contract():
    with answering() as server:
        registry = client(server.server_port, "/apis/ccompat/v7/", username="üser", password="pass:word")
        assert registry.register("a/b c-value", SCHEMA, "AVRO") == 7
        ((path, headers, body),) = server.seen
    assert path == "/apis/ccompat/v7/subjects/a%2Fb%20c-value/versions"
    assert json.loads(body) == {"schema": SCHEMA, "schemaType": "AVRO"}
    assert headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "üser:pass:word"


def test_user_and_password_may_stand_in_the_address():
    with answering() as server:
        client(server.server_port, user="me:p%40ss@").register("s", SCHEMA, "AVRO")
        assert server.seen[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()


ANSWERS = [
    (401, "auth", Retry.OPERATOR), (403, "auth", Retry.OPERATOR), (409, "schema_mismatch", Retry.OPERATOR),
    (422, "schema_mismatch", Retry.OPERATOR), (500, "connect", Retry.BACKOFF), (503, "connect", Retry.BACKOFF),
    (429, "connect", Retry.BACKOFF), (404, "connect", Retry.BACKOFF), (301, "connect", Retry.BACKOFF),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind", "retry"), ANSWERS)
def test_answers_are_errors_of_their_kind(status, kind, retry):
    results = []
    with answering(status, b'{"error_code":1,"message":"it is so\\n\\u001b[31m because"}') as server:
        error = refused(client(server.server_port, note=results.append))
    assert (error.kind, retry_of(error)) == (kind, retry)
    assert isinstance(error, RejectedSchemaError) == (kind == "schema_mismatch")
    assert results == ["rejected" if kind == "schema_mismatch" else "failed"]
    if status != 301:
        assert "it is so  [31m because" in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id":"7"}', b'{"id":-1}', b'{"id":0}', b'{"id":2147483648}'])  # fmt: skip
def test_an_answer_without_a_usable_id_is_no_id(body):
    with answering(200, body) as server:
        assert refused(client(server.server_port)).kind == "connect"


def test_a_redirect_is_not_followed():
    with (
        answering() as elsewhere,
        answering(307, headers=[("Location", f"http://127.0.0.1:{elsewhere.server_port}/")]) as s,
    ):
        error = refused(client(s.server_port, user="u:p@"))
        assert (error.kind, elsewhere.seen) == ("connect", [])
        assert "schema_registry_url" in error.hint


def test_a_huge_answer_is_not_read():
    with speaking(b"HTTP/1.1 200 OK\r\n\r\n", then=b" " * 65536, pause=0.0) as port:
        assert f"more than {MAX_ANSWER_BYTES} bytes" in refused(client(port)).message


SLOW = {
    "silent": ((), b""),
    "headers that drip": ((b"HTTP/1.1 200 OK\r\nX: ",), b"x"),
    "a body that drips": ((b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",), b" "),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_answer_is_cut_off(name):
    parts, then = SLOW[name]
    with speaking(*parts, then=then) as port:
        began = time.monotonic()
        error = refused(client(port), within_secs=0.3)
        assert time.monotonic() - began < 5  # and not as long as it likes
    assert (error.kind, retry_of(error)) == ("connect", Retry.BACKOFF)


def test_nobody_there_is_an_outage():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "onnection refused" in refused(client(port)).message
    assert refused(SchemaRegistry("http://nowhere.invalid:8081")).kind == "connect"


def test_no_error_and_no_log_holds_a_secret(caplog):
    def echo(headers):
        return json.dumps({"message": f"who is {headers['Authorization']} with hidden-word?"}).encode()

    with answering(500, echo) as server, caplog.at_level("DEBUG"):
        url_error = refused(client(server.server_port, "/p?token=also-hidden", user="me:hidden-word@"))
        own_error = refused(client(server.server_port, username="me", password="hidden-word"))
    login = base64.b64encode(b"me:hidden-word").decode()
    for text in (str(url_error), str(own_error), caplog.text):
        assert "who is" in text or text is caplog.text or text == ""
        assert not any(secret in text for secret in ("hidden", login))


@pytest.mark.parametrize("url", ["ftp://h", "h:8081", "http://", "http://[::1", "http://h:x"])
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(SinkError, match="not an HTTP address") as caught:
        SchemaRegistry(url)
    assert caught.value.kind == "spec"


def test_tls_is_checked_with_the_systems_certificates_or_with_ca_file(tmp_path):
    key, certificate = self_signed()
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "ca.pem").write_text(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    with answering(context=context) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in refused(client(server.server_port, scheme="https")).message
        known = client(server.server_port, scheme="https", ca_file=str(tmp_path / "ca.pem"))
        assert known.register("s", SCHEMA, "AVRO") == 7
    with pytest.raises(SinkError, match="certificates for the schema registry cannot be read"):
        client(1, scheme="https", ca_file=str(tmp_path / "none.pem"))


def test_check_says_how_schemas_are_compared():
    with answering(200, b'{"compatibilityLevel":"FULL"}') as server:
        assert client(server.server_port).check() == "FULL"
        assert server.seen[0][0] == "/config"
    with answering(200, b"<html>hello</html>") as server, pytest.raises(SinkError, match="not a registry's"):
        client(server.server_port).check()
