"""Lanes over the workers and processes of a cluster: each gets its rows, and nothing is lost over kills and rescales."""

import random

import pytest

from deltaforge.checkpoint.reader import read_sensing_states
from deltaforge.observability.kill_points import VARIABLE
from deltaforge.sensing.state import decode_sensing_state, merged
from tests.clusters import Cluster, in_log_order
from tests.destinations import ExactlyOnceDestination, RedisDestination
from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, postgres_source, wait_for
from tests.snapshots import (
    add_items,
    assert_nothing_twice,
    copied_ids,
    create_items,
    pipeline_with_snapshot,
    wait_until_copied,
)
from tests.workload import Consumer, Workload, assert_ordered_without_gap, selected

LANES = 4


@pytest.fixture
def make_cluster(tmp_path):
    """``make(source, …)``: a :class:`Cluster`; all of them end with the test."""
    made = []

    def make(source, lane_count=LANES, **options):
        made.append(Cluster(tmp_path, source, lane_count, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.end()


def assert_content(cluster, database):
    """Each lane has its rows in order, and together they make the tables."""
    lanes = cluster.lane_events()
    for events in lanes:
        assert_ordered_without_gap(events)
    consumer = Consumer()
    consumer.apply(in_log_order(lanes))
    return consumer.tables == selected(database)


def test_kills_of_one_or_all_processes_lose_nothing_and_every_worker_works(make_cluster, postgres_database):
    workload = Workload(postgres_database, 11)
    workload.has_ddl = False
    workload.create()
    cluster = make_cluster(postgres_source(postgres_database)).start(2, 2)
    wait_for(lambda: cluster.owners() == [[0, 1], [2, 3]])
    end_writing, rng = workload.start(gap_secs=0.002), random.Random(5)
    for killed in ([1], None):
        before = len(in_log_order(cluster.lane_events()))
        cluster.wait_for_ids(before + rng.randint(100, 300))
        cluster.kill(killed)
        cluster.start(2, 2)
    end_writing()
    wait_for(lambda: assert_content(cluster, postgres_database))
    assert all(len(events) > 50 for events in cluster.lane_events())
    cluster.assert_never_ahead()


def test_one_store_serves_any_number_of_workers_and_processes(make_cluster, mysql_database, redis_server, fault_proxy):
    workload = Workload(mysql_database, 12)
    workload.has_ddl = False
    workload.create()
    proxy = fault_proxy(redis_server.port)
    proxy.down()
    optional = RedisDestination(redis_server, mysql_database.name, port=proxy.port).sink
    optional["config"]["required"] = False
    cluster = make_cluster(mysql_source(mysql_database), part_count=3, sinks=[optional])
    for processes, workers in ((1, 1), (2, 2), (1, 2)):
        cluster.start(processes, workers)
        wait_for(lambda: sorted(lane for lanes in cluster.owners() for lane in lanes) == [0, 1, 2, 3])
        workload.run(40)
        wait_for(lambda: assert_content(cluster, mysql_database))
        if processes > 1:
            wait_for(lambda: len(cluster.waiting()) == LANES)
            proxy.up()
            wait_for(lambda: not cluster.waiting())  # although nothing comes
        assert cluster.stop() == [0] * processes, cluster.log()
    lanes = cluster.lane_events()
    assert all(assert_ordered_without_gap(events) == 0 for events in lanes)
    assert all(len(events) > 20 for events in lanes)


def test_a_copy_that_lanes_of_another_process_are_ahead_with_is_delivered_once(tmp_path, mysql_database, kafka):
    create_items(mysql_database, 300)
    destination = ExactlyOnceDestination(kafka, mysql_database.name)
    two = {"sharding": {"mode": "key", "count": 2}, "runtime": {"processes": 2}}
    pipeline = pipeline_with_snapshot(tmp_path, mysql_database, [destination.sink], **two)
    try:
        pipeline.start(waits=False, environment={VARIABLE: "between_chunk_ack_and_save:1"})
        assert pipeline.wait_code() != 0
        pipeline.start()
        wait_until_copied(pipeline)
        add_items(mysql_database, [301])
        wait_for(lambda: [event for event in destination.events() if event["op"] == "c"])
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
    assert sorted(copied_ids(destination.events())) == list(range(1, 301))
    assert_nothing_twice(destination.events())


def test_what_is_sensed_counts_each_row_once_whatever_processes_there_are(tmp_path, mysql_database):
    mysql_database.execute(*(f"create table t{n} (id int primary key, doc json)" for n in range(6)))
    source = mysql_source(mysql_database)
    pipeline = PipelineProcess(tmp_path, source, [file_sink(tmp_path / "out.jsonl")], schema_sensing={"enabled": True})

    def counts():
        found = merged(map(decode_sensing_state, read_sensing_states(pipeline.paths.recovery)))
        return {table: known.row_count for table, known in found.tables.items()}

    try:
        for number, processes in enumerate((1, 2, 1), 1):
            pipeline.document["spec"]["runtime"] = {"processes": processes}
            pipeline.start()
            mysql_database.execute(*(f"insert into t{n} values ({number}, '[1]')" for n in range(6)))
            wait_for(lambda number=number: len(file_events(tmp_path / "out.jsonl")) == 6 * number)
            assert pipeline.stop() == 0
            assert counts() == {f"t{n}": number for n in range(6)}
    finally:
        pipeline.end()
