"""One copy of what is in a database, through a pipeline that is started for it."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.backlog import DEFAULTS, delivered_by
from benchmarks.processes import cpu_secs, rss_mb
from benchmarks.servers import ExactlyOnceKafkaTarget, KafkaTarget, NullTarget, Servers
from tests.pipelines import PipelineProcess, memory_kib, mysql_source, postgres_source

POLL_SECS = 0.05
OVER = ("completed", "failed", "cancelled")


class Copy(msgspec.Struct, kw_only=True):
    """Figures of one copy. ``secs``: from the start of the process to the last row. ``rss_mb``: its memory in each
    quarter of the copy.
    """

    source: str
    kind: str
    sink: str
    connections: int
    rows: int
    rows_per_sec: float
    cpu_secs_per_million: float
    database_cpu_secs_per_million: float
    secs: float
    peak_rss_mb: float
    rss_mb: list[float]


def settings(connections: int, tables: int = 1) -> dict[str, Any]:
    """Of a snapshot with so many connections, for one table or for many."""
    if tables > 1:
        return {"mode": "initial", "max_parallel_tables": connections}
    is_parallel = connections > 1
    return {
        "mode": "initial",
        "max_parallel_tables": 1,
        "intra_table_parallel": is_parallel,
        "max_parallel_chunks": connections,
    }


def source_of(database: Any, name: str, snapshot: dict[str, Any]) -> dict[str, Any]:
    """The source part of a document; the publication of PostgreSQL is made here."""
    if name != "postgres":
        return dict(mysql_source(database, snapshot=snapshot))
    with contextlib.suppress(Exception):  # it is there already
        database.execute("create publication pub for all tables")
    slot = f"s_{database.name}_{time.monotonic_ns()}"
    return dict(postgres_source(database, snapshot=snapshot, slot=slot))


def copy(servers: Servers, database: Any, case: tuple[str, str, str, int], snapshot: dict[str, Any], rows: int) -> Copy:
    """Copy everything once. ``case``: source, kind of table, sink and connections.

    Raises:
        AssertionError: The destination does not hold every row once.
    """
    source, kind, sink, connections = case
    folder = Path(tempfile.mkdtemp(prefix="deltaforge-copy-"))
    target = _target(servers, sink, f"{database.name}-{time.monotonic_ns()}")
    document = source_of(database, source, snapshot)
    pipeline = DEFAULTS.pipeline(folder, document, target.sink)
    try:
        began = time.monotonic()
        pipeline.start(waits=False, stdout=subprocess.DEVNULL if sink == "null" else None)
        pipeline.wait_until(lambda _status: True)
        figures = _measure(pipeline, database, rows)
        secs = round(time.monotonic() - began, 2)
        wait_until_over(pipeline)
        found = target.count()
        assert found in (None, rows), f"{found} messages, expected {rows}"
        pipeline.stop()
    finally:
        pipeline.end()
        shutil.rmtree(folder, ignore_errors=True)
        if source == "postgres":
            database.rows("select pg_drop_replication_slot(%s)", [document["config"]["slot"]])
    if isinstance(target, KafkaTarget):
        target.delete()
    return Copy(source=source, kind=kind, sink=sink, connections=connections, rows=rows, secs=secs, **figures)


def wait_until_over(pipeline: PipelineProcess) -> None:
    """Return when all jobs are completed.

    Raises:
        AssertionError: One has failed.
    """
    while True:
        jobs = pipeline.ask("snapshots").get("jobs", [])  # none before the source is read
        assert not [job for job in jobs if job["status"] == "failed"], jobs
        if jobs and all(job["status"] in OVER for job in jobs):
            return
        time.sleep(POLL_SECS)


def database_cpu_secs(database: Any) -> float:
    """Of all processes of its server; 0 of one that is not ours."""
    process = database.server.process
    if process is None:
        return 0.0
    is_postgres = database.server.scheme == "postgres"
    path = process.folder / ("data/postmaster.pid" if is_postgres else "pid")
    while True:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # of a process that ended meanwhile
            return cpu_secs(int(path.read_text().split()[0]))


def _target(servers: Servers, sink: str, name: str) -> Any:
    if sink == "null":
        return NullTarget()
    kind = ExactlyOnceKafkaTarget if sink == "kafka-eos" else KafkaTarget
    return kind(servers.get("kafka"), name)


def _measure(pipeline: PipelineProcess, database: Any, rows: int) -> dict[str, Any]:
    while not (first := delivered_by(pipeline)):
        pipeline.assert_runs()
        time.sleep(0.01)
    began, cpu_began, server_began = time.monotonic(), cpu_secs(pipeline.pid), database_cpu_secs(database)
    delivered, memory = first, [rss_mb(pipeline.pid)]
    while delivered < rows:
        time.sleep(POLL_SECS)
        pipeline.assert_runs()
        delivered = delivered_by(pipeline)
        memory.append(rss_mb(pipeline.pid))
    secs, cpu = time.monotonic() - began, cpu_secs(pipeline.pid) - cpu_began
    server_cpu = database_cpu_secs(database) - server_began
    count, quarter = max(1, rows - first), max(1, len(memory) // 4)
    return {
        "rows_per_sec": round(count / secs) if secs else 0,
        "cpu_secs_per_million": round(cpu / count * 1e6, 2),
        "database_cpu_secs_per_million": round(server_cpu / count * 1e6, 2),
        "peak_rss_mb": round(memory_kib(pipeline.pid) / 1024, 1),
        "rss_mb": [statistics.median(memory[n * quarter : (n + 1) * quarter] or memory[-1:]) for n in range(4)],
    }
