"""kill -9 while sensing counts: every event is counted once, also in the middle of a large transaction."""

import json
import random
import threading
import time

import pytest

from deltaforge.control.shapes import read_shapes
from deltaforge.sensing.sample import is_sampled
from tests.drifting import insert_undated
from tests.pipelines import PipelineProcess, file_events, file_sink, wait_for
from tests.trial import source_of

WARMUP, RATE = 100, 7
SENSING = {"enabled": True, "sampling": {"warmup_events": WARMUP, "sample_rate": RATE}}


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        is_postgres = request.param == "postgres"
        database.execute(f"create table orders (id int primary key, meta {'jsonb' if is_postgres else 'json'})")
        if is_postgres:
            database.execute("create publication pub for all tables")
        yield database


def start(folder, database, path):
    """A pipeline that senses, and splits large transactions."""
    split = {"max_tx_bytes": 20_000, "max_events": 500}
    return PipelineProcess(folder, source_of(database), [file_sink(path)], schema_sensing=SENSING, batch=split).start()


class Writer:
    """Inserts rows, one in five without a document, in transactions of 1 to 4,000 rows."""

    def __init__(self, database, seed, total):
        self._database, self._random, self._total = database, random.Random(seed), total
        self.value_count = 0
        self._thread = threading.Thread(target=self._run)

    def start(self):
        self._thread.start()
        return self

    def join(self):
        self._thread.join()

    def _run(self):
        written = 0
        with self._database.connect() as connection, connection.cursor() as cursor:
            while written < self._total:
                count = min(self._random.choice([1, 3, 50, 4000]), self._total - written)
                cursor.execute("insert into orders values " + ",".join(map(self._row, range(written, written + count))))
                written += count
                time.sleep(self._random.uniform(0, 0.1))

    def _row(self, number):
        if number % 5 == 0:
            return f"({number}, null)"
        self.value_count += 1
        document = {"a": number, "b": {"c": [number]}} if number % 3 else {"a": "text", "d": None}
        return f"({number}, '{json.dumps(document)}')"


def test_counters_are_exact_over_kills(database, tmp_path):
    path, total, rng = tmp_path / "out.jsonl", 30_000, random.Random(3)
    pipeline = start(tmp_path, database, path)
    writer = Writer(database, 5, total).start()
    try:
        for _ in range(5):
            time.sleep(rng.uniform(0.2, 1.0))
            pipeline.kill()
            pipeline.start()
        writer.join()
        wait_for(lambda: len({event["after"]["id"] for event in file_events(path)}) == total, 120)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()

    state = read_shapes(pipeline.paths.recovery)

    assert state.tables["orders"].row_count == total
    assert state.tables["orders"].keys["meta"].event_count == writer.value_count
    assert state.tables["orders"].keys["meta"].sequence >= 1
    assert state.drift["orders"].events_analyzed == sum(is_sampled(number, WARMUP, RATE) for number in range(total))
    assert state.drift["orders"].events_with_drift <= state.tables["orders"].keys["meta"].sequence


def test_drift_is_counted_once_over_kills(database, tmp_path):
    database.execute("alter table orders add column day date not null")
    path, total, rng = tmp_path / "out.jsonl", 20_000, random.Random(4)
    pipeline = start(tmp_path, database, path)
    try:
        for first in range(0, total, 4000):
            rows = ",".join(f"({number}, null, '2026-01-01')" for number in range(first, first + 2000))
            database.execute(f"insert into orders values {rows}")
            insert_undated(database, ",".join(f"({n}, null, {{day}})" for n in range(first + 2000, first + 4000)))
            time.sleep(rng.uniform(0, 0.5))
            pipeline.kill()
            pipeline.start()
        wait_for(lambda: len({event["after"]["id"] for event in file_events(path) if event["after"]}) == total, 120)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()

    drift = read_shapes(pipeline.paths.recovery).drift["orders"]
    sampled = [number for number in range(total) if is_sampled(number, WARMUP, RATE)]
    undated = sum(number % 4000 >= 2000 for number in sampled)
    assert (drift.events_analyzed, drift.events_with_drift) == (len(sampled), undated)
    assert {
        column: {kind: found.count for kind, found in kinds.items()} for column, kinds in drift.records.items()
    } == {"day": {"unexpected_null": undated}}
    assert drift.null_counts == {"day": undated}


def test_rows_that_come_again_for_an_optional_sink_are_not_counted_again(database, tmp_path):
    required, optional = tmp_path / "required.jsonl", tmp_path / "missing" / "optional.jsonl"
    sinks = [file_sink(required, required=True), {**file_sink(optional, required=False)}]
    sinks[1]["config"]["id"] = "optional"
    pipeline = PipelineProcess(tmp_path, source_of(database), sinks, schema_sensing=SENSING).start()
    try:
        Writer(database, 6, 5000).start().join()
        wait_for(lambda: len(file_events(required)) == 5000)
        wait_for(lambda: (t := read_shapes(pipeline.paths.recovery).tables.get("orders")) and t.row_count == 5000)
        pipeline.kill()
        optional.parent.mkdir()
        pipeline.start()
        wait_for(lambda: len({event["after"]["id"] for event in file_events(optional)}) == 5000)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()

    assert read_shapes(pipeline.paths.recovery).tables["orders"].row_count == 5000
