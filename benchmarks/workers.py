"""``python -m benchmarks.workers``: what more workers and processes gain, and what they cost.

Each case drains one backlog of MySQL, in interleaved rounds; figures are medians. The sink encodes and writes to where
nothing is kept; ``slow`` burns 50 µs of CPU for each event besides, as a transform or a client in Python would: there a
tenth of the backlog is enough.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.progress import Progress

from benchmarks import orders, report
from benchmarks.processes import cpu_secs
from benchmarks.servers import NullTarget, Servers
from tests.clusters import Cluster
from tests.pipelines import PipelineProcess, mysql_source, wait_for

POLL_SECS = 0.1
SLOW_US = 50
SENSING = {"enabled": True}
_DELIVERED = re.compile(r"^deltaforge_sink_events_total\{[^}]*\} (\S+)$", re.MULTILINE)


class Case(NamedTuple):
    """What runs: ``work`` is that of the sink or ``sensing``."""

    work: str
    lanes: int
    processes: int
    workers: int


CASES = [
    Case("slow", 1, 1, 1),
    Case("slow", 2, 1, 2),
    Case("slow", 2, 2, 1),
    Case("plain", 1, 1, 1),
    Case("plain", 2, 1, 2),
    Case("plain", 2, 2, 1),
    Case("sensing", 1, 1, 1),
    Case("sensing", 1, 2, 1),
    Case("sensing", 2, 2, 1),
]


def _wanted(case: Case, rows: int) -> int:
    return rows // 10 if case.work == "slow" else rows


class Figures(msgspec.Struct, kw_only=True):
    """Of one drain, over all processes."""

    rows_per_sec: float
    cpu_secs_per_million: float


class Result(msgspec.Struct, kw_only=True):
    """Medians of a case, and every round."""

    work: str
    lanes: int
    processes: int
    workers: int
    rows: int
    rows_per_sec: float
    cpu_secs_per_million: float
    rounds: list[Figures]


class Drains:
    """One backlog for pipelines of one and of two lanes, each with a position before it."""

    def __init__(self, database: Any, folder: Path) -> None:
        self._source = mysql_source(database)
        self._folder = folder
        self._count = 0

    def begin(self) -> None:
        """Save the positions that the backlog begins at."""
        for lanes in (1, 2):
            cluster = self._cluster(self._folder / f"origin-{lanes}", lanes)
            try:
                self._start(cluster, Case("plain", lanes, 1, 1))
                wait_for(
                    lambda cluster=cluster: cluster.paths.first_position.exists() or cluster.paths.started.exists()
                )
                cluster.stop()
            finally:
                cluster.end()

    def drain(self, case: Case, rows: int) -> Figures:
        """Drain it from its beginning."""
        self._count += 1
        if case.work == "sensing":
            return self._drain_by_launcher(case, rows)
        folder = self._folder / str(self._count)
        shutil.copytree(self._folder / f"origin-{case.lanes}", folder)
        shutil.rmtree(folder / "counts")
        cluster = self._cluster(folder, case.lanes)
        try:
            self._start(cluster, case)
            pids = [process.pid for process in cluster.processes]
            figures = _measured(lambda: _counted(folder / "counts"), pids, _wanted(case, rows))
            cluster.stop()
        finally:
            cluster.end()
            shutil.rmtree(folder)
        return figures

    def _drain_by_launcher(self, case: Case, rows: int) -> Figures:
        """As a pipeline with ``spec.runtime``."""
        folder = self._folder / str(self._count)
        shutil.copytree(self._folder / f"origin-{case.lanes}", folder)
        spec: dict[str, Any] = {"runtime": {"processes": case.processes}, "schema_sensing": SENSING}
        if case.lanes > 1:
            spec["sharding"] = {"mode": "key", "count": case.lanes}
        pipeline = PipelineProcess(folder, self._source, [NullTarget().sink], **spec)
        try:
            pipeline.start(stdout=subprocess.DEVNULL)
            figures = _measured(lambda: _delivered_by(pipeline, case.processes), [pipeline.pid], rows)
            pipeline.stop()
        finally:
            pipeline.end()
            shutil.rmtree(folder)
        return figures

    def _cluster(self, folder: Path, lanes: int, **spec: Any) -> Any:
        (folder / "counts").mkdir(parents=True)
        sink = NullTarget().sink
        return Cluster(folder, self._source, lanes, sink=sink, flow="benchmarks.worker_flow:get_flow", **spec)

    def _start(self, cluster: Any, case: Case) -> None:
        environment = {
            "DELTAFORGE_BENCH_COUNTS": str(cluster.folder / "counts"),
            "DELTAFORGE_BENCH_SINK_US": str(SLOW_US if case.work == "slow" else 0),
        }
        cluster.start(case.processes, case.workers, environment, subprocess.DEVNULL)


def _measured(delivered: Callable[[], int], pids: list[int], rows: int) -> Figures:
    while not (first := delivered()):
        time.sleep(POLL_SECS)
    began, cpu_began, count = time.monotonic(), sum(map(cpu_secs, pids)), first
    while count < rows:
        time.sleep(POLL_SECS)
        count = delivered()
    secs, cpu = time.monotonic() - began, sum(map(cpu_secs, pids)) - cpu_began
    assert rows > first, f"{rows} rows are too few to measure"
    return Figures(
        rows_per_sec=round((count - first) / secs), cpu_secs_per_million=round(cpu / (count - first) * 1e6, 2)
    )


def _counted(counts: Path) -> int:
    return sum(sum(map(int, path.read_bytes().split(b"\n")[:-1])) for path in counts.iterdir())


def _delivered_by(pipeline: PipelineProcess, processes: int) -> int:
    """Each process says for itself: to merge what they say takes time that is not the drain's."""
    sockets = [pipeline.paths.socket, *map(pipeline.paths.member_socket, range(1, processes))]
    texts = [pipeline.ask("metrics", path=path, alone=True)["metrics"] for path in sockets]
    return sum(int(float(count)) for text in texts for count in _DELIVERED.findall(text))


