"""A client of a schema registry with the HTTP API of Confluent's (also Apicurio's and Karapace's).

Every request is bounded: in time as a whole, in the size of the answer, and to the address that the document names:
redirects are not followed. Nothing of user, password or query is in an error.
"""

from __future__ import annotations

import base64
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from deltaforge.config.secret import REDACTED, redacted
from deltaforge.core.errors import SinkError
from deltaforge.encodings.registry_meter import Result

log = logging.getLogger(__name__)

TOTAL_SECS, CONNECT_SECS = 10.0, 5.0
MAX_ANSWER_BYTES, PIECE_BYTES = 1 << 20, 1 << 14
MAX_REASON = 300
"""Characters of what a registry says that are shown."""
SchemaType = Literal["AVRO", "JSON"]
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class RejectedSchemaError(SinkError):
    """The registry has seen a schema and does not take it under that subject: it is not compatible, or not valid."""

    default_kind = "schema_mismatch"


class _Registered(msgspec.Struct):
    id: int


class _Refusal(msgspec.Struct):
    message: str = ""


class SchemaRegistry:
    """Asks one registry. Used by one thread at a time; holds no connection between requests.

    Args:
        url: With the path of the API, e.g. ``http://registry:8081`` or ``…/apis/ccompat/v7``; may hold user and
            password.
        username: Instead of that of the URL.
        password: Of ``username``.
        ca_file: PEM certificates that the registry's is checked with, instead of the system's.
        note: Called once per request with how it went.

    Raises:
        SinkError: The URL or the file cannot be used.
    """

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        *,
        ca_file: str | None = None,
        note: Callable[[Result], object] = lambda _result: None,
    ) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme not in ("http", "https"):
            raise SinkError(
                "the address of the schema registry is not an HTTP address",
                kind="spec",
                hint="schema_registry_url is http://host:port or https://host:port, with the path of the API if any",
            )
        self._host, self._port = host, port or (443 if parts.scheme == "https" else 80)
        self._path = parts.path.rstrip("/")
        self._tls = _tls(ca_file) if parts.scheme == "https" else None
        user = username if username is not None else parts.username and unquote(parts.username)
        secret = password if username is not None else parts.password and unquote(parts.password)
        self._headers = {"Accept": f"{_MEDIA_TYPE}, application/json", "Content-Type": _MEDIA_TYPE}
        self._hidden: tuple[str, ...] = ()
        if user:
            login = base64.b64encode(f"{user}:{secret or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"
            self._hidden = (login, secret or "")
        self._note = note

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    def register(self, subject: str, schema: str, schema_type: SchemaType, *, within_secs: float | None = None) -> int:
        """The id of a schema, which is registered under the subject if it is not yet. Returns or raises within ten
        seconds, or ``within_secs``.

        Raises:
            RejectedSchemaError: It is not taken.
            SinkError: Kind ``connect``: there is no answer now; ``auth``: we may not.
        """
        body = {"schema": schema, "schemaType": schema_type}
        answer = self._ask("POST", f"/subjects/{quote(subject, safe='')}/versions", body, within_secs or TOTAL_SECS)
        try:
            found = msgspec.json.decode(answer, type=_Registered).id
        except msgspec.DecodeError as exc:
            raise self._unusable("an answer without an id", "") from exc
        if not 0 < found < 1 << 31:
            raise self._unusable("an id that the format of messages cannot hold", "")
        return found

    def check(self, within_secs: float = TOTAL_SECS) -> str:
        """Say how schemas are compared when a subject says nothing else, e.g. ``BACKWARD``. Raises as
        :meth:`register`.
        """
        answer = self._ask("GET", "/config", None, min(within_secs, TOTAL_SECS))
        try:
            found = msgspec.json.decode(answer)
            return str(found["compatibilityLevel"])[:40]
        except (msgspec.DecodeError, LookupError, TypeError) as exc:
            raise self._unusable("an answer that is not a registry's", "") from exc

    def _ask(self, method: str, path: str, body: Any, secs: float) -> bytes:
        try:
            status, answer = self._exchange(method, self._path + path, body, secs)
        except SinkError:
            self._note("failed")
            raise
        if status == 200:
            self._note("ok")
            return answer
        error = self._refusal(status, answer)
        self._note("rejected" if isinstance(error, RejectedSchemaError) else "failed")
        raise error

    def _exchange(self, method: str, path: str, body: Any, secs: float) -> tuple[int, bytes]:
        """One request on a connection of its own, which is cut when the time is over."""
        connection = self._connection(min(secs, CONNECT_SECS))
        is_late = threading.Event()
        guard = threading.Timer(secs, _cut, (connection, is_late))
        guard.daemon = True
        guard.start()
        try:
            connection.connect()
            if connection.sock is not None:
                connection.sock.settimeout(secs)
            content = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, content, self._headers, preload_content=False)
            answer = connection.getresponse()
            try:
                return answer.status, self._content(answer)
            finally:
                answer.close()  # also of one that was not read to its end: the connection is held by both
        except (HTTPError, OSError, ValueError) as exc:
            if is_late.is_set():
                raise self._unusable(f"no whole answer in {secs:g} s", "") from exc
            raise self._unusable(_cause(exc), "") from exc
        finally:
            guard.cancel()
            connection.close()

    def _connection(self, connect_secs: float) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=connect_secs)
        return HTTPSConnection(self._host, self._port, timeout=connect_secs, ssl_context=self._tls)

    def _content(self, answer: BaseHTTPResponse) -> bytes:
        content = b""
        while piece := answer.read(PIECE_BYTES, decode_content=True):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise self._unusable(f"an answer of more than {MAX_ANSWER_BYTES} bytes", "")
        return content

    def _refusal(self, status: int, answer: bytes) -> SinkError:
        said = self._said(answer)
        if status in (401, 403):
            return SinkError(
                f"the schema registry at {self.where} refuses us: {status}{said}",
                kind="auth",
                hint="check username and password, and what the user may do with subjects",
            )
        if status in (409, 422):
            return RejectedSchemaError(f"the schema registry does not take the schema: {status}{said}")
        if 300 <= status < 400:
            return self._unusable(f"a redirect ({status})", "name the address that it leads to in schema_registry_url")
        if status in (404, 405):
            return self._unusable(f"{status}{said}", "schema_registry_url has to end with the path of the API, if any")
        return self._unusable(f"{status}{said}", "")

    def _said(self, answer: bytes) -> str:
        """What a registry says of a refusal, cut short; nothing if it is not a registry's."""
        try:
            message = msgspec.json.decode(answer, type=_Refusal).message
        except msgspec.DecodeError:
            return ""
        for secret in filter(None, self._hidden):
            message = message.replace(secret, REDACTED)
        text = redacted("".join(letter if letter.isprintable() else " " for letter in message))
        return f", {text[:MAX_REASON]}" + ("…" if len(text) > MAX_REASON else "") if text else ""

    def _unusable(self, what: str, hint: str) -> SinkError:
        """An error that passes by itself, or once somebody has mended the registry."""
        return SinkError(f"the schema registry at {self.where} gives no id: {what}", kind="connect", hint=hint)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise SinkError(
            f"the certificates for the schema registry cannot be read: {type(exc).__name__}",
            kind="spec",
            hint="ca_file is a file of PEM certificates",
        ) from exc


def _cut(connection: HTTPConnection, is_late: threading.Event) -> None:
    """End a request from another thread: who waits for bytes gets the end of them."""
    is_late.set()
    if (sock := connection.sock) is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _cause(exc: Exception) -> str:
    """What happened, without the address and what was sent."""
    inner: BaseException = exc
    while inner.__cause__ is not None or isinstance(inner.args[:1] and inner.args[0], BaseException):
        inner = inner.__cause__ or inner.args[0]
    if isinstance(inner, ssl.SSLError):
        return f"TLS: {inner.reason or type(inner).__name__}"
    return inner.strerror or type(inner).__name__ if isinstance(inner, OSError) else type(inner).__name__
