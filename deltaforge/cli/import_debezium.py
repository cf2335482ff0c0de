"""``deltaforge import-debezium``: a document out of the configuration of a Debezium connector."""

from __future__ import annotations

import argparse
from pathlib import Path

from deltaforge.cli.options import say, write_new
from deltaforge.cli.tables import out

_EXIT_LOST = 1


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``import-debezium``."""
    parser = verbs.add_parser("import-debezium", help="write a document out of the configuration of a connector")
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="properties, JSON of Kafka Connect, a KafkaConnector of Strimzi, or properties of Debezium Server",
    )
    parser.add_argument(
        "--worker",
        metavar="FILE",
        type=Path,
        help="properties of the Kafka Connect worker, or a KafkaConnect",
    )
    parser.add_argument(
        "--tenant", metavar="TEXT", default="default", help="in every native event (default: %(default)s)"
    )
    parser.add_argument("--with-secrets", action="store_true", help="write passwords out instead of variables")
    parser.add_argument("--lenient", action="store_true", help="write it also if messages would not be the same")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.set_defaults(verb=_import)


def _import(args: argparse.Namespace) -> int:
    from deltaforge.debezium.given import read_given, read_worker
    from deltaforge.debezium.importing import import_connector

    worker = read_worker(args.worker) if args.worker else {}
    given = read_given(args.file)
    made = import_connector(given, {**given.worker, **worker}, tenant=args.tenant, writes_secrets=args.with_secrets)
    for report in made.reports:
        say(f"{'not the same' if report.is_lost else 'note'}: {report.name}: {report.text}")
    if not made.is_whole and not args.lenient:
        say("nothing is written, since messages would not be the same; --lenient writes the document all the same")
        return _EXIT_LOST
    if args.output is None:
        out(made.text.removesuffix("\n"))
    else:
        write_new(args.output, made.text, replaces=args.force, mode=0o600 if args.with_secrets else 0o644)
        say(f"wrote {args.output}")
    for variable in made.variables:
        say(f"set before it runs: {variable}")
    return 0
