"""Poisoned rows in pipelines with Kafka exactly once: everything else is there once and in order, over any fault.

All comparisons are those of a reader of committed messages.
"""

import os
import random
import signal
import threading
import time

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.kill_points import VARIABLE
from deltaforge.storage.sqlite import SqliteStorage
from tests.databases import database_with
from tests.destinations import ExactlyOnceDestination
from tests.pipelines import PipelineProcess, wait_for
from tests.trial import source_of

LIMIT = 50_000
"""Bytes of the largest message that the topic takes; its requests stay below it, but with ``request``."""
CLIENT = {
    "size": {"message.max.bytes": 1_000_000, "batch.size": 40_000},
    "request": {"message.max.bytes": 1_000_000, "batch.size": 1_000_000},
    "client": {"message.max.bytes": LIMIT, "batch.size": 40_000},
    "topic": {"batch.size": 40_000},
}
SPLIT = {"max_tx_bytes": 30_000, "max_events": 500}
KILLS = int(os.environ.get("DELTAFORGE_KILLS", "3"))


class Destination(ExactlyOnceDestination):
    """A topic that refuses the bad rows, in one of four ways: see ``CLIENT``."""

    def __init__(self, broker, name, kind, **config):
        client = {"compression.type": "none", **CLIENT[kind], **config.pop("client_conf", {})}
        super().__init__(broker, f"{name}.ok", client_conf=client, **config)
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        if kind == "topic":
            self.sink["config"]["topic"] = f"{name}.${{after.topic}}"
        else:
            new = NewTopic(self._topic, num_partitions=1, config={"max.message.bytes": str(LIMIT)})
            self._admin.create_topics([new])[self._topic].result(20)

    def allow(self, size):
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self._topic, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(20)

    def ids(self):
        return [event["after"]["id"] for event in self.events()]

    def is_at(self, last):
        return self._topic in self._admin.list_topics(timeout=20).topics and self.ids()[-1:] == [last]


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with database_with(request, "create table t (id int primary key, topic varchar(40), body text)") as database:
        yield database


on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


@pytest.fixture
def run(tmp_path, database):
    made = []

    def make(destination, *, dlq=None, **spec):
        journal = {"enabled": True, "max_event_bytes": 1 << 20, "dlq": dlq or {}}
        made.append(PipelineProcess(tmp_path, source_of(database), [destination.sink], journal=journal, **spec))
        return made[-1].start()

    yield make
    for pipeline in made:
        pipeline.end()


def insert(database, bad, last, *, first=1):
    """Rows in one transaction; the bad ones are too large, and name a topic that is none."""
    rows = (f"({n}, 'not a topic', repeat('x', 60000))" if n in bad else f"({n}, 'ok', 'row')"
            for n in range(first, last + 1))  # fmt: skip
    database.execute(f"insert into t values {','.join(rows)}")


def queue_of(pipeline):
    storage = SqliteStorage(pipeline.paths.learned)
    return storage, DeadLetterQueue(storage.queue, "p")


def dead_ids(pipeline):
    storage, queue = queue_of(pipeline)
    try:
        return [msgspec.json.decode(entry.event)["after"]["id"] for entry in queue.entries(limit=1000)]
    finally:
        storage.close()


def purge(pipeline):
    storage, queue = queue_of(pipeline)
    try:
        return queue.purge()
    finally:
        storage.close()


def without(bad, last):
    return [n for n in range(1, last + 1) if n not in bad]


@pytest.mark.parametrize("kind", CLIENT)
@on_postgres
def test_poisoned_rows_of_several_transactions(run, kafka, database, kind):
    bad = {1, 700, 701, 702, 1999, 2000, 2300, 3000}
    destination = Destination(kafka, database.name, kind)
    pipeline = run(destination)

    insert(database, bad, 2000)
    insert(database, bad, 2300, first=2001)
    insert(database, bad, 3010, first=2301)
    wait_for(lambda: destination.is_at(3010), 120)
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == without(bad, 3010)
    assert dead_ids(pipeline) == sorted(bad)


@pytest.mark.parametrize("kind", ["size", "topic"])
def test_poisoned_rows_of_a_split_transaction(run, kafka, database, kind):
    bad = {1, 400, 401, 2500, 5000}
    destination = Destination(kafka, database.name, kind)
    pipeline = run(destination, batch=SPLIT)

    insert(database, bad, 5000)
    insert(database, (), 5001, first=5001)
    wait_for(lambda: destination.is_at(5001), 120)
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == without(bad, 5001)
    assert dead_ids(pipeline) == sorted(bad)


