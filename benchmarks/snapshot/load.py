"""One table is copied again and again while rows are written to another."""

from __future__ import annotations

import functools
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress

from benchmarks import latency
from benchmarks.backlog import DEFAULTS
from benchmarks.processes import cpu_secs
from benchmarks.servers import KafkaTarget, Servers
from benchmarks.snapshot.copying import OVER, settings, source_of
from benchmarks.topics import Topic
from tests.pipelines import PipelineProcess

POLL_SECS = 0.1


class Loaded(latency.Delays, kw_only=True):
    """Delays of the rows that were written; ``copied_per_sec``: rows of the other table meanwhile."""

    source: str
    connections: int
    rate: int
    copied_per_sec: float
    cpu_percent: float


def measure(servers: Servers, database: Any, case: tuple[str, int], load: latency.Load, progress: Progress) -> Loaded:
    """Write the load into ``ticks`` while ``orders``, which is filled, is copied. ``case``: source and connections."""
    source, connections = case
    broker = servers.get("kafka")
    database.execute(latency.TABLE)
    topics = {name: f"{database.name}.{name}" for name in ("ticks", "orders")}
    sink = KafkaTarget(broker, f"{database.name}.${{source.table}}").sink
    with (
        tempfile.TemporaryDirectory(prefix="deltaforge-load-") as folder,
        Topic(broker.bootstrap, topics["ticks"]),
        Topic(broker.bootstrap, topics["orders"]),
    ):
        pipeline = DEFAULTS.pipeline(Path(folder), source_of(database, source, settings(connections)), sink)
        try:
            pipeline.start()
            cpu_began, copying = cpu_secs(pipeline.pid), _Copying(pipeline, database)
            task = progress.add_task(f"{source}: writing while a table is copied", total=load.row_count)
            target = broker.bootstrap, topics["ticks"]
            found = latency.delays(database, source, target, load, functools.partial(progress.advance, task))
            copied_per_sec = copying.end()
            cpu = cpu_secs(pipeline.pid) - cpu_began
            progress.remove_task(task)
            pipeline.kill()
        finally:
            pipeline.end()
    times = {name: round(value, 1) for name, value in msgspec.structs.asdict(found).items()}
    return Loaded(
        source=source,
        connections=connections,
        rate=load.rate,
        copied_per_sec=round(copied_per_sec),
        cpu_percent=round(cpu / load.secs * 100, 1),
        **times,
    )


class _Copying:
    """Asks for one copy after the other, until it is told to end."""

    def __init__(self, pipeline: PipelineProcess, database: Any) -> None:
        self._pipeline = pipeline
        schema = "public" if database.server.scheme == "postgres" else database.name
        self._request = {"tables": [f"{schema}.orders"]}
        self._began, self._is_over = time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> float:
        """Rows that were copied per second."""
        rows, secs = self._rows(), time.monotonic() - self._began
        self._is_over.set()
        self._thread.join()
        return rows / secs

    def _run(self) -> None:
        number = 0
        while not self._is_over.wait(POLL_SECS):
            if all(job["status"] in OVER for job in self._pipeline.ask("snapshots")["jobs"]):
                number += 1
                self._pipeline.ask("snapshot", request={"id": f"again{number}", **self._request})

    def _rows(self) -> int:
        return sum(
            table["rows"]
            for job in self._pipeline.ask("snapshots")["jobs"]
            for table in job["tables"]
            if table["name"].endswith("orders")
        )
