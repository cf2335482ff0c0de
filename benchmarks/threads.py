"""``python -m benchmarks.threads``: which thread of a pipeline the CPU time goes to, in drains of a backlog.

``dataflow`` is Bytewax's worker, ``reader`` reads and frames the log, ``sink`` encodes and hands over, ``client``
is the client library's: librdkafka compresses and sends there.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from benchmarks import orders, report
from benchmarks.backlog import Backlog, Figures
from benchmarks.servers import Servers

ROLES = {"python": "dataflow", "reader": "reader", "sink": "sink", "rdk": "client", "kafka": "client"}
COLUMNS = ("dataflow", "reader", "sink", "client")


def main() -> None:
    """Prints the table and keeps it with the results."""
    options = _options()
    drains: list[dict[str, Any]] = []
    with Servers() as servers, report.progress_bars() as progress:
        for source in options.source:
            for workload in options.workload:
                with Backlog(servers, source, workload, options.rows) as backlog:
                    backlog.write(progress)
                    task = progress.add_task(f"{source} {workload}", total=options.rounds)
                    found = []
                    for _ in range(options.rounds):
                        found.append(backlog.drain(options.sink))
                        progress.advance(task)
                    drains.append({"source": source, "workload": workload, "drains": found})
    rows = [_row(drain["source"], drain["workload"], drain["drains"]) for drain in drains]
    heads = ("Source", "Workload", "Rows/s", "CPU s per million", *COLUMNS, "Peak memory")
    table = report.table(heads, rows)
    print(table)
    report.save(f"threads-{options.sink}", "benchmarks.threads", {"results": drains}, table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--workload", nargs="+", default=["bulk", "single"], choices=orders.WORKLOADS)
    parser.add_argument("--sink", default="kafka", choices=["kafka", "file", "null"])
    parser.add_argument("--rows", type=int, default=600_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _row(source: str, workload: str, drains: list[Figures]) -> list[str]:
    """Medians of all rounds; the time of the control socket and other small threads is in no column."""
    shares = {role: statistics.median(_share(drain, role) for drain in drains) for role in COLUMNS}
    rate = statistics.median(drain.rows_per_sec for drain in drains)
    cpu = statistics.median(drain.cpu_secs_per_million for drain in drains)
    peak = statistics.median(drain.peak_rss_mb for drain in drains)
    return [
        source,
        workload,
        f"{rate:,.0f}",
        f"{cpu:.2f}",
        *(f"{shares[role]:.2f}" for role in COLUMNS),
        f"{peak:.0f} MB",
    ]


def _share(drain: Figures, role: str) -> float:
    return sum(used for name, used in drain.threads.items() if ROLES.get(name.split("-")[0].split(":")[0]) == role)


if __name__ == "__main__":
    main()
