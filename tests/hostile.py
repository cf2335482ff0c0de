"""Requests that nobody should send, out of a seeded generator, and a client that sends them byte for byte."""

import copy
import http.client
import json
import random
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import quote

STREAM = "application/x-ndjson"
LONG = "x" * 70_000
NAMES = [
    "", ".", "..", "../..", "%2e%2e", "%00", "%ff%fe", "%ud800", "-rf", "--help", "a/b", "a%2Fb", "a\\b", "x" * 300, LONG[:9000],
    "%0d%0aSet-Cookie:x", "nul\x7f", "my%20pipe%20%C3%A9%3F", "%F0%9F%98%80", "${DELTAFORGE_TOKEN}", "{name}", "*", "a;b", "con", "'--",
]  # fmt: skip
QUERIES = [
    "limit=" + "9" * 4400, "limit=" + "0" * 19 + "1" * 4400, "limit=-1", "limit=0", "limit=1.5", "limit=1e3", "limit=%EF%BC%91", "limit=", "limit=1&limit=2", "limit=0x10",
    "limit=%2B5", "limit=1_000", "depth=" + "9" * 40, "depth=-1", "stats=yes", "stats=", "kinds=TRUE", "examples=1", "label", "label=", "label=:",
    "label=a:b&label=c", "label=" + LONG[:5000], "%", "%ff=%ff", "=", "&&&", "sink_id=%00", "error_kind=" + LONG[:4000], "drop_slot=maybe", "a[]=1",
    "lines=" + "9" * 400, "seconds=nan", "seconds=1e999", "table=%ff", "follow=2",
]  # fmt: skip
HEADERS = [
    ("Content-Type", "text/plain"), ("Content-Type", ""), ("Content-Type", "application/json; charset=utf-16"), ("Content-Type", "application/json" * 50),
    ("Content-Type", "multipart/form-data; boundary=x"), ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Type", "application/yaml"),
    ("Content-Encoding", "gzip"), ("Host", "evil.example"), ("Host", "127.0.0.1:99999"), ("Host", ""), ("Origin", "https://evil.example"),
    ("Origin", "null"), ("Authorization", "Bearer " + "x" * 4000), ("Authorization", "Basic \xff\xfe"), ("Authorization", "Bearer"),
    ("X-Forwarded-For", "127.0.0.1"), ("X-HTTP-Method-Override", "DELETE"), ("Accept", "text/html"), ("Range", "bytes=0-"), ("Expect", "100-continue"),
    ("If-None-Match", "*"), ("Cookie", "a=" + "b" * 3000), ("X-Long", "y" * 30_000), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
    ("Transfer-Encoding", "identity"), ("Accept-Encoding", "br;q=1.0, \x00"), ("Sec-Fetch-Site", "cross-site"),
]  # fmt: skip
VALUES = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 2**31, 2**63, 2**64, 10**400, 1e308, "", " ", "\x00", "\ud800", "a\nb", "\u202e", "yes", "1000", "null",
    "1e400", "${DELTAFORGE_TOKEN}", "${PATH}", "${file:/etc/passwd}", "${file:../x}", "${HOME:-x}", "$" + "{a" * 1000, "/etc/passwd", "../../x", "file:///etc",
    "postgres://u:p w@h/d", "mysql://u:p@[::1/d", "postgres://", "x" * 20_000, "a@" * 5000, "password=" * 3000, "*", ".", "a.b.c", "`", '"', "%", [], [[]], {},
    [None], {"a": {}}, {"": ""}, ["x"] * 3000, {"plugin.library.paths": "x.so"}, {"ssl.ca.location": "/etc/passwd"}, {"type": "python"},
    float("inf"), float("nan"),
]  # fmt: skip
KEYS = [
    "",
    "type",
    "config",
    "id",
    "__class__",
    "__proto__",
    "model_config",
    "x" * 500,
    "\ud800",
    "name",
    "path",
    "dsn",
    "0",
    "$ref",
]
BODIES = [
    b"", b"null", b"[]", b"1", b'"x"', b"{", b"{}{}", b"{'a':1}", b'{"a":1,}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"a":"\\ud800"}', b"NaN", b'{"a":Infinity}',
    b'{"a":1e400}', b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"a":1,"a":2}', b"\x00" * 100, b" " * 100_000,
    b'{"x":"' + b"password=" * 20_000 + b'"}', b"a: &a [*a]", b"a: &a [1]\nb: [*a, *a]", b"!!python/object/apply:os.system [id]", b"- 1\n- 2",
    b'{"metadata":{"name":"' + b"a@:" * 30_000 + b'"}}', json.dumps({"k" * n: n for n in range(500)}).encode(),
]  # fmt: skip
RAW = [
    b"GET\r\n\r\n", b"GET /health\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET  /health  HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
    b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    b"POST /validate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET http://evil/health HTTP/1.1\r\nHost: evil\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n", b"\r\n" * 500, b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
]  # fmt: skip


