"""The redis sink: the contract of all sinks, and what is Redis' own."""

import re
import socket
import subprocess
import uuid

import msgspec
import pytest
from pydantic import SecretStr
from redis._parsers.base import BaseParser

from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.event import Transaction
from deltaforge.core.retry import Retry, retry_of
from deltaforge.encodings.json import JsonEncodingSpec
from deltaforge.encodings.spec import build_encoder
from deltaforge.envelopes.native import NativeEnvelopeSpec
from deltaforge.sinks.redis import RedisSinkSpec, _sink_error
from deltaforge.testing.sink_contract import (
    Delivered,
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
    deliver,
    end,
    numbered_batch,
    without_repeats,
)
from tests.fixtures.local_server import installed
from tests.fixtures.ports import free_port
from tests.unit.waiting import wait_until


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
    end(sink)
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
    end(sink)
    assert [b"df-key" in fields for _, fields in target.entries()] == [False]


def test_a_batch_larger_than_a_pipeline_arrives_in_order(target, monkeypatch):
    monkeypatch.setattr("deltaforge.sinks.redis.PIPELINE_COMMANDS", 7)
    sink = target.sink()
    write_all(sink, numbered_batch(1, 100))
    end(sink)
    assert [event.number for event in target.delivered()] == list(range(1, 101))


def test_a_key_that_is_no_stream_is_a_routing_error_of_its_event(target, redis_server):
    sink = target.sink(destination=f"{target.name}.${{after.id}}")
    client = redis_server.connect()
    client.set(f"{target.name}.2", "text")
    with pytest.raises(RecordError) as caught:
        write_all(sink, numbered_batch(1, 3))
    end(sink)
    client.delete(f"{target.name}.2")
    client.close()
    assert (caught.value.kind, caught.value.index) == ("routing", 1)


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
    end(sink)
    assert without_repeats([fields[b"event_id"] for _, fields in admin.xrange("s")]) == [
        f"event-{number}".encode() for number in range(1, 11)
    ]
    admin.close()


def test_a_read_only_replica_is_waited_for(private_redis):
    primary, replica = private_redis(), private_redis()
    admin = replica.connect()
    admin.replicaof(primary.host, primary.port)
    sink = direct_sink(replica)
    sink.open()
    with pytest.raises(SinkError) as caught:
        sink.write(numbered_batch(1))
    end(sink)
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
    sink.close()
    deliver(sink, [batch], is_open=False)
    end(sink)
    client = server.connect()
    assert without_repeats([fields[b"event_id"] for _, fields in client.xrange("s")]) == [
        f"event-{number}".encode() for number in range(1, 21)
    ]
    client.close()


def test_what_an_old_connection_still_holds_never_comes_after_newer_entries(redis_server, fault_proxy, target):
    silent = fault_proxy(redis_server.port)
    sink = target.sink_at(f"redis://127.0.0.1:{silent.port}")
    write_all(sink, numbered_batch(1))
    silent.stall()
    batch = numbered_batch(2, 10)
    with pytest.raises(SinkError) as caught:
        sink.write(batch)
    assert caught.value.kind == "timeout"
    sink.close()
    around = sink._config.model_copy(update={"uri": SecretStr(redis_server.uri)})
    sink._config = around
    deliver(sink, [batch, numbered_batch(12, 10)], is_open=False)
    silent.unstall()
    deliver(sink, [numbered_batch(22, 10)])
    end(sink)
    assert [event.number for event in target.delivered()] == list(range(1, 32))


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
    end(sink)
    admin.close()
    assert caught.value.kind == "auth"
    assert "right" not in str(caught.value).replace("permissions", "")


def with_user(server, *commands, keys="*"):
    """The URI of a user who may run these commands and no others."""
    with server.connect() as admin:
        admin.acl_setuser("writer", enabled=True, reset=True, passwords=["+secret"], keys=[keys], commands=[*commands])
    return f"redis://writer:secret@{server.host}:{server.port}"


CONNECTION_RIGHTS = ("+ping", "+client|setname", "+client|id", "+client|list", "+client|kill")


@pytest.mark.parametrize("missing", [None, *CONNECTION_RIGHTS, "all"])
def test_the_right_to_add_is_all_that_is_needed(redis_server, caplog, missing):
    """Also where the connection cannot be named or looked for, which is told once."""
    rights = [] if missing == "all" else [right for right in CONNECTION_RIGHTS if right != missing]
    stream = uuid.uuid4().hex
    sink = direct_sink(redis_server, uri=with_user(redis_server, "+xadd", *rights), stream=stream)
    for number in range(1, 4):
        write_all(sink, numbered_batch(number))
        end(sink)
    with redis_server.connect() as client:
        assert client.xlen(stream) == 3
    warnings = [
        record.getMessage() for record in caplog.records if "earlier connections (NOPERM" in record.getMessage()
    ]
    assert len(warnings) == (missing not in (None, "+ping", "+client|kill"))  # nobody to kill


