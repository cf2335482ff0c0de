"""Events that are several messages: deletes with tombstones, and changes of keys."""

import json
import random

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deltaforge.core.errors import RecordError
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.storage.memory import MemoryStorage
from deltaforge.testing.sink_contract import numbered_batch, with_row, without_repeats
from tests.databases import database_with
from tests.integration.sinks.test_kafka import KafkaTarget
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for
from tests.trial import pause

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "50",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "50",
    "delete.retention.ms": "0",
}
LARGE = "x" * 200_000


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, "create table t (id int primary key, v int)") as database:
        yield database


def work(database, rnd):
    """Inserts, updates, deletes and changes of keys, one transaction each or several in one."""
    ids = set()
    for number in range(150):
        free = rnd.choice([n for n in range(40) if n not in ids])
        match rnd.choice("iiiudk") if ids else "i":
            case "i":
                database.execute(f"insert into t values ({free}, {number})")
                ids.add(free)
            case "u":
                database.execute(f"update t set v = {number} where id = {rnd.choice(sorted(ids))}")
            case "d":
                gone = rnd.choice(sorted(ids))
                database.execute(f"delete from t where id = {gone}")
                ids.remove(gone)
            case "k":
                old = rnd.choice(sorted(ids))
                database.execute(f"update t set id = {free}, v = {number} where id = {old}")
                ids = ids - {old} | {free}
        if len(ids) > 30:
            database.execute("delete from t where id < 35")
            ids = {n for n in ids if n >= 35}


def test_a_compacted_topic_holds_the_rows_of_the_table_and_nothing_else(database, private_kafka, tmp_path):
    broker = private_kafka("log.cleaner.backoff.ms=50", "log.initial.task.delay.ms=50")
    topic = NewTopic("rows", num_partitions=1, replication_factor=1, config=COMPACTED)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([topic])["rows"].result(20)
    is_mysql = database.server.scheme == "mysql"
    source = (mysql_source if is_mysql else postgres_source)(database)
    sink = {"id": "k", "brokers": broker.bootstrap, "topic": "rows", "tombstones": True, "exactly_once": is_mysql}
    pipeline = PipelineProcess(tmp_path, source, [{"type": "kafka", "config": sink}])
    try:
        pipeline.start()
        work(database, random.Random(7))
        later = iter(range(1000, 10_000))

        def compacted():
            """A broker compacts what is behind the newest segment, which a new row begins."""
            number = next(later)
            database.execute(f"insert into t values ({number}, 0)")
            wait_for(lambda: [json.loads(each.key()) for each in broker.messages("rows")[-1:]] == [{"id": number}])
            count = int(database.rows("select count(*) from t")[0][0])
            for _ in range(5):
                if len(messages := broker.messages("rows")) == count:
                    return messages
                pause(0.3)
            return None

        messages = wait_for(compacted)
        rows = {int(number): int(value) for number, value in database.rows("select id, v from t")}
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()
    found = {json.loads(message.key())["id"]: json.loads(message.value())["after"]["v"] for message in messages}
    assert found == rows
    assert len(found) == len(messages)


@pytest.fixture
def target(kafka):
    return KafkaTarget(kafka, kafka.bootstrap)


def mixed_batch():
    """An insert, an update, a change of the key and a delete."""
    events = [
        *numbered_batch(1).events(),
        *numbered_batch(2, op="u", before={"id": 2}, after={"id": 2}).events(),
        *numbered_batch(3, op="u", before={"id": 3}, after={"id": 33}).events(),
        *numbered_batch(4, op="d", before={"id": 4}, after=None).events(),
    ]
    return numbered_batch(1).with_events(events)


def written(sink, *batches):
    sink.open()
    for batch in batches:
        sink.write(batch)
    report = sink.flush()
    sink.close()
    return report


def in_short(target):
    """Key, operation and event id of each message."""
    return [
        (event.key, *((None, None) if event.value is None else map(json.loads(event.value).get, ("op", "event_id"))))
        for event in target.delivered()
    ]


def test_the_messages_of_a_delete_and_of_a_key_change(target):
    written(target.sink(tombstones=True), mixed_batch())
    one, two, delete, mark, insert, last, end = in_short(target)
    assert [one[:2], two[:2]] == [('{"id":1}', "c"), ('{"id":2}', "u")]
    assert [delete[:2], mark, insert] == [('{"id":3}', "d"), ('{"id":3}', None, None), ('{"id":33}', "c", "event-3")]
    assert [last, end] == [('{"id":4}', "d", "event-4"), ('{"id":4}', None, None)]
    assert delete[2] not in {None, "event-3"}  # readers who go by ids get both


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"tombstones": True, "split_key_changes": False}, ["1", "2", "33", "4", "4"]),
        ({"split_key_changes": True}, ["1", "2", "3", "33", "4"]),
        ({}, ["1", "2", "33", "4"]),
    ],
    ids=["tombstones", "split", "neither"],
)
def test_each_can_be_had_without_the_other(target, settings, keys):
    written(target.sink(**settings), mixed_batch())
    assert [json.loads(key)["id"] for key, *_ in in_short(target)] == list(map(int, keys))


def test_a_given_key_is_that_of_all_messages_of_an_event(target):
    written(target.sink(tombstones=True, key="k-${source.table}"), mixed_batch())
    assert [key for key, *_ in in_short(target)] == ["k-t"] * 5


