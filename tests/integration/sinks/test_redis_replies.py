"""What the redis sink makes of the server's refusals: which rights it needs, and which replies are waited out."""

import re
import uuid

import pytest
from redis._parsers.base import BaseParser

from deltaforge.core.errors import SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.redis_client import sink_error
from deltaforge.testing.sink_contract import numbered_batch
from tests.fixtures.ports import free_port
from tests.integration.sinks.test_redis import direct_sink, write_all
from tests.unit.waiting import wait_until


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
        sink.close()
    with redis_server.connect() as client:
        assert client.xlen(stream) == 3
    warnings = [
        record.getMessage() for record in caplog.records if "earlier connections (NOPERM" in record.getMessage()
    ]
    assert len(warnings) == (missing not in (None, "+ping", "+client|kill"))  # nobody to kill


@pytest.mark.parametrize(("commands", "keys"), [(("-xadd", "+client", "+ping"), "*"), (("+xadd",), "other")])
def test_a_missing_right_to_add_is_named(redis_server, commands, keys):
    sink = direct_sink(redis_server, uri=with_user(redis_server, *commands, keys=keys))
    with pytest.raises(SinkError, match=r"redis takes nothing for stream s: NOPERM .*\+xadd") as caught:
        write_all(sink, numbered_batch(1))
    sink.close()
    assert caught.value.kind == "auth"
    assert ("xadd" in caught.value.message) is ("-xadd" in commands)


def test_a_missing_right_to_choose_the_database_is_named(redis_server):
    sink = direct_sink(redis_server, uri=with_user(redis_server, "+xadd") + "/3")
    with pytest.raises(SinkError, match=r"cannot connect to redis at .*: NOPERM .*'select' command") as caught:
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
        sink.close()


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
    sink.close()
    assert retry_of(caught.value) is Retry.BACKOFF


def test_redirections_of_a_cluster_keep_their_word_and_are_the_operators_affair(private_redis):
    buses = [
        free_port(),
        free_port(),
    ]  # unless told, 10,000 above the other one: where outgoing connections have theirs
    first, second = (private_redis("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses)
    down = refusal(first)
    assert "redis refused an entry: CLUSTERDOWN " in down.message
    assert retry_of(down) is Retry.BACKOFF
    with first.connect() as one, second.connect() as two:
        two.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        one.execute_command("CLUSTER MEET", second.host, second.port, buses[1])
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
    error = sink_error("x", BaseParser.parse_error(reply))
    assert (error.message, error.kind) == (f"x: {reply}", kind)
