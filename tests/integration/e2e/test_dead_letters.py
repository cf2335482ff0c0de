"""Poisoned rows among many, on a real database and a real broker: nothing else is lost, order holds."""

import json
import os
import sqlite3
import uuid

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.storage.sqlite import SqliteStorage
from deltaforge.testing.sink_contract import without_repeats
from tests.integration.e2e.test_rest import ControlPlane, control_plane, document  # noqa: F401 - a fixture
from tests.pipelines import PipelineProcess, postgres_source, wait_for

ROWS = int(os.environ.get("DELTAFORGE_BIG_TRANSACTION", "40000")) // 2
LATE = ROWS * 7 // 10
THREE = [ROWS // 10, ROWS // 2, ROWS * 9 // 10]
POISONED = int(os.environ.get("DELTAFORGE_POISONED", "50"))
LIMIT = 50_000
CLIENT = {"batch.size": 40_000, "message.max.bytes": 1_000_000, "compression.type": "none"}


class Topic:
    """A topic of one partition that takes messages of at most ``LIMIT`` bytes. What was read once is not read again."""

    def __init__(self, broker):
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self._broker = broker
        self._read = {}
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for name in (self.name, f"{self.name}.ok"):
            new = NewTopic(name, num_partitions=1, replication_factor=1, config={"max.message.bytes": str(LIMIT)})
            self._admin.create_topics([new])[name].result(20)

    def sink(self, kind, **config):
        """Where ``size`` is the event's fault, and where ``topic`` is."""
        topic = self.name if kind != "topic" else f"{self.name}.${{after.topic}}"
        client = CLIENT if kind != "client" else {"message.max.bytes": LIMIT, "batch.size": 40_000}
        config = {"id": "k", "brokers": self._broker.bootstrap, "topic": topic, "client_conf": client, **config}
        return {"type": "kafka", "config": config}

    def allow(self, size):
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.name, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(20)
        asked = ConfigResource(ResourceType.TOPIC, self.name)

        def is_so():
            """The controller has taken it; the broker that takes messages hears of it behind that."""
            return self._admin.describe_configs([asked])[asked].result(20)["max.message.bytes"].value == str(size)

        wait_for(is_so)

    def ids(self, kind="size"):
        name = self.name if kind != "topic" else f"{self.name}.ok"
        ids, start = self._read.get(name, ([], 0))
        for message in self._broker.messages(name, start=start):
            ids.append(msgspec.json.decode(message.value())["after"]["id"])
            start = message.offset() + 1
        self._read[name] = ids, start
        return ids.copy()


@pytest.fixture
def topic(kafka):
    return Topic(kafka)


@pytest.fixture
def database(postgres_database):
    postgres_database.execute(
        "create table t (id int primary key, topic text, body text)", "create publication pub for all tables"
    )
    return postgres_database


def insert(database, bad, last=ROWS, *, first=1):
    database.execute(
        "insert into t select n, case when n = any(bad) then 'not a topic' else 'ok' end,"
        " case when n = any(bad) then repeat(md5(n::text), 2000) else 'row' end"
        f" from generate_series({first}, {last}) n, (select array[{','.join(map(str, bad))}]::int[] bad) b"
    )


def dead(pipeline):
    storage = SqliteStorage(pipeline.paths.learned)
    try:
        return [json.loads(json_of(e.event)) for e in DeadLetterQueue(storage.queue, "p").entries(limit=10_000)]
    finally:
        storage.close()


def json_of(raw):
    return bytes(raw)


def dead_ids(pipeline):
    return [event["after"]["id"] for event in dead(pipeline)]


@pytest.fixture
def run(tmp_path, database):
    made = []

    def start(sink, **dlq):
        journal = {"enabled": True, "max_event_bytes": 1 << 20, "dlq": dlq}
        made.append(PipelineProcess(tmp_path, postgres_source(database), [sink], journal=journal).start())
        return made[-1]

    yield start
    for pipeline in made:
        pipeline.end()


@pytest.mark.parametrize("kind", ["size", "client", "topic"])
def test_one_poisoned_row_among_many(run, topic, database, kind):
    pipeline = run(topic.sink(kind))

    insert(database, [LATE])
    wait_for(lambda: topic.ids(kind)[-1:] == [ROWS], 120)
    assert pipeline.stop() == 0, pipeline.log()

    assert without_repeats(topic.ids(kind)) == [n for n in range(1, ROWS + 1) if n != LATE]
    assert dead_ids(pipeline) == [LATE]
    if kind != "size":
        assert len(topic.ids(kind)) == ROWS - 1  # found before anything was in doubt: nothing is repeated


@pytest.mark.parametrize("kind", ["size", "client", "topic"])
def test_many_poisoned_rows_among_many(run, topic, database, kind):
    bad = list(range(ROWS // POISONED, ROWS, ROWS // POISONED))
    pipeline = run(topic.sink(kind))

    insert(database, bad)
    wait_for(lambda: topic.ids(kind)[-1:] == [ROWS], 200)
    wait_for(lambda: len(dead(pipeline)) == len(bad))
    assert pipeline.stop() == 0, pipeline.log()

    assert without_repeats(topic.ids(kind)) == sorted(set(range(1, ROWS + 1)) - set(bad))
    assert dead_ids(pipeline) == bad


@pytest.mark.parametrize("kind", ["size", "topic"])
@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", THREE[-1]), ("reject", THREE[0])])
def test_a_full_queue_loses_only_what_its_policy_says(run, topic, database, kind, policy, kept):
    pipeline = run(topic.sink(kind), max_entries=1, overflow_policy=policy)

    insert(database, THREE)
    wait_for(lambda: topic.ids(kind)[-1:] == [ROWS], 120)
    assert pipeline.stop() == 0, pipeline.log()

    assert without_repeats(topic.ids(kind)) == sorted(set(range(1, ROWS + 1)) - set(THREE))
    assert dead_ids(pipeline) == [kept]


@pytest.mark.parametrize("kind", ["size", "topic"])
def test_a_full_queue_that_blocks_loses_nothing(run, topic, database, kind):
    pipeline = run(topic.sink(kind), max_entries=1, overflow_policy="block")
    storage = SqliteStorage(pipeline.paths.learned)
    queue, seen = DeadLetterQueue(storage.queue, "p"), []

    insert(database, THREE)
    pipeline.wait_until(lambda status: "full" in status["sink_errors"].get("k", ""))
    for _ in range(2):
        (entry,) = wait_for(queue.entries)
        seen.append(json.loads(bytes(entry.event))["after"]["id"])
        assert queue.ack(entry.seq) == 1
    wait_for(lambda: topic.ids(kind)[-1:] == [ROWS], 120)
    assert pipeline.stop() == 0, pipeline.log()
    storage.close()

    assert [*seen, *dead_ids(pipeline)] == THREE
    assert without_repeats(topic.ids(kind)) == sorted(set(range(1, ROWS + 1)) - set(THREE))


@pytest.mark.parametrize("kind", ["size", "topic"])
def test_an_event_that_cannot_be_journaled_is_not_passed_over(run, topic, database, kind):
    pipeline = run(topic.sink(kind))
    insert(database, [], 10)
    wait_for(lambda: topic.ids(kind)[-1:] == [10])
    lock = sqlite3.connect(pipeline.paths.learned, isolation_level=None)
    lock.execute("begin immediate")

    insert(database, [20], 30, first=11)
    pipeline.wait_until(lambda status: "database is locked" in status["sink_errors"].get("k", ""))
    assert 'deltaforge_dlq_write_failures_total{pipeline="p"} 0.0' not in pipeline.ask("metrics")["metrics"]
    lock.execute("rollback")
    lock.close()
    wait_for(lambda: topic.ids(kind)[-1:] == [30])
    assert pipeline.stop() == 0, pipeline.log()

    assert without_repeats(topic.ids(kind)) == [n for n in range(1, 31) if n != 20]
    assert dead_ids(pipeline) == [20]


def test_without_a_journal_the_pipeline_stops_before_the_poisoned_row(tmp_path, topic, database):
    pipeline = PipelineProcess(tmp_path, postgres_source(database), [topic.sink("size")]).start()

    insert(database, [LATE])
    outcome = pipeline.wait()

    assert (outcome.status, outcome.kind, outcome.retry) == ("failed", "serialization", "operator")
    assert without_repeats(topic.ids()) == list(range(1, LATE))


BASE = "/pipelines/orders-cdc/journal/dlq"


def start_over_rest(plane, topic, database, kind="size", **journal):
    body = document(postgres_source(database), topic.sink(kind))
    body["spec"]["journal"] = {"enabled": True, "max_event_bytes": 1 << 20, **journal}
    status, answer = plane.call("POST", "/pipelines", body)
    assert status == 200, answer


def test_entries_over_rest(control_plane, topic, database):  # noqa: F811
    start_over_rest(control_plane, topic, database)
    insert(database, [3, 5, 7, 9], 10)
    wait_for(lambda: control_plane.call("GET", f"{BASE}/count") == (200, {"count": 4}))
    wait_for(lambda: topic.ids()[-1:] == [10])

    status, entries = control_plane.call("GET", BASE)
    assert status == 200
    assert [entry["event"]["after"]["id"] for entry in entries] == [3, 5, 7, 9]
    assert list(entries[0]) == [
        "seq", "timestamp", "pipeline", "stream", "event_id", "source_cursor", "event", "payload_truncated", "meta"
    ]  # fmt: skip
    assert entries[0]["meta"]["error_kind"] == "serialization"
    assert entries[0]["source_cursor"]["lsn"]
    assert len(control_plane.call("GET", f"{BASE}?limit=2&sink_id=k&error_kind=serialization%20error")[1]) == 2
    assert control_plane.call("GET", f"{BASE}?sink_id=other") == (200, [])
    assert control_plane.call("GET", f"{BASE}?limit=0")[0] == 400
    assert control_plane.call("GET", "/pipelines/orders-cdc")[1]["ops"]["dlq_entries"] == 4
    text = control_plane.call("GET", "/metrics")[1]
    assert 'deltaforge_dlq_events_total{error_kind="serialization",pipeline="orders-cdc",sink="k"} 4.0' in text
    assert 'deltaforge_dlq_entries{pipeline="orders-cdc"} 4.0' in text

    assert control_plane.call("POST", f"{BASE}/ack", {"up_to_seq": entries[1]["seq"]}) == (200, {"acked": 2})
    assert control_plane.call("POST", f"{BASE}/ack", {"up_to_seq": "x"})[0] == 400

    refused = control_plane.call("POST", f"{BASE}/retry", {"seqs": [entries[2]["seq"]]})
    assert (refused[0], refused[1]["delivered"], refused[1]["entries"][0]["status"]) == (200, 0, "failed")
    assert "kafka did not take a message" in refused[1]["entries"][0]["error"]
    topic.allow(10_000_000)
    status, _ = wait_for(lambda: (a := control_plane.call("POST", f"{BASE}/retry"))[1].get("failed") == 0 and a)
    assert status == 200
    assert control_plane.call("GET", f"{BASE}/count") == (200, {"count": 0})
    assert without_repeats(topic.ids()) == [1, 2, 4, 6, 8, 10, 7, 9]
    assert control_plane.call("POST", f"{BASE}/retry", {"seqs": [99]})[0] == 409
    assert control_plane.call("POST", f"{BASE}/retry", {"what": 1})[0] == 400

    topic.allow(LIMIT)
    insert(database, [11], 12, first=11)
    wait_for(lambda: control_plane.call("GET", f"{BASE}/count") == (200, {"count": 1}))
    assert control_plane.call("POST", "/pipelines/orders-cdc/stop")[0] == 200
    assert len(control_plane.call("GET", BASE)[1]) == 1
    status, answer = control_plane.call("POST", f"{BASE}/retry")
    assert (status, "stopped" in answer["message"]) == (409, True)
    assert control_plane.call("DELETE", BASE) == (200, {"purged": 1})


def test_a_truncated_entry_cannot_be_retried_and_says_so(control_plane, topic, database):  # noqa: F811
    start_over_rest(control_plane, topic, database, max_event_bytes=1000)
    insert(database, [3], 5)
    wait_for(lambda: control_plane.call("GET", f"{BASE}/count") == (200, {"count": 1}))

    status, answer = control_plane.call("POST", f"{BASE}/retry")

    assert (status, answer["code"], answer["entries"][0]["status"]) == (409, "PIPELINE_STATE_CONFLICT", "truncated")
    assert control_plane.call("GET", BASE)[1][0]["payload_truncated"] is True


def degraded(plane):
    return plane.call("GET", "/health")[1].get("degraded_pipelines")


def test_a_blocked_pipeline_is_degraded_and_a_retry_frees_it(control_plane, topic, database):  # noqa: F811
    start_over_rest(control_plane, topic, database, dlq={"max_entries": 1, "overflow_policy": "block"})
    assert control_plane.call("GET", "/health") == (200, {"status": "healthy", "pipelines": 1})
    insert(database, [3, 5], 8)
    wait_for(lambda: "full" in control_plane.call("GET", "/pipelines/orders-cdc")[1]["ops"]["sink_errors"].get("k", ""))
    assert degraded(control_plane) == ["orders-cdc"]  # for a full queue, whether the process answers in time or not

    topic.allow(10_000_000)
    wait_for(lambda: control_plane.call("POST", f"{BASE}/retry")[1].get("failed") == 0)
    wait_for(lambda: topic.ids()[-1:] == [8])

    assert set(topic.ids()) == set(range(1, 9))
    wait_for(lambda: degraded(control_plane) is None)  # the rows are there before the sink says that they are


def test_a_pipeline_without_a_journal_has_no_dead_letters(control_plane, topic, database):  # noqa: F811
    body = document(postgres_source(database), topic.sink("size"))
    assert control_plane.call("POST", "/pipelines", body)[0] == 200

    for method, path in [("GET", ""), ("GET", "/count"), ("DELETE", ""), ("POST", "/retry")]:
        status, answer = control_plane.call(method, BASE + path)
        assert (status, answer["code"]) == (409, "PIPELINE_STATE_CONFLICT")
        assert "DLQ not enabled for pipeline 'orders-cdc'" in answer["message"]
    assert control_plane.call("GET", "/pipelines/unknown/journal/dlq")[0] == 404