@pytest.mark.parametrize("envelope", ["native", "debezium", {"type": "cloudevents", "type_prefix": "x"}])
def test_every_envelope_has_them(target, envelope):
    written(target.sink(tombstones=True, envelope=envelope), mixed_batch())
    delivered = target.delivered()
    assert [event.value is None for event in delivered] == [False, False, False, True, False, False, True]
    assert [delivered[n].key for n in (2, 3, 5, 6)] == ['{"id":3}', '{"id":3}', '{"id":4}', '{"id":4}']


def large_key_change():
    """A change of the key whose insert alone is large, between an insert and a delete."""
    change = numbered_batch(3, op="u", before={"id": 3}, after={"id": 33, "text": LARGE}).events()
    events = [*numbered_batch(1).events(), *change, *numbered_batch(4, op="d", before={"id": 4}, after=None).events()]
    return numbered_batch(1).with_events(events)


NARROW = {"config": {"max.message.bytes": 100_000}}


@pytest.mark.parametrize("exactly_once", [False, True])
def test_an_event_is_refused_with_all_its_messages(target, exactly_once):
    """The broker refuses one message: first with the request it is in, and from then on when it is asked alone."""
    conf = (
        {"compression.type": "none", "transactional.id": target.name} if exactly_once else {"compression.type": "none"}
    )
    sink = target.sink(
        tombstones=True, client_conf=conf, send_timeout_secs=10, exactly_once=exactly_once, topic_creation=NARROW
    )
    batch = large_key_change()
    sink.open()
    sink.write(batch)
    with pytest.raises(RecordError) as caught:
        sink.flush()
    assert (caught.value.index, caught.value.written_count, caught.value.context["event_id"]) == (1, None, "event-3")
    assert not caught.value.is_certain
    sink.close()
    sink.open()
    sink.write(batch.between(1, 2))
    with pytest.raises(RecordError) as caught:
        sink.flush()
    assert (caught.value.index, caught.value.is_certain) == (0, True)
    sink.close()
    sink.open()
    sink.write(batch.without(1))
    assert not sink.flush().refused
    again = large_key_change()
    sink.write(again)
    (refused,) = sink.flush().refused
    assert (refused.index, refused.context["event_id"], refused.batch) == (1, "event-3", again)
    if exactly_once:  # what was sent is aborted, and written again without the event
        sink.write(again.without(1))
        assert not sink.flush().refused
    sink.close()
    keys = [message.key() for message in target._broker.messages(f"{target.name}.s")]
    expected = [b'{"id":1}', b'{"id":4}', b'{"id":4}']
    if exactly_once:
        assert keys == expected * 2
    else:  # what came before the large message is with the broker, what came behind it never was
        assert keys == [*expected, b'{"id":1}', b'{"id":3}', b'{"id":3}', b'{"id":4}', b'{"id":4}']


def test_what_the_client_refuses_in_the_middle_of_an_event_ends_the_producer(target):
    """Messages of the event are in it already: it is thrown away with them, and all else is written again."""
    sink = target.sink(tombstones=True, client_conf={"message.max.bytes": 100_000}, send_timeout_secs=10)
    sink.open()
    with pytest.raises(RecordError) as caught:
        sink.write(large_key_change())
    assert (caught.value.index, caught.value.written_count, caught.value.kind) == (1, None, "serialization")
    sink.close()
    written(sink, large_key_change().without(1))
    assert [key for key, *_ in in_short(target)][-3:] == ['{"id":1}', '{"id":4}', '{"id":4}']


def test_a_large_event_is_refused_as_before_where_all_of_it_is_one_message(target):
    sink = target.sink(tombstones=True, client_conf={"message.max.bytes": 100_000}, send_timeout_secs=10)
    small = mixed_batch()
    bad = small.with_events([*small.events(), *with_row({"id": 9, "text": LARGE}, event_id="large").events()])
    sink.open()
    with pytest.raises(RecordError) as caught:
        sink.write(bad)
    assert (caught.value.index, caught.value.written_count) == (4, 4)
    sink.flush()
    sink.close()
    assert len(target.delivered()) == 7


@pytest.mark.parametrize("exactly_once", [False, True])
def test_an_event_of_several_messages_becomes_one_dead_letter_and_all_others_are_delivered(target, exactly_once):
    conf = {"message.max.bytes": 100_000} | ({"transactional.id": target.name} if exactly_once else {})
    sink = target.sink(tombstones=True, client_conf=conf, send_timeout_secs=20, exactly_once=exactly_once)
    metrics, storage = PipelineMetrics("p"), MemoryStorage()
    letters = DeadLetters(storage.queue, DeadLetterLimits(10, 0, 1 << 20, "drop_oldest"), metrics)
    worker = SinkWorker(sink._config, sink, metrics, acked=None, max_queued=4, dead_letters=letters)
    worker.offer(large_key_change(), 10)
    worker.offer(mixed_batch(), 10)
    wait_for(lambda: worker.failure or worker.wait_acked(0.1))
    worker.close()
    letters.close()
    assert worker.failure is None
    assert metrics.sink_events.labels("p", "s")._value.get() == 2 + 4  # events, not messages
    keys = [json.loads(event.key)["id"] for event in target.delivered()]
    assert keys[-7:] == [1, 2, 3, 3, 33, 4, 4]
    assert without_repeats([n for n in keys[:-7] if n != 3]) in ([1, 4], [1, 4, 4])
    assert 33 not in keys[:-7]