def _result(case: Case, rows: int, rounds: list[Figures]) -> Result:
    return Result(
        **case._asdict(),
        rows=_wanted(case, rows),
        rows_per_sec=statistics.median(figures.rows_per_sec for figures in rounds),
        cpu_secs_per_million=statistics.median(figures.cpu_secs_per_million for figures in rounds),
        rounds=rounds,
    )


def _run(options: argparse.Namespace, servers: Servers, progress: Progress) -> list[Result]:
    cases = [case for case in CASES if case.work in options.work]
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="deltaforge-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = stack.enter_context(servers.get("mysql").fresh_database())
        database.execute(orders.table("mysql", "bulk"))
        drains = Drains(database, folder)
        drains.begin()
        orders.write(database, options.rows, "bulk", lambda _: None)
        found: dict[Case, list[Figures]] = {case: [] for case in cases}
        task = progress.add_task("drains", total=options.rounds * len(cases))
        for _ in range(options.rounds):
            for case in cases:
                found[case].append(drains.drain(case, options.rows))
                progress.console.print(case, found[case][-1])
                progress.advance(task)
    return [_result(case, options.rows, rounds) for case, rounds in found.items()]


def _row(result: Result) -> list[str]:
    counts = [str(result.lanes), str(result.processes), str(result.workers)]
    return [result.work, *counts, f"{result.rows_per_sec:,.0f}", f"{result.cpu_secs_per_million:.2f}"]


def main() -> None:
    """Prints a table, and writes a file of results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--work", nargs="+", default=["slow", "plain", "sensing"], choices=["slow", "plain", "sensing"])
    parser.add_argument("--rows", type=int, default=800_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=3, help="drains of each case")
    options = parser.parse_args()
    with Servers() as servers, report.progress_bars() as progress:
        results = _run(options, servers, progress)
        heads = ("Work", "Lanes", "Processes", "Workers each", "Rows/s", "CPU s per million")
        text = report.table(heads, [_row(result) for result in results])
        print(text)
        report.save("workers", "benchmarks.workers", {"results": results}, text, mysql=servers.version("mysql"))


if __name__ == "__main__":
    main()
