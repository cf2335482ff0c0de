"""``deltaforge snapshot``: copy tables of a pipeline: by its name on a running server, by its file on this machine."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from deltaforge.cli.options import add_secrets_dir, add_state_dir, load, positive, say
from deltaforge.cli.remote import Server, add_server, pipeline_path
from deltaforge.cli.tables import age, out, out_json, printable, table
from deltaforge.core.errors import ControlError, NotFoundError, SpecError

EXIT_FAILURE = 1
SUFFIXES = (".yaml", ".yml", ".json")
"""Of a document; anything else is the name of a pipeline."""
FOLLOW_SECS = 0.5
LINE_SECS = 10.0
"""Between two lines of progress where there is no terminal."""
ID_LENGTH = 8
_OVER = ("completed", "failed", "cancelled")
_START = ("where", "sink", "shard", "rate", "truncate_first", "follow")
_ACTIONS = ("list", "start", "show", "pause", "resume", "cancel")


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``snapshot``."""
    parser = verbs.add_parser("snapshot", help="copy rows that tables have already, while changes go on; or list that")
    parser.add_argument(
        "pipeline", metavar="NAME", help="of the pipeline on a server; or its document, a file .yaml, .yml or .json"
    )
    parser.add_argument(
        "action", choices=_ACTIONS, nargs="?", help="default: start with --table, else list; cancel is for good"
    )
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="of the snapshot, or how it begins: show, pause, resume, cancel"
    )
    group = parser.add_argument_group("start")
    group.add_argument(
        "--table", metavar="PATTERN", action="append", help="which tables, such as shop.*; may be repeated"
    )
    group.add_argument("--where", metavar="SQL", help="which rows, a condition in the SQL of the source")
    group.add_argument("--sink", metavar="ID", action="append", help="only for this sink; again for more")
    group.add_argument("--shard", metavar="ID", help="of which shard of the source, if it has some")
    group.add_argument("--rate", metavar="ROWS", type=positive, help="at most so many rows per second")
    group.add_argument(
        "--truncate-first", action="store_true", help="send a truncate event before the first row of a table"
    )
    group.add_argument("--follow", action="store_true", help="show the progress until the end; also of show")
    local = parser.add_argument_group("file")
    add_state_dir(local)
    add_secrets_dir(local)
    local.add_argument("--strict", action="store_true", help="unknown keys and unset variables are errors")
    add_server(parser)
    parser.set_defaults(verb=_snapshot)


class _Snapshots(Protocol):
    """The snapshots of one pipeline, wherever it is."""

    def all(self) -> list[dict[str, Any]]:
        """As over REST."""

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        """As over REST."""

    def change(self, job_id: str, change: Any) -> dict[str, Any]:
        """``pause``, ``resume`` or ``cancel``."""


class _Remote:
    def __init__(self, args: argparse.Namespace) -> None:
        self._server = Server(args)
        self._name = args.pipeline

    def all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._server.call("GET", self._path())
        return found

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        job: dict[str, Any] = self._server.call("POST", self._path(), json.dumps(body).encode())
        return job

    def change(self, job_id: str, change: Any) -> dict[str, Any]:
        method, path = ("DELETE", self._path(job_id)) if change == "cancel" else ("POST", self._path(job_id, change))
        job: dict[str, Any] = self._server.call(method, path)
        return job

    def _path(self, *parts: str) -> str:
        return pipeline_path(self._name, "snapshots", *parts)


class _Local:
    def __init__(self, args: argparse.Namespace) -> None:
        from deltaforge.runtime.paths import PipelinePaths

        args.file = Path(args.pipeline)
        self._document = load(args).spec
        self._paths = PipelinePaths(args.state_dir, self._document.metadata.name)

    def all(self) -> list[dict[str, Any]]:
        import asyncio

        from deltaforge.control.snapshots import snapshot_views

        return asyncio.run(snapshot_views(self._paths, self._document.shards()))

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        import asyncio

        from deltaforge.control.snapshots import request_snapshot

        return asyncio.run(request_snapshot(self._document, self._paths, body))

    def change(self, job_id: str, change: Any) -> dict[str, Any]:
        import asyncio

        from deltaforge.control.snapshots import change_snapshot

        return asyncio.run(change_snapshot(self._paths, job_id, change, self._document.shards()))


def _snapshot(args: argparse.Namespace) -> int:
    args.action = args.action or ("start" if args.table else "list")
    if (args.id is None) == (args.action in ("show", "pause", "resume", "cancel")):
        needs = "needs the ID of a snapshot" if args.id is None else "takes no ID"
        raise SpecError(f"{args.action} {needs}", hint=f"deltaforge snapshot {args.pipeline} lists them")
    if args.action != "start":
        for option in ("table", *_START):
            if getattr(args, option) and not (option == "follow" and args.action == "show"):
                raise SpecError(
                    f"--{option.replace('_', '-')} is for start", hint="say what to copy with --table, or leave it out"
                )
    elif not args.table:
        raise SpecError("start needs --table", hint="--table '*' for all that the pipeline captures")
    snapshots: _Snapshots = _Local(args) if args.pipeline.endswith(SUFFIXES) else _Remote(args)
    return _DO.get(args.action, _change)(args, snapshots)


