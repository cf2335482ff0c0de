"""What the server says to broken, slow, many and unwanted requests, over raw sockets."""

import asyncio
import json
import logging
import resource
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from api import http1, listener
from tests.pipelines import wait_for
from tests.serving import parse, read_all, served

HOST = b"Host: localhost\r\n"
GET = b"GET /pipelines HTTP/1.1\r\n" + HOST
CLOSE = b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("http")) as running:
        yield running


BELOW = {
    "no request line": (b"\x00\x01\x02\r\n\r\n", 400),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
    "a header over two lines in front": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "a space behind the name": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "a NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400),
    "a target with a space": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a target without a path": (b"GET ?label=x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a target that is a name": (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a foreign scheme": (b"GET ftp://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two lengths": (b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a length and chunks": (
        b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a length that is no number": (b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "a length of thousands of digits": (
        b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 4400 + b"\r\n\r\n", 400),
    "a broken chunk": (
        b"POST /validate HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "an old version": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "another version": (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    "another transfer coding": (b"POST /validate HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "a long target": (b"GET /" + b"a" * 70_000, 414),
    "a long header": (GET + b"X: " + b"a" * 70_000, 431),
    "many headers": (GET + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)), 431),
}  # fmt: skip


@pytest.mark.parametrize("case", BELOW)
def test_errors_below_the_application_are_the_same_json(server, case):
    sent, expected = BELOW[case]
    status, headers, body = parse(server.raw(sent))
    assert status == expected
    assert json.loads(body).keys() == {"code", "message"}
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert headers["connection"] == "close"
    assert "server" not in headers


ABOVE = {
    "no such route": (b"GET /nothing HTTP/1.1\r\n", 404, None),
    "a slash too many": (b"GET /pipelines//x HTTP/1.1\r\n", 404, None),
    "another method": (b"POST /health HTTP/1.1\r\n", 405, "GET, HEAD"),
    "a method of nobody": (b"FLY /pipelines HTTP/1.1\r\n", 405, "GET, HEAD, POST"),
    "OPTIONS": (b"OPTIONS /pipelines HTTP/1.1\r\nOrigin: http://evil.test\r\n", 405, "GET, HEAD, POST"),
    "OPTIONS of everything": (b"OPTIONS * HTTP/1.1\r\n", 404, None),
    "TRACE": (b"TRACE /pipelines HTTP/1.1\r\n", 405, "GET, HEAD, POST"),
    "a large body": (b"POST /validate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n", 413, None),
    "no pipeline": (b"GET /pipelines/%FF%00 HTTP/1.1\r\n", 404, None),
}  # fmt: skip


@pytest.mark.parametrize("case", ABOVE)
def test_errors_of_the_application_say_what_is_allowed(server, case):
    line, expected, allow = ABOVE[case]
    status, headers, body = parse(server.raw(line + HOST + CLOSE))
    assert (status, headers.get("allow")) == (expected, allow)
    assert json.loads(body).keys() == {"code", "message"}
    assert int(headers["content-length"]) == len(body)
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize("line", [b"GET /pipelines/ HTTP/1.1\r\n", b"GET //pipelines HTTP/1.1\r\n", b"GET http://localhost:1/pipelines HTTP/1.1\r\n",
                                  b"GET /pipelines HTTP/1.0\r\n"])  # fmt: skip
def test_other_spellings_of_a_target_are_answered_without_a_redirect(server, line):
    status, headers, body = parse(server.raw(line + HOST + CLOSE))
    assert (status, body, headers["content-length"]) == (200, b"[]\n", "3")


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ],
)
def test_an_upgrade_is_not_taken(server, upgrade):
    with server.connect() as sock:
        sock.sendall(GET + upgrade + b"\r\n" + b"GET /nothing HTTP/1.1\r\n" + HOST + CLOSE)
        first, _, second = read_all(sock).partition(b"HTTP/1.1 404")
    assert first.startswith(b"HTTP/1.1 200")
    assert b"NOT_FOUND" in second


def test_head_has_the_length_and_no_body(server):
    status, headers, body = parse(server.raw(b"HEAD /pipelines HTTP/1.1\r\n" + HOST + CLOSE))
    assert (status, headers["content-length"], body) == (200, "3", b"")


