"""``python -m benchmarks.cliffs``: every column type and every option against the plain case of the same run.

Types: one pipeline without a destination per source, which is held while the rows of a case are written, and measured
from when it goes on until it has delivered them. Options: a pipeline each. The plain case is measured again after every
few others; the ratios are those of CPU and of rate to its median.
"""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress, TaskID

from benchmarks import report
from benchmarks.backlog import delivered_by
from benchmarks.cliffs_cases import COLUMNS, OPTIONS, PLAIN, POSTGRES_TYPES, Column, Option
from benchmarks.processes import exact_cpu_secs
from benchmarks.servers import Servers
from tests.destinations import FileDestination, KafkaDestination, RedisDestination
from tests.pipelines import PipelineProcess, mysql_source, postgres_source

POLL_SECS = 0.02
PLAIN_EVERY = 6
LIMIT = 0.6
STATEMENT_ROWS = 20_000
HEADS = ["Source", "Case", "Rows/s", "of plain", "CPU s per million", "plain is", ""]


class Figure(msgspec.Struct):
    """Of one case: medians over the rounds. ``like``: the case that the ratios are to."""

    source: str
    case: str
    like: str
    rows_per_sec: list[float]
    cpu_secs_per_million: list[float]


class Runner:
    """Measures the cases of one source."""

    def __init__(self, servers: Servers, source: str, rows: int) -> None:
        self._servers, self._source, self._rows = servers, source, rows
        self._is_postgres = source.startswith("postgres")
        self._table_count = 0
        self.figures: dict[tuple[str, str], Figure] = {}

    def types(self, chosen: list[str], rounds: int, progress: Progress, task: TaskID) -> None:
        """Measure columns, all of them in one pipeline."""
        columns = COLUMNS[self._source]
        with self._database() as database, self._pipeline(database, Option("null"), Path()) as pipeline:
            self._measure(database, pipeline, columns[PLAIN])  # warms up
            for round_ in range(rounds):
                for n, name in enumerate(chosen):
                    if n % PLAIN_EVERY == 0:
                        self._note(PLAIN, PLAIN, self._measure(database, pipeline, columns[PLAIN]))
                    self._note(name, PLAIN, self._measure(database, pipeline, columns[name]))
                    progress.update(task, advance=1, description=f"{self._source} {round_ + 1}: {name}")

    def options(self, chosen: list[str], rounds: int, progress: Progress, task: TaskID) -> None:
        """Measure options, each in a pipeline of its own, and those that they are compared with."""
        names = list(dict.fromkeys(each for name in chosen for each in (OPTIONS[name].like or name, name)))
        for round_ in range(rounds):
            for name in names:
                option = OPTIONS[name]
                with ExitStack() as stack:
                    database = stack.enter_context(self._database())
                    folder = Path(tempfile.mkdtemp(prefix="deltaforge-bench-"))
                    stack.callback(shutil.rmtree, folder, ignore_errors=True)
                    pipeline = stack.enter_context(self._pipeline(database, option, folder))
                    self._note(
                        name, option.like or name, self._measure(database, pipeline, COLUMNS[self._source][PLAIN])
                    )
                progress.update(task, advance=name in chosen, description=f"{self._source} {round_ + 1}: {name}")

    def _note(self, case: str, like: str, figures: tuple[float, float]) -> None:
        found = self.figures.setdefault((case, like), Figure(self._source, case, like, [], []))
        found.rows_per_sec.append(round(figures[0]))
        found.cpu_secs_per_million.append(round(figures[1], 2))

    @contextmanager
    def _database(self) -> Iterator[Any]:
        with self._servers.get(self._source).fresh_database() as database:
            if self._is_postgres:
                database.execute(*POSTGRES_TYPES, "create publication pub for all tables")
            else:
                database.execute("create table numbers (n int primary key)")
                digits = " cross join ".join(
                    f"(select 0 d union all select {' union all select '.join('123456789')}) t{k}" for k in range(6)
                )
                number = " + ".join(f"t{k}.d * {10**k}" for k in range(6))
                database.execute(f"insert into numbers select 1 + {number} from {digits} where {number} < {self._rows}")
            yield database

    @contextmanager
    def _pipeline(self, database: Any, option: Option, folder: Path) -> Iterator[PipelineProcess]:
        source = (
            postgres_source(database)
            if self._is_postgres
            else mysql_source(database, tables=[f"{database.name}.case%"])
        )
        sinks = [self._sink(option.sink, database.name, folder, option.config)]
        sinks += [self._sink(kind, f"{database.name}-more", folder / "more", {}) for kind in option.more_sinks]
        for n, sink in enumerate(sinks):
            sink["config"]["id"] = f"sink{n}"
        with tempfile.TemporaryDirectory(prefix="deltaforge-bench-") as state:
            pipeline = PipelineProcess(state, source, sinks, **option.spec)
            pipeline.start(stdout=subprocess.DEVNULL if "null" in (option.sink, *option.more_sinks) else None)
            try:
                yield pipeline
                pipeline.stop()
            finally:
                pipeline.end()

    def _sink(self, kind: str, name: str, folder: Path, config: dict[str, Any]) -> dict[str, Any]:
        config = {
            key: value.replace("{topic}", name) if isinstance(value, str) else value for key, value in config.items()
        }
        if kind == "null":
            return {"type": "stdout", "config": {"id": "", **config}}
        if kind == "file":
            folder.mkdir(exist_ok=True)
            sink = FileDestination(folder).sink
        elif kind == "redis":
            sink = RedisDestination(self._servers.get("redis"), name).sink
        elif kind == "kafka-tls":
            broker, authority = self._servers.get("kafka-tls")
            conf = {"security.protocol": "ssl", "ssl.ca.location": str(authority)}
            sink = KafkaDestination(broker, name, client_conf=conf).sink
        else:
            sink = KafkaDestination(self._servers.get("kafka"), name).sink
            if config.get("exactly_once"):
                sink["config"]["client_conf"] = {"transactional.id": name}
        return {**sink, "config": {**sink["config"], **config}}

    def _measure(self, database: Any, pipeline: PipelineProcess, column: Column) -> tuple[float, float]:
        """Rows/s and CPU seconds per million of a case in a running pipeline."""
        self._table_count += 1
        table = f"case{self._table_count}"
        database.execute(
            f"create table {table} (id bigint primary key, a int, note varchar(60), x {column.type})",
            *(sql.replace("{table}", table) for sql in column.before),
        )
        target = delivered_by(pipeline) + self._rows
        if column.change:
            self._write(database, table, column, self._insert(table, column))
            _wait(pipeline, target)
            target += self._rows
        pipeline.ask("pause")
        self._write(database, table, column, column.change.replace("{table}", table) or self._insert(table, column))
        began, cpu_began = time.monotonic(), exact_cpu_secs(pipeline.pid)
        pipeline.ask("resume")
        _wait(pipeline, target)
        secs, cpu = time.monotonic() - began, exact_cpu_secs(pipeline.pid) - cpu_began
        database.execute(f"drop table {table}")
        return self._rows / secs, cpu / self._rows * 1e6

    def _insert(self, table: str, column: Column) -> str:
        numbers = (
            "generate_series({first}, {last}) n" if self._is_postgres else "numbers where n between {first} and {last}"
        )
        values = f"n, n % 5, {COLUMNS[self._source][PLAIN].value}, {column.value}".replace("{n}", "n")
        return f"insert into {table} select {values} from {numbers}"

    def _write(self, database: Any, table: str, column: Column, sql: str) -> None:
        with database.connect() as connection, connection.cursor() as cursor:
            for statement in column.session:
                cursor.execute(statement)
            for first in range(1, self._rows + 1, STATEMENT_ROWS):
                last = min(first + STATEMENT_ROWS - 1, self._rows)
                cursor.execute(sql.replace("{first}", str(first)).replace("{last}", str(last)))
                assert cursor.rowcount == last - first + 1, (table, column, cursor.rowcount)


