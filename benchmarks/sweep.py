"""``python -m benchmarks.sweep``: one setting at a time over its values, everything else as it is by default.

Every value drains the same backlog, in interleaved rounds (first value, second value, …, first value, …); each
figure is the median over the rounds. Settings that change the latency are measured at a steady rate too, as
``benchmarks.latency`` does. A setting is a key of ``batch`` or ``client_conf``, ``epoch_secs``,
``schema_sensing``, ``exactly_once`` of the sink, ``optional_sink``, or ``aim``: several at a time, for one purpose.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import msgspec
from rich.progress import Progress

from benchmarks import orders, report
from benchmarks.backlog import Backlog, Figures, Settings
from benchmarks.latency import Load, measure
from benchmarks.servers import Servers
from benchmarks.sweep_results import Result, table_of

AIMS: dict[str, dict[str, Any]] = {
    "default": {},
    "latency": {"batch.max_ms": 0},
    "small topics": {"client_conf.compression.type": "zstd"},
    "memory": {
        "batch.max_events": 250,
        "batch.max_bytes": 64 << 10,
        "client_conf.queue.buffering.max.messages": 5000,
    },
}


SENSING: dict[str, dict[str, Any]] = {
    "off": {},
    "1 row in 10": {"enabled": True},
    "1 row in 100": {"enabled": True, "sampling": {"sample_rate": 100}},
}


AWAY = {"id": "away", "uri": "redis://127.0.0.1:1", "stream": "orders", "required": False}
OPTIONAL_SINKS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "Redis that is away": [{"type": "redis", "config": AWAY}],
}


class Setting(msgspec.Struct, frozen=True):
    """Values to try. ``has_latency``: whether the latency is measured too."""

    default: Any
    values: list[Any]
    has_latency: bool = False


SETTINGS = {
    "batch.max_events": Setting(2000, [250, 500, 1000, 2000, 5000, 16_000]),
    "batch.max_bytes": Setting(16 << 20, [64 << 10, 256 << 10, 1 << 20, 16 << 20]),
    "batch.max_ms": Setting(50, [0, 1, 3, 50, 200], has_latency=True),
    "batch.max_inflight": Setting(1, [1, 4, 16]),
    "client_conf.linger.ms": Setting(5, [0, 5, 20, 100], has_latency=True),
    "client_conf.batch.size": Setting(1 << 20, [16 << 10, 64 << 10, 256 << 10, 1 << 20]),
    "client_conf.batch.num.messages": Setting(10_000, [100, 1000, 10_000]),
    "client_conf.queue.buffering.max.messages": Setting(100_000, [5000, 20_000, 100_000]),
    "client_conf.queue.buffering.max.kbytes": Setting(16_384, [4096, 16_384, 32_768, 131_072]),
    "client_conf.compression.type": Setting("lz4", ["none", "lz4", "snappy", "zstd", "gzip"]),
    "epoch_secs": Setting(0.5, [0.1, 0.25, 0.5, 1.0, 2.0, 5.0], has_latency=True),
    "schema_sensing": Setting("off", list(SENSING)),
    "exactly_once": Setting(False, [False, True]),
    "optional_sink": Setting("none", list(OPTIONAL_SINKS)),
    "aim": Setting("default", list(AIMS), has_latency=True),
}


def main() -> None:
    """Writes a file of results for each setting, source and workload."""
    options = _options()
    with Servers() as servers, report.progress_bars() as progress:
        for source, workload in itertools.product(options.source, options.workload):
            with Backlog(servers, source, workload, options.rows) as backlog:
                backlog.write(progress)
                for name in options.setting:
                    results = _drains(backlog, name, options.rounds, progress)
                    if SETTINGS[name].has_latency and workload == options.workload[0]:
                        _add_latencies(servers, name, results, options)
                    _save(name, results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--setting", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), metavar="SETTING")
    parser.add_argument("--source", nargs="+", default=["mysql"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--workload", nargs="+", default=["bulk"], choices=orders.WORKLOADS)
    parser.add_argument("--rows", type=int, default=400_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=4, help="drains of each value")
    parser.add_argument("--latency-rounds", type=int, default=3, help="runs of each value at a steady rate")
    parser.add_argument("--latency-secs", type=float, default=7, help="how long one of them is")
    return parser.parse_args()


def settings_of(name: str, value: Any) -> Settings:
    """A pipeline's settings with one of them, or those of one aim, set."""
    if name == "schema_sensing":
        return Settings(schema_sensing=SENSING[value])
    if name == "exactly_once":
        return Settings(exactly_once=value)
    if name == "optional_sink":
        return Settings(more_sinks=OPTIONAL_SINKS[value])
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
        Result(source=backlog.source, workload=backlog.workload, value=value, drains=found)
        for value, found in figures.items()
    ]


def _add_latencies(servers: Servers, name: str, results: list[Result], options: argparse.Namespace) -> None:
    load = Load(rate=5000, rows_per_transaction=10, secs=options.latency_secs, warm_up_secs=3)
    for _, result in itertools.product(range(options.latency_rounds), results):
        latency = measure(servers, result.source, load, lambda _: None, settings_of(name, result.value))
        result.latencies.append(latency)


def _save(name: str, results: list[Result]) -> None:
    table = table_of(name, SETTINGS[name].default, results)
    print(f"{table}\n", flush=True)
    document = {"setting": name, "default": SETTINGS[name].default, "results": results}
    stem = f"sweep-{name.replace('.', '_')}-{results[0].source}-{results[0].workload}"
    report.save(stem, "benchmarks.sweep", document, table)


if __name__ == "__main__":
    main()
