"""The ``redis_list`` sink: value, key and headers of each event, as msgpack at the end of a Redis list.

Delivery: at least once. The ack is the server's reply. A duplicate is another element with the same event id. This file
is all that the sink needs, besides the two lines that register it: see ``test_a_new_sink.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn
from deltaforge.core.batch import Batch
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.errors import SinkError
from deltaforge.core.routing import Destination
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext, TemplateText
from deltaforge.sinks.messages import Messages

if TYPE_CHECKING:
    from redis import Redis


class ListSinkConfig(EncodedSinkConfig):
    """Which server and list."""

    uri: Dsn = Field(description="`redis://…`.")
    list_name: TemplateText = Field(description="List of an event; a template.")
    key: TemplateText | None = Field(None, description="Template of the key; absent: the primary key as JSON.")
    send_timeout_secs: float = Field(5, gt=0, description="Seconds the server may take to answer.")


class ListSinkSpec(StrictModel):
    """Elements of Redis lists."""

    type: Literal["redis_list"]
    config: ListSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """A sink on that server, unopened."""
        return ListSink(self.config, context)


class ListSink:
    """Every element is acknowledged when ``write`` returns."""

    def __init__(self, config: ListSinkConfig, context: SinkContext) -> None:
        self._config, self._context = config, context
        self._messages = Messages(config, Destination(config.list_name, "list"), config.key)
        self._bytes = context.metrics.sink_bytes.labels(context.pipeline, config.id)
        self._client: Redis | None = None

    def open(self) -> None:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.close()
        self._messages.open(self._context)
        uri, secs = self._config.uri.get_secret_value(), self._config.send_timeout_secs
        with _errors():
            self._client = Redis.from_url(
                uri, socket_timeout=secs, socket_connect_timeout=secs, retry=Retry(NoBackoff(), 0)
            )
            self._client.ping()

    def write(self, batch: Batch) -> None:
        if self._client is None:
            raise SinkError("the list sink is not open", kind="connect")
        messages = self._messages.of(batch)
        with _errors(), self._client.pipeline(transaction=False) as pipeline:
            for index, value in enumerate(messages.values):
                event = messages.values.event_of(index)
                element = (value, messages.key(index), messages.targets.headers(event))
                pipeline.rpush(messages.targets.destination(event), msgspec.msgpack.encode(element))
            pipeline.execute()
        self._bytes.inc(messages.values.byte_count)

    def flush(self) -> DeliveryReport:
        return ALL_ACKED

    def suspend(self) -> None:
        self.close()

    def close(self) -> None:
        client, self._client = self._client, None
        self._messages.close()
        if client is not None:
            with suppress(Exception):
                client.close()


@contextmanager
def _errors() -> Iterator[None]:
    from redis.exceptions import AuthenticationError, RedisError

    try:
        yield
    except AuthenticationError as exc:
        raise SinkError("redis refuses the password", kind="auth") from exc
    except (RedisError, OSError) as exc:
        raise SinkError(f"cannot write to redis: {type(exc).__name__}", kind="connect") from exc
