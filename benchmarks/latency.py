"""``python -m benchmarks.latency``: from the commit in the database to a consumer of Kafka, at a steady rate.

Each row holds the time at which its transaction was written, so the figures include the commit itself. Writer and
consumer are processes of their own; all clocks are the machine's.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks import report
from benchmarks.backlog import DEFAULTS, Settings
from benchmarks.processes import cpu_secs
from benchmarks.servers import KafkaTarget, Servers
from benchmarks.topics import Topic
from tests.pipelines import mysql_source, postgres_source

TABLE = "create table ticks (id bigint primary key, at double precision not null)"
Progress = Callable[[int], None]


class Load(NamedTuple):
    """Rows per second for so many seconds; of the first ``warm_up_secs`` nothing is kept."""

    rate: int
    rows_per_transaction: int
    secs: float
    warm_up_secs: float

    @property
    def row_count(self) -> int:
        return int(self.rate * self.secs)


class Delays(msgspec.Struct, kw_only=True):
    """Milliseconds from the statement that writes a row to the row in the consumer."""

    p50_ms: float
    p99_ms: float
    max_ms: float


class Latency(Delays, kw_only=True):
    """Delays through a pipeline, and what its process took of a core meanwhile."""

    cpu_percent: float


def main() -> None:
    """Prints a table with a line for each source."""
    options = _options()
    load = Load(options.rate, options.rows_per_transaction, options.secs, options.warm_up_secs)
    rows = []
    with Servers() as servers, report.progress_bars() as progress:
        for source in options.source:
            task = progress.add_task(f"{source}: writing", total=load.row_count)
            found = measure(servers, source, load, functools.partial(progress.advance, task))
            times = [f"{value:.1f} ms" for value in (found.p50_ms, found.p99_ms, found.max_ms)]
            rows.append([source, f"{load.rate:,}", *times, f"{found.cpu_percent:.0f} %"])
    print(report.table(["Source", "Rows/s", "p50", "p99", "max", "CPU"], rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--rate", type=int, default=5000, help="rows per second")
    parser.add_argument("--rows-per-transaction", type=int, default=10)
    parser.add_argument("--secs", type=float, default=20)
    parser.add_argument("--warm-up-secs", type=float, default=3)
    return parser.parse_args()


def measure(servers: Servers, source: str, load: Load, progress: Progress, settings: Settings = DEFAULTS) -> Latency:
    """Write the load to a fresh table of ``source`` while a pipeline with ``settings`` delivers it to Kafka."""
    broker = servers.get("kafka")
    with (
        tempfile.TemporaryDirectory(prefix="deltaforge-latency-") as folder,
        servers.get(source).fresh_database() as database,
        Topic(broker.bootstrap, database.name),
    ):
        database.execute(TABLE)
        if source == "postgres":
            database.execute("create publication pub for all tables")
        make = postgres_source if source == "postgres" else mysql_source
        pipeline = settings.pipeline(Path(folder), make(database), KafkaTarget(broker, database.name).sink)
        try:
            pipeline.start()
            cpu_began = cpu_secs(pipeline.pid)
            found = delays(database, source, (broker.bootstrap, database.name), load, progress)
            cpu = cpu_secs(pipeline.pid) - cpu_began
            pipeline.stop()
        finally:
            pipeline.end()
    times = {name: round(value, 1) for name, value in msgspec.structs.asdict(found).items()}
    return Latency(**times, cpu_percent=round(cpu / load.secs * 100, 1))


def delays(database: Any, source: str, target: tuple[str, str], load: Load, progress: Progress) -> Delays:
    """Write the load into ``ticks`` while a consumer reads it; whatever carries it to ``target`` must run already.

    ``target`` is the broker and a topic of one partition, empty; its messages are JSON with ``after`` at the top.
    ``progress`` is told of the rows of each transaction.
    """
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    consumer = context.Process(target=_consume, args=(*target, load.row_count, answers))
    consumer.start()
    try:
        answers.get(timeout=60)  # the consumer is there
        _write(database, source, load, progress)
        found = answers.get(timeout=120)
        consumer.join()
    finally:
        consumer.kill()
    warm = [delay for at, delay in found if at >= found[0][0] + load.warm_up_secs]
    cuts = statistics.quantiles(warm, n=100)
    return Delays(p50_ms=cuts[49], p99_ms=cuts[98], max_ms=max(warm))


def _write(database: Any, source: str, load: Load, progress: Progress) -> None:
    step, began = load.rows_per_transaction, time.monotonic()
    with database.connect() as connection, connection.cursor() as cursor:
        if source == "postgres":
            # The test server commits without waiting for its log, and sends nothing that is not in the log.
            cursor.execute("set synchronous_commit = on")
        for first in range(0, load.row_count, step):
            due = began + first / load.rate
            while (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            now = time.time()
            cursor.execute("insert into ticks values " + ",".join(f"({first + n},{now!r})" for n in range(step)))
            progress(step)


def _consume(bootstrap: str, topic: str, total: int, answers: Any) -> None:
    settings = {"bootstrap.servers": bootstrap, "group.id": "latency", "enable.auto.commit": False}
    found: list[tuple[float, float]] = []
    with contextlib.closing(Consumer(settings)) as consumer:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        consumer.poll(2)  # nothing yet, but the connections are open
        answers.put("ready")
        while len(found) < total:
            # One is waited for, and the others only if they are there: to gather would add to their delays.
            for message in consumer.consume(1, timeout=0.1) + consumer.consume(1000, timeout=0):
                if message.error() is None:
                    written = msgspec.json.decode(message.value())["after"]["at"]
                    found.append((written, (time.time() - written) * 1000))
    answers.put(found)


if __name__ == "__main__":
    main()
