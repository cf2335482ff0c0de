"""Results of sweeps: what is kept of a value, and what all files together say of a setting."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import report
from benchmarks.backlog import Figures
from benchmarks.latency import Latency


class Result(msgspec.Struct, kw_only=True):
    """One value: every drain, and every run at a steady rate if there were any. Its figures are medians."""

    source: str
    workload: str
    value: Any
    drains: list[Figures]
    latencies: list[Latency] = []

    @property
    def rows_per_sec(self) -> float:
        """Of a drain."""
        return statistics.median(drain.rows_per_sec for drain in self.drains)

    @property
    def cpu_secs_per_million(self) -> float:
        """Of a drain."""
        return statistics.median(drain.cpu_secs_per_million for drain in self.drains)

    @property
    def peak_rss_mb(self) -> float:
        """Of a drain."""
        return statistics.median(drain.peak_rss_mb for drain in self.drains)

    @property
    def bytes_per_row(self) -> float:
        """On the broker's disk; 0 where it is not known."""
        return statistics.median(drain.bytes_per_row or 0.0 for drain in self.drains)

    @property
    def p50_ms(self) -> float:
        """From commit to consumer, half of the rows."""
        return statistics.median(run.p50_ms for run in self.latencies)

    @property
    def p99_ms(self) -> float:
        """From commit to consumer, 99 of 100 rows."""
        return statistics.median(run.p99_ms for run in self.latencies)

    @property
    def least_p99_ms(self) -> float:
        """Of the best run: what else the machine does can only add to it."""
        return min(run.p99_ms for run in self.latencies)

    @property
    def cpu_percent(self) -> float:
        """Of one core, at the steady rate."""
        return statistics.median(run.cpu_percent for run in self.latencies)


class Sweep(msgspec.Struct):
    """What a file of results holds."""

    setting: str
    default: Any
    results: list[Result]

    def series(self) -> Iterator[tuple[str, list[Result]]]:
        """Label and results of each source and workload."""
        keys = dict.fromkeys((r.source, r.workload) for r in self.results)
        for key in keys:
            label = key[0] if len({workload for _, workload in keys}) == 1 else f"{key[0]}, {key[1]}"
            yield label, [r for r in self.results if (r.source, r.workload) == key]


def newest(folder: Path) -> list[Sweep]:
    """A sweep of each setting: the last results of every source and workload, whichever file they are in."""
    found: dict[str, Sweep] = {}
    for path in sorted(folder.glob("sweep-*.json"), key=lambda path: path.stem[-len("2026-01-01T0000") :]):
        sweep = msgspec.json.decode(path.read_bytes(), type=Sweep)
        known = found.setdefault(sweep.setting, Sweep(sweep.setting, sweep.default, []))
        measured = {(r.source, r.workload) for r in sweep.results}
        known.results = [r for r in known.results if (r.source, r.workload) not in measured] + sweep.results
    return list(found.values())


def table_of(name: str, default: Any, results: list[Result]) -> str:
    """GitHub's table form; the default is bold."""
    titles = ["Source", "Workload", name, "Rows/s", "best", "CPU s per million", "least", "Peak RSS", "Bytes per row"]
    titles += ["p50", "p99", "best p99", "CPU at the steady rate"] if results[0].latencies else []
    return report.table(titles, [_cells(r, is_default=r.value == default) for r in results])


def _cells(r: Result, *, is_default: bool) -> list[str]:
    best, least = max(d.rows_per_sec for d in r.drains), min(d.cpu_secs_per_million for d in r.drains)
    cells = [r.source, r.workload, f"**{r.value}**" if is_default else str(r.value)]
    cells += [f"{r.rows_per_sec:,.0f}", f"{best:,.0f}", f"{r.cpu_secs_per_million:.2f}", f"{least:.2f}"]
    cells += [f"{r.peak_rss_mb:.0f} MB", f"{r.bytes_per_row:.0f}"]
    if r.latencies:
        cells += [f"{r.p50_ms:.1f} ms", f"{r.p99_ms:.1f} ms", f"{r.least_p99_ms:.1f} ms", f"{r.cpu_percent:.0f} %"]
    return cells
