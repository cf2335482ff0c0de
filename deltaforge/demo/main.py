"""The demo from start to end: database, control plane, pipeline over REST, workload, comparison."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deltaforge.core.errors import ControlError, DeltaForgeError
from deltaforge.demo.embedded_postgres import EmbeddedPostgres
from deltaforge.demo.shop import TABLES, Shop

WAIT_SECS = 60.0
SHOWN = 12


def main(argv: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="deltaforge demo", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="transactions of the shop (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything in this folder")
    args = parser.parse_args(argv)
    console = Console()
    try:
        with _folder(args.keep) as folder:
            return _demo(folder, args.steps, console)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except DeltaForgeError as error:
        console.print(f"[red]demo failed:[/] {error}")
        return error.exit_code


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
    out = folder / "changes.jsonl"
    with contextlib.ExitStack() as cleanup:
        console.print("[bold]1.[/] starting an embedded PostgreSQL …")
        cleanup.callback(database.stop)
        database.start()
        with database.connect("postgres") as admin:
            admin.execute("create database shop")
        connection = cleanup.enter_context(database.connect("shop"))
        connection.execute(TABLES.encode())
        console.print("[bold]2.[/] starting the control plane …")
        api = cleanup.enter_context(_control_plane(folder))
        console.print(f"[bold]3.[/] creating a pipeline over REST: POST {api}/pipelines")
        info = _request(f"{api}/pipelines", _document(database.url("shop"), out))
        console.print(f"   pipeline [bold]{info['name']}[/] is [green]{info['status']}[/]")
        console.print(f"[bold]4.[/] the shop opens: {steps} transactions, and a new column in the middle")
        _work(Shop(connection), steps, out, console)
        console.print("[bold]5.[/] comparing the rebuilt tables with the database …")
        is_equal = _compare(connection, out, console)
        _request(f"{api}/pipelines/shop/stop", {})
    console.print("everything is stopped")
    return 0 if is_equal else 1


def _document(dsn: str, out: Path) -> dict[str, Any]:
    config = {"id": "shop-db", "dsn": dsn, "publication": "shop", "slot": "shop", "tables": ["public.*"]}
    return {
        "metadata": {"name": "shop", "tenant": "demo"},
        "spec": {
            "source": {"type": "postgres", "config": config},
            "processors": [],
            "sinks": [
                {"type": "file", "config": {"id": "file", "path": str(out)}},
                {"type": "stdout", "config": {"id": "stdout", "required": False}},
            ],
        },
    }


@contextlib.contextmanager
def _control_plane(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        api, metrics = (f"127.0.0.1:{probe.getsockname()[1]}" for probe in (one, two))
    command = [sys.executable, "-P", "-m", "deltaforge", "serve", "--api-addr", api, "--metrics-addr", metrics]
    command += ["--storage-path", str(folder / "deltaforge.db"), "--state-dir", str(folder / "state")]
    command += ["--output-dir", str(folder)]
    with (folder / "control-plane.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ourselves
    try:
        _wait_for_health(f"http://{api}", process)
        yield f"http://{api}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait_for_health(api: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_SECS
    while True:
        try:
            _request(f"{api}/health")
        except OSError as exc:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ControlError("the control plane did not start", hint="run with --keep and read its log") from exc
            time.sleep(0.1)
        else:
            return


def _request(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=WAIT_SECS) as answer:  # noqa: S310 - loopback
        found: dict[str, Any] = json.load(answer)
        return found


def _work(shop: Shop, steps: int, out: Path, console: Console) -> None:
    began, shown = time.monotonic(), 0
    columns = (TextColumn("   {task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("shop", total=steps, rate="")

        def after_step(step: int) -> None:
            nonlocal shown
            if step % 50 == 0 or step == steps - 1:
                lines = _lines(out)
                for line in lines[shown : min(len(lines), SHOWN)]:
                    progress.console.print(_pretty(json.loads(line)))
                shown = len(lines)
                rate = f"{len(lines):,} changes, {len(lines) / (time.monotonic() - began):,.0f}/s"
                progress.update(task, completed=step + 1, rate=rate)

        shop.work(steps, after_step)


def _lines(out: Path) -> list[bytes]:
    return out.read_bytes().split(b"\n")[:-1] if out.exists() else []


def _pretty(event: dict[str, Any]) -> str:
    verb = {"c": "[green]insert[/]", "u": "[yellow]update[/]", "d": "[red]delete[/]"}.get(event["op"], event["op"])
    image = event["after"] or event["before"] or {}
    text = ", ".join(f"{name}={value}" for name, value in list(image.items())[:5]).replace("[", "\\[")
    return f"   {verb} {event['source']['table']:10} {text}"


def _compare(connection: Any, out: Path, console: Console) -> bool:
    expected = {
        table: {row[0] for row in connection.execute(f"select id from {table}")}  # noqa: S608 - constants
        for table in ("customers", "orders")
    }
    statuses = dict(connection.execute("select id, status || ' ' || amount from orders").fetchall())
    deadline = time.monotonic() + WAIT_SECS
    while True:
        tables = _rebuilt(_lines(out))
        found = {number: f"{row['status']} {row['amount']}" for number, row in tables["orders"].items()}
        if found == statuses and {name: set(rows) for name, rows in tables.items()} == expected:
            counts = ", ".join(f"{len(rows):,} {name}" for name, rows in tables.items())
            console.print(f"   [green]equal[/]: {counts}, rebuilt from {len(_lines(out)):,} changes")
            return True
        if time.monotonic() > deadline:
            console.print("   [red]different[/]")
            return False
        time.sleep(0.2)


def _rebuilt(lines: list[bytes]) -> dict[str, dict[int, dict[str, Any]]]:
    tables: dict[str, dict[int, dict[str, Any]]] = {"customers": {}, "orders": {}}
    for line in lines:
        event = json.loads(line)
        rows = tables[event["source"]["table"]]
        if event["op"] == "d":
            rows.pop(event["before"]["id"], None)
        else:
            rows[event["after"]["id"]] = event["after"]
    return tables
