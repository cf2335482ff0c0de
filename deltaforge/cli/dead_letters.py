"""``deltaforge dlq``: the dead letters of a pipeline of a running server."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from deltaforge.cli.pipelines import add_name, confirm
from deltaforge.cli.remote import Server, add_server, pipeline_path
from deltaforge.cli.tables import out, out_json, table
from deltaforge.core.errors import SpecError

EXIT_FAILURE = 1


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``dlq``."""
    parser = verbs.add_parser("dlq", help="list, count, ack, retry or purge the dead letters of a pipeline")
    add_name(parser)
    parser.add_argument(
        "action", choices=("list", "count", "ack", "retry", "purge"), nargs="?", default="list", help="default: list"
    )
    parser.add_argument("--limit", metavar="COUNT", type=int, help="of list (50) and retry (1)")
    parser.add_argument("--sink", metavar="ID", help="list and retry: only entries of this sink")
    parser.add_argument("--kind", metavar="KIND", help="list and retry: only these, such as serialization")
    parser.add_argument("--seq", metavar="SEQ", type=int, action="append", help="retry: this entry; may be repeated")
    parser.add_argument("--up-to", metavar="SEQ", type=int, help="ack: remove everything up to this entry")
    parser.add_argument("--yes", action="store_true", help="purge: do not ask")
    add_server(parser)
    parser.set_defaults(verb=_dlq)


def _dlq(args: argparse.Namespace) -> int:
    for option in ("limit", "sink", "kind"):
        if getattr(args, option) is not None and args.action not in ("list", "retry"):
            raise SpecError(f"--{option} is for list and retry")
    if args.seq and args.action != "retry":
        raise SpecError("--seq is for retry")
    if (args.up_to is not None) != (args.action == "ack"):
        raise SpecError("--up-to says up to which entry ack removes them", hint="deltaforge dlq NAME ack --up-to SEQ")
    return _ACTIONS[args.action](args, Server(args))


def _list(args: argparse.Namespace, server: Server) -> int:
    query = {"limit": args.limit, "sink_id": args.sink, "error_kind": args.kind}
    found = server.call("GET", _path(args, **query))
    if args.json:
        out_json(found)
        return 0
    table(("SEQ", "AT", "SINK", "KIND", "TABLE", "ERROR"), [_row(entry) for entry in found])
    return 0


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    meta, event = entry["meta"], entry["event"]
    source = event.get("source", {}) if isinstance(event, dict) else {}
    at = datetime.fromtimestamp(entry["timestamp"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    where = f"{source.get('schema') or source.get('db', '')}.{source.get('table', '')}"
    return str(entry["seq"]), at, meta["sink_id"], meta["error_kind"], where, meta["error_message"]


def _count(args: argparse.Namespace, server: Server) -> int:
    return _say(args, server.call("GET", _path(args, "count")), "{count} entries")


def _ack(args: argparse.Namespace, server: Server) -> int:
    body = json.dumps({"up_to_seq": args.up_to}).encode()
    return _say(args, server.call("POST", _path(args, "ack"), body), "{acked} entries are removed")


def _purge(args: argparse.Namespace, server: Server) -> int:
    confirm(args, f"remove all dead letters of pipeline {args.name}?")
    return _say(args, server.call("DELETE", _path(args)), "{purged} entries are removed")


def _retry(args: argparse.Namespace, server: Server) -> int:
    wanted = {"seqs": args.seq, "limit": args.limit, "sink_id": args.sink, "error_kind": args.kind}
    body = json.dumps({key: value for key, value in wanted.items() if value is not None}).encode()
    answer = server.call("POST", _path(args, "retry"), body)
    _say(args, answer, "{delivered} delivered, {failed} failed")
    if not args.json:
        for entry in answer["entries"]:
            if entry.get("error"):
                out(f"{entry['seq']}: {entry['error']}")
    return EXIT_FAILURE if answer["failed"] else 0


def _say(args: argparse.Namespace, answer: dict[str, Any], text: str) -> int:
    if args.json:
        out_json(answer)
    else:
        out(text.format(**answer))
    return 0


def _path(args: argparse.Namespace, *parts: str, **query: object) -> str:
    return pipeline_path(args.name, "journal", "dlq", *parts, **query)


_ACTIONS = {"list": _list, "count": _count, "ack": _ack, "retry": _retry, "purge": _purge}
