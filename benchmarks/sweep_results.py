"""Results of sweeps: what is kept of a value, and what all files together say of a setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import report


class Result(msgspec.Struct, kw_only=True):
    """Medians of one value; the last three are None where the latency was not measured."""

    source: str
    workload: str
    value: Any
    rows: int
    rounds: int
    rows_per_sec: float
    cpu_secs_per_million: float
    peak_rss_mb: float
    bytes_per_row: float | None
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_percent_at_rate: float | None = None


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
    titles = ["Source", "Workload", name, "Rows/s", "CPU s per million", "Peak RSS", "Bytes per row"]
    titles += ["p50", "p99", "CPU at 5,000 rows/s"]
    rows = []
    for r in results:
        value = f"**{r.value}**" if r.value == default else str(r.value)
        speed = [f"{r.rows_per_sec:,.0f}", str(r.cpu_secs_per_million), f"{r.peak_rss_mb:.0f} MB"]
        live = ["", "", ""]
        if r.p50_ms is not None:
            live = [f"{r.p50_ms} ms", f"{r.p99_ms} ms", f"{r.cpu_percent_at_rate} %"]
        rows.append([r.source, r.workload, value, *speed, str(r.bytes_per_row or ""), *live])
    return report.table(titles, rows)
