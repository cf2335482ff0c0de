"""Rows that only the broker refuses, many of them: each is found, and costs no producer of its own."""

import random

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deltaforge.core.positions import PostgresPosition
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.redelivery import Redelivery
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.kafka import writer
from deltaforge.storage.memory import MemoryStorage
from deltaforge.testing.sink_contract import numbered_batch
from tests.integration.sinks.test_kafka import KafkaTarget
from tests.integration.sinks.test_kafka_exactly_once import DirectTarget
from tests.pipelines import wait_for

LIMIT = 20_000
TARGETS = {"at least once": KafkaTarget, "exactly once": DirectTarget}


@pytest.fixture(params=TARGETS)
def target(request, kafka):
    target = TARGETS[request.param](kafka, kafka.bootstrap)
    topic = NewTopic(f"{target.name}.s", 1, config={"max.message.bytes": str(LIMIT)})
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([topic])[topic.topic].result(20)
    return target


@pytest.fixture
def connections(monkeypatch):
    """Settings of every producer that is made."""
    made = []

    class Counted(writer.Client):
        def __init__(self, settings, *args, **options):
            made.append(settings)
            super().__init__(settings, *args, **options)

    monkeypatch.setattr(writer, "Client", Counted)
    return made


@pytest.fixture
def worker_of(target):
    made = []

    def make(**settings):
        sink = target.sink(client_conf={"transactional.id": target.name} if isinstance(target, DirectTarget) else {},
                           send_timeout_secs=20, **settings)  # fmt: skip
        queue, metrics = MemoryStorage().queue, PipelineMetrics("p")
        letters = DeadLetters(queue, DeadLetterLimits(1000, 0, 1000, "block"), metrics)
        worker = SinkWorker(sink._config, sink, metrics, acked=None, max_queued=4, dead_letters=letters)
        made.append((worker, letters))
        return worker, DeadLetterQueue(queue, "p")

    yield make
    for worker, letters in made:
        worker.close()
        letters.close()


def rows(first, count, dice, bad, *, innocent=()):
    """A batch of rows: bad ones do not become smaller by compression, innocent ones are as large and do."""
    batch, events = numbered_batch(first, count), []
    for event in batch.events():
        number = event.after["id"]
        text = "x" * LIMIT * 2 if number in innocent else "small"
        if number in bad:
            text = dice.randbytes(int(LIMIT * dice.uniform(0.9, 1.2))).hex()
        events.append(msgspec.structs.replace(event, after={"id": number, "text": text}))
    made = batch.with_events(events)
    made.position = PostgresPosition(first + count)
    return made


def deliver(worker, batches):
    for batch in batches:
        wait_for(lambda batch=batch: worker.failure or worker.offer(batch, 0.1))
    wait_for(lambda: worker.failure or worker.wait_acked(0.1))
    assert worker.failure is None


def numbers_of(queue):
    return sorted(int(entry.event_id.rpartition("-")[2]) for entry in queue.entries(limit=1000))


@pytest.mark.parametrize("key", [None, "k${after.id}"], ids=["row keys", "template"])
def test_each_refused_row_is_a_dead_letter_and_the_others_come_once_in_order(target, worker_of, connections, key):
    dice = random.Random(1)
    bad, innocent = set(range(5, 600, 10)), set(range(8, 600, 45))
    worker, queue = worker_of(key=key)

    deliver(worker, [rows(first, 150, dice, bad, innocent=innocent) for first in (1, 151, 301, 451)])

    assert numbers_of(queue) == sorted(bad)
    found = [event.number for event in target.delivered()]
    assert list(dict.fromkeys(found)) == [n for n in range(1, 601) if n not in bad]
    if isinstance(target, DirectTarget):
        assert len(found) == 600 - len(bad)
    assert len(connections) < 20, "a producer for each"
    assert worker.checkpoint().position == PostgresPosition(601)
    assert worker.last_error is None


def test_a_row_that_is_refused_again_is_said_to_be_and_one_that_fits_by_now_is_delivered(kafka, target, worker_of):
    dice = random.Random(2)
    batch = rows(1, 20, dice, {3, 11})
    worker, queue = worker_of()
    deliver(worker, [batch])

    def redeliver(index):
        redelivery = Redelivery(batch.events()[index], lambda: None)
        worker.redeliver(redelivery)
        redelivery.wait(20, lambda: "busy")
        return redelivery.error

    assert "MSG_SIZE_TOO_LARGE" in redeliver(2)
    assert "MSG_SIZE_TOO_LARGE" in redeliver(10)
    raise_limit(kafka, f"{target.name}.s")
    assert redeliver(2) is None
    deliver(worker, [rows(21, 5, dice, {23})])
    assert [event.number for event in target.delivered()][-6:] == [3, 21, 22, 23, 24, 25]
    assert numbers_of(queue) == [3, 11]


def raise_limit(kafka, topic):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

    entry = ConfigEntry("max.message.bytes", str(100 * LIMIT), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(20)
