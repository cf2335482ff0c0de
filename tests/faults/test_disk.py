"""Full disks, and files whose last write was torn by the crash."""

import os

import pytest

from tests.destinations import FileDestination, RedisDestination
from tests.pipelines import wait_for
from tests.trial import pause

LIMIT_BYTES = 1_000_000
"""The store of positions, which grows with each save, stays far below it while the file gets its rows."""
TORN_BYTES = 100
ONE = pytest.mark.parametrize("database", ["mysql"], indirect=True)
"""Where the database makes no difference."""


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with request.getfixturevalue(request.param).fresh_database() as database:
        yield database


@ONE
def test_a_full_disk_of_the_file_sink_is_waited_out(trial, small_disk):
    trial = trial(FileDestination(small_disk.folder), seed=12)
    trial.begin()
    wait_for(trial.destination.events)
    small_disk.fill()
    status = trial.pipeline.wait_until(lambda status: status["sink_errors"])
    assert "No space left" in status["sink_errors"]["file"]
    pause(1)
    small_disk.free()
    trial.pipeline.wait_until(lambda status: not status["sink_errors"])
    assert trial.finish().repeated_count == 0


@ONE
def test_a_file_that_may_not_grow_ends_the_pipeline_and_the_next_start_goes_on(trial, tmp_path):
    trial = trial(FileDestination(tmp_path), seed=13)
    trial.pipeline.start(limit_bytes=LIMIT_BYTES)
    trial.workload.big_transaction(5000)
    outcome = trial.pipeline.wait()
    assert (outcome.status, outcome.kind) == ("failed", "other")
    assert "File too large" in outcome.message
    trial.pipeline.start()
    trial.finish()


@ONE
def test_a_full_disk_of_the_state_loses_nothing(trial, database, redis_server, small_disk):
    trial = trial(RedisDestination(redis_server, database.name), seed=14, folder=small_disk.folder)
    trial.begin()
    wait_for(trial.destination.events)
    small_disk.fill()
    assert trial.pipeline.wait_code() != 0
    trial.note_death()
    small_disk.free()
    trial.pipeline.start()
    pause(1)
    trial.finish()


def test_torn_last_writes_lose_nothing(trial, tmp_path):
    """As after a power cut: the newest write of a log or a file is there by half, and the last save is not there."""
    trial = trial(FileDestination(tmp_path), seed=15)
    trial.begin()
    wait_for(trial.destination.events)
    trial.pipeline.wait_until(lambda status: status["checkpoints"])
    trial.pipeline.kill()
    paths = trial.pipeline.paths
    saves = list(paths.recovery.glob("*-wal"))
    logs = [*paths.root.glob("*-wal"), *paths.root.glob("*.jsonl")]
    assert saves
    assert logs
    for path in saves:
        os.truncate(path, max(0, path.stat().st_size - TORN_BYTES))
    for path in (*logs, tmp_path / "out.jsonl"):
        append_torn(path)
    trial.note_death()
    trial.pipeline.start()
    pause(0.5)
    trial.finish()


def append_torn(path):
    """Write the beginning of what could have come next: the last bytes once more, without their end."""
    with path.open("r+b") as file:
        last = path.read_bytes()[-2 * TORN_BYTES : -TORN_BYTES]
        file.seek(0, os.SEEK_END)
        file.write(last.replace(b"\n", b" "))
