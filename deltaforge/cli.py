"""The ``deltaforge`` command. Modules that cost time to import are imported by the verb that needs them."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deltaforge import __version__
from deltaforge.core.errors import DeltaForgeError, SpecError
from deltaforge.protocol.kernel import description

if TYPE_CHECKING:
    from deltaforge.spec import ParsedDocument

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130
KILL_AFTER_SECS = 5.0
"""How long after its limit a pipeline process that was stopped may still be there."""

_DEFAULT_STATE_DIR = Path("data")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 when all went well, 1 after a failure, 2 when the document or an
    option is wrong, 3 when a library is missing, 130 after Ctrl-C.
    """
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    args.rest = rest
    verb: Callable[[argparse.Namespace], int] = args.verb
    if rest and verb is not _demo:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return verb(args)
    except DeltaForgeError as error:
        _say(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away; Python must not try to flush it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except KeyboardInterrupt:
        _say("interrupted")
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deltaforge", description="Change data capture from MySQL, MariaDB and PostgreSQL."
    )
    parser.add_argument("--version", action="version", version=f"deltaforge {__version__}, decoders: {description}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    run = verbs.add_parser("run", help="run one pipeline in the foreground")
    _add_document(run)
    _add_state_dir(run)
    run.add_argument(
        "--storage-path",
        type=Path,
        help="SQLite storage of a control plane that runs this pipeline at other times (default: a file of its own)",
    )
    run.set_defaults(verb=_run)

    _add_serve(verbs.add_parser("serve", help="start the control plane with its REST API"))

    validate = verbs.add_parser("validate", help="check a document; connects to nothing")
    validate.add_argument("file", metavar="FILE", type=Path, nargs="?", help="pipeline document, YAML or JSON")
    validate.add_argument("--strict", action="store_true", help="unknown keys and unset variables are errors")
    validate.add_argument("--schema", action="store_true", help="print the JSON Schema of documents instead")
    validate.set_defaults(verb=_validate)

    checkpoints = verbs.add_parser("checkpoints", help="print the saved position of each sink, or reset them")
    _add_document(checkpoints)
    _add_state_dir(checkpoints)
    checkpoints.add_argument(
        "--reset", metavar="TO", help="earliest, latest or a position as JSON: where the next start begins"
    )
    checkpoints.add_argument("--sink", metavar="ID", help="set back only this sink")
    checkpoints.set_defaults(verb=_checkpoints)

    _add_skip(verbs.add_parser("skip", help="print the event that holds a pipeline up, or go past it"))
    _add_take_over(verbs.add_parser("take-over", help="take a table's definition from the catalog at the next start"))

    explain = verbs.add_parser("explain", help="print what a document compiles to")
    _add_document(explain)
    explain.add_argument("--mermaid", action="store_true", help="as a mermaid diagram")
    explain.set_defaults(verb=_explain)

    demo = verbs.add_parser("demo", help="a small shop on an embedded PostgreSQL, streamed to a file", add_help=False)
    demo.set_defaults(verb=_demo)
    return parser


def _add_skip(skip: argparse.ArgumentParser) -> None:
    _add_document(skip)
    _add_state_dir(skip)
    skip.add_argument("--at", metavar="FILE:POS", help="where the event ends, as the error says")
    skip.add_argument("--reason", metavar="TEXT", help="why it may be left out; kept and logged")
    skip.set_defaults(verb=_skip)


def _add_take_over(take_over: argparse.ArgumentParser) -> None:
    _add_document(take_over)
    _add_state_dir(take_over)
    take_over.add_argument("--table", metavar="DATABASE.TABLE", required=True, help="as the error names it")
    take_over.set_defaults(verb=_take_over)


def _add_document(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="pipeline document, YAML or JSON")
    parser.add_argument("--strict", action="store_true", help="unknown keys and unset variables are errors")


def _add_state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=_DEFAULT_STATE_DIR,
        help="where pipelines keep their positions (default: ./%(default)s)",
    )


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--config", metavar="PATH", type=Path, help="document, or a directory searched for *.yaml and *.yml"
    )
    parser.add_argument("--api-addr", metavar="HOST:PORT", default="0.0.0.0:8080", help="default: %(default)s")
    parser.add_argument("--metrics-addr", metavar="HOST:PORT", default="0.0.0.0:9000", help="default: %(default)s")
    parser.add_argument("--storage-backend", choices=("sqlite", "memory", "postgres"), default="sqlite")
    parser.add_argument("--storage-path", type=Path, default=Path("data/deltaforge.db"), help="default: ./%(default)s")
    parser.add_argument("--storage-dsn", metavar="DSN", help="needed with --storage-backend postgres")
    _add_state_dir(parser)
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token", help="bearer token that requests must carry; better: DELTAFORGE_TOKEN")
    token.add_argument("--token-file", metavar="PATH", type=Path, help="file that holds the bearer token")
    parser.set_defaults(verb=_serve)


