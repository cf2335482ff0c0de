"""Connections of the ``redis`` sink, and what the server's replies mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from deltaforge.config.answering import REDIS, TLS, other_servers_named
from deltaforge.config.unset import naming_unset
from deltaforge.core.errors import MissingDependencyError, SinkError

if TYPE_CHECKING:
    from redis import Redis

SOCKET_SCHEMES = ("unix",)
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_PORT, _SENTINEL_PORT = 6379, 26379
_KINDS = {
    "auth": ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED"),
    "io": ("OOM", "LOADING", "READONLY", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY"),
    "incompatible": ("MOVED", "ASK", "CROSSSLOT"),
}
"""The kinds of our errors for the words that replies begin with. Of the others a person has to know what they mean."""
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_NO_CLUSTER = "the sink writes to one server and follows no redirections: give it one that is not in a cluster"
_HINTS = {
    "NOPERM": "give the user `+xadd` and the streams' names, and `+select` for a database other than 0",
    "MOVED": _NO_CLUSTER,
    "ASK": _NO_CLUSTER,
    "WRONGPASS": "check user and password in the URI",
    "NOAUTH": "give user and password in the URI",
    "NOREPLICAS": "the server has fewer replicas than its min-replicas-to-write",
}


def _begin_named(name: str, connection: Any) -> None:
    """Begin a connection and give it its name, if the user may; the client library insists on it."""
    from redis.exceptions import ResponseError

    connection.on_connect()
    connection.send_command("CLIENT", "SETNAME", name)
    with suppress(ResponseError):
        connection.read_response()


def opened(uri: str, name: str, *, answer_secs: float, connect_secs: float) -> Redis:
    """A client that has connected under a name and logged in.

    Args:
        uri: Of the server, or of the sentinels.
        name: Of the connection on the server.
        answer_secs: How long the server may take to accept or answer anything.
        connect_secs: How long it may take to connect.

    Raises:
        SinkError: With host and port, the kind of a server that is none of Redis, and variables that are not set.
    """
    with naming_unset(uri):
        client = _client_of(uri, name, answer_secs, connect_secs)
        if urlsplit(uri).scheme in SENTINEL_SCHEMES + SOCKET_SCHEMES:
            with asked("connect to redis"):
                _ping(client)
            return client
        host, port = _addresses(urlsplit(uri).netloc.rpartition("@")[2], _PORT)[0]
        expected = TLS if uri.startswith("rediss:") else REDIS
        with other_servers_named(host, port, expected, "URI"), asked(f"connect to redis at {host}:{port}"):
            _ping(client)
    return client


def _ping(client: Redis) -> None:
    from redis.exceptions import NoPermissionError

    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_command("PING")
        with suppress(NoPermissionError):
            connection.read_response()
    finally:
        client.connection_pool.release(connection)


def _client_of(uri: str, name: str, answer_secs: float, connect_secs: float) -> Redis:
    """A client of the server, or of the master that the sentinels name. Does not connect yet.

    Its own retries are off: a batch that is in doubt is written again by the caller, in order.
    """
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        from redis.sentinel import Sentinel
    except ImportError as exc:
        raise MissingDependencyError("the redis sink needs the `redis` package", hint="pip install redis") from exc
    try:
        parts = urlsplit(uri)
        _ = parts.port if "," not in parts.netloc else None
    except ValueError as exc:
        raise SinkError("the Redis URI cannot be read", kind="incompatible", hint="its port is no number") from exc
    settings: dict[str, Any] = {
        "socket_timeout": answer_secs,
        "socket_connect_timeout": connect_secs,
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": partial(_begin_named, name),
    }
    if parts.scheme not in SENTINEL_SCHEMES:
        return Redis.from_url(uri, **settings)
    settings["ssl"] = parts.scheme.startswith("rediss")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    master, _, database = parts.path.strip("/").partition("/")
    sentinel: Any = Sentinel(_addresses(hosts), **settings)  # type: ignore[no-untyped-call]  # the client's own gap
    client: Redis = sentinel.master_for(
        unquote(master),
        db=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        **settings,
    )
    return client


def _addresses(hosts: str, port: int = _SENTINEL_PORT) -> list[tuple[str, int]]:
    """``host[:port],…``; IPv6 addresses in brackets."""
    found = [urlsplit(f"//{host}") for host in hosts.split(",")]
    return [(parts.hostname or "localhost", parts.port or port) for parts in found]


@contextmanager
def asked(action: str) -> Iterator[None]:
    """Make the client's errors ours."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as exc:
        raise sink_error(f"cannot {action}", exc) from exc
    except OSError as exc:
        raise SinkError(f"cannot {action}: {exc.strerror or exc}", kind="connect") from exc


def sink_error(what: str, error: Exception) -> SinkError:
    """Our error for one of the client's, or for a reply of the server."""
    return SinkError(f"{what}: {said(error)}", kind=_kind(error), hint=_HINTS.get(word_of(error), ""))


def word_of(error: Exception) -> str:
    """The word that a server's reply begins with: what it means. Empty for an error of the client's own.

    The client library makes a class of some words and takes them out of the text.
    """
    known = getattr(error, "status_code", None)
    return str(known) if known else str(error).partition(" ")[0]


def said(error: Exception) -> str:
    """What the server said, with its word."""
    text, word = str(error), word_of(error)
    return text if text.startswith(word) else f"{word} {text}"


def _kind(error: Exception) -> str:
    """The kind of a client's error or server's reply. First match wins: some classes are cases of others."""
    from redis import exceptions as e

    if (known := _KIND_OF.get(word_of(error))) is not None:
        return known
    kinds: list[tuple[tuple[type[Exception], ...], str]] = [
        ((e.AuthenticationError, e.AuthorizationError), "auth"),
        ((e.TimeoutError,), "timeout"),
        ((e.ConnectionError,), "connect"),
    ]
    return next((kind for classes, kind in kinds if isinstance(error, classes)), "other")
