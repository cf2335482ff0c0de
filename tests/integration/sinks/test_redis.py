"""The redis sink: the contract of all sinks, and what is Redis' own."""

import uuid

import msgspec
import pytest

from deltaforge.sinks.redis import RedisSinkSpec
from deltaforge.testing.sink_contract import (
    Delivered,
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
)


class RedisTarget:
    def __init__(self, server, proxy):
        self.name = uuid.uuid4().hex
        self._server = server
        self._proxy = proxy
        self.down, self.up, self.stall, self.unstall = proxy.down, proxy.up, proxy.stall, proxy.unstall

    def sink(self, *, destination="", **settings):
        return self.sink_at(f"redis://127.0.0.1:{self._proxy.port}", stream=destination or f"{self.name}.s", **settings)

    def sink_at(self, uri, **settings):
        config = {
            "id": "s", "uri": uri, "stream": f"{self.name}.s", "send_timeout_secs": 1, "connect_timeout_secs": 1,
        }  # fmt: skip
        return RedisSinkSpec.model_validate({"type": "redis", "config": config | settings}).build(context())

    def unreachable(self):
        return self.sink_at("redis://127.0.0.1:1")

    def unwelcome(self):
        return self.sink_at(f"redis://user:wrong-password@127.0.0.1:{self._server.port}")

    def entries(self):
        client = self._server.connect()
        try:
            return [
                (stream.decode(), fields)
                for stream in sorted(client.scan_iter(f"{self.name}.*", count=10_000))
                for _, fields in client.xrange(stream)
            ]
        finally:
            client.close()

    def delivered(self):
        return [
            Delivered(
                fields[b"df-event"],
                stream,
                fields.get(b"df-key", b"").decode(),
                msgspec.json.decode(fields.get(b"df-headers", b"{}")),
            )
            for stream, fields in self.entries()
        ]


@pytest.fixture
def target(redis_server, fault_proxy):
    return RedisTarget(redis_server, fault_proxy(redis_server.port))


class TestRedisSink(SinkContract, RoutedSinkContract, NetworkSinkContract):
    pass
