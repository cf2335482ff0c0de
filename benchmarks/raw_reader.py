"""``python -m benchmarks.raw_reader``: PostgreSQL's walsender read by nobody's pipeline, and by ours.

The same backlog, in interleaved rounds, each reading from a copy of the slot. Raw readers take the messages and throw
them away: ``pg_recvlogical`` into /dev/null, libpq with a Python call for each message, and the compiled reading of
the product, all that has arrived in one call. None of them decodes, encodes, delivers or saves a position.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from psycopg import pq

from benchmarks import orders, report
from benchmarks.backlog import Backlog
from benchmarks.processes import cpu_secs
from benchmarks.servers import Servers
from deltaforge.core.positions.postgres import lsn_from_text
from deltaforge.sources.postgres.client import ReplicationConnection
from deltaforge.sources.postgres.session import conninfo_of
from tests.fixtures.local_server import installed

BLOCK_BYTES = 1 << 20


class Reading(msgspec.Struct, kw_only=True):
    """One reading of the whole backlog. CPU time of the database is that of all its processes; 0 of servers that are
    not ours.
    """

    reader: str
    rows_per_sec: float
    cpu_secs_per_million: float
    database_cpu_secs_per_million: float
    broker_cpu_secs_per_million: float


class Source:
    """A backlog, and where in the log it ends."""

    def __init__(self, servers: Servers, backlog: Backlog) -> None:
        self.backlog, self.rows = backlog, backlog.rows
        ((text,),) = backlog.database.rows("select pg_logical_emit_message(true, 'end', '')::text")
        self.end = lsn_from_text(text)
        self._pid_files = [
            process and process.folder / name
            for process, name in (
                (backlog.database.server.process, "data/postmaster.pid"),
                (servers.get("kafka").process, "pid"),
            )
        ]

    def others_cpu_secs(self) -> list[float]:
        """CPU time of the database and of the broker, with all processes that they have or had."""
        while True:
            try:
                return [cpu_secs(int(path.read_text().split()[0])) if path else 0.0 for path in self._pid_files]
            except (FileNotFoundError, ProcessLookupError):
                continue  # one of them ended while it was looked at: its time is in the next look

    def raw(self, read: Callable[[Source, str], float]) -> tuple[float, float]:
        """Rows per second and CPU seconds per million rows of a raw reader, which returns the seconds it took."""
        slot = self.backlog.copy_slot("raw")
        cpu_began = _own_cpu_secs()
        try:
            secs = read(self, slot)
        finally:
            self.backlog.drop_slot(slot)
        return self.rows / secs, (_own_cpu_secs() - cpu_began) / self.rows * 1e6

    def piped(self, sink: str) -> tuple[float, float]:
        """The same figures of a pipeline into ``sink``."""
        figures = self.backlog.drain(sink)
        return figures.rows_per_sec, figures.cpu_secs_per_million


def _own_cpu_secs() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _recvlogical(source: Source, slot: str) -> float:
    """PostgreSQL's own client; its start is in the time."""
    program = Path(installed("postgres-18", is_required=True)) / "pg_recvlogical"
    end = f"{source.end >> 32:X}/{source.end & 0xFFFFFFFF:X}"
    options = [word for name, value in _PLUGIN.items() for word in ("-o", f"{name}={value}")]
    began = time.monotonic()
    command = [
        program,
        "-d",
        source.backlog.database.url(),
        "--slot",
        slot,
        "--start",
        "--endpos",
        end,
        "-f",
        "/dev/null",
    ]
    subprocess.run([*command, *options], check=True)
    return time.monotonic() - began