@pytest.mark.parametrize(("commands", "keys"), [(("-xadd", "+client", "+ping"), "*"), (("+xadd",), "other")])
def test_a_missing_right_to_add_is_named(redis_server, commands, keys):
    sink = direct_sink(redis_server, uri=with_user(redis_server, *commands, keys=keys))
    with pytest.raises(SinkError, match=r"redis refused an entry: NOPERM .*\+xadd") as caught:
        write_all(sink, numbered_batch(1))
    end(sink)
    assert caught.value.kind == "auth"
    assert ("xadd" in caught.value.message) is ("-xadd" in commands)


def test_a_missing_right_to_choose_the_database_is_named(redis_server):
    sink = direct_sink(redis_server, uri=with_user(redis_server, "+xadd") + "/3")
    with pytest.raises(SinkError, match=r"cannot connect to redis: NOPERM .*'select' command") as caught:
        sink.open()
    assert (caught.value.kind, retry_of(caught.value)) == ("auth", Retry.OPERATOR)


def refusal(server):
    """The error that an entry is refused with."""
    sink = direct_sink(server)
    try:
        write_all(sink, numbered_batch(1))
    except SinkError as error:
        return error
    finally:
        end(sink)


def test_a_server_without_its_replicas_is_waited_for_by_its_word(private_redis):
    error = refusal(private_redis("--min-replicas-to-write", "1"))
    assert "redis refused an entry: NOREPLICAS " in error.message
    assert retry_of(error) is Retry.BACKOFF


def test_a_replica_without_its_primary_is_waited_for_by_its_word(private_redis):
    server = private_redis("--replicaof", "127.0.0.1", str(free_port()), "--replica-serve-stale-data", "no")
    error = refusal(server)
    assert "MASTERDOWN " in error.message
    assert retry_of(error) is Retry.BACKOFF


def test_a_busy_server_is_waited_for_by_its_word(private_redis):
    server = private_redis("--busy-reply-threshold", "1")
    sink = direct_sink(server)
    sink.open()
    with server.connect() as client, server.connect() as admin:
        connection = client.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", 0)
        with pytest.raises(SinkError, match="redis refused an entry: BUSY ") as caught:
            sink.write(numbered_batch(1))
        admin.script_kill()
        connection.disconnect()
    end(sink)
    assert retry_of(caught.value) is Retry.BACKOFF


def test_redirections_of_a_cluster_keep_their_word_and_are_the_operators_affair(private_redis):
    first, second = private_redis("--cluster-enabled", "yes"), private_redis("--cluster-enabled", "yes")
    down = refusal(first)
    assert "redis refused an entry: CLUSTERDOWN " in down.message
    assert retry_of(down) is Retry.BACKOFF
    with first.connect() as one, second.connect() as two:
        two.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        one.execute_command("CLUSTER MEET", second.host, second.port)
        for node in (one, two):
            wait_until(lambda node=node: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        moved = refusal(first)
        own = one.execute_command("CLUSTER MYID").decode()
        two.execute_command("CLUSTER SETSLOT", two.execute_command("CLUSTER KEYSLOT", "s"), "MIGRATING", own)
        ask = refusal(second)
    assert re.search(rf"redis refused an entry: MOVED \d+ 127\.0\.0\.1:{second.port} ", str(moved))
    assert re.search(rf"redis refused an entry: ASK \d+ 127\.0\.0\.1:{first.port} ", str(ask))
    for error in (moved, ask):
        assert (error.kind, retry_of(error)) == ("incompatible", Retry.OPERATOR)
        assert "cluster" in error.hint


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", "io"),
        ("MISCONF Redis is configured to save RDB snapshots", "io"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "io"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "io"),
        ("READONLY You can't write against a read only replica.", "io"),
        ("NOAUTH Authentication required.", "auth"),
        ("WRONGPASS invalid username-password pair", "auth"),
        ("DENIED Redis is running in protected mode", "auth"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "incompatible"),
        ("ERR max number of clients reached", "connect"),
        ("ERR unknown command 'XADD'", "other"),
        ("NEWWORD of a later server", "other"),
    ],
)
def test_every_word_is_kept_and_has_its_kind(reply, kind):
    """As the client library reads replies, also those that no server here can be brought to give."""
    error = _sink_error("x", BaseParser.parse_error(reply))
    assert (error.message, error.kind) == (f"x: {reply}", kind)


@pytest.fixture
def sentinel_port(tmp_path, pytestconfig, private_redis):
    """A sentinel that watches a server of its own as ``main``; its port and that server."""
    server = private_redis()
    port = free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor main {server.host} {server.port} 1\n")
    binary = installed("redis", is_required=pytestconfig.getoption("--require-servers"))
    with subprocess.Popen([binary, settings, "--sentinel"], stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: answers(port))
        yield port, server
        process.kill()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_sentinels_name_the_server(sentinel_port):
    port, server = sentinel_port
    sink = direct_sink(server, uri=f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/main/3")
    write_all(sink, numbered_batch(1))
    end(sink)
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
    config = {"id": "s", "uri": server.uri, "stream": "s", "send_timeout_secs": 2, "connect_timeout_secs": 2}
    return RedisSinkSpec.model_validate({"type": "redis", "config": config | settings}).build(context())
