"""``deltaforge demo``; its options are its own."""

from __future__ import annotations

import argparse
import importlib


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``demo``."""
    demo = verbs.add_parser("demo", help="a small shop on an embedded PostgreSQL, streamed to a file", add_help=False)
    demo.set_defaults(verb=_demo, takes_rest=True)


def _demo(args: argparse.Namespace) -> int:
    demo = importlib.import_module("deltaforge.demo")
    code: int = demo.main(args.rest)
    return code
