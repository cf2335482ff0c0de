"""Verbs for the saved state of a stopped pipeline: ``checkpoints``, ``skip``, ``take-over``."""

from __future__ import annotations

import argparse
import json

from deltaforge.cli.options import add_document, add_state_dir, load
from deltaforge.core.errors import SpecError


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``checkpoints``, ``skip`` and ``take-over``."""
    checkpoints = verbs.add_parser("checkpoints", help="print the saved position of each sink, or reset them")
    add_document(checkpoints)
    add_state_dir(checkpoints)
    checkpoints.add_argument(
        "--reset", metavar="TO", help="earliest, latest or a position as JSON: where the next start begins"
    )
    checkpoints.add_argument("--sink", metavar="ID", help="set back only this sink")
    checkpoints.add_argument("--shard", metavar="ID", help="only this shard of the source")
    checkpoints.add_argument("--snapshot", action="store_true", help="with --reset: copy all tables again, too")
    checkpoints.set_defaults(verb=_checkpoints)

    skip = verbs.add_parser("skip", help="print the event that holds a pipeline up, or go past it")
    add_document(skip)
    add_state_dir(skip)
    skip.add_argument("--at", metavar="FILE:POS", help="where the event ends, as the error says")
    skip.add_argument("--shard", metavar="ID", help="which shard of the source stands there")
    skip.add_argument("--reason", metavar="TEXT", help="why it may be left out; kept and logged")
    skip.set_defaults(verb=_skip)

    take_over = verbs.add_parser("take-over", help="take a table's definition from the catalog at the next start")
    add_document(take_over)
    add_state_dir(take_over)
    take_over.add_argument("--table", metavar="DATABASE.TABLE", required=True, help="as the error names it")
    take_over.add_argument("--shard", metavar="ID", help="of which shard of the source, if it has some")
    take_over.set_defaults(verb=_take_over)


def _checkpoints(args: argparse.Namespace) -> int:
    import asyncio

    from deltaforge.checkpoint.reader import read_lane_checkpoints
    from deltaforge.control.checkpoints import checkpoint_views, reset_stopped
    from deltaforge.runtime.paths import PipelinePaths

    document = load(args).spec
    paths = PipelinePaths(args.state_dir, document.metadata.name)
    if args.reset is None:
        if args.sink is not None:
            raise SpecError("--sink says which sink --reset is for", hint="give --reset too")
        if args.shard is not None:
            raise SpecError("--shard says which shard --reset is for", hint="give --reset too")
        if args.snapshot:
            raise SpecError("--snapshot is a part of --reset", hint="give --reset too, or see deltaforge snapshot")
        found = read_lane_checkpoints(paths.recovery, document.lanes())
        print(json.dumps(checkpoint_views(found, None), indent=2))  # noqa: T201 - the output
        return 0
    body = {"to": _place(args.reset), **({"sink_id": args.sink} if args.sink else {})}
    body |= {"snapshot": True} if args.snapshot else {}
    body |= {"shard": args.shard} if args.shard else {}
    answer = asyncio.run(reset_stopped(document, paths, body, status="stopped"))
    print(answer["message"])  # noqa: T201 - the output of the command
    return 0


def _place(text: str) -> object:
    """An edge by its name, or a position as JSON."""
    try:
        return json.loads(text) if text.startswith("{") else text
    except ValueError as exc:
        raise SpecError(f"--reset is neither earliest, latest nor JSON: {exc}") from exc


def _skip(args: argparse.Namespace) -> int:
    import asyncio

    from deltaforge.control.skips import add_skip, skip_views
    from deltaforge.runtime.paths import PipelinePaths

    document = load(args).spec
    paths, shards = PipelinePaths(args.state_dir, document.metadata.name), document.shards()
    if args.at is None:
        if args.reason is not None:
            raise SpecError("--reason is for the event that --at names", hint="give --at too")
        print(json.dumps(asyncio.run(skip_views(paths, shards)), indent=2))  # noqa: T201 - the output of the command
        return 0
    file, _, pos = args.at.rpartition(":")
    if not file or not pos.isdigit():
        raise SpecError(f"--at is {args.at!r}, expected FILE:POS", hint="as the error of the pipeline says")
    body = {"position": {"file": file, "pos": int(pos)}, "reason": args.reason or ""}
    body |= {"shard": args.shard} if args.shard else {}
    print(asyncio.run(add_skip(paths, body, shards))["message"])  # noqa: T201 - the output of the command
    return 0


def _take_over(args: argparse.Namespace) -> int:
    import asyncio

    from deltaforge.control.schemas import take_over
    from deltaforge.control.shards import shard_asked
    from deltaforge.runtime.paths import PipelinePaths

    database, _, table = args.table.partition(".")
    if not database or not table:
        raise SpecError(f"--table is {args.table!r}, expected DATABASE.TABLE")
    document = load(args).spec
    paths = PipelinePaths(args.state_dir, document.metadata.name).of_log(shard_asked(document, args.shard))
    print(asyncio.run(take_over(paths, database, table))["message"])  # noqa: T201 - the output of the command
    return 0