@pytest.mark.parametrize("kind", ["size", "topic"])
@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", 900), ("reject", 100)])
@on_postgres
def test_a_full_queue_beside_exactly_once_loses_only_what_its_policy_says(
    run, kafka, database, kind, policy, kept
):  # fmt: skip
    destination = Destination(kafka, database.name, kind)
    pipeline = run(destination, dlq={"max_entries": 1, "overflow_policy": policy})

    insert(database, {100, 500, 900}, 1000)
    wait_for(lambda: destination.is_at(1000))
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == without({100, 500, 900}, 1000)
    assert dead_ids(pipeline) == [kept]


@pytest.mark.parametrize("kind", ["size", "topic"])
@on_postgres
def test_a_full_queue_beside_exactly_once_holds_the_pipeline_over_a_kill(run, kafka, database, kind):
    destination = Destination(kafka, database.name, kind)
    pipeline = run(destination, dlq={"max_entries": 1, "overflow_policy": "block"})

    def is_held(status):
        return "dead letter queue is full" in str(status["sink_errors"])

    insert(database, {3}, 10)
    wait_for(lambda: destination.is_at(10))
    insert(database, {500}, 1000, first=11)
    pipeline.wait_until(is_held)
    end = destination.committed_end()
    pipeline.kill()
    pipeline.start(waits=False)
    pipeline.wait_until(is_held)
    assert (dead_ids(pipeline), destination.ids()) == ([3], without({3}, 10))
    # Whoever reads committed messages is not held up by an open transaction.
    assert destination.committed_end() >= end
    assert purge(pipeline) == 1
    wait_for(lambda: destination.is_at(1000))
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == without({3, 500}, 1000)
    assert dead_ids(pipeline) == [500]


@pytest.mark.parametrize(("kind", "batch"), [("size", {}), ("size", SPLIT), ("topic", SPLIT)])
def test_kills_around_a_dead_letter_repeat_nothing_and_keep_it_once(run, kafka, database, kind, batch):
    bad = {2, 600, 601, 1400, 2999}
    destination = Destination(kafka, database.name, kind)
    pipeline = run(destination, batch=batch)
    insert(database, (), 1)
    wait_for(lambda: destination.is_at(1))
    pipeline.kill()

    insert(database, bad, 3000, first=2)
    for point in ("after_dead_letter:1", "after_dead_letter:3", "inside_transaction_before_commit:2", "after_commit:2"):
        pipeline.start(waits=False, environment={VARIABLE: point})
        assert pipeline.wait_code() == -signal.SIGKILL, f"{point} was not passed\n{pipeline.log()}"
        kept = dead_ids(pipeline)
        assert kept == sorted(kept)
    pipeline.start()
    wait_for(lambda: destination.is_at(3000))
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == without(bad, 3000)
    assert dead_ids(pipeline) == sorted(bad)


@pytest.mark.parametrize("kind", ["size", "topic"])
def test_dead_letters_beside_exactly_once_over_kills(run, kafka, database, kind):
    rng, bad, last = random.Random(7), set(range(250, 10_000, 250)), 10_000
    destination = Destination(kafka, database.name, kind)
    pipeline = run(destination)

    for first in range(1, last, 1000):
        insert(database, bad, first + 999, first=first)
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.2, 1.5))
        pipeline.kill()
        pipeline.start()
    wait_for(lambda: destination.is_at(last), 120)
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == without(bad, last)
    assert sorted(dead_ids(pipeline)) == sorted(bad)


@on_postgres
def test_a_retry_over_an_outage_is_delivered_once_and_moves_no_position(run, kafka_behind_proxy, database):
    behind, proxy = kafka_behind_proxy, kafka_behind_proxy.proxy
    timeouts = {"request.timeout.ms": 1000, "socket.timeout.ms": 1000}
    destination = Destination(
        behind.broker, database.name, "size", bootstrap=behind.bootstrap, send_timeout_secs=2, client_conf=timeouts
    )
    pipeline = run(destination)
    insert(database, {3, 7}, 10)
    wait_for(lambda: destination.is_at(10))
    before = destination.progress()
    destination.allow(10_000_000)

    proxy.stall()
    retry = threading.Thread(target=pipeline.ask, args=("retry_dead_letters",))
    retry.start()
    pipeline.wait_until(lambda status: status["sink_errors"])
    proxy.unstall()
    retry.join()
    wait_for(lambda: dead_ids(pipeline) == [])
    assert destination.progress() == before
    pipeline.kill()
    pipeline.start()
    insert(database, (), 20, first=11)
    wait_for(lambda: destination.is_at(20))
    assert pipeline.stop() == 0, pipeline.log()

    assert destination.ids() == [*without({3, 7}, 10), 3, 7, *range(11, 21)]
