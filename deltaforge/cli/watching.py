"""Verbs that watch a pipeline of a running server: ``tail`` and ``logs``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from deltaforge.cli.options import say
from deltaforge.cli.pipelines import add_name
from deltaforge.cli.remote import Server, add_server, pipeline_path
from deltaforge.cli.tables import compact, out, printable
from deltaforge.core.errors import ControlError, DeltaForgeError

MAX_SECS = 3600
"""For how long the server streams at most; without ``--seconds`` it is asked again."""
BARS_SECS = 1.0
"""How often the bars of tables that are copied are drawn."""
_VERBS = {"c": "insert", "u": "update", "d": "delete", "r": "read", "t": "truncate"}


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``tail`` and ``logs``."""
    tail = verbs.add_parser("tail", help="show the events that pass through a pipeline, without consuming them")
    add_name(tail)
    tail.add_argument("-n", "--limit", metavar="COUNT", type=count, help="end after so many events")
    tail.add_argument("--table", metavar="PATTERN", help="only of these tables, such as shop.orders or shop.*")
    tail.add_argument("--seconds", type=count, help="end after so long")
    add_server(tail)
    tail.set_defaults(verb=_tail)

    logs = verbs.add_parser("logs", help="show the log of a pipeline")
    add_name(logs)
    logs.add_argument("-n", "--lines", metavar="COUNT", type=count, default=100, help="default: %(default)s")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    add_server(logs)
    logs.set_defaults(verb=_logs)


def count(text: str) -> int:
    """A whole number from 1; the name is what a wrong one is said to be none of."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _tail(args: argparse.Namespace) -> int:
    server = Server(args)
    with _bars_below(server, args):
        return _show_events(server, args)


def _show_events(server: Server, args: argparse.Namespace) -> int:
    left_out = 0
    for event in _events(server, args):
        note = event.get("tail")
        if args.json:
            out(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
        elif note is None:
            out(printable(_event_line(event)))
        elif note.get("left_out", 0) > left_out:
            say(f"{note['left_out'] - left_out:,} events left out: more pass than can be shown")
            left_out = note["left_out"]
        sys.stdout.flush()
        if note and note.get("ended") == "pipeline":
            say(f"pipeline {args.name} has ended")
        elif note and note.get("ended") == "killed":
            raise ControlError(f"the process of pipeline {args.name} is gone", hint="deltaforge logs says more")
    return 0


@contextmanager
def _bars_below(server: Server, args: argparse.Namespace) -> Iterator[None]:
    """While it is open, tables that are copied have bars below the output, if that is a terminal."""
    from deltaforge.observability.snapshot_bars import SnapshotBars
    from deltaforge.observability.terminal import StatusBelow, is_terminal

    if args.json or not is_terminal(sys.stdout):
        yield
        return
    below, bars, done = StatusBelow(sys.stdout), SnapshotBars(), threading.Event()

    def show() -> None:
        while not done.wait(BARS_SECS):
            try:
                jobs = server.call("GET", pipeline_path(args.name, "snapshots"))
            except DeltaForgeError:
                continue  # the stream of events ends with the reason
            width, _ = shutil.get_terminal_size()
            below.show("", bars.rows(jobs, time.monotonic(), width=width))

    thread = threading.Thread(target=show, name="snapshot-bars", daemon=True)
    thread.start()
    try:
        with redirect_stdout(cast("TextIO", below)):
            yield
    finally:
        done.set()
        thread.join(timeout=BARS_SECS)
        below.show("")


def _events(server: Server, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Events and notes, over as many requests as it takes."""
    limit = args.limit
    while True:
        seconds = args.seconds or MAX_SECS
        ended = None
        for event in server.lines(pipeline_path(args.name, "events", limit=limit, table=args.table, seconds=seconds)):
            ended = event["tail"].get("ended") if "tail" in event else ended
            if ended == "seconds" and args.seconds is None:
                limit = limit and limit - event["tail"]["shown"]
                continue
            yield event
        if ended is None:
            raise ControlError("the connection to the server has ended")
        if ended != "seconds" or args.seconds is not None:
            return


def _event_line(event: dict[str, Any]) -> str:
    """One event for people: when, what, where, and what is new in the row."""
    source = event["source"]
    at = datetime.fromtimestamp(event["ts_ms"] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    table = f"{source.get('schema') or source['db']}.{source['table']}"
    before, after = event.get("before"), event.get("after")
    image = after if after is not None else before or {}
    parts = []
    for name, value in image.items():
        old = before.get(name, value) if before is not None and after is not None else value
        shown = compact(value)
        parts.append(f"{name}={shown}" if old == value else f"{name}={compact(old)} → {shown}")
    return f"{at} {_VERBS.get(event['op'], event['op']):8} {table}  {' '.join(parts)}"


def _logs(args: argparse.Namespace) -> int:
    server, lines = Server(args), args.lines
    while True:
        follow = {"follow": "true", "seconds": MAX_SECS} if args.follow else {}
        for line in server.lines(pipeline_path(args.name, "logs", lines=lines, **follow)):
            out(json.dumps(line, ensure_ascii=False) if args.json else printable(line["line"]))
            sys.stdout.flush()
        if not args.follow:
            return 0
        lines = 1  # the server ends it after a while; the last line comes twice rather than never
