"""``python -m benchmarks.bad_rows``: what rows cost that only the broker refuses.

Rows go through the delivery thread of a Kafka sink with dead letters. Some are larger than ``max.message.bytes`` of the
topic, of random sizes and texts, so that compression makes no difference. The same rows without any bad one tell what
the others cost.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import report
from benchmarks.servers import Servers
from deltaforge.core.batch import Batch
from deltaforge.core.event import EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.journal.queue import DeadLetterLimits, DeadLetters
from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.sink_worker import SinkWorker
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.storage.sqlite import SqliteStorage
from deltaforge.testing.fakes import make_event

ROW_BYTES = 200
BATCH_ROWS = 1000
IDS = EventIds.of("postgresql", "o", "tx")


class BadRows(msgspec.Struct, kw_only=True):
    """One run: seconds until everything is acked or a dead letter."""

    sink: str
    rows: int
    bad: int
    limit: int
    secs: float


def main() -> None:
    """Prints the table; keeps it with the results unless ``--no-save``."""
    options = _options()
    found, rows = [], []
    with Servers() as servers:
        broker = servers.get("kafka").bootstrap
        for sink in options.sink:
            plain, bad = (_run(broker, sink, options, count) for count in (0, options.bad))
            found += [plain, bad]
            each_ms = 1000 * (bad.secs - plain.secs) / bad.bad
            rows.append([sink, str(bad.rows), str(bad.bad), f"{plain.secs:.2f}", f"{bad.secs:.2f}", f"{each_ms:.1f}"])
    table = report.table(["Sink", "Rows", "Bad", "Secs without", "Secs with", "ms each"], rows)
    print(table)
    if not options.no_save:
        report.save("bad-rows", "benchmarks.bad_rows", {"results": found}, table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bad_rows", description=__doc__)
    parser.add_argument("--sink", nargs="+", default=["kafka", "exactly-once"], choices=["kafka", "exactly-once"])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--bad", type=int, default=500)
    parser.add_argument("--limit", type=int, default=1_048_588, help="max.message.bytes; default: that of brokers")
    parser.add_argument("--no-save", action="store_true", help="do not keep the results")
    return parser.parse_args()


def _run(broker: str, sink: str, options: argparse.Namespace, bad_count: int) -> BadRows:
    topic = uuid.uuid4().hex
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 1, config={"max.message.bytes": str(options.limit)})])[topic].result(20)
    config = {
        "id": "s",
        "brokers": broker,
        "topic": topic,
        "exactly_once": sink == "exactly-once",
        "client_conf": {"message.max.bytes": str(8 * options.limit)},
    }
    if sink == "exactly-once":
        config["client_conf"] |= {"transactional.id": topic}
    with tempfile.TemporaryDirectory() as folder:
        secs = _deliver(config, _batches(options, bad_count), bad_count, Path(folder))
    delivered = _end(broker, topic)
    assert delivered >= options.rows - bad_count, delivered
    return BadRows(sink=sink, rows=options.rows, bad=bad_count, limit=options.limit, secs=secs)


def _deliver(config: dict[str, Any], batches: list[Batch], bad_count: int, folder: Path) -> float:
    metrics, storage = PipelineMetrics("p"), SqliteStorage(folder / "dead.db")
    spec = KafkaSinkSpec.model_validate({"type": "kafka", "config": config})
    letters = DeadLetters(storage.queue, DeadLetterLimits(100_000, 0, 10_000, "block"), metrics)
    sink = spec.build(SinkContext("p", "t", metrics, "i"))
    worker = SinkWorker(spec.config, sink, metrics, acked=None, max_queued=4, dead_letters=letters)
    began = time.monotonic()
    for batch in batches:
        while not worker.offer(batch, 1):
            assert worker.failure is None, worker.failure
    while not worker.wait_acked(1):
        assert worker.failure is None, worker.failure
    secs = time.monotonic() - began
    worker.close(30)
    letters.close()
    kept = len(DeadLetterQueue(storage.queue, "p").entries(limit=100_000))
    storage.close()
    assert kept == bad_count, kept
    return secs


def _batches(options: argparse.Namespace, bad_count: int) -> list[Batch]:
    dice = random.Random(1)
    bad = set(dice.sample(range(options.rows), bad_count))
    made = []
    for first in range(0, options.rows, BATCH_ROWS):
        numbers = range(first, min(first + BATCH_ROWS, options.rows))
        events = [_event(number, _size(dice, options.limit, is_bad=number in bad), dice) for number in numbers]
        made.append(Batch(events, PostgresPosition(numbers[-1] + 2), byte_count=sum(_bytes(e) for e in events)))
    return made


def _size(dice: random.Random, limit: int, *, is_bad: bool) -> int:
    return int(limit * dice.uniform(1.5, 2)) if is_bad else ROW_BYTES


def _event(number: int, size: int, dice: random.Random) -> Any:
    event = make_event(number, number + 1)
    body = dice.randbytes(size * 3 // 4).hex() if size > ROW_BYTES else "x" * size
    return msgspec.structs.replace(event, after={"id": number, "body": body}, event_id=IDS.at(number))


def _bytes(event: Any) -> int:
    return len(event.after["body"])


def _end(broker: str, topic: str) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker, "group.id": "bench"})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
        return high - low
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
