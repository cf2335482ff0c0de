"""The demo from start to end: database, control plane, pipeline over REST, copy, workload, a kill, comparison."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.demo.changes import Changes, pretty
from deltaforge.demo.control_plane import PIPELINE, WAIT_SECS, ControlPlane, control_plane
from deltaforge.demo.embedded_postgres import EmbeddedPostgres
from deltaforge.demo.shop import CUSTOMERS, NEW_COLUMN, ORDERS, Shop

SHOWN_COPIES = 3
"""Rows that are printed of those that were there before."""
SHOWN = 8
"""Changes that are printed at the beginning."""
SHOWN_NEW = 3
"""Changes that are printed with the new column."""
NEXT = """
[bold]What next[/]
   deltaforge init                 writes a document for your own database: pipeline.yaml
   deltaforge doctor pipeline.yaml checks rights, log settings, tables and sinks
   deltaforge run pipeline.yaml    runs it here
   deltaforge serve                or under a control plane; then: deltaforge create pipeline.yaml, deltaforge tail NAME
"""


def main(steps: int, keep: Path | None = None) -> int:
    """Run the demo; returns the exit code.

    Args:
        steps: Transactions of the shop.
        keep: Folder for everything that is made; None: a temporary one.
    """
    console = Console()
    try:
        with _folder(keep) as folder:
            code = _demo(folder, steps, console)
        console.print("everything is stopped" + (f"; it is kept in {keep}" if keep else ""), soft_wrap=True)
        console.print(NEXT, soft_wrap=True, highlight=False)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except DeltaForgeError as error:
        console.print(f"[red]demo failed:[/] {escape(str(error))}", soft_wrap=True)
        return error.exit_code
    return code


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="deltaforge-demo-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _demo(folder: Path, steps: int, console: Console) -> int:
    database = EmbeddedPostgres(folder / "database")
    changes = Changes(folder / "changes.jsonl")
    with contextlib.ExitStack() as cleanup:
        console.print("[bold]1.[/] starting an embedded PostgreSQL …")
        cleanup.callback(database.stop)
        database.start()
        with database.connect("postgres") as admin:
            admin.execute("create database shop")
        connection = cleanup.enter_context(database.connect("shop"))
        shop = Shop(connection)
        console.print(f"   it has a shop with {CUSTOMERS:,} customers and {ORDERS:,} orders")
        console.print("[bold]2.[/] starting the control plane …")
        plane = cleanup.enter_context(control_plane(folder))
        console.print(f"[bold]3.[/] creating a pipeline over REST: POST {plane.url}/pipelines")
        info = plane.request("/pipelines", _document(database.url("shop"), folder / "changes.jsonl"))
        console.print(f"   pipeline [bold]{info['name']}[/] is [green]{info['status']}[/]")
        console.print("[bold]4.[/] what is there is copied; the shop is not locked, and its log is read already")
        _copy(plane, changes, console)
        console.print(f"[bold]5.[/] the shop opens: {steps:,} transactions")
        _Evening(plane, changes, console).watch(shop, steps)
        console.print("[bold]6.[/] comparing the tables rebuilt from the changes with the database …")
        is_equal = _compare(connection, changes, console)
        plane.request(f"/pipelines/{PIPELINE}/stop", {})
    return 0 if is_equal else 1


def _document(dsn: str, out: Path) -> dict[str, Any]:
    config: dict[str, Any] = {
        "id": "shop-db",
        "dsn": dsn,
        "publication": "shop",
        "slot": "shop",
        "tables": ["public.*"],
    }
    config["snapshot"] = {"mode": "initial", "chunk_size": 5000}
    return {
        "metadata": {"name": PIPELINE, "tenant": "demo"},
        "spec": {
            "source": {"type": "postgres", "config": config},
            "processors": [],
            "sinks": [{"type": "file", "config": {"id": "file", "path": str(out)}}],
        },
    }


def _copy(plane: ControlPlane, changes: Changes, console: Console) -> None:
    """Show the copy of the tables until it is in the file."""
    columns = (TextColumn("   {task.description:10}"), BarColumn(), TextColumn("{task.fields[rows]:,} rows"))
    deadline, shown = time.monotonic() + WAIT_SECS, 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}
        while True:
            job = plane.snapshot()
            for table in job["tables"] if job else ():
                name = table["name"].removeprefix("public.")
                task = tasks.get(name) or progress.add_task(name, total=1.0, rows=0)
                tasks[name] = task
                progress.update(task, completed=table["fraction"], rows=table["rows"])
            for event in changes.read():
                if shown < SHOWN_COPIES and event["op"] == "r":
                    shown += 1
                    console.print(pretty(event), soft_wrap=True, highlight=False)
            if job and job["status"] == "completed" and changes.copied_count >= job["rows"]:
                break
            if (job and job["status"] == "failed") or time.monotonic() > deadline:
                raise ControlError(f"the tables were not copied: {plane.log()}")
            time.sleep(0.1)
    console.print(f"   [green]copied[/]: {job['rows']:,} rows of {len(job['tables'])} tables")


class _Evening:
    """What is shown while the shop is open: changes, the kill, the new column."""

    def __init__(self, plane: ControlPlane, changes: Changes, console: Console) -> None:
        self._plane = plane
        self._changes = changes
        self._console = console
        self._shown = 0
        self._shown_new = 0
        self._killed: int | None = None
        self._is_back = False

    def watch(self, shop: Shop, steps: int) -> None:
        """Let the shop work; returns when the killed pipeline is back."""
        columns = (
            TextColumn("   {task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn()
        )  # fmt: skip
        began = time.monotonic()
        # Whoever reads a file wants no bar that was redrawn into it.
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            task = progress.add_task("shop", total=steps, rate="")

            def after_step(step: int) -> None:
                if step == steps // 3:
                    self._kill()
                if step == steps // 2:
                    self._console.print(f"   [bold]alter table orders add column {NEW_COLUMN}[/]")
                if step % 50 == 0 or step == steps - 1:
                    self._look()
                    count = self._changes.count - self._changes.copied_count
                    rate = f"{count:,} changes delivered, {count / (time.monotonic() - began):,.0f}/s"
                    progress.update(task, completed=step + 1, rate=rate)

            shop.work(steps, after_step)
        deadline = time.monotonic() + WAIT_SECS
        while not (self._is_back and self._shown_new >= min(SHOWN_NEW, shop.new_count)):
            if time.monotonic() > deadline:
                raise ControlError(f"the pipeline did not come back: {self._plane.log()}")
            time.sleep(0.1)
            self._look()

    def _kill(self) -> None:
        self._killed = self._plane.pipeline_pid()
        os.kill(self._killed, signal.SIGKILL)
        self._console.print(f"   [bold red]kill -9 {self._killed}[/]: the pipeline is dead, and the shop goes on")

    def _look(self) -> None:
        """Print what is worth it of what came."""
        if self._killed is not None and not self._is_back and self._plane.pipeline_pid() != self._killed:
            self._is_back = self._plane.is_up()
            if self._is_back:
                place = f"process {self._plane.pipeline_pid()}, which goes on from {self._plane.position()}"
                self._console.print(f"   [bold green]restarted[/] by the control plane: {place}", soft_wrap=True)
        for event in self._changes.read():
            if NEW_COLUMN in (event["after"] or {}):
                if self._shown_new < SHOWN_NEW:
                    self._shown_new += 1
                    self._console.print(pretty(event, column=NEW_COLUMN), soft_wrap=True, highlight=False)
            elif self._shown < SHOWN:
                self._shown += 1
                self._console.print(pretty(event), soft_wrap=True, highlight=False)


def _compare(connection: psycopg.Connection[TupleRow], changes: Changes, console: Console) -> bool:
    expected = {
        table: {row[0]: row[1] for row in connection.execute(query)}
        for table, query in (
            ("customers", b"select id, name from customers"),
            ("orders", b"select id, status || ' ' || amount from orders"),
        )
    }
    deadline = time.monotonic() + WAIT_SECS
    while True:
        changes.read()
        tables = changes.tables
        found = {
            "customers": {number: row["name"] for number, row in tables["customers"].items()},
            "orders": {number: f"{row['status']} {row['amount']}" for number, row in tables["orders"].items()},
        }
        if found == expected:
            counts = ", ".join(f"{len(rows):,} {name}" for name, rows in tables.items())
            again = f" ({changes.repeated_count:,} of them twice)" if changes.repeated_count else ""
            came = f"from {changes.copied_count:,} copied rows and {changes.count - changes.copied_count:,} changes"
            console.print(f"   [green]equal, nothing is lost[/]: {counts}, {came}{again}", soft_wrap=True)
            return True
        if time.monotonic() > deadline:
            console.print("   [red]different[/]")
            return False
        time.sleep(0.2)