@dataclass
class Request:
    """What is sent: with ``raw`` these bytes and nothing else."""

    method: str = "GET"
    target: str = "/"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    raw: bytes | None = None

    def encoded(self, host: str) -> bytes:
        if self.raw is not None:
            return self.raw
        given = {name.lower() for name, _ in self.headers}
        headers = [*self.headers] if "host" in given else [("Host", host), *self.headers]
        if self.body is not None:
            headers.append(("Content-Length", str(len(self.body))))
        target = quote(self.target, safe="/?&=%:;,+$*'()[]{}~!@#\\-._")
        head = (
            f"{self.method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        )
        return head.encode("latin-1", "replace") + (self.body or b"")


@dataclass
class Answer:
    """``status`` is None if the server closed the connection without one."""

    status: int | None
    headers: dict[str, str]
    body: bytes
    secs: float


def send(address: tuple[str, int], request: Request, timeout: float) -> Answer:
    """One request on a connection of its own.

    Raises:
        TimeoutError: Nothing came within ``timeout``.
    """
    began = time.monotonic()
    with socket.create_connection(address, timeout) as connection:
        try:
            connection.sendall(request.encoded(f"{address[0]}:{address[1]}"))
            if request.raw is not None:
                connection.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(connection, method=request.method)
            answer.begin()
            # a stream has no end: that it begins is what there is to see
            body = b"" if answer.getheader("Content-Type", "").startswith(STREAM) else answer.read()
        except (ConnectionError, BrokenPipeError, http.client.HTTPException):
            return Answer(None, {}, b"", time.monotonic() - began)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, body, time.monotonic() - began)


class Hostile:
    """Requests without an end, the same ones for the same seed.

    Args:
        seed: Of the choices.
        operations: Method and path with ``{name}`` and the like.
        names: Pipelines that are there, for some of the requests.
        documents: Bodies that are right, to be spoiled.
        paths: Files and folders that must stay as they are, for some of the values.
    """

    def __init__(self, seed, operations, names, documents, paths=()):
        self._random = random.Random(seed)
        self._operations, self._names, self._documents = operations, names, documents
        self._values = [*VALUES, *paths]

    def __iter__(self):
        return self

    def __next__(self) -> Request:
        pick, kind = self._random, self._random.random()
        if kind < 0.03:
            return Request(raw=pick.choice(RAW))
        method, path = pick.choice(self._operations)
        if kind < 0.08:
            method = pick.choice(
                ["TRACE", "HEAD", "OPTIONS", "FOO", "get", "PUT", "DELETE", "PATCH", "CONNECT", "POST"]
            )
        target = self._filled(path)
        if pick.random() < 0.3:
            target += "?" + "&".join(pick.sample(QUERIES, pick.randint(1, 2)))
        if pick.random() < 0.05:
            target = pick.choice(
                ["//", "/%2e%2e/", "/pipelines//", "/docs/../", "/static/x", "/pipelines/", "/./"]
            ) + target.lstrip("/")
        headers = pick.sample(HEADERS, pick.choice([0, 0, 1, 1, 2]))
        body = self._body() if method in ("POST", "PUT", "PATCH") or pick.random() < 0.05 else None
        if body is not None and not any(name == "Content-Type" for name, _ in headers):
            headers.append(
                (
                    "Content-Type",
                    pick.choice(["application/json"] * 6 + ["application/merge-patch+json", "application/yaml"]),
                )
            )
        return Request(method, target, headers, body)

    def _filled(self, path: str) -> str:
        pick = self._random
        for part in ("{name}", "{database}", "{table}"):
            known = self._names if part == "{name}" else ["public", "orders", "orders:doc"]
            path = path.replace(part, pick.choice(known) if pick.random() < 0.6 else pick.choice(NAMES))
        return path

    def _body(self) -> bytes:
        pick = self._random
        if pick.random() < 0.2:
            return pick.choice(BODIES)
        document = copy.deepcopy(pick.choice(self._documents))
        for _ in range(pick.randint(1, 3)):
            self._spoil(document)
        text = json.dumps(document).encode()
        return text[: pick.randrange(len(text))] if pick.random() < 0.05 else text

    def _spoil(self, document) -> None:
        """Change one place: another value, another key, one key less or more."""
        pick, place = self._random, document
        while True:
            inner = [
                v for v in (place.values() if isinstance(place, dict) else place) if isinstance(v, dict | list) and v
            ]
            if not inner or pick.random() < 0.2:
                break
            place = pick.choice(inner)
        key = pick.choice(list(place) if isinstance(place, dict) else range(len(place))) if place else None
        what = pick.random()
        if key is not None and what < 0.7:
            place[key] = copy.deepcopy(pick.choice(self._values))
        elif key is not None and what < 0.8:
            del place[key]
        elif isinstance(place, dict):
            place[pick.choice(KEYS)] = copy.deepcopy(pick.choice(self._values))
        else:
            place.append(copy.deepcopy(pick.choice(self._values)))
