"""What sensing knows is saved table by table: an epoch saves those that changed, and every row is counted once."""

import pickle
import sqlite3

import msgspec
import pytest

from deltaforge.checkpoint.reader import SENSING_KEY, read_sensing_states, sensing_shard_key
from deltaforge.control.shapes import read_shapes
from deltaforge.runtime.sensing_step import TableShard, TableShards
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.state import SHARDS, decode_sensing_state, shard_of
from deltaforge.testing.fakes import RecordingSink, ScriptedStream
from tests.flows.running import FakePipeline, run

TABLES = 10


class ManyTables(ScriptedStream):
    """Rows 1 to 40 go round the tables, all others into one."""

    def poll(self, timeout_secs):
        batches = super().poll(timeout_secs)
        for event in (event for batch in batches for event in batch.events()):
            number = event.after["id"]
            event.source = msgspec.structs.replace(event.source, table=f"t{number % TABLES if number <= 40 else 0}")
            event.schema = None
        return batches


def start(folder, last, *, workers=1):
    """Deliver up to a row, and stop."""
    sink = RecordingSink()
    pipeline = FakePipeline(folder, ManyTables(last), {"k": sink})
    pipeline.spec.spec.schema_sensing = SchemaSensing(enabled=True)
    run(pipeline, until=lambda: last in sink.durable, workers=workers)
    assert pipeline.failure is None
    return pipeline.paths.recovery, sink.durable


def row_counts(store):
    return {name: table.row_count for name, table in read_shapes(store).tables.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_is_counted_once_over_stops_and_order_is_kept(tmp_path, workers):
    store, delivered = start(tmp_path, 40, workers=workers)
    assert delivered == list(range(1, 41))
    assert row_counts(store) == {f"t{n}": 4 for n in range(TABLES)}
    store, delivered = start(tmp_path, 60, workers=workers)
    assert delivered == list(range(41, 61))
    assert row_counts(store) == {"t0": 24, **{f"t{n}": 4 for n in range(1, TABLES)}}


def test_counts_survive_a_change_of_the_number_of_workers(tmp_path):
    for last, workers in ((40, 1), (50, 2), (60, 1)):
        store, _ = start(tmp_path, last, workers=workers)
    assert row_counts(store) == {"t0": 24, **{f"t{n}": 4 for n in range(1, TABLES)}}


def test_the_state_of_the_pipeline_holds_no_table(tmp_path):
    store, _ = start(tmp_path, 40)
    states = [decode_sensing_state(data) for data in read_sensing_states(store)]
    assert [len(state.tables) for state in states if state.progress is not None] == [0]


def test_what_was_saved_in_one_piece_is_split_in_the_first_epoch(tmp_path):
    store, _ = start(tmp_path, 40)
    as_of_version_1(store)
    assert len(read_sensing_states(store)) == 1
    store, _ = start(tmp_path, 41)
    states = [decode_sensing_state(data) for data in read_sensing_states(store)]
    assert [len(state.tables) for state in states if state.progress is not None] == [0]
    assert row_counts(store) == {"t0": 5, **{f"t{n}": 4 for n in range(1, TABLES)}}


def test_a_run_without_a_batch_leaves_what_was_saved(tmp_path):
    store, _ = start(tmp_path, 40)
    sink = RecordingSink()
    pipeline = FakePipeline(tmp_path, ManyTables(40), {"k": sink})
    pipeline.spec.spec.schema_sensing = SchemaSensing(enabled=True)
    run(pipeline, until=lambda: pipeline.running.reader is not None and pipeline.running.reader.status().connected)
    assert row_counts(store) == {f"t{n}": 4 for n in range(TABLES)}


def test_only_the_first_batch_of_a_run_and_the_tables_of_a_batch_are_saved():
    stream, shards = ManyTables(100), TableShards()
    stream.open(None)
    first = [value for _, value in shards([(SENSING_KEY, batch) for batch in stream.poll(0)])]
    assert first[1:] == [TableShard("", number) for number in range(SHARDS)]
    later = list(shards([(SENSING_KEY, batch) for _ in range(2) for batch in stream.poll(0)]))
    assert [key for key, _ in later] == [
        *(SENSING_KEY, sensing_shard_key(shard_of("t2"))),
        *(SENSING_KEY, sensing_shard_key(shard_of("t3"))),
    ]


def as_of_version_1(store):
    """Put everything back under the one key of before."""
    whole = read_shapes(store)
    progress = next(state.progress for data in read_sensing_states(store)
                    if (state := decode_sensing_state(data)).progress is not None)  # fmt: skip
    old = msgspec.msgpack.encode({"v": 1, "progress": progress, "tables": whole.tables, "drift": whole.drift})
    with sqlite3.connect(store / "part-0.sqlite3") as db:
        (epoch,) = db.execute("select max(snap_epoch) from snaps where step_id = 'deltaforge.sensing'").fetchone()
        db.execute("delete from snaps where step_id = 'deltaforge.sensing'")
        db.execute(
            "insert into snaps(step_id, state_key, snap_epoch, ser_change) values(?,?,?,?)",
            ("deltaforge.sensing", SENSING_KEY, epoch, pickle.dumps(old)),
        )
    db.close()