def test_a_body_that_is_too_large_is_answered_although_it_is_still_being_sent(server):
    head = (
        b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with server.connect() as sock:
        sock.sendall(head)
        for _ in range(80):  # 5 MiB
            sock.sendall(chunk)
        status, headers, body = parse(read_all(sock))
    assert (status, json.loads(body)["code"], headers["connection"]) == (413, "BODY_TOO_LARGE", "close")


def test_requests_follow_each_other_on_one_connection(server):
    with server.connect() as sock:
        sock.sendall(GET + b"\r\n" + b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n" + GET + CLOSE)
        answers = read_all(sock)
    assert [answers.count(b"HTTP/1.1 %d" % status) for status in (200, 404)] == [2, 1]


@pytest.fixture
def hasty(monkeypatch, tmp_path):
    """A server whose patience is short."""
    monkeypatch.setattr(listener, "IDLE_SECS", 0.3)
    monkeypatch.setattr("api.app._SETTINGS", {"BODY_TIMEOUT": 0.3, "MAX_CONTENT_LENGTH": 1000})
    with served(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"", None), (GET, 408), (b"G", 408),
     (b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{", 408)],
)  # fmt: skip
def test_who_sends_nothing_more_is_let_go(hasty, sent, status):
    with ExitStack() as stack:
        with hasty.standing():  # it would have no patience with a test that is slow between these two
            sock = stack.enter_context(hasty.connect())
            sock.sendall(sent)
        answer = read_all(sock)
    assert (parse(answer)[0] if answer else None) == status
    if answer:
        assert json.loads(parse(answer)[2])["code"] == "REQUEST_TIMEOUT"


def test_who_sends_a_head_byte_by_byte_gets_no_more_time(hasty):
    with hasty.connect() as sock:
        sock.settimeout(0.05)
        found = b""
        for _ in range(200):
            sock.sendall(b"G")
            try:
                found = sock.recv(4096)
            except TimeoutError:
                continue
            break
    assert parse(found)[0] == 408


def test_silent_connections_make_room_and_busy_ones_do_not(tmp_path):
    half = b"POST /validate HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    with served(tmp_path, max_connections=3) as server, ExitStack() as stack:
        first, *others = [stack.enter_context(server.connect()) for _ in range(3)]
        wait_for(lambda: len(server.connections()) == 3)
        for sock in (first, *others):
            sock.sendall(GET + b"\r\n")
            while not sock.recv(4096).endswith(b"[]\n"):
                pass
        assert parse(server.raw(GET + CLOSE))[0] == 200
        with suppress(ConnectionResetError):
            assert first.recv(1) == b""  # it had been silent longest
        wait_for(lambda: len(server.connections()) == 2)
        for sock in (*others, stack.enter_context(server.connect())):
            sock.sendall(half)
        # one that the server has not read from is silent, and would make room
        wait_for(lambda: [each.silent_since for each in server.connections()] == [None] * 3)
        status, headers, body = parse(server.raw(GET + CLOSE))
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert json.loads(body)["code"] == "TOO_MANY_CONNECTIONS"
        for sock in others:
            sock.sendall(b"       }")
            assert sock.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_thousand_silent_connections_cost_little(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        with served(tmp_path, max_connections=1000) as server, ExitStack() as stack:
            before = _resident()
            socks = [stack.enter_context(server.connect()) for _ in range(1000)]
            for sock in socks:
                sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 8000)
            assert parse(server.raw(GET + CLOSE))[0] == 200
            assert _resident() - before < 150 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_client_that_hangs_up_does_not_stop_what_it_began(tmp_path):
    """The handler goes on behind the connection that asked for it."""
    with served(tmp_path) as server:
        began, done = threading.Event(), threading.Event()

        async def slow(name, **_):
            began.set()
            await asyncio.sleep(0.3)
            done.set()

        server.service.delete = slow
        with server.connect() as sock:
            sock.sendall(b"DELETE /pipelines/x HTTP/1.1\r\n" + HOST + b"\r\n")
            assert began.wait(60)
            sock.shutdown(socket.SHUT_RDWR)
        assert done.wait(60)


def test_nothing_that_was_sent_is_logged_as_a_fault_of_ours(server, caplog):
    caplog.set_level(logging.WARNING)
    for sent, _ in BELOW.values():
        server.raw(sent)
    assert caplog.text == ""
    assert http1.LINGER_SECS < 5
