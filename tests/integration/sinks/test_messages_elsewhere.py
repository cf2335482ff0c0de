"""Events that are several messages, at sinks that have none without a value."""

import json

import pytest
from redis._parsers.base import BaseParser

from deltaforge.core.encoded import EncodedMessage, EncodedMessages
from deltaforge.core.errors import SinkError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.file import FileSinkSpec
from deltaforge.sinks.redis import RedisSinkSpec, _refusals
from deltaforge.testing.sink_contract import context, numbered_batch

CONNECT = {"type": "debezium", "dialect": "connect", "topic_prefix": "p"}


def some_batch():
    """An insert, a delete and a change of the key."""
    events = [
        *numbered_batch(1).events(),
        *numbered_batch(2, op="d", before={"id": 2}, after=None).events(),
        *numbered_batch(3, op="u", before={"id": 3}, after={"id": 33}).events(),
    ]
    return numbered_batch(1).with_events(events)


def write(sink, batch):
    sink.open()
    sink.write(batch)
    sink.flush()
    sink.close()


@pytest.fixture
def entries_of(redis_server):
    """Writes a batch to a stream of its own; the fields of its entries."""

    def written(stream, batch, **settings):
        config = {"id": "s", "uri": f"redis://127.0.0.1:{redis_server.port}", "stream": stream, **settings}
        sink = RedisSinkSpec.model_validate({"type": "redis", "config": config}).build(context())
        write(sink, batch)
        client = redis_server.connect()
        try:
            return [fields for _, fields in client.xrange(stream)]
        finally:
            client.close()

    return written


def test_redis_has_no_entry_for_a_tombstone_and_tells_the_messages_of_an_event_apart(entries_of):
    entries = entries_of("messages-elsewhere", some_batch(), envelope=CONNECT)
    assert [json.loads(fields[b"df-event"])["op"] for fields in entries] == ["c", "d", "d", "c"]
    assert [fields[b"event_id"] for fields in entries] == [b"event-1", b"event-2", b"event-3", b"event-3"]
    identities = [fields[b"idempotency_key"] for fields in entries]
    assert len(set(identities)) == 4  # a reader that drops what it has seen drops none of them
    assert identities[3].startswith(identities[2])


def test_redis_refuses_an_event_of_several_messages_once_and_takes_those_around_it(redis_server):
    config = {"id": "s", "uri": f"redis://127.0.0.1:{redis_server.port}", "stream": "refused-elsewhere.${op}"}
    events = [*some_batch().events(), *some_batch().events()]
    sink = RedisSinkSpec.model_validate({"type": "redis", "config": config | {"envelope": CONNECT}}).build(context())
    client = redis_server.connect()
    client.set("refused-elsewhere.u", "text")
    sink.open()
    sink.write(some_batch().with_events(events))
    refused = sink.flush().refused
    sink.close()
    lengths = [client.xlen(f"refused-elsewhere.{op}") for op in "cd"]
    client.close()
    assert [(error.index, error.kind) for error in refused] == [(2, "routing"), (5, "routing")]
    assert lengths == [2, 2]


def test_a_redis_that_is_full_is_waited_for_also_if_a_later_message_of_the_event_is_refused():
    replies = [
        BaseParser.parse_error(text) for text in ("OOM command not allowed", "WRONGTYPE Operation against a key")
    ]
    with pytest.raises(SinkError) as caught:
        list(_refusals(replies, some_batch(), [2, 2]))
    assert retry_of(caught.value) is Retry.BACKOFF


def test_a_file_has_no_line_for_a_tombstone(tmp_path):
    config = {"id": "s", "path": str(tmp_path / "events.jsonl"), "envelope": CONNECT}
    write(FileSinkSpec.model_validate({"type": "file", "config": config}).build(context()), some_batch())
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["op"] for line in lines] == ["c", "d", "d", "c"]


def test_lines_of_messages_leave_tombstones_and_events_without_any_out():
    values = EncodedMessages()
    values.append([EncodedMessage(b"k", b"1"), EncodedMessage(b"k", None)])
    values.append([])
    values.append([EncodedMessage(None, b"2")])
    assert values.lines() == b"1\n2\n"
    assert [values.event_of(index) for index in range(3)] == [0, 0, 2]
    assert (values.byte_count, values.event_count) == (2, 3)
