"""A running server, as the client verbs talk to it: its address, who we are, and what its answers mean."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from deltaforge.cli.options import say
from deltaforge.core.errors import ControlError, DeltaForgeError, NotFoundError, SpecError

DEFAULT_SERVER = "http://127.0.0.1:8080"
ANSWER_SECS = 330.0
"""Longer than whatever the server itself waits for, a retry of dead letters included."""
MAX_ANSWER_BYTES = 256 << 20
MAX_LINE_BYTES = 64 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")
JSON = "application/json"


def add_server(parser: argparse.ArgumentParser) -> None:
    """Where the server is, how to be let in, and ``--json``."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server", metavar="URL", help=f"default: the variable DELTAFORGE_SERVER, else {DEFAULT_SERVER}"
    )
    group.add_argument(
        "--token-file", metavar="PATH", type=Path, help="file with the bearer token; default: DELTAFORGE_TOKEN"
    )
    group.add_argument("--ca", metavar="PATH", type=Path, help="certificates that sign the server's, PEM")
    group.add_argument("--cert", metavar="PATH", type=Path, help="client certificate, PEM")
    group.add_argument("--key", metavar="PATH", type=Path, help="its key, if it is in another file")
    parser.add_argument("--json", action="store_true", help="what the server answers, for programs")


class Server:
    """Requests to one server. Each has a connection of its own; redirects are not followed.

    Args:
        args: What :func:`add_server` adds.
        answer_secs: How long to wait for it.

    Raises:
        SpecError: An option is wrong, or a file that it names cannot be read.
    """

    def __init__(self, args: argparse.Namespace, *, answer_secs: float = ANSWER_SECS) -> None:
        self._answer_secs = answer_secs
        self.url = args.server or os.environ.get("DELTAFORGE_SERVER") or DEFAULT_SERVER
        given = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
        try:
            self._host, self._port = given.hostname, given.port
        except ValueError as exc:
            raise SpecError(f"--server: {exc}") from exc
        if given.scheme not in ("http", "https") or not self._host or given.query or given.fragment or given.username:
            raise SpecError(f"--server is {self.url!r}, expected a URL such as {DEFAULT_SERVER}")
        self._path = given.path.rstrip("/")
        self._token = _token(args)
        self._tls = _tls(args) if given.scheme == "https" else None
        if self._tls is None and (args.ca or args.cert or args.key):
            raise SpecError("--ca, --cert and --key are for a server at https://…")
        if self._tls is None and self._token and self._host not in LOOPBACK:
            say(f"warning: the token goes to {self._host} unencrypted; use https://")

    def call(self, method: str, path: str, body: bytes | None = None, *, content_type: str = JSON) -> Any:
        """One request; the JSON of its answer, None if it has none.

        Raises:
            DeltaForgeError: No answer, or one that says what is wrong.
        """
        with self._requested(method, path, body, content_type=content_type) as answer:
            data = answer.read(MAX_ANSWER_BYTES)
        return _decoded(data) if data else None

    def header(self, method: str, path: str, name: str) -> str | None:
        """One request without an answer's body, of which a header is wanted; None if it is not there.

        Raises:
            DeltaForgeError: As :meth:`call`.
        """
        with self._requested(method, path, None) as answer:
            return answer.getheader(name)

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """A streamed answer, a JSON object a line.

        Raises:
            DeltaForgeError: As :meth:`call`; or the stream breaks off.
        """
        with self._requested("GET", path, None) as answer:
            while line := answer.readline(MAX_LINE_BYTES):
                if line.strip():
                    yield _decoded(line)

    @contextmanager
    def _requested(
        self, method: str, path: str, body: bytes | None, *, content_type: str = JSON
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Accept": "application/json, application/x-ndjson"}
        if body is not None:
            headers["Content-Type"] = content_type
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        try:
            connection.request(method, self._path + path, body, headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise _refusal(answer)
            yield answer
        except ssl.SSLCertVerificationError as exc:
            raise ControlError(
                f"the certificate of {self.url} is not trusted: {exc.verify_message}",
                hint="name the certificates that sign it with --ca",
            ) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise ControlError(f"no answer from {self.url}: {_reason(exc)}", hint=self._hint(exc)) from exc
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = str(self._host)
        if self._tls is None:
            return http.client.HTTPConnection(host, self._port, timeout=self._answer_secs)
        return http.client.HTTPSConnection(host, self._port, timeout=self._answer_secs, context=self._tls)

    def _hint(self, exc: Exception) -> str:
        if isinstance(exc, ConnectionRefusedError):
            return "start it with `deltaforge serve`, or say where it is with --server or DELTAFORGE_SERVER"
        if isinstance(exc, ssl.SSLError):
            return "does it speak TLS, and does it ask for a client certificate (--cert)?"
        if self._tls is None and isinstance(exc, http.client.HTTPException | ConnectionResetError):
            return "does it speak TLS? then its address begins with https://"
        return ""


def pipeline_path(name: str, *parts: str, **query: object) -> str:
    """The path of a pipeline or of something below it; arguments that are None are left out."""
    given = {key: value for key, value in query.items() if value is not None}
    path = "/".join(("/pipelines", quote(name, safe=""), *parts))
    return f"{path}?{urlencode(given)}" if given else path


def _token(args: argparse.Namespace) -> str:
    token = os.environ.get("DELTAFORGE_TOKEN", "")
    if args.token_file is not None:
        token = _read(args.token_file)
        if not token.strip():
            raise SpecError(f"the token file {args.token_file} is empty")
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        raise SpecError("the token holds characters that no header may hold")
    return token


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SpecError(f"cannot read {path}: {_reason(exc)}") from exc


def _tls(args: argparse.Namespace) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=args.ca)
        if args.cert is not None:
            context.load_cert_chain(args.cert, args.key)
    except (OSError, ValueError) as exc:
        raise SpecError(f"--ca, --cert or --key: {_reason(exc)}", hint="they are files in the PEM form") from exc
    if args.key is not None and args.cert is None:
        raise SpecError("--key is that of --cert", hint="give --cert too")
    return context


def _refusal(answer: http.client.HTTPResponse) -> DeltaForgeError:
    """What an answer that is no success says, as the error with the exit code of its kind."""
    try:
        body = json.loads(answer.read(1 << 20))
        message = str(body["message"] if "message" in body else body["error"])
    except (ValueError, KeyError, TypeError):
        message = f"the server answers {answer.status} {answer.reason}"
    if answer.status == http.client.NOT_FOUND:
        return NotFoundError(message)
    if answer.status in (http.client.BAD_REQUEST, http.client.REQUEST_ENTITY_TOO_LARGE):
        return SpecError(message)
    if answer.status == http.client.UNAUTHORIZED:
        return ControlError(message, hint="--token-file or DELTAFORGE_TOKEN")
    return ControlError(message)


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as exc:
        raise ControlError("the answer is not JSON", hint="is it a DeltaForge server?") from exc


def _reason(exc: BaseException) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
