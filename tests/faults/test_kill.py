"""kill -9 of the pipeline process at random moments of a random workload."""

import os
import random
import time

import pytest

from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, postgres_source, wait_for
from tests.workload import Workload, assert_ordered_without_gap, rebuilt, selected, without_added

KILLS = int(os.environ.get("DELTAFORGE_KILLS", "8"))
SEED = int(os.environ.get("DELTAFORGE_SEED", "1"))


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


def source_of(database, **changes):
    return (mysql_source if database.server.scheme == "mysql" else postgres_source)(database, **changes)


def finish(database, pipeline, path):
    """Wait until everything arrived, stop, and compare."""

    def is_complete():
        return without_added(rebuilt(file_events(path))) == without_added(selected(database))

    wait_for(is_complete, 120)
    assert pipeline.stop() == 0, pipeline.log()
    return assert_ordered_without_gap(file_events(path))


def test_nothing_is_lost_over_kills(database, tmp_path):
    rng, path = random.Random(SEED), tmp_path / "out.jsonl"
    workload = Workload(database, SEED)
    workload.create()
    pipeline = PipelineProcess(tmp_path, source_of(database), [file_sink(path)]).start()
    end = workload.start()
    try:
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.1, 1.2))
            pipeline.kill()
            pipeline.start()
        end()
        workload.big_transaction(20_000)
        finish(database, pipeline, path)
    finally:
        end()
        pipeline.end()


def test_stop_and_resume_repeat_nothing(database, tmp_path):
    path = tmp_path / "out.jsonl"
    workload = Workload(database, SEED + 1)
    workload.create()
    pipeline = PipelineProcess(tmp_path, source_of(database), [file_sink(path)]).start()
    end = workload.start()
    try:
        for _ in range(3):
            time.sleep(0.7)
            assert pipeline.stop() == 0, pipeline.log()
            pipeline.start()
        end()
        assert finish(database, pipeline, path) == 0
    finally:
        end()
        pipeline.end()


def test_database_connection_cut_in_mid_transaction(database, tmp_path, fault_proxy):
    path = tmp_path / "out.jsonl"
    proxy = fault_proxy(database.server.port)
    workload = Workload(database, SEED + 2)
    workload.create()
    source = source_of(database, url=database.url(port=proxy.port))
    pipeline = PipelineProcess(tmp_path, source, [file_sink(path)]).start()
    try:
        for bytes_until_cut in (2_000, 50_000, 500_000):
            proxy.cut_after(bytes_until_cut)
            workload.big_transaction(5_000)
        workload.run(50)
        finish(database, pipeline, path)
    finally:
        pipeline.end()
