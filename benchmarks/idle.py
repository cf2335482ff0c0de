"""``python -m benchmarks.idle``: what a pipeline takes of a core while nothing happens in its database.

All pipelines run beside each other into null, and are measured over the same time, thread by thread.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress

from benchmarks import report
from benchmarks.backlog import DEFAULTS
from benchmarks.processes import cpu_secs, thread_secs
from benchmarks.servers import KafkaTarget, NullTarget, Servers
from tests.pipelines import PipelineProcess, mysql_source, postgres_source

TABLE = "create table t (id bigint primary key)"


class Idle(msgspec.Struct, kw_only=True):
    """Percent of a core: of the process, and of each of its threads by the name the system shows."""

    source: str
    sink: str
    percent: float
    threads: dict[str, float]


def main() -> None:
    """Prints the table and keeps it with the results."""
    options = _options()
    with contextlib.ExitStack() as stack:
        servers, progress = stack.enter_context(Servers()), stack.enter_context(report.progress_bars())
        pipelines = {source: _start(stack, servers, source, options.sink) for source in options.source}
        _sleep(progress, "settling", options.settle_secs)
        before = {source: _used(pipeline) for source, pipeline in pipelines.items()}
        _sleep(progress, "idle", options.secs)
        found = [
            _idle(source, options.sink, before[source], _used(pipeline), options.secs)
            for source, pipeline in pipelines.items()
        ]
    rows = [[idle.source, idle.sink, f"{idle.percent:.2f} %", _names(idle.threads)] for idle in found]
    table = report.table(["Source", "Sink", "Of a core", "Threads"], rows)
    print(table)
    report.save("idle", "benchmarks.idle", {"results": found}, table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=["mysql", "mariadb", "postgres"])
    parser.add_argument("--sink", default="null", choices=["null", "kafka"])
    parser.add_argument("--secs", type=float, default=60)
    parser.add_argument("--settle-secs", type=float, default=5)
    return parser.parse_args()


def _start(stack: contextlib.ExitStack, servers: Servers, source: str, sink: str) -> PipelineProcess:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deltaforge-idle-")))
    database = stack.enter_context(servers.get(source).fresh_database())
    database.execute(TABLE)
    if source == "postgres":
        database.execute("create publication pub for all tables")
    make = postgres_source if source == "postgres" else mysql_source
    target: Any = KafkaTarget(servers.get("kafka"), database.name) if sink == "kafka" else NullTarget()
    pipeline = DEFAULTS.pipeline(folder, make(database), target.sink)
    stack.callback(pipeline.end)
    return pipeline.start(stdout=subprocess.DEVNULL)


def _sleep(progress: Progress, what: str, secs: float) -> None:
    task, end = progress.add_task(what, total=secs), time.monotonic() + secs
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        progress.update(task, completed=secs - left)


def _used(pipeline: PipelineProcess) -> tuple[float, dict[str, float]]:
    return cpu_secs(pipeline.pid), thread_secs(pipeline.pid)


def _idle(
    source: str, sink: str, before: tuple[float, dict[str, float]], after: tuple[float, dict[str, float]], secs: float
) -> Idle:
    percent = 100 / secs
    threads = {name: round((used - before[1].get(name, 0.0)) * percent, 2) for name, used in after[1].items()}
    return Idle(source=source, sink=sink, percent=round((after[0] - before[0]) * percent, 2), threads=threads)


def _names(threads: dict[str, float]) -> str:
    used = sorted(((share, name) for name, share in threads.items() if share), reverse=True)
    return ", ".join(f"{name} {share:.2f}" for share, name in used)


if __name__ == "__main__":
    main()
