"""The progress of snapshots for a terminal: a row for each job, and a bar for each of its tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

RATE_SECS = 30.0
"""Rates are those of so long."""
BAR_WIDTH = 24
MAX_TABLES = 8
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class SnapshotBars:
    """Draws views of jobs (:func:`~deltaforge.core.snapshot_view.job_view`), and remembers them for the rates."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], deque[tuple[float, int, float]]] = {}

    def rows(self, jobs: Sequence[dict[str, Any]], now: float, *, width: int) -> list[str]:
        """The jobs that are not over, as rows of a terminal.

        Args:
            jobs: All of them, as they are now.
            now: Monotonic seconds.
            width: Of the terminal.
        """
        active = [job for job in jobs if job["status"] in ("requested", "running", "paused")]
        self._note(active, now)
        rows: list[str] = []
        for job in active:
            rows += [job_line(job), *self._bars(job, width)]
        return rows

    def _note(self, jobs: Sequence[dict[str, Any]], now: float) -> None:
        seen, self._seen = self._seen, {}
        for job in jobs:
            for table in job["tables"]:
                if table["status"] != "copying":
                    continue
                key = (job["id"], table["name"])
                points = self._seen[key] = seen.get(key) or deque()
                points.append((now, table["rows"], table["fraction"]))
                while len(points) > 2 and points[0][0] < now - RATE_SECS:
                    points.popleft()

    def _bars(self, job: dict[str, Any], width: int) -> Iterator[str]:
        copying = [table for table in job["tables"] if table["status"] == "copying"]
        if not copying:
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(max_width=max(width // 3, 10), no_wrap=True, overflow="ellipsis")
        grid.add_column(width=BAR_WIDTH)
        grid.add_column(justify="right", no_wrap=True, min_width=5)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for table in copying[:MAX_TABLES]:
            bar = ProgressBar(total=1, completed=table["fraction"], width=BAR_WIDTH)
            grid.add_row(Text(f"  {table['name']}"), bar, f"{100 * table['fraction']:.0f} %", self._figures(job, table))
        console = Console(width=width, color_system=None, force_terminal=True, legacy_windows=False)
        with console.capture() as drawn:
            console.print(grid)
        yield from (line.rstrip() for line in drawn.get().splitlines())
        if len(copying) > MAX_TABLES:
            yield f"  and {len(copying) - MAX_TABLES} more"

    def _figures(self, job: dict[str, Any], table: dict[str, Any]) -> str:
        points = self._seen[job["id"], table["name"]]
        (began, rows, fraction), (now, rows_now, fraction_now) = points[0], points[-1]
        secs, parts = now - began, [f"{rows_now:,} rows"]
        if secs > 0 and rows_now > rows:
            parts.append(f"{(rows_now - rows) / secs:,.0f}/s")
        if secs > 0 and fraction_now > fraction:
            parts.append(f"{duration((1 - fraction_now) * secs / (fraction_now - fraction))} left")
        return "  ".join(parts)


def job_line(job: dict[str, Any]) -> str:
    """A job in a line, also one whose tables are left out: who it is, how far, how fast, and what keeps it."""
    tables = job.get("tables", ())
    of_shard = f" of {job['shard']}" if job.get("shard") else ""
    parts = [f"snapshot {job['id'][:8]} ({job['kind'].replace('_', ' ')}{of_shard})"]
    parts += [job["status"]] if job["status"] != "running" else []
    if job["status"] != "requested":
        parts += [f"{100 * job['fraction']:.0f} %", f"{job['rows']:,} rows"]
    if tables:
        done = sum(table["status"] in ("completed", "failed") for table in tables)
        parts.append(f"{done} of {len(tables)} tables")
    if job["status"] == "running":
        parts += [f"{job['rows_per_second']:,.0f}/s"] if job["rows_per_second"] else []
        parts += [f"{duration(job['eta_seconds'])} left"] if job["eta_seconds"] is not None else []
    parts += [f"waits for {job['waiting_for']}"] if job["waiting_for"] else []
    parts += [job["error"]] if job["error"] else []
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """About how long, as people say it."""
    for size, unit in _UNITS[:-1]:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
