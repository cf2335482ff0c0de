"""``python -m benchmarks.sweep``: one setting at a time over its values, everything else as it is by default.

Every value drains the same backlog, in interleaved rounds (first value, second value, …, first value, …); each
figure is the median over the rounds. Settings that change the latency are measured at a steady rate too, as
``benchmarks.latency`` does. A setting is a key of ``batch`` or ``client_conf``, ``epoch_secs``, or ``aim``:
several at a time, for one purpose.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import msgspec
from rich.progress import Progress

from benchmarks import orders, report
from benchmarks.backlog import Backlog, Figures, Settings
from benchmarks.latency import Latency, Load, measure
from benchmarks.servers import Servers
from benchmarks.sweep_results import Result, table_of

AIMS: dict[str, dict[str, Any]] = {
    "default": {},
    "latency": {"batch.max_ms": 1, "client_conf.linger.ms": 0},
    "cpu": {"batch.max_events": 5000, "client_conf.compression.type": "none", "client_conf.linger.ms": 20},
    "memory": {"batch.max_bytes": 1 << 20, "client_conf.queue.buffering.max.messages": 5000},
}


class Setting(msgspec.Struct, frozen=True):
    """Values to try. ``has_latency``: whether the latency is measured too."""

    default: Any
    values: list[Any]
    has_latency: bool = False


SETTINGS = {
    "batch.max_events": Setting(2000, [250, 500, 1000, 2000, 5000, 16_000]),
    "batch.max_bytes": Setting(16 << 20, [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20]),
    "batch.max_ms": Setting(50, [0, 1, 3, 10, 50, 200], has_latency=True),
    "batch.max_inflight": Setting(1, [1, 2, 4, 16]),
    "client_conf.linger.ms": Setting(5, [0, 1, 5, 20, 100], has_latency=True),
    "client_conf.batch.size": Setting(1 << 20, [16 << 10, 64 << 10, 256 << 10, 1 << 20]),
    "client_conf.batch.num.messages": Setting(10_000, [100, 1000, 10_000]),
    "client_conf.queue.buffering.max.messages": Setting(100_000, [5000, 20_000, 100_000]),
    "client_conf.compression.type": Setting("lz4", ["none", "lz4", "snappy", "zstd", "gzip"]),
    "epoch_secs": Setting(0.5, [0.1, 0.25, 0.5, 1.0, 2.0, 5.0], has_latency=True),
    "aim": Setting("default", list(AIMS), has_latency=True),
}


def main() -> None:
    """Writes a file of results for each setting."""
    options = _options()
    with Servers() as servers, report.progress_bars() as progress:
        found: dict[str, list[Result]] = {name: [] for name in options.setting}
        for source in options.source:
            for workload in options.workload:
                with Backlog(servers, source, workload, options.rows) as backlog:
                    backlog.write(progress)
                    for name in options.setting:
                        found[name] += _drains(backlog, name, options.rounds, progress)
            for name in options.setting:
                if SETTINGS[name].has_latency:
                    _add_latencies(servers, name, [r for r in found[name] if r.source == source], options)
    for name, results in found.items():
        table = table_of(name, SETTINGS[name].default, results)
        print(table, flush=True)
        document = {"setting": name, "default": SETTINGS[name].default, "results": results}
        report.save(f"sweep-{name.replace('.', '_')}", "benchmarks.sweep", document, table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--setting", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), metavar="SETTING")
    parser.add_argument("--source", nargs="+", default=["mysql"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--workload", nargs="+", default=["bulk"], choices=orders.WORKLOADS)
    parser.add_argument("--rows", type=int, default=400_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=3, help="drains of each value")
    parser.add_argument("--latency-rounds", type=int, default=3, help="runs of each value at a steady rate")
    parser.add_argument("--latency-secs", type=float, default=8, help="how long one of them is")
    return parser.parse_args()


def settings_of(name: str, value: Any) -> Settings:
    """A pipeline's settings with one of them, or those of one aim, set."""
    chosen = AIMS[value] if name == "aim" else {name: value}
    settings = Settings(batch={}, client_conf={}, arguments=[])
    for key, wanted in chosen.items():
        part, _, rest = key.partition(".")
        if key == "epoch_secs":
            settings.arguments.extend(["--epoch-secs", str(wanted)])
        else:
            getattr(settings, part)[rest] = wanted
    return settings


def _drains(backlog: Backlog, name: str, rounds: int, progress: Progress) -> list[Result]:
    values = SETTINGS[name].values
    figures: dict[Any, list[Figures]] = {value: [] for value in values}
    task = progress.add_task(f"{backlog.source} {backlog.workload}: {name}", total=rounds * len(values))
    for _ in range(rounds):
        for value in values:
            figures[value].append(backlog.drain("kafka", settings_of(name, value)))
            progress.advance(task)
    progress.remove_task(task)
    return [
        Result(
            source=backlog.source,
            workload=backlog.workload,
            value=value,
            rows=backlog.rows,
            rounds=rounds,
            rows_per_sec=statistics.median(f.rows_per_sec for f in found),
            cpu_secs_per_million=round(statistics.median(f.cpu_secs_per_million for f in found), 2),
            peak_rss_mb=statistics.median(f.peak_rss_mb for f in found),
            bytes_per_row=found[0].bytes_per_row and statistics.median(f.bytes_per_row or 0 for f in found),
        )
        for value, found in figures.items()
    ]


def _add_latencies(servers: Servers, name: str, results: list[Result], options: argparse.Namespace) -> None:
    load = Load(secs=options.latency_secs)
    found: dict[Any, list[Latency]] = {result.value: [] for result in results}
    for _ in range(options.latency_rounds):
        for value, latencies in found.items():
            latencies.append(measure(servers, results[0].source, load, settings_of(name, value)))
    for result in results:
        latencies = found[result.value]
        result.p50_ms = round(statistics.median(r.p50_ms for r in latencies), 1)
        result.p99_ms = round(statistics.median(r.p99_ms for r in latencies), 1)
        result.cpu_percent_at_rate = round(statistics.median(r.cpu_percent for r in latencies), 1)


if __name__ == "__main__":
    main()
