"""The ``redis`` sink: one stream entry per event, through one pipeline of ``XADD`` per batch.

Delivery: at least once. The ack is the server's reply; whether that is on disk depends on the
server's ``appendfsync``. A duplicate is another entry with the same ``idempotency_key``. Needs
streams (Redis 5 or later, Valkey); no cluster.

Fields of an entry: ``event_id``, ``idempotency_key``, ``df-event`` (the encoded event), ``df-key``
unless it is empty, and ``df-headers`` (JSON) when a processor routed any.

Rights: ``XADD`` on the streams, and ``SELECT`` with a database other than 0. Nothing else is needed.

Order over an outage: each connection ends those before it on the server, so that nothing they still
hold is taken after newer entries. That takes ``CLIENT SETNAME``, ``ID``, ``LIST`` and ``KILL``; a user
who may not run them all is told so in the log, once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn
from deltaforge.core.batch import Batch
from deltaforge.core.delivery import DeliveryReport
from deltaforge.core.encoded import NO_TOMBSTONES, EncodedValues
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_text import encode_json
from deltaforge.core.routing import Destination, idempotency_key
from deltaforge.kernel import backend
from deltaforge.observability.kill_points import reached
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext, TemplateText
from deltaforge.sinks.messages import Messages, Outgoing
from deltaforge.sinks.redis_client import SENTINEL_SCHEMES, SOCKET_SCHEMES, asked, opened, said, sink_error, word_of

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

PIPELINE_COMMANDS = 5000
"""A pipeline of a very large batch ends here and another begins, so that memory stays bounded."""

_SCHEMES = ("redis", "rediss", *SOCKET_SCHEMES, *SENTINEL_SCHEMES)
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_NETWORK_WORDS = """
    db username password protocol client_name socket_timeout socket_connect_timeout socket_keepalive retry_on_timeout
    max_connections health_check_interval ssl_ca_data ssl_cert_reqs ssl_check_hostname ssl_ciphers ssl_min_version
    ssl_password timeout
