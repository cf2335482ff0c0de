"""The ``deltaforge`` command: a module for each group of verbs.

Modules that cost time to import are imported by the verb that needs them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from deltaforge import __version__
from deltaforge.cli import (
    completion,
    dead_letters,
    demo,
    doctor,
    document,
    import_debezium,
    init,
    pipelines,
    run,
    serve,
    snapshots,
    state,
    watching,
)
from deltaforge.cli.options import say
from deltaforge.core.errors import DeltaForgeError
from deltaforge.kernel import description

_VERBS = (
    init,
    import_debezium,
    doctor,
    run,
    serve,
    document,
    state,
    pipelines,
    snapshots,
    watching,
    dead_letters,
    demo,
    completion,
)
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 when all went well, 1 after a failure, 2 when the document or an
    option is wrong, 3 when a library is missing, 4 when there is no such pipeline or part of one, 130 after Ctrl-C.
    """
    args = make_parser().parse_args(argv)
    verb: Callable[[argparse.Namespace], int] = args.verb
    try:
        code = verb(args)
        sys.stdout.flush()
        return code  # noqa: TRY300 - flushed inside, where a full disk is caught
    except DeltaForgeError as error:
        say(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:
        _forget_output()
        return EXIT_FAILURE
    except OSError as error:  # such as a full disk behind our output
        _forget_output()
        say(f"error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return EXIT_FAILURE
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_INTERRUPTED


def _forget_output() -> None:
    """The reader of our output went away, or its disk is full: Python must not try to flush it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_parser() -> argparse.ArgumentParser:
    """The command line, every verb of it."""
    parser = argparse.ArgumentParser(
        prog="deltaforge", description="Change data capture from MySQL, MariaDB and PostgreSQL."
    )
    parser.add_argument("--version", action="version", version=f"deltaforge {__version__}, decoders: {description}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for module in _VERBS:
        module.add_verbs(verbs)
    return parser
