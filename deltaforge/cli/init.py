"""``deltaforge init``: writes the first document of a pipeline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deltaforge.cli.options import say, write_new
from deltaforge.core.errors import SpecError

if TYPE_CHECKING:
    from deltaforge.spec.starter import Starter


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``init``."""
    init = verbs.add_parser("init", help="write a document for a source and a sink; asks for what is not given")
    init.add_argument("--source", metavar="URL", help="postgres://user@host:5432/db or mysql://user@host:3306/db")
    init.add_argument("--tables", metavar="PATTERNS", help="table patterns, with commas between them")
    init.add_argument(
        "--sink", metavar="URL", help="kafka://host:9092[/topic], redis://host:6379/0, file:changes.jsonl or stdout"
    )
    init.add_argument("--name", metavar="NAME", help="of the pipeline (default: that of the database)")
    init.add_argument("--tenant", metavar="NAME", default="default", help="in every event (default: %(default)s)")
    init.add_argument(
        "-o", "--output", metavar="FILE", help="where to write (default: NAME.yaml); - for standard output"
    )
    init.add_argument("--force", action="store_true", help="replace a file that is there")
    init.add_argument("--yes", action="store_true", help="ask nothing: take the defaults of what is not given")
    init.set_defaults(verb=_init)


def _init(args: argparse.Namespace) -> int:
    from deltaforge.spec.starter import SINK_FORMS, SOURCE_FORMS, default_name, source_parts, write_starter

    asks = not args.yes and sys.stdin.isatty() and sys.stderr.isatty()
    source = args.source or _asked("Source", SOURCE_FORMS, "--source", asks=asks, check=source_parts)
    name = args.name or (_answer("Name of the pipeline", default_name(source)) if asks else default_name(source))
    given = args.tables if args.tables is not None or not asks else _answer("Tables, with commas between them", "all")
    tables = [part.strip() for part in (given or "").split(",") if part.strip() and part.strip() != "all"]

    def write(sink: str) -> Starter:
        return write_starter(source, sink, tables=tables, name=name, tenant=args.tenant)

    starter = write(args.sink or _asked("Sink", SINK_FORMS, "--sink", asks=asks, check=write))
    _check(starter)
    if args.output == "-":
        print(starter.text, end="")  # noqa: T201 - the output of the command
        _tell(starter, "FILE")
        return 0
    path = Path(args.output or f"{name.replace('/', '-')}.yaml")
    write_new(path, starter.text, replaces=args.force)
    say(f"wrote {path}")
    _tell(starter, str(path))
    return 0


def _asked(what: str, forms: str, option: str, *, asks: bool, check: Callable[[str], object]) -> str:
    """What a person answers, until it is understood."""
    if not asks:
        raise SpecError(f"{option} is missing", hint=f"write {forms}")
    while True:
        answer = _answer(f"{what} ({forms})", "")
        try:
            check(answer)
        except SpecError as error:
            say(str(error))
            continue
        return answer


def _answer(question: str, default: str) -> str:
    print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=sys.stderr, flush=True)  # noqa: T201 - a question
    line = sys.stdin.readline()
    if not line:
        raise SpecError("there is no answer any more", hint="give the options; see `deltaforge init --help`")
    return line.strip() or default


def _check(starter: Starter) -> None:
    """Nothing is written that a pipeline would refuse.

    Raises:
        SpecError: A name or pattern cannot be.
    """
    from deltaforge.spec import check_new_names, check_supported, parse_document
    from deltaforge.spec.yaml_reader import read_yaml

    spec = parse_document(read_yaml(starter.text), strict=True).spec
    check_supported(spec)
    check_new_names(spec)


def _tell(starter: Starter, path: str) -> None:
    """What comes next."""
    say(f"\nThe server needs: {starter.settings}.\nAs an administrator of it, where they are not there already:\n")
    for statement in starter.statements:
        say(f"  {statement};")
    say("\nThen:\n")
    for variable in starter.variables:
        say(f"  export {variable}=…")
    for verb in ("doctor", "run"):
        say(f"  deltaforge {verb} {path}")
