"""What verbs share: common options, loading a document, words to the person at the terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deltaforge.core.errors import SpecError

if TYPE_CHECKING:
    from deltaforge.spec import ParsedDocument

DEFAULT_STATE_DIR = Path("data")


def add_document(parser: argparse.ArgumentParser) -> None:
    """FILE and ``--strict``."""
    parser.add_argument("file", metavar="FILE", type=Path, help="pipeline document, YAML or JSON")
    parser.add_argument("--strict", action="store_true", help="unknown keys and unset variables are errors")
    add_secrets_dir(parser)


def add_secrets_dir(parser: argparse._ActionsContainer) -> None:
    """``--secrets-dir``, for verbs that read an operator's file."""
    parser.add_argument(
        "--secrets-dir",
        metavar="DIR",
        type=Path,
        help="where NAME of ${file:NAME} begins (default: the folder of the document)",
    )


def add_state_dir(parser: argparse._ActionsContainer) -> None:
    """``--state-dir``."""
    parser.add_argument(
        "--state-dir",
        type=_folder,
        default=DEFAULT_STATE_DIR,
        help="where pipelines keep their positions (default: ./%(default)s)",
    )


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 10 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number above 0")
    return int(text)


def up_to(limit: int) -> Callable[[str], int]:
    """A whole number above 0 and at most ``limit``, for argparse."""

    def number(text: str) -> int:
        found = positive(text)
        if found > limit:
            raise argparse.ArgumentTypeError(f"{found} is more than {limit}")
        return found

    return number


def _folder(text: str) -> Path:
    """A folder, which may be there or not."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path


def load(args: argparse.Namespace) -> ParsedDocument:
    """The document that was named; its warnings go to standard error."""
    from deltaforge.spec import load_file

    document = load_file(args.file, os.environ, strict=args.strict, secrets_dir=getattr(args, "secrets_dir", None))
    for warning in document.warnings:
        say(f"warning: {warning}")
    return document


def write_new(path: Path, text: str, *, replaces: bool, mode: int = 0o644) -> None:
    """Write a file that is not there yet; with ``replaces`` also one that is.

    Raises:
        SpecError: It is there, or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replaces else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as exc:
        raise SpecError(
            f"{path} is there already", hint="write to another file with -o, or replace it: --force"
        ) from exc
    except OSError as exc:
        raise SpecError(f"cannot write {path}: {exc.strerror}") from exc


def configure_logging(pipeline: str | None) -> None:
    """Log lines of this process to standard error, as the environment says."""
    from deltaforge.observability.logging import configure

    try:
        configure(os.environ, pipeline=pipeline)
    except ValueError as exc:
        raise SpecError(str(exc), hint="see DELTAFORGE_LOG and DELTAFORGE_LOG_FORMAT") from exc


def say(text: str) -> None:
    """A line for the person at the terminal, without secrets."""
    from deltaforge.config.secret import redacted

    print(redacted(text), file=sys.stderr)  # noqa: T201 - what a person at the terminal reads
