"""``deltaforge doctor``: whether a document will run here."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from deltaforge.cli.options import add_secrets_dir, add_state_dir
from deltaforge.core.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltaforge.doctor import Finding, Level

_EXIT_FINDINGS = 1


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``doctor``."""
    doctor = verbs.add_parser("doctor", help="ask every server of a document whether it will run; changes nothing")
    doctor.add_argument("file", metavar="FILE", type=Path, help="pipeline document, YAML or JSON")
    doctor.add_argument("--strict", action="store_true", help="warnings count, too")
    add_secrets_dir(doctor)
    add_options(doctor)
    doctor.set_defaults(verb=examine_document)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of an examination, besides those of a document."""
    add_state_dir(parser)
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    parser.add_argument(
        "--timeout", metavar="SECS", type=float, default=20.0, help="for one server to answer (default: %(default)g)"
    )


def examine_document(args: argparse.Namespace) -> int:
    """Print what was found. Returns 1 after errors, with ``--strict`` also after warnings."""
    from deltaforge.config.known_secrets import KNOWN_SECRETS
    from deltaforge.doctor import Level, examine
    from deltaforge.spec import check_supported, load_file
    from deltaforge.spec.secrets import secrets_of

    if not 0 < args.timeout < float("inf"):
        raise SpecError(f"--timeout is {args.timeout:g}, expected seconds above 0")
    logging.getLogger().addHandler(logging.NullHandler())  # what is logged about the servers is a finding here
    document = load_file(args.file, os.environ, secrets_dir=args.secrets_dir)
    check_supported(document.spec)
    secrets, shown = secrets_of(document.spec.model_dump()), json.dumps(document.spec.echo())
    KNOWN_SECRETS.learn(document.spec.metadata.name, secrets, shown=shown)
    findings = examine(document, args.state_dir, patience_secs=args.timeout)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    is_bad = counts[Level.ERROR] > 0 or (args.strict and counts[Level.WARNING] > 0)
    text = _json(document.spec.metadata.name, findings, is_ok=not is_bad) if args.json else _text(findings, counts)
    print(KNOWN_SECRETS.hidden(text))  # noqa: T201 - the output of the command
    return _EXIT_FINDINGS if is_bad else 0


def _json(pipeline: str, findings: list[Finding], *, is_ok: bool) -> str:
    import msgspec

    return json.dumps({"pipeline": pipeline, "ok": is_ok, "findings": msgspec.to_builtins(findings)}, indent=2)


def _text(findings: list[Finding], counts: Mapping[Level, int]) -> str:
    lines: list[str] = []
    where = ""
    for finding in findings:
        if finding.where != where:
            where = finding.where
            lines += [*([""] if lines else []), where]
        lines.append(f"  {finding.level:8} {finding.check}: {finding.what}")
        if finding.remedy:
            lines.append(f"           → {finding.remedy}")
    ok, warnings, errors = counts.values()
    summary = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}, {ok} checks ok"
    return "\n".join([*lines, "", summary])
