"""Verbs that only look at a document: ``validate`` and ``explain``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from deltaforge.cli.doctor import add_options, examine_document
from deltaforge.cli.options import add_document, add_secrets_dir, load
from deltaforge.core.errors import SpecError


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``validate`` and ``explain``."""
    validate = verbs.add_parser("validate", help="check a document; connects to nothing, unless it is told to")
    validate.add_argument("file", metavar="FILE", type=Path, nargs="?", help="pipeline document, YAML or JSON")
    validate.add_argument("--strict", action="store_true", help="unknown keys and unset variables are errors")
    add_secrets_dir(validate)
    validate.add_argument("--schema", action="store_true", help="print the JSON Schema of documents instead")
    validate.add_argument("--connect", action="store_true", help="ask the servers, too: the same as `doctor`")
    add_options(validate)
    validate.set_defaults(verb=_validate)

    explain = verbs.add_parser("explain", help="print what a document compiles to")
    add_document(explain)
    explain.add_argument("--mermaid", action="store_true", help="as a mermaid diagram")
    explain.set_defaults(verb=_explain)


def _validate(args: argparse.Namespace) -> int:
    from deltaforge.spec import check_supported

    if args.schema:
        from deltaforge.spec import json_schema

        print(json.dumps(json_schema(), indent=2))  # noqa: T201 - the output of the command
        return 0
    if args.file is None:
        raise SpecError("FILE is missing", hint="or give --schema")
    if args.connect:
        return examine_document(args)
    spec = load(args).spec
    check_supported(spec)
    sinks = len(spec.spec.sinks)
    print(  # noqa: T201 - the output of the command
        f"valid: pipeline {spec.metadata.name}, source {spec.spec.source.type}, {sinks} sink{'s' * (sinks != 1)}"
    )
    return 0


def _explain(args: argparse.Namespace) -> int:
    document = load(args)
    from deltaforge.runtime.plan import explain

    print(explain(document.spec, mermaid=args.mermaid))  # noqa: T201 - the output of the command
    return 0
