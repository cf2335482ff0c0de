"""``python -m benchmarks.snapshot``: how fast tables are copied, and what it costs."""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import time
from typing import Any

import msgspec
from rich.progress import Progress

from benchmarks import report
from benchmarks.latency import Load
from benchmarks.servers import Servers
from benchmarks.snapshot import killed, tables
from benchmarks.snapshot.copying import Copy, copy, database_cpu_secs, settings
from benchmarks.snapshot.load import Loaded, measure
from benchmarks.snapshot.readers import read_all

SOURCES = ["mysql", "mariadb", "postgres"]
SINKS = ["null", "kafka", "kafka-eos"]
COPY_HEADS = ["Source", "Table", "Sink", "Connections", "Rows", "Rows/s", "CPU s per million", "database's", "Secs",
              "Peak RSS", "RSS by quarter"]  # fmt: skip
KILLED_HEADS = ["Source", "Connections", "Rows", "Rows/s", "RSS at 10, 50, 100 % of the rows (MB)", "Peak RSS",
                "Saved at the kill", "Came again"]  # fmt: skip
LOAD_HEADS = ["Source", "Connections", "Written rows/s", "Copied rows/s", "p50", "p99", "max", "CPU"]


class Reading(msgspec.Struct, kw_only=True):
    """One reading of a table by the reader that throws rows away."""

    source: str
    kind: str
    connections: int
    rows: int
    rows_per_sec: float
    cpu_secs_per_million: float
    database_cpu_secs_per_million: float


def main() -> None:
    """Prints tables in GitHub's form and keeps them with the results."""
    options = _options()
    readings: list[Reading] = []
    copies: list[Copy] = []
    loads: list[Loaded] = []
    kills: list[killed.Killed] = []
    with Servers() as servers, report.progress_bars() as progress:
        versions = {source: servers.version(source) for source in options.source}
        if "copy" in options.measure:
            for source, kind in itertools.product(options.source, options.kind):
                _copies(servers, (source, kind), options, progress, (readings, copies))
        for source in options.source:
            if "tables" in options.measure:
                copies.append(_small(servers, source, options))
            if "load" in options.measure:
                loads += _loads(servers, source, options, progress)
            if "killed" in options.measure:
                with servers.get(source).fresh_database() as database:
                    tables.fill(database, "bulk", options.rows, progress)
                    kills += [killed.measure(database, source, count, options.rows) for count in options.connections]
    text = "\n\n".join(part for part in (_text(readings, copies, loads), _killed(kills)) if part)
    print(text)
    document: dict[str, Any] = {"readings": readings, "copies": copies, "loads": loads, "kills": kills}
    report.save(options.name, "benchmarks.snapshot", document, text, **versions)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshot", description=__doc__)
    measures = ["copy", "tables", "load"]
    parser.add_argument("--measure", nargs="+", default=measures, choices=[*measures, "killed"])
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=SOURCES)
    parser.add_argument("--kind", nargs="+", default=["bulk"], choices=tables.KINDS, help="shape of the rows")
    parser.add_argument("--sink", nargs="+", default=SINKS, choices=SINKS)
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table that is copied")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--tables", type=int, default=200, help="small ones, copied by 8 connections")
    parser.add_argument("--rows-per-table", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=5000, help="rows per second that are written during the copy")
    parser.add_argument("--secs", type=float, default=20, help="of that load; the first 3 are not kept")
    parser.add_argument("--name", default="snapshot", help="first part of the result's file name")
    return parser.parse_args()


def _copies(
    servers: Servers,
    case: tuple[str, str],
    options: argparse.Namespace,
    progress: Progress,
    found: tuple[list[Reading], list[Copy]],
) -> None:
    """Readers and copies of one table, in interleaved rounds."""
    (source, kind), (readings, copies) = case, found
    with servers.get(source).fresh_database() as database:
        tables.fill(database, kind, options.rows, progress)
        total = options.rounds * len(options.connections) * (1 + len(options.sink))
        task = progress.add_task(f"{source} {kind}", total=total)
        for _, connections in itertools.product(range(options.rounds), options.connections):
            if kind != "uuid" or connections == 1:
                readings.append(_reading(database, source, kind, (options.rows, connections)))
            progress.advance(task)
            for sink in options.sink:
                asked = (source, kind, sink, connections)
                copies.append(copy(servers, database, asked, settings(connections), options.rows))
                progress.advance(task)
        progress.remove_task(task)