def _wait(pipeline: PipelineProcess, target: int) -> None:
    while (found := delivered_by(pipeline)) < target:
        pipeline.assert_runs()
        time.sleep(POLL_SECS)
    assert found == target, f"{found} delivered, expected {target}"


def main() -> None:
    """Prints a table; cases below the limit have their ratio in bold."""
    options = _parsed()
    figures: list[Figure] = []
    with Servers() as servers, report.progress_bars() as progress:
        for source in options.source:
            runner = Runner(servers, source, options.rows)
            columns = [name for name in COLUMNS[source] if name != PLAIN and _is_chosen(name, options.only)]
            chosen = [name for name, option in OPTIONS.items() if option.like and _is_chosen(name, options.only)]
            task = progress.add_task(source, total=options.rounds * (len(columns) + len(chosen)))
            if columns:
                runner.types(columns, options.rounds, progress, task)
            if chosen:
                runner.options(chosen, options.rounds, progress, task)
            figures += runner.figures.values()
            print(table_of(list(runner.figures.values())), flush=True)
    text = table_of(figures)
    report.save(options.name, "benchmarks.cliffs", {"rows": options.rows, "figures": figures}, text)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cliffs", description=__doc__)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres-15"], choices=list(COLUMNS))
    parser.add_argument("--only", nargs="+", default=["*"], help="names of cases; * stands for anything")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each case, at most 1,000,000")
    parser.add_argument("--rounds", type=int, default=1, help="medians of so many are kept")
    parser.add_argument("--name", default="cliffs", help="first part of the result's file name")
    return parser.parse_args()


def _is_chosen(name: str, patterns: list[str]) -> bool:
    # not fnmatch itself: brackets stand in names
    return any(fnmatch.fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def table_of(figures: list[Figure]) -> str:
    """GitHub's table form: worst cases of each source first, behind what they are compared with."""
    medians: dict[tuple[str, str], tuple[float, float]] = {}
    groups: dict[tuple[str, str], list[Figure]] = defaultdict(list)
    for each in figures:
        medians[each.source, each.case] = (
            statistics.median(each.rows_per_sec), statistics.median(each.cpu_secs_per_million),
        )  # fmt: skip
        groups[each.source, each.like].append(each)
    rows = []
    for (source, like), members in groups.items():
        plain_rate, plain_cpu = medians[source, like]
        members.sort(key=lambda each: (each.case != like, -medians[each.source, each.case][1]))
        for each in members:
            rate, cpu = medians[source, each.case]
            by_rate, by_cpu = rate / plain_rate, plain_cpu / cpu
            cells = [f"{rate:,.0f}", f"{by_rate:.0%}", f"{cpu:.2f}", f"{by_cpu:.0%}"]
            if each.case == like:
                cells = [cells[0], "", cells[2], ""]
            elif max(by_rate, by_cpu) < LIMIT:
                cells[1], cells[3] = f"**{cells[1]}**", f"**{cells[3]}**"
            mark = f"of {like}" if each.case != like else "plain"
            rows.append([source, each.case, *cells, mark])
    return report.table(HEADS, rows)


if __name__ == "__main__":
    main()
