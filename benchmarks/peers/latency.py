"""From commit to a consumer at a steady rate, for each contender alone in a database of its own."""

from __future__ import annotations

import functools

import msgspec
from rich.progress import Progress

from benchmarks import latency
from benchmarks.peers.drain import Maker, prepared, rotated
from benchmarks.processes import cpu_secs
from benchmarks.servers import Servers
from benchmarks.topics import Topic


class Steady(latency.Delays, kw_only=True):
    """Figures of one contender in one round. CPU seconds per million rows are those of the whole load, warm-up too."""

    round: int
    source: str
    contender: str
    rate: int
    cpu_secs_per_million: float


def latency_round(
    servers: Servers, source: str, makers: list[Maker], round_: tuple[int, latency.Load], progress: Progress
) -> list[Steady]:
    """Every contender once. ``round_`` is the number of the round and the load."""
    number, load = round_
    found = []
    for maker in rotated(makers, number):
        with prepared(servers, source, latency.TABLE, [maker]) as (database, [contender]):
            task = progress.add_task(f"{source}: {contender.name}", total=load.row_count)
            target = (servers.get("kafka").bootstrap, contender.topic)
            with Topic(*target):
                contender.start(waits=True)
                before = cpu_secs(contender.pid)
                delays = latency.delays(database, source, target, load, functools.partial(progress.advance, task))
                cpu = cpu_secs(contender.pid) - before
                contender.stop()
            progress.remove_task(task)
        figures = msgspec.structs.asdict(delays) | {"cpu_secs_per_million": round(cpu / load.row_count * 1e6, 1)}
        found.append(Steady(round=number, source=source, contender=contender.name, rate=load.rate, **figures))
    return found
