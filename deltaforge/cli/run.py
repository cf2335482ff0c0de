"""``deltaforge run``: one pipeline in the foreground."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from deltaforge.cli.options import add_document, add_state_dir, configure_logging, load, up_to
from deltaforge.core.lanes import MAX_PROCESSES, MAX_WORKERS


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
    for name, limit in (("processes", MAX_PROCESSES), ("workers", MAX_WORKERS)):
        what = "processes" if name == "processes" else "worker threads in each process"
        run.add_argument(f"--{name}", metavar="N", type=up_to(limit), help=f"{what} (default: as the document says)")
    run.set_defaults(verb=_run)


def _run(args: argparse.Namespace) -> int:
    document = load(args)
    document = replace(document, spec=document.spec.with_runtime(processes=args.processes, workers=args.workers))
    configure_logging(document.spec.metadata.name)
    from deltaforge.runtime.launcher import run_foreground

    return run_foreground(document, args.state_dir, args.storage_path)