"""
_OF_THE_NETWORK = frozenset(_NETWORK_WORDS.split())
"""Parameters of a URI that name nothing of this machine. The client gives any other to its connection as it is."""
_LONGEST_NAME = 60


def _checked_uri(uri: Any) -> Any:
    if "${" in uri.get_secret_value():
        return uri  # it is not known yet
    parts = urlsplit(uri.get_secret_value())
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"a Redis URI begins with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    if parts.scheme in SENTINEL_SCHEMES and not parts.path.strip("/"):
        raise ValueError("a sentinel URI names the master: redis+sentinel://host:26379,host2:26379/mymaster[/db]")
    return uri


class RedisSinkConfig(EncodedSinkConfig):
    """Which server and stream."""

    uri: Annotated[Dsn, AfterValidator(_checked_uri)] = Field(
        description="`redis://`, `rediss://` or `redis+sentinel://host:port,host:port/master[/db]`."
    )
    stream: TemplateText = Field(description="Stream of an event; a template.")
    key: TemplateText | None = Field(None, description="Template of `df-key`; absent: the event id.")
    send_timeout_secs: float = Field(5, gt=0, description="Seconds the server may take to accept or answer anything.")
    batch_timeout_secs: float = Field(30, gt=0, description="Seconds for one batch.")
    connect_timeout_secs: float = Field(10, gt=0, description="Seconds to connect.")

    def connected(self, name: str) -> Redis:
        """A client whose connection has that name on the server.

        Raises:
            SinkError: It cannot connect or log in.
        """
        uri, answer_secs = self.uri.get_secret_value(), self.send_timeout_secs
        return opened(uri, name, answer_secs=answer_secs, connect_secs=self.connect_timeout_secs)

    def local_uses(self) -> Iterator[LocalUse]:
        parts = urlsplit(self.uri.get_secret_value())
        if parts.scheme in SOCKET_SCHEMES:
            yield LocalUse(("uri",), parts.path, "other", "redis://host:port", name="a socket")
        for name, values in parse_qs(parts.query).items():
            if name in _FILES:
                yield LocalUse(("uri",), unquote(values[0]), name=name)  # the client decodes it a second time
            elif name not in _OF_THE_NETWORK:
                yield LocalUse(("uri",), values[0], "other", name=name[:_LONGEST_NAME])


class RedisSinkSpec(StrictModel):
    """Entries of Redis streams."""

    type: Literal["redis"]
    config: RedisSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """A sink on that server, unopened."""
        return RedisSink(self.config, context)


class RedisSink:
    """Writes with one connection; every entry is acknowledged when ``write`` returns."""

    def __init__(self, config: RedisSinkConfig, context: SinkContext) -> None:
        self._config = config
        self._context = context
        self._stream = Destination(config.stream, "stream")
        self._messages = Messages(config, self._stream, config.key, _event_id, NO_TOMBSTONES)
        self._bytes = context.metrics.sink_bytes.labels(context.pipeline, config.id)
        self._name = f"deltaforge-{token_hex(8)}"
        self._client: Redis | None = None
        self._refused: list[RecordError] = []  # since the last flush
        self._is_warned = False

    def open(self) -> None:
        self.close()
        self._messages.open(self._context)
        client = self._config.connected(self._name)
        with asked("connect to redis"):
            self._end_earlier(client)
            if self._stream.fixed is not None:
                _check_rights(client, self._stream.fixed)
        self._client = client

    def _end_earlier(self, client: Redis) -> None:
        """End what earlier connections left on the server, as far as the user may."""
        from redis.exceptions import ResponseError

        try:
            _end_others(client, self._name)
        except ResponseError as refused:
            if not self._is_warned:
                log.warning(
                    "sink %s may not end its earlier connections (%s): after an outage what they still hold may come "
                    "late; the user needs +client|setname +client|id +client|list +client|kill",
                    self._config.id,
                    said(refused),
                    extra={"sink": self._config.id},
                )
            self._is_warned = True

    def write(self, batch: Batch) -> None:
        messages = self._messages.of(batch)
        deadline = time.monotonic() + self._config.batch_timeout_secs
        for commands, places in list(_pipelines(batch, messages)):  # all of them before the first is sent
            if time.monotonic() > deadline:
                raise SinkError(f"redis took more than {self._config.batch_timeout_secs} s for a batch", kind="timeout")
            self._refused += _refusals(self._send(commands, len(places)), batch, places)
        self._bytes.inc(messages.values.byte_count)

    def flush(self) -> DeliveryReport:
        """What was written is acknowledged already, or refused."""
        refused, self._refused = self._refused, []
        return DeliveryReport(refused=tuple(refused))

    def suspend(self) -> None:
        self.close()

    def close(self) -> None:
        client, self._client = self._client, None
        self._refused = []
        self._messages.close()
        if client is not None:
            with suppress(Exception):  # nothing of a broken connection matters any more
                client.close()

    def _send(self, commands: list[bytes], count: int) -> list[Exception | None]:
        """Write commands; the error of each that the server answered with one."""
        if self._client is None:
            raise SinkError("the redis sink is not open", kind="connect")
        pool = self._client.connection_pool
        with asked("write to redis"):
            connection: Any = pool.get_connection()
            try:
                connection.send_packed_command([b"".join(commands)])
                reached("mid_produce")
                return [_reply(connection) for _ in range(count)]
            except BaseException:
                connection.disconnect()  # replies that were not read must not be taken for others
                raise
            finally:
                pool.release(connection)


def _pipelines(batch: Batch, messages: Outgoing) -> Iterator[tuple[list[bytes], list[int]]]:
    """Packed commands of a batch with the places of their events, in pipelines that are not too long."""
    packed, places = list[bytes](), list[int]()
    values, index, at = messages.values, 0, 0  # the next event, and the next message
    for group in batch.groups:
        stop = index + group.event_count
        at_once = backend.xadd_commands(group, values, messages.targets, index)
        if at_once is not None:
            packed.append(at_once)
            places += range(index, stop)
            at += group.event_count
        else:
            for place, event in enumerate(group.events(), index):
                end = _end_of(values, at, place)
                found = [_command(event, messages, n, n - at) for n in range(at, end) if values[n] is not None]
                packed += found
                places += [place] * len(found)
                at = end
        index = stop
        if len(places) >= PIPELINE_COMMANDS:
            yield packed, places
            packed, places = [], []
    if places:
        yield packed, places


def _end_of(values: EncodedValues, at: int, event: int) -> int:
    """The place behind the messages of an event, which begin at ``at`` if it has any."""
    while at < len(values) and values.event_of(at) == event:
        at += 1
    return at


def _command(event: ChangeEvent, messages: Outgoing, index: int, number: int) -> bytes:
    """The command that adds a message: the first of its event, or a later one, which is no duplicate of it."""
    place = messages.values.event_of(index)
    identity = f"{idempotency_key(event)}|{number}" if number else idempotency_key(event)
    fields: list[str | bytes] = ["event_id", _event_id(event), "idempotency_key", identity]
    fields += ["df-event", messages.values[index] or b""]
    if key := messages.key(index):
        fields += ["df-key", key]
    if headers := messages.targets.headers(place):
        fields += ["df-headers", encode_json(headers)]
    return _packed(["XADD", messages.targets.destination(place), "*", *fields])


def _packed(arguments: Sequence[str | bytes]) -> bytes:
    """A command in the protocol's form: an array of strings with their lengths."""
    raw = [argument.encode() if isinstance(argument, str) else argument for argument in arguments]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(item), item) for item in raw)


