"""``deltaforge run``: one pipeline in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path

from deltaforge.cli.options import add_document, add_state_dir, configure_logging, load


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``run``."""
    run = verbs.add_parser("run", help="run one pipeline in the foreground")
    add_document(run)
    add_state_dir(run)
    run.add_argument(
        "--storage-path",
        type=Path,
        help="SQLite storage of a control plane that runs this pipeline at other times (default: a file of its own)",
    )
    run.set_defaults(verb=_run)


def _run(args: argparse.Namespace) -> int:
    document = load(args)
    configure_logging(document.spec.metadata.name)
    from deltaforge.runtime.launcher import run_foreground

    return run_foreground(document, args.state_dir, args.storage_path)
