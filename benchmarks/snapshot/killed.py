"""One large table is copied, by a process that is killed in the middle and by another one that goes on."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.backlog import DEFAULTS, delivered_by
from benchmarks.processes import rss_mb
from benchmarks.servers import NullTarget
from benchmarks.snapshot.copying import settings, source_of
from deltaforge.checkpoint.reader import read_source_state
from tests.pipelines import PipelineProcess, memory_kib

POLL_SECS = 0.05
SHARES = (0.1, 0.5, 1.0)


class Killed(msgspec.Struct, kw_only=True):
    """``rss_mb``: memory with a tenth, a half and all of the rows delivered. ``saved``: rows that were copied, by the
    state that the kill left; ``again``: rows that had left behind them, and came again.
    """

    source: str
    connections: int
    rows: int
    rss_mb: list[float]
    peak_rss_mb: float
    saved: int
    again: int
    rows_per_sec: float


def measure(database: Any, source: str, connections: int, rows: int) -> Killed:
    """Copy a table of so many rows into nothing.

    Raises:
        AssertionError: The second process has not delivered what the first one had not saved, and no row more.
    """
    folder = Path(tempfile.mkdtemp(prefix="deltaforge-killed-"))
    document = source_of(database, source, settings(connections))
    pipeline = DEFAULTS.pipeline(folder, document, NullTarget().sink)
    memory: list[float] = []
    try:
        began = time.monotonic()
        _start(pipeline)
        for share in SHARES[:2]:
            first = _wait_for(pipeline, int(share * rows))
            memory.append(rss_mb(pipeline.pid))
        peak = memory_kib(pipeline.pid)
        pipeline.kill()
        saved = _saved_rows(pipeline)
        _start(pipeline)
        delivered = _wait_for(pipeline, rows - saved)
        memory.append(rss_mb(pipeline.pid))
        secs = time.monotonic() - began
        peak = max(peak, memory_kib(pipeline.pid))
        time.sleep(1)  # in which too much would come
        delivered = delivered_by(pipeline)
        assert delivered == rows - saved, f"{delivered} rows behind {saved}, of {rows}"
        pipeline.stop()
    finally:
        pipeline.end()
        shutil.rmtree(folder, ignore_errors=True)
        if source == "postgres":
            database.rows("select pg_drop_replication_slot(%s)", [document["config"]["slot"]])
    return Killed(
        source=source,
        connections=connections,
        rows=rows,
        rss_mb=[round(value, 1) for value in memory],
        peak_rss_mb=round(peak / 1024, 1),
        saved=saved,
        again=first - saved,
        rows_per_sec=round(rows / secs),
    )


def _start(pipeline: PipelineProcess) -> None:
    pipeline.start(waits=False, stdout=subprocess.DEVNULL)
    pipeline.wait_until(lambda _status: True)


def _wait_for(pipeline: PipelineProcess, count: int) -> int:
    while (delivered := delivered_by(pipeline)) < count:
        pipeline.assert_runs()
        time.sleep(POLL_SECS)
    return delivered


def _saved_rows(pipeline: PipelineProcess) -> int:
    state = read_source_state(pipeline.paths.recovery)
    assert state is not None
    assert state.snapshot is not None
    return sum(table.row_count for job in state.snapshot.jobs for table in job.tables)
