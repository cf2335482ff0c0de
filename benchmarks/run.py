"""``python -m benchmarks.run``: drains of all sources into all sinks, as a table and as JSON."""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Sequence

from benchmarks import orders, report
from benchmarks.drain import Drain, Result
from benchmarks.servers import Servers

HEADS = [
    "Source", "Sink", "Workload", "Rows", "Rows/s", "CPU s per million", "Peak RSS", "RSS by quarter", "Message bytes",
    "Stalled",
]  # fmt: skip


def main() -> int:
    """Exit code 1 if a destination did not hold exactly what was written."""
    options = _options()
    results: list[Result] = []
    with Servers() as servers, report.progress_bars() as progress:
        for source in options.source:
            for sink in options.sink:
                drain = Drain(servers, source, options.workload, options.rows, progress)
                forms = [(envelope, encoding) for envelope in options.envelope for encoding in options.encoding]
                kinds = list(itertools.product(options.lanes, forms))
                rounds = [
                    [drain.run(sink, options.stall_secs, lanes, *form) for lanes, form in kinds]
                    for _ in range(options.rounds)
                ]
                results += map(_median, zip(*rounds, strict=True))
    text = _table(results)
    print(text)
    report.save(options.name, "benchmarks.run", {"results": results}, text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    sinks = ["kafka", "redis", "file", "null"]
    parser.add_argument("--sink", nargs="+", default=sinks, choices=[*sinks, "kafka-eos"])
    parser.add_argument("--workload", default="bulk", choices=orders.WORKLOADS, help="shape of the rows")
    parser.add_argument("--rows", type=int, default=200_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=1, help="the median by rate of so many is kept")
    parser.add_argument("--lanes", nargs="+", type=int, default=[1], help="lanes by key, one count after the other")
    parser.add_argument("--envelope", nargs="+", default=["native"], choices=["native", "connect"])
    parser.add_argument("--encoding", nargs="+", default=["json"], choices=["json", "avro"], help="avro: by a registry")
    parser.add_argument("--stall-secs", type=float, default=0, help="stop the sink that long halfway (redis only)")
    parser.add_argument("--name", default="drain", help="first part of the result's file name")
    options = parser.parse_args()
    if options.stall_secs and options.sink != ["redis"]:
        parser.error("--stall-secs needs --sink redis")
    if (options.envelope, options.encoding) != (["native"], ["json"]) and set(options.sink) - {"kafka", "kafka-eos"}:
        parser.error("--envelope and --encoding need --sink kafka")
    if options.lanes != [1] and "file" in options.sink:
        parser.error("--lanes needs a --sink whose lanes go to one place")
    return options


def _median(rounds: Sequence[Result]) -> Result:
    middle = statistics.median_low(result.rows_per_sec for result in rounds)
    return next(result for result in rounds if result.rows_per_sec == middle)


def _table(results: list[Result]) -> str:
    return report.table(HEADS, [_cells(result) for result in results])


def _cells(r: Result) -> list[str]:
    quarters = " ".join(f"{value:.0f}" for value in r.rss_mb)
    stalled = f"{r.stall_secs:.0f} s, {r.rss_stalled_mb:.0f} MB" if r.rss_stalled_mb else ""
    figures = [f"{r.rows_per_sec:,.0f}", str(r.cpu_secs_per_million), f"{r.peak_rss_mb:.0f} MB", f"{quarters} MB"]
    source = f"{r.source}, {r.lanes} lanes" if r.lanes > 1 else r.source
    form = "" if (r.envelope, r.encoding) == ("native", "json") else f", {r.envelope} {r.encoding}"
    size = "" if r.message_bytes is None else f"{r.message_bytes:.0f}"
    return [source, r.sink + form, r.workload, f"{r.rows:,}", *figures, size, stalled]


if __name__ == "__main__":
    sys.exit(main())