def _run(args: argparse.Namespace) -> int:
    document = _load(args)
    _configure_logging(document.spec.metadata.name)
    from deltaforge.runtime.launcher import run_foreground

    return run_foreground(document, args.state_dir, args.storage_path)


def _serve(args: argparse.Namespace) -> int:
    _configure_logging(None)
    from deltaforge.control.options import ServeOptions
    from deltaforge.runtime.context import stop_secs_of

    options = ServeOptions(
        config=args.config,
        api_addr=args.api_addr,
        metrics_addr=args.metrics_addr,
        storage_backend=args.storage_backend,
        storage_path=args.storage_path,
        storage_dsn=args.storage_dsn,
        state_dir=args.state_dir,
        token=_token(args),
        stop_grace_secs=stop_secs_of(os.environ) + KILL_AFTER_SECS,
    )
    # By name: the engine does not know the API that is built on it.
    server = importlib.import_module("api.server")
    code: int = server.serve(options)
    return code


def _validate(args: argparse.Namespace) -> int:
    from deltaforge.spec import check_supported

    if args.schema:
        from deltaforge.spec import json_schema

        print(json.dumps(json_schema(), indent=2))  # noqa: T201 - the output of the command
        return 0
    if args.file is None:
        raise SpecError("FILE is missing", hint="or give --schema")
    spec = _load(args).spec
    check_supported(spec)
    sinks = len(spec.spec.sinks)
    print(  # noqa: T201 - the output of the command
        f"valid: pipeline {spec.metadata.name}, source {spec.spec.source.type}, {sinks} sink{'s' * (sinks != 1)}"
    )
    return 0


def _checkpoints(args: argparse.Namespace) -> int:
    import asyncio

    from deltaforge.checkpoint.reader import read_checkpoints
    from deltaforge.control.checkpoints import checkpoint_views, reset_stopped
    from deltaforge.runtime.paths import PipelinePaths

    document = _load(args).spec
    paths = PipelinePaths(args.state_dir, document.metadata.name)
    if args.reset is None:
        if args.sink is not None:
            raise SpecError("--sink says which sink --reset is for", hint="give --reset too")
        print(json.dumps(checkpoint_views(read_checkpoints(paths.recovery), None), indent=2))  # noqa: T201 - the output
        return 0
    body = {"to": _place(args.reset), **({"sink_id": args.sink} if args.sink else {})}
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

    paths = PipelinePaths(args.state_dir, _load(args).spec.metadata.name)
    if args.at is None:
        if args.reason is not None:
            raise SpecError("--reason is for the event that --at names", hint="give --at too")
        print(json.dumps(asyncio.run(skip_views(paths)), indent=2))  # noqa: T201 - the output of the command
        return 0
    file, _, pos = args.at.rpartition(":")
    if not file or not pos.isdigit():
        raise SpecError(f"--at is {args.at!r}, expected FILE:POS", hint="as the error of the pipeline says")
    body = {"position": {"file": file, "pos": int(pos)}, "reason": args.reason or ""}
    print(asyncio.run(add_skip(paths, body))["message"])  # noqa: T201 - the output of the command
    return 0


def _take_over(args: argparse.Namespace) -> int:
    import asyncio

    from deltaforge.control.schemas import take_over
    from deltaforge.runtime.paths import PipelinePaths

    database, _, table = args.table.partition(".")
    if not database or not table:
        raise SpecError(f"--table is {args.table!r}, expected DATABASE.TABLE")
    paths = PipelinePaths(args.state_dir, _load(args).spec.metadata.name)
    print(asyncio.run(take_over(paths, database, table))["message"])  # noqa: T201 - the output of the command
    return 0


def _explain(args: argparse.Namespace) -> int:
    document = _load(args)
    from deltaforge.runtime.plan import explain

    print(explain(document.spec, mermaid=args.mermaid))  # noqa: T201 - the output of the command
    return 0


def _demo(args: argparse.Namespace) -> int:
    demo = importlib.import_module("deltaforge.demo")
    code: int = demo.main(args.rest)
    return code


def _load(args: argparse.Namespace) -> ParsedDocument:
    from deltaforge.spec import load_file

    document = load_file(args.file, os.environ, strict=args.strict)
    for warning in document.warnings:
        _say(f"warning: {warning}")
    return document


def _token(args: argparse.Namespace) -> str | None:
    if args.token_file is not None:
        try:
            found = args.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise SpecError(f"cannot read the token file {args.token_file}") from exc
        if not found:
            raise SpecError(f"the token file {args.token_file} is empty")
        return str(found)
    return args.token or os.environ.get("DELTAFORGE_TOKEN") or None


def _configure_logging(pipeline: str | None) -> None:
    from deltaforge.observability.logging import configure

    try:
        configure(os.environ, pipeline=pipeline)
    except ValueError as exc:
        raise SpecError(str(exc), hint="see DELTAFORGE_LOG and DELTAFORGE_LOG_FORMAT") from exc


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - what a person at the terminal reads


if __name__ == "__main__":
    sys.exit(main())
