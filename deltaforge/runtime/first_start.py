"""Whether a start without a saved position is a first start. A recovery store may be lost, and inside somebody else's
Bytewax run it may be another one each time, or none. A source that began "from now" then would leave out what was
written while it was down.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from deltaforge.core.errors import CheckpointError, SpecError
from deltaforge.runtime.paths import PipelinePaths

RUNNER = "bytewax.run"
STORE_VARIABLE = "BYTEWAX_RECOVERY_DIRECTORY"
_HINT = (
    "make a recovery store once (python -m bytewax.recovery DIR 1) and start with -r DIR -s 1 -b 0,"
    " or use `deltaforge run`"
)


def check_has_store(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Check that ``python -m bytewax.run``, if that is what runs here, was given a recovery store.

    Args:
        arguments: Of the process, without the program.
        environment: Of the process.

    Raises:
        SpecError: It was not: nothing would keep the position.
    """
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is None or spec.name != RUNNER:
        return
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-r", "--recovery-directory", default=environment.get(STORE_VARIABLE))
    known, _ = parser.parse_known_args(arguments)
    if known.recovery_directory is None:
        raise SpecError(
            "without a recovery store no position is kept: rows written between two runs are lost", hint=_HINT
        )


def check_first_start(paths: PipelinePaths) -> None:
    """Check that a source for which nothing is saved has not been read before.

    Raises:
        CheckpointError: It has, with another recovery store, without one, or with this one before it was emptied.
    """
    if paths.started.exists():
        raise CheckpointError(
            f"pipeline {paths.name} was read before, and this recovery store has no position of it: what was written"
            " since is lost if it begins anew",
            hint=f"start with the recovery store of before (that of `deltaforge run` is {paths.recovery});"
            f" to begin anew, remove {paths.started}",
        )


def note_started(paths: PipelinePaths) -> None:
    """A position of the source is saved: from now on a start without one is no first start."""
    paths.started.touch(mode=0o600)
