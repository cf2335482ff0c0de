"""Verbs for the pipelines of a running server: ``list``, ``status``, ``create``, ``patch`` and those that move them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from deltaforge.cli.options import say
from deltaforge.cli.remote import JSON, Server, add_server, pipeline_path
from deltaforge.cli.tables import age, compact, fields, out, out_json, printable, table
from deltaforge.core.errors import SpecError

YAML = "application/yaml"
MERGE_PATCH = "application/merge-patch+json"
NAMES_SECS = 2.0
"""Somebody waits for a completion."""
_MOVES = {
    "pause": "read nothing more; the connection stays",
    "resume": "go on from paused, stopped or failed",
    "stop": "deliver what was read, save the position, disconnect",
}


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register everything that asks a server about pipelines or changes them."""
    parser = verbs.add_parser("list", help="the pipelines of a running server")
    parser.add_argument("--label", metavar="KEY[:VALUE]", action="append", help="only with this label; repeated: and")
    parser.add_argument("--names", action="store_true", help="only their names, for scripts and completion")
    add_server(parser)
    parser.set_defaults(verb=_list)

    parser = verbs.add_parser("status", help="how a pipeline of a running server does")
    add_name(parser)
    add_server(parser)
    parser.set_defaults(verb=_status)

    parser = verbs.add_parser("create", help="send a document to a running server, which starts it")
    parser.add_argument("file", metavar="FILE", help="pipeline document, YAML or JSON; - for standard input")
    add_server(parser)
    parser.set_defaults(verb=_create)

    parser = verbs.add_parser("patch", help="change the document of a pipeline, which restarts from its position")
    add_name(parser)
    parser.add_argument("file", metavar="FILE", nargs="?", help="what changes, YAML or JSON; - for standard input")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="such as spec.batch.max_events=5000"
    )
    parser.add_argument(
        "--replace-lists", action="store_true", help="a list replaces the old one; else its elements are merged"
    )
    add_server(parser)
    parser.set_defaults(verb=_patch)

    for name, text in _MOVES.items():
        parser = verbs.add_parser(name, help=text)
        add_name(parser)
        if name != "stop":
            parser.add_argument("--shard", metavar="ID", help="only this shard of its source")
        add_server(parser)
        parser.set_defaults(verb=_move, move=name, shard=None)

    parser = verbs.add_parser("delete", help="stop a pipeline and forget it with its position")
    add_name(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--drop-slot", action="store_true", help="drop the replication slot of the source, too")
    add_server(parser)
    parser.set_defaults(verb=_delete)

    parser = verbs.add_parser("log-level", help="the level filter of a running server, or set it")
    parser.add_argument("level", metavar="LEVEL", nargs="?", help="such as info,deltaforge.sinks=debug")
    add_server(parser)
    parser.set_defaults(verb=_log_level)


def add_name(parser: argparse.ArgumentParser) -> None:
    """NAME of a pipeline."""
    parser.add_argument("name", metavar="NAME", help="of the pipeline")


def confirm(args: argparse.Namespace, question: str) -> None:
    """Go on only if the person at the terminal says so, or ``--yes`` was given.

    Raises:
        SpecError: There is nobody to ask, or the answer is no.
    """
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise SpecError("nobody is there to ask", hint="give --yes")
    say(f"{question} [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SpecError("nothing was changed")


def _list(args: argparse.Namespace) -> int:
    from urllib.parse import urlencode

    query = urlencode([("label", label) for label in args.label or ()])
    server = Server(args, answer_secs=NAMES_SECS) if args.names else Server(args)
    found = server.call("GET", f"/pipelines?{query}" if query else "/pipelines")
    if args.names:
        for info in found:
            out(printable(info["name"]))
        return 0
    if args.json:
        out_json(found)
        return 0
    table(("NAME", "STATUS", "SOURCE", "SINKS", "LABELS"), [_row(info) for info in found])
    return 0


def _row(info: dict[str, Any]) -> tuple[str, ...]:
    document = info["spec"]
    source, sinks = document["spec"]["source"], document["spec"]["sinks"]
    labels = document["metadata"].get("labels") or {}
    return (
        info["name"],
        info["status"],
        f"{source['type']} {source['config']['id']}",
        ", ".join(f"{sink['type']} {sink['config']['id']}" for sink in sinks),
        ", ".join(f"{key}:{value}" for key, value in labels.items()),
    )


def _status(args: argparse.Namespace) -> int:
    from deltaforge.observability.snapshot_bars import job_line

    info = Server(args).call("GET", pipeline_path(args.name))
    if args.json:
        out_json(info)
        return 0
    ops, (_, _, source, _, labels) = info["ops"], _row(info)
    lag = [age(ops["lag_seconds"])] if ops["lag_seconds"] is not None else []
    lag += [f"{ops['lag_bytes']:,} bytes"] if "lag_bytes" in ops else []
    unmatched = ops.get("unmatched_patterns") or {}
    by_python = ops.get("python_rows") or {}
    fields(
        [
            ("pipeline", info["name"]),
            ("status", info["status"]),
            ("error", ops.get("error") or ""),
            ("up for", age(ops["uptime_seconds"]) if ops["uptime_seconds"] is not None else ""),
            ("source", source),
            *((f"shard {shard['id']}", _shard_text(shard)) for shard in ops.get("shards") or ()),
            ("lag", ", ".join(lag)),
            ("labels", labels),
            ("dead letters", str(ops["dlq_entries"] or "")),
            ("decoded by Python", ", ".join(f"{count:,} rows ({reason})" for reason, count in by_python.items())),
            ("snapshots", "; ".join(map(job_line, ops.get("snapshots") or ()))),
            ("no table for", ", ".join(f"{pattern} ({reason})" for pattern, reason in unmatched.items())),
        ]
    )
    out("")
    rows = [row for sink in info["spec"]["spec"]["sinks"] for row in _sink_rows(sink, ops)]
    table(("SINK", "TYPE", "ACKED", "POSITION", "ERROR"), rows)
    return 0


def _shard_text(shard: dict[str, Any]) -> str:
    lag = [f"last event {age(shard['lag_seconds'])} ago"] if shard["lag_seconds"] is not None else []
    lag += [f"{shard['lag_bytes']:,} bytes behind"] if "lag_bytes" in shard else []
    return ", ".join([shard["state"], *lag, *([shard["last_error"]] if shard["last_error"] else [])])


def _sink_rows(sink: dict[str, Any], ops: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each lane of which something is saved, or one that says that nothing is."""
    found = [checkpoint for checkpoint in ops["checkpoints"] if checkpoint["sink_id"] == sink["config"]["id"]]
    return [_sink_row(sink, saved, ops) for saved in found or [None]]


def _sink_row(sink: dict[str, Any], saved: dict[str, Any] | None, ops: dict[str, Any]) -> tuple[str, ...]:
    name = sink["config"]["id"]
    shown = f"{name} lane {saved['lane']}" if saved and "lane" in saved else name
    acked = f"{age(saved['age_seconds'])} ago" if saved else "-"
    position = " ".join(f"{key} {compact(value)}" for key, value in saved["position"].items()) if saved else "-"
    return shown, sink["type"], acked, position, ops["sink_errors"].get(name, "")


def _create(args: argparse.Namespace) -> int:
    media_type = JSON if args.file.endswith(".json") else YAML
    info = Server(args).call("POST", "/pipelines", _content(args.file), content_type=media_type)
    _changed(args, "created", info)
    return 0


def _patch(args: argparse.Namespace) -> int:
    patch = {} if args.file is None else _values(args.file)
    if args.file is None and not args.set:
        raise SpecError("nothing to change", hint="give FILE or --set KEY=VALUE")
    for change in args.set:
        _set(patch, change)
    media_type = MERGE_PATCH if args.replace_lists else JSON
    info = Server(args).call("PATCH", pipeline_path(args.name), json.dumps(patch).encode(), content_type=media_type)
    _changed(args, "patched", info)
    return 0


def _move(args: argparse.Namespace) -> int:
    _changed(args, args.move, Server(args).call("POST", pipeline_path(args.name, args.move, shard=args.shard)))
    return 0


def _delete(args: argparse.Namespace) -> int:
    confirm(args, f"delete pipeline {args.name} with its position and dead letters?")
    path = pipeline_path(args.name, drop_slot="true" if args.drop_slot else None)
    left = Server(args).header("DELETE", path, "DeltaForge-Slot-Left")
    if left is not None:
        say(f"its replication slot is left on the server: {printable(left)}")
    if not args.json:
        out(f"{args.name} is deleted")
    return 0


def _log_level(args: argparse.Namespace) -> int:
    server = Server(args)
    if args.level is None:
        answer = server.call("GET", "/log-level")
    else:
        answer = server.call("PUT", "/log-level", json.dumps({"level": args.level}).encode())
    if args.json:
        out_json(answer)
    else:
        out(answer["level"])
    return 0


def _changed(args: argparse.Namespace, what: str, info: dict[str, Any]) -> None:
    if args.json:
        out_json(info)
    else:
        said = f"{what}, " if what in ("created", "patched") else ""
        out(f"{info['name']} is {said}{info['status']}")


def _content(file: str) -> bytes:
    """A file or standard input as it is: the server's errors have its lines."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise SpecError(f"cannot read {file}: {exc.strerror}") from exc


def _values(file: str) -> Any:
    """What a file or standard input holds. Variables stay: the server replaces those that it allows."""
    from deltaforge.spec import read_values

    if file == "-":
        return read_values(Path("standard input"), sys.stdin.read())
    return read_values(Path(file))


def _set(patch: Any, change: str) -> None:
    """Put ``a.b=value`` into a patch; what is no JSON is text."""
    key, equals, text = change.partition("=")
    steps = key.split(".")
    if not equals or not all(steps):
        raise SpecError(f"--set is {change!r}, expected KEY=VALUE such as spec.batch.max_events=5000")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    for step in steps[:-1]:
        patch = patch.setdefault(step, {}) if isinstance(patch, dict) else None
    if not isinstance(patch, dict):
        raise SpecError(f"--set {key}: something before its last part is no object")
    patch[steps[-1]] = value