def _list(args: argparse.Namespace, snapshots: _Snapshots) -> int:
    jobs = snapshots.all()
    if args.json:
        out_json(jobs)
        return 0
    table(("ID", "KIND", "STATUS", "DONE", "ROWS", "LEFT", "TABLES", "NOTE"), [_row(job) for job in jobs])
    return 0


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    names = [found["name"] for found in job["tables"]] or job.get("patterns") or []
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    waits = f"waits for {job['waiting_for']}" if job["waiting_for"] else ""
    left = age(job["eta_seconds"]) if job["eta_seconds"] is not None else "-"
    done = f"{100 * job['fraction']:.0f} %"
    rows = f"{job['rows']:,}"
    kind = f"{job['kind']} of {job['shard']}" if "shard" in job else job["kind"]
    return job["id"][:ID_LENGTH], kind, job["status"], done, rows, left, shown, job["error"] or waits


def _start(args: argparse.Namespace, snapshots: _Snapshots) -> int:
    asked = {"where": args.where, "sinks": args.sink, "max_rows_per_second": args.rate, "shard": args.shard}
    body = {"tables": args.table, **{key: value for key, value in asked.items() if value is not None}}
    job = snapshots.start({**body, **({"truncate_first": True} if args.truncate_first else {})})
    if args.follow:
        say(f"snapshot {job['id']} is {job['status']}")
        return _follow(args, snapshots, job["id"])
    if args.json:
        out_json(job)
    else:
        later = " until the next start of the pipeline" if job["status"] == "requested" else ""
        out(f"snapshot {job['id']} is {job['status']}{later}")
    return 0


def _show(args: argparse.Namespace, snapshots: _Snapshots) -> int:
    job = _named(snapshots.all(), args.id)
    if args.follow:
        return _follow(args, snapshots, job["id"])
    _shown(args, job)
    return 0


def _change(args: argparse.Namespace, snapshots: _Snapshots) -> int:
    job = snapshots.change(_named(snapshots.all(), args.id)["id"], args.action)
    if args.json:
        out_json(job)
    else:
        out(f"snapshot {job['id']} is {job['status']}")
    return 0


def _follow(args: argparse.Namespace, snapshots: _Snapshots, job_id: str) -> int:
    """Show how far a snapshot is until it is over; 1 if it is not completed then."""
    show, end = _progress()
    try:
        while (job := _named(snapshots.all(), job_id))["status"] not in _OVER:
            show(job)
            time.sleep(FOLLOW_SECS)
    finally:
        end()
    _shown(args, job)
    return 0 if job["status"] == "completed" else EXIT_FAILURE


def _progress() -> tuple[Callable[[dict[str, Any]], None], Callable[[], None]]:
    """What shows a job, and what ends it: bars on a terminal, else a line now and then."""
    from deltaforge.observability.snapshot_bars import SnapshotBars, job_line
    from deltaforge.observability.terminal import StatusBelow, is_terminal

    if is_terminal(sys.stderr):
        below, bars = StatusBelow(sys.stderr), SnapshotBars()

        def draw(job: dict[str, Any]) -> None:
            head, *rows = bars.rows([job], time.monotonic(), width=shutil.get_terminal_size().columns)
            below.show(head, rows)

        return draw, lambda: below.show("")
    said_at = time.monotonic()

    def write(job: dict[str, Any]) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= LINE_SECS:
            said_at = time.monotonic()
            say(job_line(job))

    return write, lambda: None


def _shown(args: argparse.Namespace, job: dict[str, Any]) -> None:
    if args.json:
        out_json(job)
        return
    from deltaforge.observability.snapshot_bars import job_line

    out(printable(job_line(job)))
    rows = [
        (
            found["name"],
            found["status"],
            found["method"] or "-",
            f"{100 * found['fraction']:.0f} %",
            f"{found['rows']:,}",
            f"{found['dropped_rows']:,}",
            found["error"] or "",
        )
        for found in job["tables"]
    ]
    table(("TABLE", "STATUS", "METHOD", "DONE", "ROWS", "DROPPED", "ERROR"), rows)


def _named(jobs: list[dict[str, Any]], beginning: str) -> dict[str, Any]:
    """The job whose id is, or begins with, a text."""
    found = [job for job in jobs if job["id"].startswith(beginning)]
    if not found:
        raise NotFoundError(f"there is no snapshot {printable(beginning)}")
    if len(found) > 1 and found[0]["id"] != beginning:
        raise ControlError(f"several snapshots begin with {printable(beginning)}", hint="write more of the ID")
    return found[0]


_DO: dict[str, Callable[[argparse.Namespace, _Snapshots], int]] = {"list": _list, "start": _start, "show": _show}
