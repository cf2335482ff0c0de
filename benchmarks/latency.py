"""``python -m benchmarks.latency``: from the commit in the database to a consumer of Kafka, at a steady rate.

Each row holds the time at which its transaction was written, so the figures include the commit itself. Writer and
consumer are processes of their own; all clocks are the machine's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer

from benchmarks.backlog import DEFAULTS, Settings
from benchmarks.processes import cpu_secs
from benchmarks.servers import KafkaTarget, Servers
from tests.pipelines import PipelineProcess, mysql_source, postgres_source

WARM_UP_SECS = 3.0


class Latency(msgspec.Struct, kw_only=True):
    """From commit to consumer, after a warm-up. ``cpu_percent``: of one core, the pipeline process alone."""

    source: str
    rate: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_percent: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that are written at a steady pace."""

    rate: int = 5000
    rows_per_transaction: int = 10
    secs: float = 20

    @property
    def rows(self) -> int:
        """How many in all."""
        return int(self.rate * self.secs)


def main() -> None:
    """Prints a line of a table for each source."""
    options = _options()
    load = Load(rate=options.rate, rows_per_transaction=options.rows_per_transaction, secs=options.secs)
    print("| Source | Rows/s | p50 | p99 | max | CPU |\n|---|---|---|---|---|---|")
    with Servers() as servers:
        for source in options.source:
            r = measure(servers, source, load)
            figures = f"{r.p50_ms:.1f} ms | {r.p99_ms:.1f} ms | {r.max_ms:.1f} ms | {r.cpu_percent:.0f} %"
            print(f"| {source} | {r.rate:,} | {figures} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--rate", type=int, default=5000, help="rows per second")
    parser.add_argument("--rows-per-transaction", type=int, default=10)
    parser.add_argument("--secs", type=float, default=20)
    return parser.parse_args()


def measure(servers: Servers, source: str, load: Load, settings: Settings = DEFAULTS) -> Latency:
    """Write the load to a fresh table of a source while a pipeline delivers it to Kafka."""
    with servers.get(source).fresh_database() as database, tempfile.TemporaryDirectory() as folder:
        database.execute("create table ticks (id bigint primary key, at double precision not null)")
        if source == "postgres":
            database.execute("create publication pub for all tables")
        target = KafkaTarget(servers.get("kafka"), database.name)
        make = postgres_source if source == "postgres" else mysql_source
        pipeline = settings.pipeline(Path(folder), make(database), target.sink)
        try:
            pipeline.start()
            delays, cpu_secs_used = _run(pipeline, target, lambda: _write(database, source, load), load.rows)
            pipeline.stop()
        finally:
            pipeline.end()
        target.delete()
    warm = [delay for at, delay in delays if at >= delays[0][0] + WARM_UP_SECS]
    cuts = statistics.quantiles(warm, n=100)
    return Latency(
        source=source,
        rate=load.rate,
        p50_ms=round(cuts[49], 1),
        p99_ms=round(cuts[98], 1),
        max_ms=round(max(warm), 1),
        cpu_percent=round(cpu_secs_used / load.secs * 100, 1),
    )


def _run(
    pipeline: PipelineProcess, target: KafkaTarget, write: Callable[[], None], rows: int
) -> tuple[list[tuple[float, float]], float]:
    """Pairs of the time of writing and the delay in ms, and CPU seconds of the pipeline."""
    context = multiprocessing.get_context("spawn")
    delays: Any = context.Queue()
    config = target.sink["config"]
    consumer = context.Process(target=_consume, args=(config["brokers"], config["topic"], rows, delays))
    consumer.start()
    delays.get(timeout=60)  # the consumer has its partitions
    cpu_began = cpu_secs(pipeline.pid)
    write()
    found = delays.get(timeout=120)
    cpu = cpu_secs(pipeline.pid) - cpu_began
    consumer.join()
    return found, cpu


def _write(database: Any, source: str, load: Load) -> None:
    step, began = load.rows_per_transaction, time.monotonic()
    with database.connect() as connection, connection.cursor() as cursor:
        if source == "postgres":
            # The test server commits without waiting for its log, and sends nothing that is not in the log.
            cursor.execute("set synchronous_commit = on")
        for first in range(0, load.rows, step):
            due = began + first / load.rate
            while (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            now = time.time()
            cursor.execute("insert into ticks values " + ",".join(f"({first + n},{now!r})" for n in range(step)))


def _consume(bootstrap: str, topic: str, total: int, delays: Any) -> None:
    settings = {"bootstrap.servers": bootstrap, "group.id": "latency", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings | {"allow.auto.create.topics": True})
    consumer.subscribe([topic])
    consumer.poll(2)
    delays.put("ready")
    found: list[tuple[float, float]] = []
    while len(found) < total:
        for message in consumer.consume(1000, timeout=0.01):
            if message.error() is None:
                written = msgspec.json.decode(message.value())["after"]["at"]
                found.append((written, (time.time() - written) * 1000))
    consumer.close()
    delays.put(found)


if __name__ == "__main__":
    main()
