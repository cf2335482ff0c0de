"""A backlog that is written once and drained again and again, each time from its beginning."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec
from rich.progress import Progress

from benchmarks import orders
from benchmarks.processes import cpu_secs, thread_secs
from benchmarks.servers import ExactlyOnceKafkaTarget, FileTarget, KafkaTarget, NullTarget, Servers
from tests.pipelines import PipelineProcess, memory_kib, mysql_source, postgres_source

POLL_SECS = 0.05
_DELIVERED = re.compile(r"^deltaforge_sink_events_total\{[^}]*\} (\S+)$", re.MULTILINE)


class Settings(msgspec.Struct, frozen=True):
    """What a pipeline has instead of its defaults: keys of ``spec.batch`` and ``spec.schema_sensing``, of the Kafka
    sink's ``client_conf``, and arguments of its process. ``exactly_once``: the Kafka sink's. ``more_sinks``: beside
    the one that is measured.
    """

    batch: dict[str, Any] = {}
    schema_sensing: dict[str, Any] = {}
    client_conf: dict[str, Any] = {}
    arguments: list[str] = []
    exactly_once: bool = False
    more_sinks: list[dict[str, Any]] = []

    def pipeline(self, folder: Path, source: dict[str, Any], sink: dict[str, Any]) -> PipelineProcess:
        """A pipeline with these settings, not started."""
        if sink["type"] == "kafka":
            client_conf = {**sink["config"].get("client_conf", {}), **self.client_conf}
            sink = {**sink, "config": {**sink["config"], "client_conf": client_conf}}
        sinks = [sink, *self.more_sinks]
        pipeline = PipelineProcess(folder, source, sinks, batch=self.batch, schema_sensing=self.schema_sensing)
        pipeline.arguments = self.arguments
        return pipeline


DEFAULTS = Settings()


class Figures(msgspec.Struct, kw_only=True):
    """Of one drain. ``bytes_per_row``: on the broker's disk; None with other sinks and foreign brokers.
    ``threads``: CPU seconds per million rows of each thread of the pipeline, by the name the system shows.
    """

    rows_per_sec: float
    cpu_secs_per_million: float
    peak_rss_mb: float
    bytes_per_row: float | None
    threads: dict[str, float] = {}


class Backlog:
    """Changes in the log of one source, behind a saved position.

    Each drain has a copy of that position and, on PostgreSQL, of the slot, so all of them read the same.
    """

    def __init__(self, servers: Servers, source: str, workload: str, rows: int) -> None:
        self.source, self.workload, self.rows = source, workload, rows
        self._servers = servers
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(tempfile.mkdtemp(prefix="deltaforge-bench-"))
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self.database = stack.enter_context(self._servers.get(self.source).fresh_database())
            is_postgres = self.source == "postgres"
            self.database.execute(orders.table("postgres" if is_postgres else "mysql", self.workload))
            if is_postgres:
                self.database.execute("create publication pub for all tables")
            first = DEFAULTS.pipeline(self._folder / "origin", self._config(), NullTarget().sink)
            stack.callback(first.end)
            first.start().stop()  # saves the position that the backlog begins at
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, progress: Progress) -> None:
        """Make the changes. To be called once."""
        task = progress.add_task(f"{self.source}: writing {self.workload}", total=self.rows)
        orders.write(self.database, self.rows, self.workload, lambda count: progress.advance(task, count))
        progress.remove_task(task)

    def drain(self, sink: str, settings: Settings = DEFAULTS) -> Figures:
        """Drain it from its beginning into ``kafka``, ``file`` or ``null``.

        Raises:
            AssertionError: The destination does not hold every change once.
        """
        self._count += 1
        folder = self._folder / str(self._count)
        shutil.copytree(self._folder / "origin", folder)
        target = self._target(sink, folder, is_exactly_once=settings.exactly_once)
        slot = self.copy_slot(f"n{self._count}") if self.source == "postgres" else None
        pipeline = settings.pipeline(folder, self._config(slot), target.sink)
        try:
            figures = self._measure(pipeline, target)
            pipeline.stop()
        finally:
            pipeline.end()
            if slot is not None:
                self.drop_slot(slot)
            shutil.rmtree(folder)
        if isinstance(target, KafkaTarget):
            target.delete()
        return figures

    def copy_slot(self, suffix: str) -> str:
        """A slot that begins where the backlog does; PostgreSQL only. To be dropped by the caller."""
        origin = self._config()["config"]["slot"]
        self.database.rows("select pg_copy_logical_replication_slot(%s, %s)", (origin, f"{origin}_{suffix}"))
        return f"{origin}_{suffix}"

    def drop_slot(self, slot: str) -> None:
        """Forget a slot, as soon as nobody reads it."""
        query = "select 1 from pg_replication_slots where slot_name = %s and active"
        while self.database.rows(query, [slot]):
            time.sleep(POLL_SECS)
        self.database.rows("select pg_drop_replication_slot(%s)", [slot])

    def _config(self, slot: str | None = None) -> dict[str, Any]:
        if self.source == "postgres":
            source: dict[str, Any] = postgres_source(self.database, **({"slot": slot} if slot else {}))
            return source
        return dict(mysql_source(self.database))

    def _target(self, sink: str, folder: Path, *, is_exactly_once: bool) -> Any:
        if sink == "kafka":
            topic = f"{self.database.name}-{self._count}"
            if is_exactly_once:
                return ExactlyOnceKafkaTarget(self._servers.get("kafka"), topic)
            return KafkaTarget(self._servers.get("kafka"), topic)
        return FileTarget(folder) if sink == "file" else NullTarget()

    def _measure(self, pipeline: PipelineProcess, target: Any) -> Figures:
        pipeline.start(stdout=subprocess.DEVNULL if isinstance(target, NullTarget) else None)
        while not (first := delivered_by(pipeline)):
            time.sleep(POLL_SECS)  # a server may look through its log for a while before it sends anything
        assert first < self.rows, f"{self.rows} rows are too few to measure"
        began, cpu_began, delivered = time.monotonic(), cpu_secs(pipeline.pid), first
        threads_began = thread_secs(pipeline.pid)
        while delivered < self.rows:
            time.sleep(POLL_SECS)
            delivered = delivered_by(pipeline)
        # What was delivered before the first look that found something is in neither figure.
        secs, cpu = time.monotonic() - began, cpu_secs(pipeline.pid) - cpu_began
        threads = {name: used - threads_began.get(name, 0.0) for name, used in thread_secs(pipeline.pid).items()}
        found = target.count()
        assert found in (None, self.rows), f"{found} messages, expected {self.rows}"
        size = target.bytes_on_disk() if isinstance(target, KafkaTarget) else None
        return Figures(
            rows_per_sec=round((self.rows - first) / secs),
            cpu_secs_per_million=round(cpu / (self.rows - first) * 1e6, 2),
            peak_rss_mb=round(memory_kib(pipeline.pid) / 1024, 1),
            bytes_per_row=size and round(size / self.rows, 1),
            threads={name: round(used / (self.rows - first) * 1e6, 2) for name, used in threads.items() if used},
        )


def delivered_by(pipeline: PipelineProcess) -> int:
    """Events that all of its sinks have acknowledged."""
    return min((int(float(count)) for count in _DELIVERED.findall(pipeline.ask("metrics")["metrics"])), default=0)
