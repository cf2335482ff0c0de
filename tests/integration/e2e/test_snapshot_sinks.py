"""Sinks during a copy: away, slow, new, and one of several that is meant."""

import json
import signal

import pytest

from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.kill_points import VARIABLE
from deltaforge.storage.sqlite import SqliteStorage
from tests.destinations import ExactlyOnceDestination, FileDestination, KafkaDestination, RedisDestination
from tests.pipelines import memory_kib, wait_for
from tests.snapshots import (
    add_items,
    ask,
    assert_nothing_twice,
    copied_ids,
    create_items,
    pipeline_with_snapshot,
    saved_snapshots,
    wait_until_copied,
)
from tests.trial import pause

SHORT = {"send_timeout_secs": 1, "batch_timeout_secs": 1, "connect_timeout_secs": 1}


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


def value_of(pipeline, name, **labels):
    """A metric of a running pipeline; 0 if there is none."""
    lines = pipeline.ask("metrics")["metrics"].splitlines()
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    found = [line for line in lines if line.startswith(name + "{") and all(label in line for label in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def read_rows(pipeline):
    """How many rows of the tables have left for the sinks."""
    try:
        return value_of(pipeline, "deltaforge_snapshot_rows_total")
    except OSError:
        return 0  # it is starting


def test_optional_sink_spools_chunks(database, redis_server, fault_proxy, tmp_path):
    create_items(database, 2000)
    proxy = fault_proxy(redis_server.port)
    file = FileDestination(tmp_path)
    redis = RedisDestination(redis_server, database.name, port=proxy.port, required=False, **SHORT)
    pipeline = pipeline_with_snapshot(tmp_path, database, [file.sink, redis.sink])
    proxy.down()
    try:
        pipeline.start(waits=False, environment={VARIABLE: "between_chunk_ack_and_save:1"})
        assert pipeline.wait_code() == -signal.SIGKILL, pipeline.log()
        pipeline.start()
        wait_until_copied(pipeline)
        chunks = value_of(pipeline, "deltaforge_snapshot_chunks_total")
        assert sorted(set(copied_ids(file.events()))) == list(range(1, 2001))
        assert not redis.events()
        pipeline.kill()
        proxy.up()
        for name in SHORT:  # a server that is slow now would get some rows twice
            del redis.sink["config"][name]
        pipeline.start()
        add_items(database, [2001])
        wait_for(lambda: [event for event in redis.events() if event["op"] == "c"])
        assert chunks
        assert not value_of(pipeline, "deltaforge_snapshot_chunks_total")  # nothing was read again
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
    assert sorted(copied_ids(redis.events())) == list(range(1, 2001))
    assert_nothing_twice(redis.events())


def test_new_sink_start_snapshot(database, tmp_path):
    create_items(database, 95)
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    old, new = map(FileDestination, folders)
    pipeline = pipeline_with_snapshot(tmp_path, database, [old.sink], snapshot={"mode": "never"})
    try:
        pipeline.start()
        add_items(database, range(96, 98))
        wait_for(lambda: len(old.events()) == 2)
        assert pipeline.stop() == 0
        assert not saved_snapshots(pipeline)
        new.sink["config"] |= {"id": "new", "start": "snapshot"}
        pipeline.document["spec"]["sinks"].append(new.sink)
        pipeline.start()
        wait_until_copied(pipeline)
        add_items(database, range(98, 99))
        wait_for(lambda: old.events()[2:] and new.events()[97:])
        assert pipeline.stop() == 0
        assert [(event["op"], event["after"]["id"]) for event in old.events()] == [("c", n) for n in (96, 97, 98)]
        assert sorted(copied_ids(new.events())) == list(range(1, 98))
        assert [event["op"] for event in new.events()[97:]] == ["c"]
        pipeline.start()
        add_items(database, range(99, 100))
        wait_for(lambda: new.events()[98:])
        job = {"id": "ab12", "tables": ["items"], "where": "id <= 20", "sinks": ["file"]}
        answer = ask(pipeline, cmd="snapshot", request=job)
        assert answer["ok"], answer
        wait_until_copied(pipeline, 2)
        wait_for(lambda: not list(pipeline.paths.snapshot_requests.glob("*")))  # taken away behind the save
        assert ask(pipeline, cmd="snapshot", request=job)["job"]["status"] == "completed"  # once
        refused = ask(pipeline, cmd="snapshot", request={"id": "ab13", "tables": ["nowhere.*"]})
        assert "no captured table" in refused["error"]
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
    assert sorted(copied_ids(old.events())) == list(range(1, 21))
    assert len(copied_ids(new.events())) == 97
    assert [event["op"] for event in new.events()[97:]] == ["c", "c"]


def test_copied_rows_that_cannot_be_delivered_are_dead_letters(postgres_database, kafka, tmp_path):
    create_items(postgres_database, 100)
    bad = {7, 8, 50}
    postgres_database.execute(
        "update items set name = 'ok'", f"update items set name = 'no topic' where id in {tuple(bad)}"
    )
    sinks = []
    for kind in (KafkaDestination, ExactlyOnceDestination):
        topic = f"{postgres_database.name}.{kind.__name__}"
        sinks.append(kind(kafka, f"{topic}.ok", id=kind.__name__))
        sinks[-1].sink["config"]["topic"] = f"{topic}.${{after.name}}"
    pipeline = pipeline_with_snapshot(
        tmp_path, postgres_database, [each.sink for each in sinks], journal={"enabled": True}
    )
    try:
        pipeline.start()
        wait_until_copied(pipeline)
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
    for destination in sinks:
        assert sorted(copied_ids(destination.events())) == [n for n in range(1, 101) if n not in bad]
    storage = SqliteStorage(pipeline.paths.learned)
    entries = list(DeadLetterQueue(storage.queue, "p").entries(limit=100))
    storage.close()
    assert sorted((entry.meta.sink_id, json.loads(bytes(entry.event))["after"]["id"]) for entry in entries) == sorted(
        (each.sink["config"]["id"], n) for each in sinks for n in bad
    )


def test_memory_flat_stalled_sink(postgres_database, redis_server, fault_proxy, tmp_path):
    postgres_database.execute(
        "create table items (id bigint primary key, seq bigint not null, name text)",
        "insert into items select n, 0, repeat(md5(n::text), 12) from generate_series(1, 300000) n",
        "create publication pub for all tables",
    )
    proxy = fault_proxy(redis_server.port)
    redis = RedisDestination(redis_server, postgres_database.name, port=proxy.port, **SHORT)
    pipeline = pipeline_with_snapshot(tmp_path, postgres_database, [redis.sink], snapshot={"chunk_size": 10_000})
    pipeline.document["spec"]["source"]["config"]["snapshot"]["intra_table_parallel"] = True
    proxy.down()
    try:
        pipeline.start(waits=False)
        wait_for(lambda: read_rows(pipeline), interval_secs=0.3)

        def stands_still():
            before = read_rows(pipeline)
            pause(1)
            return before == read_rows(pipeline)

        wait_for(stands_still)
        assert 0 < read_rows(pipeline) < 300_000
        assert memory_kib(pipeline.pid) < 200_000
    finally:
        pipeline.end()
