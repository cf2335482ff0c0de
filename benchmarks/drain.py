"""One drain: a backlog through a real pipeline process, counted at its destination."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress

from benchmarks import orders
from benchmarks.processes import cpu_secs, rss_mb
from benchmarks.servers import ExactlyOnceKafkaTarget, FileTarget, KafkaTarget, NullTarget, RedisTarget, Servers
from tests.pipelines import PipelineProcess, memory_kib, mysql_source, postgres_source

POLL_SECS = 0.1
_DELIVERED = re.compile(r"^deltaforge_sink_events_total\{[^}]*\} (\S+)$", re.MULTILINE)


class Result(msgspec.Struct, kw_only=True):
    """Figures of one drain. ``rss_mb`` has the median of each quarter of its time."""

    source: str
    sink: str
    workload: str
    rows: int
    rows_per_sec: float
    cpu_secs_per_million: float
    peak_rss_mb: float
    rss_mb: list[float]
    stall_secs: float = 0
    rss_stalled_mb: float | None = None
    lanes: int = 1
    envelope: str = "native"
    encoding: str = "json"
    message_bytes: float | None = None


class Drain:
    """A backlog of one source, to be drained into one sink after the other."""

    def __init__(self, servers: Servers, source: str, workload: str, rows: int, progress: Progress) -> None:
        self._servers = servers
        self._source, self._workload, self._rows = source, workload, rows
        self._progress = progress

    def run(
        self, sink: str, stall_secs: float = 0, lanes: int = 1, envelope: str = "native", encoding: str = "json"
    ) -> Result:
        """Write the backlog, drain it in so many lanes by key, and count what came out.

        Raises:
            AssertionError: The destination does not hold every change, or holds one twice without a reason.
        """
        folder = Path(tempfile.mkdtemp(prefix="deltaforge-bench-"))
        try:
            with self._servers.get(self._source).fresh_database() as database:
                target = self._target(sink, database.name, folder)
                target.sink["config"] |= self._form(envelope, encoding)
                database.execute(orders.table("postgres" if self._source == "postgres" else "mysql", self._workload))
                pipeline = self._pipeline(folder, database, target)
                if lanes > 1:
                    pipeline.document["spec"]["sharding"] = {"mode": "key", "count": lanes}
                try:
                    pipeline.start().stop()  # saves the position that the backlog begins at
                    self._write(database)
                    result = self._drain(pipeline, target, sink, stall_secs)
                    result.lanes, result.envelope, result.encoding = lanes, envelope, encoding
                    pipeline.stop()
                finally:
                    pipeline.end()
                found = target.count()
                # A sink that was away for longer than its timeouts may hold what it never acknowledged twice.
                is_right = found is None or found == self._rows or (stall_secs and found > self._rows)
                assert is_right, f"{found} messages at {sink}, expected {self._rows}"
                if isinstance(target, KafkaTarget) and sink == "kafka":
                    result.message_bytes = round(target.message_bytes(), 1)
                return result
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _form(self, envelope: str, encoding: str) -> dict[str, Any]:
        """The settings of a sink; without tombstones, so that messages are as many as changes."""
        form: dict[str, Any] = {}
        if envelope == "connect":
            form["envelope"] = {"type": "debezium", "dialect": "connect", "tombstones_on_delete": False}
        if encoding == "avro":
            form["encoding"] = {"type": "avro", "schema_registry_url": self._servers.get("registry").url}
        return form

    def _target(self, sink: str, name: str, folder: Path) -> Any:
        if sink == "kafka":
            return KafkaTarget(self._servers.get("kafka"), name)
        if sink == "kafka-eos":
            return ExactlyOnceKafkaTarget(self._servers.get("kafka"), name)
        if sink == "redis":
            return RedisTarget(self._servers.get("redis"), name)
        return FileTarget(folder) if sink == "file" else NullTarget()

    def _pipeline(self, folder: Path, database: Any, target: Any) -> PipelineProcess:
        if self._source == "postgres":
            database.execute("create publication pub for all tables")
            source = postgres_source(database)
        else:
            source = mysql_source(database)
        return PipelineProcess(folder, source, [target.sink])

    def _write(self, database: Any) -> None:
        task = self._progress.add_task(f"{self._source}: writing {self._workload}", total=self._rows)
        orders.write(database, self._rows, self._workload, lambda count: self._progress.advance(task, count))
        self._progress.remove_task(task)

    def _drain(self, pipeline: PipelineProcess, target: Any, sink: str, stall_secs: float) -> Result:
        task = self._progress.add_task(f"{self._source} → {sink}", total=self._rows)
        pipeline.start(stdout=subprocess.DEVNULL if sink == "null" else None)
        began, cpu_began = time.monotonic(), cpu_secs(pipeline.pid)
        memory: list[float] = []
        stalled: float | None = None
        delivered = 0
        while delivered < self._rows:
            time.sleep(POLL_SECS)
            found = _DELIVERED.search(pipeline.ask("metrics")["metrics"])
            delivered = int(float(found[1])) if found else 0
            memory.append(rss_mb(pipeline.pid))
            self._progress.update(task, completed=delivered)
            if stall_secs and stalled is None and delivered > self._rows / 2:
                target.stall(stall_secs)
                stalled = _peak_while_stalled(pipeline.pid, stall_secs)
        secs, cpu = time.monotonic() - began - (stall_secs if stalled else 0), cpu_secs(pipeline.pid) - cpu_began
        self._progress.remove_task(task)
        quarter = max(1, len(memory) // 4)
        return Result(
            source=self._source,
            sink=sink,
            workload=self._workload,
            rows=self._rows,
            rows_per_sec=round(self._rows / secs),
            cpu_secs_per_million=round(cpu / self._rows * 1e6, 1),
            peak_rss_mb=round(memory_kib(pipeline.pid) / 1024, 1),
            rss_mb=[round(statistics.median(memory[n * quarter : (n + 1) * quarter] or [0]), 1) for n in range(4)],
            stall_secs=stall_secs,
            rss_stalled_mb=stalled,
        )


def _peak_while_stalled(pid: int, secs: float) -> float:
    end, peak = time.monotonic() + secs, 0.0
    while time.monotonic() < end:
        peak = max(peak, rss_mb(pid))
        time.sleep(POLL_SECS)
    return peak
