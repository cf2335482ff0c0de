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
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer

from benchmarks.servers import KafkaTarget, Servers
from tests.pipelines import PipelineProcess, mysql_source, postgres_source

WARM_UP_SECS = 3.0


def main() -> None:
    """Prints a line of a table for each source."""
    options = _options()
    print("| Source | Rows/s | p50 | p99 | max |\n|---|---|---|---|---|")
    with Servers() as servers:
        for source in options.source:
            _run(servers, source, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--rate", type=int, default=5000, help="rows per second")
    parser.add_argument("--rows-per-transaction", type=int, default=10)
    parser.add_argument("--secs", type=float, default=20)
    return parser.parse_args()


def _run(servers: Servers, source: str, options: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="deltaforge-latency-"))
    with servers.get(source).fresh_database() as database:
        database.execute("create table ticks (id bigint primary key, at double precision not null)")
        if source == "postgres":
            database.execute("create publication pub for all tables")
        target = KafkaTarget(servers.get("kafka"), database.name)
        make = postgres_source if source == "postgres" else mysql_source
        pipeline = PipelineProcess(folder, make(database), [target.sink]).start()
        context = multiprocessing.get_context("spawn")
        delays: Any = context.Queue()
        total = int(options.rate * options.secs)
        arguments = (servers.get("kafka").bootstrap, target.sink["config"]["topic"], total, delays)
        consumer = context.Process(target=_consume, args=arguments)
        consumer.start()
        delays.get(timeout=60)  # the consumer has its partitions
        _write(database, source, options, total)
        found = delays.get(timeout=120)
        consumer.join()
        pipeline.stop()
        pipeline.end()
    warm = [delay for at, delay in found if at >= found[0][0] + WARM_UP_SECS]
    cuts = statistics.quantiles(warm, n=100)
    print(f"| {source} | {options.rate:,} | {cuts[49]:.1f} ms | {cuts[98]:.1f} ms | {max(warm):.1f} ms |", flush=True)


def _write(database: Any, source: str, options: argparse.Namespace, total: int) -> None:
    step, began = options.rows_per_transaction, time.monotonic()
    with database.connect() as connection, connection.cursor() as cursor:
        if source == "postgres":
            # The test server commits without waiting for its log, and sends nothing that is not in the log.
            cursor.execute("set synchronous_commit = on")
        for first in range(0, total, step):
            due = began + first / options.rate
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
