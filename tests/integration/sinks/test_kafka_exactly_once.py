"""The kafka sink with exactly_once: the contract of all sinks, and what transactions promise beyond it."""

import uuid
from contextlib import ExitStack
from dataclasses import replace

import pytest
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec

from deltaforge.core.errors import CheckpointError, RecordError, SinkError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import SinkProgress
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.errors import StalledError
from deltaforge.sinks.kafka.positions import topic_name
from deltaforge.testing.sink_contract import (
    NetworkSinkContract,
    RoutedSinkContract,
    SinkContract,
    context,
    deliver,
    numbered_batch,
    with_row,
)
from tests.fixtures.fix_kafka import MISSED_SOON
from tests.integration.sinks.test_kafka import KafkaTarget, KafkaTargetBehindProxy
from tests.patience import patience_of
from tests.pipelines import wait_for

SHORT_SECS = 2


class Transactions:
    """What a target needs for sinks with transactions of their own."""

    def sink_at(self, brokers, *, about=None, client_conf=None, **settings):
        conf = {"transactional.id": self.name, **(client_conf or {})}
        config = {"id": "s", "brokers": brokers, "topic": f"{self.name}.s", "send_timeout_secs": self.patience_secs}
        config |= {"exactly_once": True, "client_conf": conf} | settings
        return KafkaSinkSpec.model_validate({"type": "kafka", "config": config}).build(about or context())

    def sink_of(self, generation, **settings):
        about = replace(context(), generation=generation)
        return self.sink_at(self._bootstrap, about=about, **settings)

    def numbers(self):
        return [event.number for event in self.delivered()]

    def dirty_count(self):
        """Messages that a reader of uncommitted ones finds."""
        return len(self._broker.messages(f"{self.name}.s", isolation="read_uncommitted"))


class DirectTarget(Transactions, KafkaTarget):
    pass


class TargetBehindProxy(Transactions, KafkaTargetBehindProxy):
    pass


@pytest.fixture
def target(request, kafka_behind_proxy, private_kafka):
    target = TargetBehindProxy(kafka_behind_proxy, private_kafka)
    target.patience_secs = patience_of(request, SHORT_SECS)
    # The broker makes the topics of its transactions when the first is asked for.
    first = target.sink(client_conf={"transactional.id": "first"}, send_timeout_secs=60)
    first.open()
    first.close()
    return target


@pytest.fixture
def opened():
    """``opened(sink)``: the sink, opened; closed for good after the test."""
    with ExitStack() as sinks:

        def make(sink):
            sinks.callback(sink.close)
            sink.open()
            return sink

        yield make


class TestExactlyOnceKafkaSink(SinkContract, RoutedSinkContract, NetworkSinkContract):
    """The contract."""


def write_group(sink, *batches, progress=None):
    for batch in batches:
        sink.write(batch)
    sink.note_progress(progress or SinkProgress(batches[-1].position))
    sink.flush()


def test_nothing_of_a_group_is_visible_before_all_of_it(target, opened):
    sink = opened(target.sink())
    sink.write(numbered_batch(1, 10))
    sink.write(numbered_batch(11, 10))
    sink._client.drain()
    assert (target.dirty_count(), target.numbers()) == (20, [])
    sink.flush()
    assert target.numbers() == list(range(1, 21))


def test_what_was_not_committed_never_becomes_visible_and_blocks_no_reader(target, opened):
    sink = opened(target.sink())
    sink.write(numbered_batch(1, 10))
    sink._client.drain()
    sink.close()
    sink = opened(target.sink())
    write_group(sink, numbered_batch(1, 3))
    sink.close()
    assert (target.dirty_count(), target.numbers()) == (13, [1, 2, 3])


def test_a_successor_ends_the_transaction_of_a_crashed_one_and_knows_its_position(target, opened):
    crashed, successor = opened(target.sink_of("i")), target.sink_of("i")
    assert crashed.stored_progress() is None
    write_group(crashed, numbered_batch(1, 3), progress=SinkProgress(PostgresPosition(7), 2, "tx"))
    crashed.write(numbered_batch(4, 3))
    crashed._client.drain()
    opened(successor)
    assert successor.stored_progress() == SinkProgress(PostgresPosition(7), 2, "tx")
    write_group(successor, numbered_batch(4, 1))
    assert target.numbers() == [1, 2, 3, 4]


