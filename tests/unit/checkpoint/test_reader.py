import os
import pickle
import sqlite3
from datetime import UTC, datetime

import pytest
from bytewax.recovery import init_db_dir

from deltaforge.checkpoint.reader import (
    SENSING_KEY,
    SENSING_STEP,
    read_checkpoints,
    read_sensing_states,
    read_source_state,
    sensing_shard_key,
)
from deltaforge.checkpoint.state import DeliveryState, SinkCheckpoint, SourceState, encode_state
from deltaforge.core.errors import CheckpointError
from deltaforge.core.positions import PostgresPosition

AT = datetime(2026, 1, 2, tzinfo=UTC)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.fixture
def store(tmp_path):
    init_db_dir(tmp_path, 1)
    return tmp_path


def execute(store, *statements):
    with sqlite3.connect(store / "part-0.sqlite3") as db:
        for statement, values in statements:
            db.execute(statement, values)
    db.close()


def execution(number, workers, resume):
    return "insert into exs(ex_num, worker_count, resume_epoch) values(?,?,?)", (number, workers, resume)


def front(number, worker, epoch):
    return "insert into fronts(ex_num, worker_index, worker_frontier) values(?,?,?)", (number, worker, epoch)


def snap(step, key, epoch, value):
    statement = "insert into snaps(step_id, state_key, snap_epoch, ser_change) values(?,?,?,?)"
    return statement, (f"deltaforge.{step}", key, epoch, pickle.dumps(value))


def source(lsn):
    return encode_state(SourceState(source_id="s", position=PostgresPosition(lsn)))


def test_new_store_has_no_positions(store):
    assert read_checkpoints(store) == []
    assert read_source_state(store) is None


def test_missing_store_has_no_positions(tmp_path):
    assert read_checkpoints(tmp_path / "absent") == []


def test_state_of_an_unfinished_epoch_does_not_count(store):
    execute(
        store,
        execution(0, 1, 1),
        front(0, 0, 3),
        snap("source", "log", 2, source(20)),
        snap("source", "log", 3, source(30)),
    )
    assert read_source_state(store).position == PostgresPosition(20)


def test_slowest_worker_decides(store):
    execute(
        store,
        execution(0, 2, 1),
        front(0, 0, 4),
        front(0, 1, 2),
        snap("source", "log", 1, source(10)),
        snap("source", "log", 2, source(20)),
    )
    assert read_source_state(store).position == PostgresPosition(10)


def test_execution_that_ended_at_once_counts_from_where_it_resumed(store):
    execute(
        store,
        execution(0, 1, 1),
        front(0, 0, 9),
        execution(1, 1, 3),
        snap("source", "log", 2, source(20)),
        snap("source", "log", 8, source(80)),
    )
    assert read_source_state(store).position == PostgresPosition(20)


def test_sink_positions_come_with_their_age(store):
    state = DeliveryState(source_id="s", sinks=[SinkCheckpoint("k", PostgresPosition(5), AT)])
    execute(store, execution(0, 1, 1), front(0, 0, 2), snap("delivery", "delivery", 1, encode_state(state)))
    (checkpoint,) = read_checkpoints(store)
    assert (checkpoint.sink_id, checkpoint.position.view()) == ("k", {"lsn": "0/5", "tx_id": None})
    assert checkpoint.age_seconds(datetime(2026, 1, 2, 0, 0, 3, tzinfo=UTC)) == 3.0


@pytest.mark.parametrize(
    "value", [Evil(), 17, b"{}", b'{"source_id":"s","position":{"type":"postgres","lsn":1},"v":2}']
)
def test_state_that_is_not_plain_and_known_is_refused(store, value):
    execute(store, execution(0, 1, 1), front(0, 0, 2), snap("source", "log", 1, value))
    with pytest.raises(CheckpointError):
        read_source_state(store)


def test_damaged_store_is_a_clear_error(store):
    (store / "part-0.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoints(store)


def test_sensing_states_are_handed_on_as_bytes_the_newest_of_each_key(store):
    assert read_sensing_states(store) == []
    execute(store, execution(0, 1, 1), front(0, 0, 3))
    for key, epoch, value in ((SENSING_KEY, 1, b"old"), (sensing_shard_key(7), 1, b"shard"), (SENSING_KEY, 2, b"new")):
        execute(store, snap(SENSING_STEP, key, epoch, value))
    execute(store, snap(SENSING_STEP, SENSING_KEY, 3, b"not saved yet"))
    assert sorted(read_sensing_states(store)) == [b"new", b"shard"]
