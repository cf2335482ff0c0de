"""``python -m benchmarks.stages``: what each stage of the path costs, one more stage per line.

In one process, one thread, from a backlog on a real server: framing reads the log and counts events,
decoding makes batches of them, encoding makes native JSON and row keys of the batches, objects makes
``ChangeEvent`` objects instead, and "connect json" and "connect avro" records of Debezium's dialect.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks import orders
from benchmarks.servers import Servers
from deltaforge.core.batch import Batch
from deltaforge.core.encoded import EncodedMessage
from deltaforge.core.event import ChangeEvent
from deltaforge.core.positions import MysqlPosition
from deltaforge.encodings.json import JsonEncoder
from deltaforge.encodings.record_rows import add_records, no_records
from deltaforge.envelopes.debezium import ConnectEnvelope
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.kernel import compiled, description
from deltaforge.kernel.backend import RecordProgram, RowGroup, RowPlan
from deltaforge.records.debezium import DebeziumOptions
from deltaforge.records.plan import Writer
from deltaforge.records.taking import messages_of
from deltaforge.sources.base import LogStream
from deltaforge.sources.mysql.client import DumpConnection
from tests.reading import mysql_reader, postgres_reader

QUIET_SECS = 0.1
NATIVE = JsonEncoder(NativeEnvelope())
CONNECT = ConnectEnvelope(DebeziumOptions(marks_deletes=False))


def main() -> None:
    """Prints a table in GitHub's form."""
    options = _options()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    print(f"decoders: {description}\n")
    print("| Source | Workload | Up to | Rows/s | CPU s per million |\n|---|---|---|---|---|")
    with Servers() as servers, Progress(*columns, console=Console(stderr=True)) as progress:
        for source in options.source:
            for workload in options.workload:
                _run(servers, source, workload, options.rows, progress)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--workload", nargs="+", default=["bulk"], choices=orders.WORKLOADS)
    parser.add_argument("--rows", type=int, default=300_000, help="changes in the backlog")
    return parser.parse_args()


def _run(servers: Servers, source: str, workload: str, rows: int, progress: Progress) -> None:
    with servers.get(source).fresh_database() as database, tempfile.TemporaryDirectory() as folder:
        database.execute(orders.table("postgres" if source == "postgres" else "mysql", workload))
        if source == "postgres":
            database.execute("create publication pub for all tables")
        make = postgres_reader if source == "postgres" else mysql_reader
        reader = make(database, Path(folder) / "state", limits={"max_events": 2000})
        start = reader.open().position
        reader.close()
        task = progress.add_task(f"{source}: writing {workload}", total=rows)
        orders.write(database, rows, workload, lambda count: progress.advance(task, count))
        progress.remove_task(task)
        stages: dict[str, Callable[[], None]] = {
            name: lambda stage=stage: stage(reader.open(start).stream, rows) for name, stage in STAGES.items()
        }
        if source != "postgres":
            stages = {"framing": lambda: _framing(database.url(), start)} | stages
        for name, stage in stages.items():
            secs, cpu = _timed(stage)
            reader.close()
            secs -= QUIET_SECS if name == "framing" else 0
            print(f"| {source} | {workload} | {name} | {rows / secs:,.0f} | {cpu / rows * 1e6:.2f} |", flush=True)


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    began, cpu_began = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - began, time.process_time() - cpu_began


def _batches(stream: LogStream, rows: int) -> Iterator[Batch]:
    left = rows
    while left:
        for batch in stream.poll(0.1):
            left -= batch.event_count
            yield batch


def _framing(url: str, start: MysqlPosition) -> None:
    """Reads until the log is quiet: events are not decoded, so nobody knows how many rows there were."""
    dump = DumpConnection(url, "benchmark")
    dump.start(start.file, start.pos)
    while not dump.read(1.0):
        pass
    while dump.read(QUIET_SECS):
        pass
    dump.close()


def _decoding(stream: LogStream, rows: int) -> None:
    for _ in _batches(stream, rows):
        pass


def _encoding(stream: LogStream, rows: int) -> None:
    for batch in _batches(stream, rows):
        batch.encoded(NATIVE)


def _objects(stream: LogStream, rows: int) -> None:
    for batch in _batches(stream, rows):
        batch.events()


def _records(writer: Writer) -> Callable[[LogStream, int], None]:
    programs: dict[object, RecordProgram] = {}

    def program_of(group: RowGroup) -> RecordProgram | None:
        if group.table not in programs and compiled is not None:
            plan = CONNECT.compiled(group.head(), writer).plan
            programs[group.table] = compiled.RecordProgram(plan, cast("RowPlan", group.table.plan))
        return programs.get(group.table)

    def by_python(event: ChangeEvent, _index: int) -> list[EncodedMessage]:
        return [EncodedMessage(*message) for message in messages_of(CONNECT.compiled(event, writer).plan, event, 1)]

    def stage(stream: LogStream, rows: int) -> None:
        for batch in _batches(stream, rows):
            add_records(no_records(), list(batch.groups), program_of, by_python, 1)

    return stage


STAGES = {
    "decoding": _decoding, "encoding": _encoding, "connect json": _records("json"), "connect avro": _records("avro"),
    "objects": _objects,
}  # fmt: skip

if __name__ == "__main__":
    main()