def test_the_position_is_found_behind_many_aborted_transactions(target, opened):
    sink = opened(target.sink_of("i"))
    write_group(sink, numbered_batch(1), progress=SinkProgress(PostgresPosition(9)))
    for _ in range(60):
        sink._begin(sink._client)
        sink._client.send(b"x", sink._positions.name, b"k")
        sink._client.drain()
        sink._client.abort_transaction(5)
        sink._began_at = None
    sink.close()
    again = opened(target.sink_of("i"))
    assert again.stored_progress() == SinkProgress(PostgresPosition(9))
    again.close()


def test_the_position_of_an_earlier_pipeline_of_the_name_does_not_count(target, opened):
    for generation, expected in (("a", None), ("b", None), ("b", PostgresPosition(4))):
        sink = opened(target.sink_of(generation))
        kept = sink.stored_progress()
        assert (kept and kept.position) == expected
        write_group(sink, numbered_batch(1), progress=SinkProgress(PostgresPosition(4)))
        sink.close()


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_second_instance_fences_the_first_for_good(target, is_idle, opened):
    first, second = opened(target.sink()), target.sink()
    if not is_idle:
        first.write(numbered_batch(1, 5))
        first._client.drain()
    opened(second)
    with pytest.raises(SinkError, match="another instance has taken over") as caught:
        write_group(first, numbered_batch(6, 5))
    assert (caught.value.kind, retry_of(caught.value)) == ("fatal", Retry.NEVER)
    write_group(second, numbered_batch(1, 2))
    assert target.numbers() == [1, 2]


def test_an_instance_that_lost_its_connection_does_not_fence_the_one_that_replaced_it(target, opened):
    first = opened(target.sink())
    first.suspend()
    second = opened(target.sink())
    with pytest.raises(SinkError, match="another instance has taken over"):
        first.open()
    write_group(second, numbered_batch(1))
    assert target.numbers() == [1]


def test_a_transaction_that_the_broker_ended_for_its_age_is_written_again(target, opened):
    sink = target.sink(client_conf={"transaction.timeout.ms": 1000, "linger.ms": 1})
    deliver(sink, [], is_open=False)  # which is a transaction, too
    opened(sink)
    batch = numbered_batch(1, 5)

    def too_late():  # where it turns out depends on how fast all this is
        sink.write(batch)
        sink._client.drain()
        wait_until_aborted(target)
        write_group(sink, numbered_batch(6, 5))

    with pytest.raises(SinkError) as caught:
        too_late()
    assert retry_of(caught.value) is Retry.BACKOFF
    sink.suspend()
    assert deliver(sink, [batch], is_open=False) == []
    assert target.numbers() == [1, 2, 3, 4, 5]


def wait_until_aborted(target):
    """Wait until the coordinator has ended the open transaction: readers of committed messages get past it."""
    admin, place = AdminClient({"bootstrap.servers": target._broker.bootstrap}), TopicPartition(f"{target.name}.s", 0)

    def end(level):
        return admin.list_offsets({place: OffsetSpec.latest()}, isolation_level=level)[place].result(10).offset

    wait_for(lambda: end(IsolationLevel.READ_COMMITTED) == end(IsolationLevel.READ_UNCOMMITTED))


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_without_an_answer_is_neither_lost_nor_repeated(target, monkeypatch, is_committed, opened):
    commit = Client.commit_transaction
    faults = [True]

    def unanswered(client):
        if faults and target.name in str(sink._positions.name) and sink._seq > 1:
            faults.clear()
            if is_committed:
                commit(client)
            raise StalledError("no answer", kind="timeout")
        commit(client)

    monkeypatch.setattr(Client, "commit_transaction", unanswered)
    sink = target.sink()
    opened(sink)
    first, second = numbered_batch(1, 5), numbered_batch(6, 5)
    with pytest.raises(StalledError):
        write_group(sink, first)
    sink.suspend()
    sink.open()
    sink.write(first)
    write_group(sink, second)
    assert target.numbers() == list(range(1, 11))
    commits, aborts = (
        getattr(sink._context.metrics, name).labels("p", "s")._value.get()
        for name in ("sink_txn_commits", "sink_txn_aborts")
    )
    # two of them are the claims of the two openings
    assert (commits, aborts) == ((4, 0) if is_committed else (3, 1))