def _reply(connection: Any) -> Exception | None:
    """The error that a command was answered with, if it was one."""
    from redis.exceptions import ResponseError

    try:
        connection.read_response()
    except ResponseError as error:
        return error
    return None


def _event_id(event: ChangeEvent) -> str:
    return event.event_id or ""


def _end_others(client: Redis, name: str) -> None:
    """End the server's side of earlier connections: what they still bring after an outage is old.

    Raises:
        ResponseError: The user may not; then readers have the idempotency key alone.
    """
    client.client_setname(name)  # which the connection did, unless it may not
    own = client.client_id()
    for other in client.client_list():
        if other["name"] == name and int(other["id"]) != own:
            client.client_kill_filter(_id=other["id"])


def _check_rights(client: Redis, stream: str) -> None:
    """Have the server say now whether the user may add entries.

    The entry has a wrong number in it. A server looks at that after the rights, and so takes nothing.

    Raises:
        SinkError: The user may not.
    """
    from redis.exceptions import ResponseError

    try:
        client.execute_command("XADD", stream, "MAXLEN", "none", "*", "f", "v")  # type: ignore[no-untyped-call]  # the client's own gap
    except ResponseError as refused:
        if word_of(refused) == "NOPERM":
            raise sink_error(f"redis takes nothing for stream {stream}", refused) from refused


def _refusals(replies: Sequence[Exception | None], batch: Batch, places: Sequence[int]) -> Iterator[RecordError]:
    """The events whose entries the server refused for what they are: their stream's name is that of a key of another
    type.

    Raises:
        SinkError: The server refused one for another reason, which is no fault of the entry.
    """
    indexes = dict[int, None]()  # of an event with several messages once
    for index, reply in zip(places, replies, strict=True):
        if reply is None:
            continue
        if word_of(reply) != "WRONGTYPE":
            raise sink_error("redis refused an entry", reply)
        indexes[index] = None
    for index in indexes:
        refused = RecordError("redis key is not a stream", index=index, kind="routing")
        refused.batch = batch
        yield refused
