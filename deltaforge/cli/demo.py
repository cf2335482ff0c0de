"""``deltaforge demo``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``demo``."""
    demo = verbs.add_parser(
        "demo", help="a small shop on an embedded PostgreSQL, streamed by a pipeline that is killed"
    )
    demo.add_argument(
        "--steps", metavar="COUNT", type=int, default=2000, help="transactions of the shop (default: %(default)s)"
    )
    demo.add_argument("--keep", metavar="DIR", type=Path, help="keep everything in this folder")
    demo.set_defaults(verb=_demo)


def _demo(args: argparse.Namespace) -> int:
    demo = importlib.import_module("deltaforge.demo")
    code: int = demo.main(args.steps, args.keep)
    return code