def _reading(database: Any, source: str, kind: str, size: tuple[int, int]) -> Reading:
    rows, connections = size
    before, server_before = resource.getrusage(resource.RUSAGE_SELF), database_cpu_secs(database)
    secs = read_all(database, rows, connections)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Reading(
        source=source,
        kind=kind,
        connections=connections,
        rows=rows,
        rows_per_sec=round(rows / secs),
        cpu_secs_per_million=round(cpu / rows * 1e6, 2),
        database_cpu_secs_per_million=round((database_cpu_secs(database) - server_before) / rows * 1e6, 2),
    )


def _small(servers: Servers, source: str, options: argparse.Namespace) -> Copy:
    with servers.get(source).fresh_database() as database:
        tables.fill_small(database, options.tables, options.rows_per_table)
        case = (source, f"{options.tables} small", "null", 8)
        return copy(servers, database, case, settings(8, options.tables), options.tables * options.rows_per_table)


def _loads(servers: Servers, source: str, options: argparse.Namespace, progress: Progress) -> list[Loaded]:
    load = Load(options.rate, 10, options.secs, 3)
    found = []
    for connections in options.connections:
        with servers.get(source).fresh_database() as database:
            tables.fill(database, "bulk", options.rows, progress)
            found.append(measure(servers, database, (source, connections), load, progress))
        time.sleep(1)
    return found


def _text(readings: list[Reading], copies: list[Copy], loads: list[Loaded]) -> str:
    keys = list(dict.fromkeys((each.source, each.kind, each.connections, each.rows) for each in (*readings, *copies)))
    rows = []
    for source, kind, connections, count in keys:
        read = [e for e in readings if (e.source, e.kind, e.connections, e.rows) == (source, kind, connections, count)]
        head = [source, kind]
        if read:
            figures = (e.rows_per_sec for e in read), (e.cpu_secs_per_million for e in read)
            rate, cpu = (statistics.median(found) for found in figures)
            server = statistics.median(e.database_cpu_secs_per_million for e in read)
            rows.append(
                [
                    *head,
                    "(reader)",
                    str(connections),
                    f"{count:,}",
                    f"{rate:,.0f}",
                    f"{cpu:.2f}",
                    f"{server:.2f}",
                    "",
                    "",
                    "",
                ]
            )
        for sink in dict.fromkeys(e.sink for e in copies):
            of_sink = [
                e
                for e in copies
                if (e.source, e.kind, e.connections, e.rows, e.sink) == (source, kind, connections, count, sink)
            ]
            if of_sink:
                rows.append([*head, sink, str(connections), f"{count:,}", *_cells(of_sink)])
    parts = [report.table(COPY_HEADS, rows)] if rows else []
    if loads:
        cells = [
            [each.source, str(each.connections), f"{each.rate:,}", f"{each.copied_per_sec:,.0f}",
             *(f"{value:.1f} ms" for value in (each.p50_ms, each.p99_ms, each.max_ms)), f"{each.cpu_percent:.0f} %"]
            for each in loads
        ]  # fmt: skip
        parts.append(report.table(LOAD_HEADS, cells))
    return "\n\n".join(parts)


def _killed(found: list[killed.Killed]) -> str:
    if not found:
        return ""
    rows = [
        [each.source, str(each.connections), f"{each.rows:,}", f"{each.rows_per_sec:,.0f}",
         " / ".join(f"{value:.0f}" for value in each.rss_mb), f"{each.peak_rss_mb:.0f} MB", f"{each.saved:,}",
         f"{each.again:,}"]
        for each in found
    ]  # fmt: skip
    return report.table(KILLED_HEADS, rows)


def _cells(found: list[Copy]) -> list[str]:
    """The round of the median rate; memory is the highest of all rounds."""
    usual = sorted(found, key=lambda each: each.rows_per_sec)[(len(found) - 1) // 2]
    return [
        f"{usual.rows_per_sec:,}",
        f"{usual.cpu_secs_per_million:.2f}",
        f"{usual.database_cpu_secs_per_million:.2f}",
        f"{usual.secs:.1f}",
        f"{max(each.peak_rss_mb for each in found):.0f} MB",
        " / ".join(f"{value:.0f}" for value in usual.rss_mb),
    ]


if __name__ == "__main__":
    main()