def test_a_batch_that_was_committed_unanswered_is_known_also_after_another_error(target, monkeypatch, opened):
    commit = Client.commit_transaction
    sink = opened(target.sink())

    def unanswered(client):
        commit(client)
        raise StalledError("no answer", kind="timeout")

    first, second = numbered_batch(1, 5), numbered_batch(6, 5)
    sink.write(first)
    with monkeypatch.context() as patch:
        patch.setattr(Client, "commit_transaction", unanswered)
        with pytest.raises(StalledError):
            sink.flush()
    sink.open()
    sink.write(first)
    sink.write(second)
    sink.suspend()  # as after an error
    assert deliver(sink, [first, second], is_open=False) == []
    assert target.numbers() == list(range(1, 11))


def test_a_line_cut_in_mid_transaction_gives_neither_gap_nor_repeat(target, opened):
    sink = opened(target.sink())
    for first in range(1, 501, 100):
        batches = [numbered_batch(first, 50), numbered_batch(first + 50, 50)]
        sink.write(batches[0])
        target.down()
        target.up()
        deliver(sink, batches, written=1)
    assert target.numbers() == list(range(1, 501))


def test_a_silent_line_in_mid_transaction_gives_neither_gap_nor_repeat(target, opened):
    sink = opened(target.sink(send_timeout_secs=SHORT_SECS))
    batches = [numbered_batch(1, 500), numbered_batch(501, 500)]
    sink.write(batches[0])
    target.stall()
    with pytest.raises(SinkError) as caught:
        write_group(sink, batches[1])
    assert retry_of(caught.value) is Retry.BACKOFF
    sink.suspend()
    target.unstall()
    deliver(sink, batches, is_open=False)
    assert target.numbers() == list(range(1, 1001))


def test_a_killed_broker_in_mid_transaction_gives_neither_gap_nor_repeat(private_kafka):
    broker = private_kafka(*MISSED_SOON)
    target = DirectTarget(broker, broker.bootstrap)
    sink = target.sink(send_timeout_secs=5)
    assert deliver(sink, [numbered_batch(1, 10)], is_open=False) in ([], ["timeout"])
    batches = [numbered_batch(11, 10), numbered_batch(21, 10)]
    sink.write(batches[0])
    broker.kill()
    with pytest.raises(SinkError) as caught:
        write_group(sink, batches[1])
    assert retry_of(caught.value) is Retry.BACKOFF
    sink.suspend()
    broker.start()
    deliver(sink, batches, is_open=False)
    sink.close()
    assert target.numbers() == list(range(1, 31))


def test_a_bad_event_aborts_its_group(target, opened):
    sink = opened(target.sink())
    sink.write(numbered_batch(1, 10))
    with pytest.raises(RecordError):
        sink.write(with_row({"id": "\ud800"}))
    sink.close()
    assert target.numbers() == []


def test_positions_are_on_a_compacted_topic_of_one_partition(target, opened):
    opened(target.sink())
    admin = AdminClient({"bootstrap.servers": target._broker.bootstrap})
    name = topic_name(target.name)
    assert len(admin.list_topics(name, timeout=20).topics[name].partitions) == 1
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    settings = admin.describe_configs([resource])[resource].result(20)
    assert settings["cleanup.policy"].value == "compact"


def test_a_record_of_a_newer_version_is_refused(target, opened):
    sink = opened(target.sink())
    sink._begin(sink._client)
    record = b'{"incarnation":"","instance":"x","seq":1,"progress":null,"v":2}'
    sink._client.send(record, sink._positions.name, sink._positions.key)
    sink._client.drain()
    sink._client.commit_transaction()
    sink._began_at = None
    sink.close()
    again = target.sink()
    with pytest.raises(CheckpointError, match="version 2"):
        again.open()
    again.close()


def test_a_transaction_timeout_above_the_limit_of_the_broker_is_explained(target):
    sink = target.sink(client_conf={"transaction.timeout.ms": 3_600_000})
    with pytest.raises(SinkError, match=r"transaction\.max\.timeout\.ms") as caught:
        sink.open()
    assert retry_of(caught.value) is Retry.OPERATOR
    sink.close()


def test_topic_names_of_positions_are_valid_and_distinct():
    ids = [f"deltaforge-{uuid.uuid4().hex}", "a b", "a_b", "é", "x" * 300, "x" * 301]
    names = {topic_name(each) for each in ids}
    assert len(names) == len(ids)
    assert all(len(name) <= 249 and name.isascii() and " " not in name for name in names)