def _each(source: Source, slot: str) -> float:
    """libpq, blocking, a call from Python for each message."""
    connection = pq.PGconn.connect(conninfo_of(source.backlog.database.url(), replication="database").encode())
    options = ", ".join(f"{name} '{value}'" for name, value in _PLUGIN.items())
    result = connection.exec_(f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0 ({options})'.encode())
    assert result.status == pq.ExecStatus.COPY_BOTH, result.error_message
    end = struct.pack(">Q", source.end)
    began, lsn = 0.0, b""
    while lsn < end:
        _, data = connection.get_copy_data(0)
        began = began or time.monotonic()
        lsn = bytes(data[1:9])
    secs = time.monotonic() - began
    connection.finish()
    return secs


def _blocks(source: Source, slot: str) -> float:
    """The compiled reading of the product."""
    wire = ReplicationConnection(source.backlog.database.url())
    wire.start(slot, 0, "pub")
    end = struct.pack(">Q", source.end)
    began, lsn = 0.0, b""
    while lsn < end:
        block, is_all = wire.read_block(BLOCK_BYTES)
        if block.count:
            began = began or time.monotonic()
            lsn = block.message(block.count - 1)[1:9]
        if is_all and lsn < end:
            wire.wait(1.0)
    secs = time.monotonic() - began
    wire.close()
    return secs


_PLUGIN = {"proto_version": "1", "publication_names": "pub", "messages": "true"}
READERS: dict[str, Callable[[Source], tuple[float, float]]] = {
    "raw: pg_recvlogical": lambda source: source.raw(_recvlogical),
    "raw: a Python call per message": lambda source: source.raw(_each),
    "raw: compiled, in blocks": lambda source: source.raw(_blocks),
    "pipeline into null": lambda source: source.piped("null"),
    "pipeline into Kafka": lambda source: source.piped("kafka"),
}


def main() -> None:
    """Prints a table in GitHub's form."""
    options = _options()
    found: dict[str, list[Reading]] = {name: [] for name in READERS}
    with (
        Servers() as servers,
        report.progress_bars() as progress,
        Backlog(servers, "postgres", options.workload, options.rows) as backlog,
    ):
        backlog.write(progress)
        source = Source(servers, backlog)
        task = progress.add_task("reading", total=options.rounds * len(READERS))
        for _ in range(options.rounds):
            for name in READERS:
                found[name].append(_read(source, name))
                progress.advance(task)
    table = _table(found)
    print(table)
    report.save("raw-reader", "benchmarks.raw_reader", {"rounds": found}, table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.raw_reader", description=__doc__)
    parser.add_argument("--workload", default="bulk", choices=orders.WORKLOADS)
    parser.add_argument("--rows", type=int, default=1_000_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _read(source: Source, name: str) -> Reading:
    before = source.others_cpu_secs()
    rate, cpu = READERS[name](source)
    used = [after - began for began, after in zip(before, source.others_cpu_secs(), strict=True)]
    database, broker = (round(secs / source.rows * 1e6, 2) for secs in used)
    return Reading(
        reader=name,
        rows_per_sec=round(rate),
        cpu_secs_per_million=round(cpu, 2),
        database_cpu_secs_per_million=database,
        broker_cpu_secs_per_million=broker,
    )


def _table(found: dict[str, list[Reading]]) -> str:
    """Medians and the best round; shares are of the fastest raw reader's median and best."""
    titles = ["Reader", "Rows/s", "of raw", "best", "of raw's best", "CPU s per million", "database's", "broker's"]
    rates = {name: [r.rows_per_sec for r in readings] for name, readings in found.items()}
    raw = [name for name in found if name.startswith("raw")]
    usual, best = max(statistics.median(rates[name]) for name in raw), max(max(rates[name]) for name in raw)
    rows = []
    for name, readings in found.items():
        rate, fastest = statistics.median(rates[name]), max(rates[name])
        cells = [name, f"{rate:,.0f}", f"{rate / usual:.0%}", f"{fastest:,.0f}", f"{fastest / best:.0%}"]
        costs = (
            [r.cpu_secs_per_million for r in readings],
            [r.database_cpu_secs_per_million for r in readings],
            [r.broker_cpu_secs_per_million for r in readings],
        )
        rows.append([*cells, *(f"{statistics.median(cost):.2f}" for cost in costs)])
    return report.table(titles, rows)


if __name__ == "__main__":
    main()
