"""One backlog, drained by each contender in turn and watched from outside."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.progress import Progress

from benchmarks import orders
from benchmarks.peers.contenders import Contender, Route
from benchmarks.peers.debezium import PRIMER
from benchmarks.processes import cpu_secs, rss_mb
from benchmarks.servers import Servers
from benchmarks.topics import Topic

POLL_SECS = 0.04
STUCK_SECS = 300
SAMPLE = 20_000

Maker = Callable[[Route], Contender]
Ready = tuple[Any, list[Contender]]


class Sample(NamedTuple):
    """What was seen at one moment: messages in the topic, CPU time and memory of the process tree so far."""

    at: float
    count: int
    cpu_secs: float
    rss_mb: float


class Drained(msgspec.Struct, kw_only=True):
    """Figures of one contender in one round.

    ``rows_per_sec`` is the rate from the first message seen in the topic to the last; CPU seconds per million rows are
    those of the process tree from its start to the last message. ``warm`` figures begin where half of them are there.
    """

    round: int
    source: str
    contender: str
    rows: int
    start_secs: float
    rows_per_sec: float
    warm_rows_per_sec: float
    cpu_secs_per_million: float
    warm_cpu_secs_per_million: float
    peak_rss_mb: float
    message_bytes: float


@contextlib.contextmanager
def prepared(
    servers: Servers, source: str, statement: str, makers: list[Maker], *, is_avro: bool = False
) -> Iterator[Ready]:
    """A database with the table of ``statement``, and contenders in it that have never run; all end with the block."""
    folder = Path(tempfile.mkdtemp(prefix="deltaforge-peers-"))
    with servers.get(source).fresh_database() as database:
        database.execute(statement, f"create table {PRIMER} (id int primary key)")
        table = statement.split()[2]
        if source == "postgres":
            database.execute("create publication pub for all tables", f"alter table {table} replica identity full")
        route = Route(
            folder,
            source,
            database,
            table,
            servers.get("kafka").bootstrap,
            servers.get("registry").url if is_avro else "",
        )
        contenders = [maker(route) for maker in makers]
        try:
            yield database, contenders
        finally:
            for contender in contenders:
                contender.end()
            shutil.rmtree(folder)


def rotated(makers: list[Maker], number: int) -> list[Maker]:
    """The order of a round: each contender is the first of every so many."""
    turn = number % len(makers)
    return makers[turn:] + makers[:turn]


def drain_round(  # noqa: PLR0913 - what is compared, and how
    servers: Servers,
    source: str,
    makers: list[Maker],
    round_: tuple[int, int],
    progress: Progress,
    *,
    is_avro: bool = False,
) -> list[Drained]:
    """Every contender once, on the same backlog. ``round_`` is the number of the round and the rows of the backlog.

    Raises:
        AssertionError: A topic did not get every change exactly once.
    """
    number, rows = round_
    with prepared(servers, source, orders.table(source, "bulk"), rotated(makers, number), is_avro=is_avro) as ready:
        database, contenders = ready
        for contender in contenders:
            contender.start(waits=True)
            contender.stop()
        task = progress.add_task(f"{source}: writing", total=rows)
        orders.write(database, rows, "bulk", lambda count: progress.advance(task, count))
        progress.remove_task(task)
        results = []
        for contender in contenders:
            with Topic(servers.get("kafka").bootstrap, contender.topic) as topic:
                samples = _drain(contender, topic, rows, progress)
                contender.stop()
                assert topic.count() == rows, f"{contender.name}: {topic.count()} messages, expected {rows}"
                size = statistics.fmean(len(value) for value in topic.sample(min(rows, SAMPLE)))
            results.append(_figures(samples, number, source, contender.name, size))
        return results


def _drain(contender: Contender, topic: Topic, rows: int, progress: Progress) -> list[Sample]:
    task = progress.add_task(contender.name, total=rows)
    samples = [Sample(time.monotonic(), 0, 0.0, 0.0)]
    contender.start(waits=False)
    while samples[-1].count < rows:
        time.sleep(POLL_SECS)
        samples.append(Sample(time.monotonic(), topic.count(), cpu_secs(contender.pid), rss_mb(contender.pid)))
        # An ended process that nobody has waited for has no memory.
        is_stuck = not samples[-1].rss_mb or samples[-1].at > samples[0].at + STUCK_SECS
        assert not is_stuck, f"{contender.name}: {samples[-1]}\n{contender.log()}"
        progress.update(task, completed=samples[-1].count)
    progress.remove_task(task)
    return samples


def _figures(samples: list[Sample], number: int, source: str, name: str, message_bytes: float) -> Drained:
    last = samples[-1]
    first = next(sample for sample in samples if sample.count)
    half = next(sample for sample in reversed(samples) if sample.count <= last.count / 2)
    assert first is not last, f"{name} was done at the first look: too few rows to measure"
    return Drained(
        round=number,
        source=source,
        contender=name,
        rows=last.count,
        start_secs=round(first.at - samples[0].at, 2),
        rows_per_sec=_rate(first, last),
        warm_rows_per_sec=_rate(half, last),
        cpu_secs_per_million=round(last.cpu_secs / last.count * 1e6, 1),
        warm_cpu_secs_per_million=round((last.cpu_secs - half.cpu_secs) / (last.count - half.count) * 1e6, 1),
        peak_rss_mb=max(sample.rss_mb for sample in samples),
        message_bytes=round(message_bytes),
    )


def _rate(first: Sample, last: Sample) -> float:
    return round((last.count - first.count) / (last.at - first.at))
