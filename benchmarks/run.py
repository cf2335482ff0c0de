"""``python -m benchmarks.run``: drains of all sources into all sinks, as a table and as JSON."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import orders
from benchmarks.drain import Drain, Result
from benchmarks.servers import Servers
from deltaforge import __version__

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("bytewax", "confluent-kafka", "msgspec", "psycopg", "redis")


def main() -> int:
    """Exit code 1 if a destination did not hold exactly what was written."""
    options = _options()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results: list[Result] = []
    with Servers() as servers, Progress(*columns, console=console) as progress:
        for source in options.source:
            for sink in options.sink:
                drain = Drain(servers, source, options.workload, options.rows, progress)
                rounds = [drain.run(sink, options.stall_secs) for _ in range(options.rounds)]
                results.append(_median(rounds))
    print(_table(results))
    _save(results, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    sinks = ["kafka", "redis", "file", "null"]
    parser.add_argument("--sink", nargs="+", default=sinks, choices=sinks)
    parser.add_argument("--workload", default="bulk", choices=orders.WORKLOADS, help="shape of the rows")
    parser.add_argument("--rows", type=int, default=200_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=1, help="the median by rate of so many is kept")
    parser.add_argument("--stall-secs", type=float, default=0, help="stop the sink that long halfway (redis only)")
    parser.add_argument("--name", default="drain", help="first part of the result's file name")
    options = parser.parse_args()
    if options.stall_secs and options.sink != ["redis"]:
        parser.error("--stall-secs needs --sink redis")
    return options


def _median(rounds: list[Result]) -> Result:
    middle = statistics.median_low(result.rows_per_sec for result in rounds)
    return next(result for result in rounds if result.rows_per_sec == middle)


def _table(results: list[Result]) -> str:
    """GitHub's table form: it reads well in a terminal and in the results folder."""
    lines = [
        "| Source | Sink | Workload | Rows | Rows/s | CPU s per million | Peak RSS | RSS by quarter | Stalled |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        quarters = " ".join(f"{value:.0f}" for value in r.rss_mb)
        stalled = f"{r.stall_secs:.0f} s, {r.rss_stalled_mb:.0f} MB" if r.rss_stalled_mb else ""
        lines.append(
            f"| {r.source} | {r.sink} | {r.workload} | {r.rows:,} | {r.rows_per_sec:,.0f} |"
            f" {r.cpu_secs_per_million} | {r.peak_rss_mb:.0f} MB | {quarters} MB | {stalled} |"
        )
    return "\n".join(lines)


def _save(results: list[Result], options: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    facts = {
        "at": now.isoformat(timespec="seconds"),
        "command": "python -m benchmarks.run " + " ".join(sys.argv[1:]),
        "deltaforge": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **{name: version(name) for name in LIBRARIES},
    }
    stem = RESULTS / f"{options.name}-{now:%Y-%m-%dT%H%M}"
    document = {"facts": facts, "results": results}
    stem.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    lines = [f"`{facts['command']}`, DeltaForge {__version__}, Python {facts['python']}, {facts['cpus']} cores", ""]
    stem.with_suffix(".md").write_text("\n".join([*lines, _table(results), ""]))
    Console(stderr=True).print(f"written to {stem}.json")


if __name__ == "__main__":
    sys.exit(main())
