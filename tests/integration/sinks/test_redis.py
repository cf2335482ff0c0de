"""The redis sink: the contract of all sinks, and what is Redis' own."""

import socket
import subprocess
import uuid

import msgspec
import pytest
from pydantic import SecretStr

from deltaforge.core.errors import SinkError
from deltaforge.core.event import Transaction
from deltaforge.core.retry import Retry, retry_of
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.spec import build_encoder
from deltaforge.envelopes.native import NativeEnvelopeSpec
from deltaforge.sinks.redis import RedisSinkSpec
from deltaforge.testing.sink_contract import (
    Delivered,
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
    deliver,
    numbered_batch,
    without_repeats,
)
from tests.fixtures.local_server import installed
from tests.fixtures.ports import free_port
from tests.patience import LONG_SECS, SHORT_SECS, patience_of
from tests.unit.waiting import wait_until


class RedisTarget:
    patience_secs = LONG_SECS

    def __init__(self, server, proxy):
        self.name = uuid.uuid4().hex
        self._server = server
        self._proxy = proxy
        self.down, self.up, self.stall, self.unstall = proxy.down, proxy.up, proxy.stall, proxy.unstall

    def sink(self, *, destination="", **settings):
        return self.sink_at(f"redis://127.0.0.1:{self._proxy.port}", stream=destination or f"{self.name}.s", **settings)

    def sink_at(self, uri, **settings):
        config = {
            "id": "s", "uri": uri, "stream": f"{self.name}.s", "send_timeout_secs": self.patience_secs,
            "connect_timeout_secs": self.patience_secs,
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
def target(request, redis_server, fault_proxy):
    target = RedisTarget(redis_server, fault_proxy(redis_server.port))
    target.patience_secs = patience_of(request)
    return target


class TestRedisSink(SinkContract, RoutedSinkContract, NetworkSinkContract):
    """The contract."""


def write_all(sink, *batches):
    sink.open()
    for batch in batches:
        sink.write(batch)
    sink.flush()


def test_an_entry_has_the_fields_of_the_contract(target):
    batch = numbered_batch(7, tenant_id="acme", transaction=Transaction("771"))
    sink = target.sink()
    write_all(sink, batch)
    sink.close()
    value = batch.encoded(build_encoder(NativeEnvelopeSpec(), JsonEncodingSpec()))[0]
    assert target.entries() == [
        (
            f"{target.name}.s",
            {
                b"event_id": b"event-7",
                b"idempotency_key": b"acme|app.t|771|event-7",
                b"df-event": value,
                b"df-key": b"event-7",
            },
        )
    ]


def test_an_empty_key_has_no_field(target):
    sink = target.sink(key="${after.nothing}")
    write_all(sink, numbered_batch(1))
    sink.close()
    assert [b"df-key" in fields for _, fields in target.entries()] == [False]


def test_a_batch_larger_than_a_pipeline_arrives_in_order(target, monkeypatch):
    monkeypatch.setattr("deltaforge.sinks.redis.PIPELINE_COMMANDS", 7)
    sink = target.sink()
    write_all(sink, numbered_batch(1, 100))
    sink.close()
    assert [event.number for event in target.delivered()] == list(range(1, 101))


def test_events_whose_key_is_no_stream_are_refused_and_all_others_delivered(target, redis_server):
    sink = target.sink(destination=f"{target.name}.${{after.id}}")
    client = redis_server.connect()
    for number in (2, 15, 16):
        client.set(f"{target.name}.{number}", "text")
    batches = [numbered_batch(1, 10), numbered_batch(11, 10)]
    sink.open()
    for batch in batches:
        sink.write(batch)
    refused = sink.flush().refused
    assert sink.flush().refused == ()
    sink.close()
    assert [(error.batch, error.index, error.kind) for error in refused] == [
        (batches[0], 1, "routing"), (batches[1], 4, "routing"), (batches[1], 5, "routing"),
    ]  # fmt: skip
    for number in (2, 15, 16):
        client.delete(f"{target.name}.{number}")
    client.close()
    assert sorted(event.number for event in target.delivered()) == [n for n in range(1, 21) if n not in (2, 15, 16)]


def test_a_full_server_is_waited_for(private_redis):
    server = private_redis()
    admin = server.connect()
    admin.config_set("maxmemory", "1mb")
    sink = direct_sink(server)
    sink.open()
    batch = numbered_batch(1, 10)
    with pytest.raises(SinkError) as caught:
        sink.write(batch)
    assert caught.value.kind == "io"
    admin.config_set("maxmemory", "0")
    assert deliver(sink, [batch]) == []
    sink.close()
    assert without_repeats([fields[b"event_id"] for _, fields in admin.xrange("s")]) == [
        f"event-{number}".encode() for number in range(1, 11)
    ]
    admin.close()


def test_a_read_only_replica_is_waited_for(private_redis):
    primary, replica = private_redis(), private_redis()
    admin = replica.connect()
    admin.replicaof(primary.host, primary.port)
    wait_until(
        lambda: admin.info("replication")["master_link_status"] == "up"
    )  # before, it answers nobody for a moment
    sink = direct_sink(replica)
    sink.open()
    with pytest.raises(SinkError) as caught:
        sink.write(numbered_batch(1))
    sink.close()
    admin.close()
    assert caught.value.kind == "io"


def test_a_killed_server_is_waited_for(private_redis):
    server = private_redis("--appendonly", "yes", "--appendfsync", "always")
    sink = direct_sink(server)
    write_all(sink, numbered_batch(1, 10))
    server.kill()
    batch = numbered_batch(11, 10)
    with pytest.raises(SinkError) as caught:
        sink.write(batch)
    assert retry_of(caught.value) is Retry.BACKOFF
    server.start()
    sink.suspend()
    deliver(sink, [batch], is_open=False)
    sink.close()
    client = server.connect()
    assert without_repeats([fields[b"event_id"] for _, fields in client.xrange("s")]) == [
        f"event-{number}".encode() for number in range(1, 21)
    ]
    client.close()


def test_what_an_old_connection_still_holds_never_comes_after_newer_entries(redis_server, fault_proxy, target):
    silent = fault_proxy(redis_server.port)
    sink = target.sink_at(f"redis://127.0.0.1:{silent.port}", send_timeout_secs=SHORT_SECS)
    deliver(sink, [numbered_batch(1)], is_open=False)
    silent.stall()
    batch = numbered_batch(2, 10)
    with pytest.raises(SinkError) as caught:
        sink.write(batch)
    assert caught.value.kind == "timeout"
    sink.suspend()
    around = sink._config.model_copy(update={"uri": SecretStr(redis_server.uri)})
    sink._config = around
    deliver(sink, [batch, numbered_batch(12, 10)], is_open=False)
    silent.unstall()
    deliver(sink, [numbered_batch(22, 10)])
    sink.close()
    assert without_repeats([event.number for event in target.delivered()]) == list(range(1, 32))


@pytest.mark.parametrize("how", ["no password", "no right to write"])
def test_a_refusal_by_the_access_rules_is_an_auth_error(private_redis, how):
    server = private_redis()
    admin = server.connect()
    if how == "no password":
        admin.config_set("requirepass", "right")
        uri = server.uri
    else:
        admin.acl_setuser(
            "reader", enabled=True, passwords=["+right"], keys=["*"], commands=["+ping", "+client", "+hello"]
        )
        uri = f"redis://reader:right@{server.host}:{server.port}"
    sink = direct_sink(server, uri=uri)
    with pytest.raises(SinkError) as caught:
        write_all(sink, numbered_batch(1))
    sink.close()
    admin.close()
    assert caught.value.kind == "auth"
    assert "right" not in str(caught.value).replace("permissions", "")


@pytest.fixture
def sentinel_port(tmp_path, pytestconfig, private_redis):
    """A sentinel that watches a server of its own as ``main``; its port and that server."""
    server = private_redis()
    port = free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor main {server.host} {server.port} 1\n")
    binary = installed("redis", is_required=pytestconfig.getoption("--require-servers"))
    with subprocess.Popen([binary, settings, "--sentinel"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(port))
            yield port, server
        finally:
            process.kill()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_sentinels_name_the_server(sentinel_port):
    port, server = sentinel_port
    sink = direct_sink(server, uri=f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/main/3")
    write_all(sink, numbered_batch(1))
    sink.close()
    client = server.connect()
    client.select(3)
    assert client.xlen("s") == 1
    client.close()


def test_sentinels_that_do_not_know_the_master_are_waited_for(sentinel_port):
    port, server = sentinel_port
    sink = direct_sink(server, uri=f"redis+sentinel://127.0.0.1:{port}/other")
    with pytest.raises(SinkError) as caught:
        sink.open()
    assert caught.value.kind == "connect"


def direct_sink(server, **settings):
    config = {
        "id": "s",
        "uri": server.uri,
        "stream": "s",
        "send_timeout_secs": LONG_SECS,
        "connect_timeout_secs": LONG_SECS,
    }
    return RedisSinkSpec.model_validate({"type": "redis", "config": config | settings}).build(context())
