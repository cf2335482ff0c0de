"""Whether a start without a saved position is a first start. A recovery store may be lost, and inside somebody else's
Bytewax run it may be another one each time, or none. A source that began "from now" then would leave out what was
written while it was down.

A first start has nothing in the recovery store until its first epoch ends. What it must not choose anew after a crash
before that is kept in files until then: where reading began, and the generation under which sinks got rows. So the
first row need not wait for the epoch.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from deltaforge.checkpoint.durable import write_durably
from deltaforge.checkpoint.reader import read_source_states
from deltaforge.checkpoint.state import (
    DeliveryState,
    SourceState,
    decode_delivery_state,
    decode_source_state,
    encode_state,
)
from deltaforge.core.errors import CheckpointError, SpecError
from deltaforge.runtime.paths import PipelinePaths, unwritable
from deltaforge.storage.private_files import make_folders

log = logging.getLogger(__name__)

T = TypeVar("T")

RUNNER = "bytewax.run"
STORE_VARIABLE = "BYTEWAX_RECOVERY_DIRECTORY"
_HINT = (
    "make a recovery store once (python -m bytewax.recovery DIR 1) and start with -r DIR -s 1 -b 0,"
    " or use `deltaforge run`"
)


def is_bytewax_run() -> bool:
    """Whether ``python -m bytewax.run`` is what runs here."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == RUNNER


def check_has_store(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Check that ``python -m bytewax.run``, if that is what runs here, was given a recovery store.

    Args:
        arguments: Of the process, without the program.
        environment: Of the process.

    Raises:
        SpecError: It was not: nothing would keep the position.
    """
    if not is_bytewax_run():
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


def check_goes_on(paths: PipelinePaths, keys: Collection[str]) -> None:
    """Check that a pipeline of which positions are saved goes on at one of them: shards may come and go.

    Args:
        paths: Of the pipeline.
        keys: Of the logs that it reads now.

    Raises:
        CheckpointError: All logs that it reads now are others, or the store cannot be read.
    """
    saved = read_source_states(paths.recovery)
    if saved and saved.keys().isdisjoint(keys):
        known = ", ".join(sorted(state.source_id for state in saved.values()))
        raise CheckpointError(
            f"positions of pipeline {paths.name} are saved for {known}, and it reads none of these any more: what was"
            " written since would be lost",
            hint="give source and shards their old ids, create a pipeline with a new name, or reset the checkpoint",
        )
    for key in sorted(saved.keys() - keys):
        log.warning("%s is not read any more: its position is kept, and its slot, if it has one", saved[key].source_id)


def note_started(paths: PipelinePaths) -> None:
    """A position of the source is saved: from now on a start without one is no first start."""
    paths.started.touch(mode=0o600)
    paths.first_position.unlink(missing_ok=True)


def first_position(paths: PipelinePaths) -> SourceState | None:
    """Where a first start began that was killed before it had saved anything; None: there was none.

    Raises:
        CheckpointError: It cannot be read.
    """
    return _kept(paths.first_position, decode_source_state)


def keep_first_position(paths: PipelinePaths, state: SourceState) -> None:
    """Keep where a first start begins. Durable when this returns.

    Raises:
        StorageError: The file cannot be written.
    """
    _keep(paths.first_position, state)


def first_delivery(paths: PipelinePaths, fresh: DeliveryState) -> DeliveryState:
    """As what a lane delivers for which nothing is saved: ``fresh``, or what an earlier start of it kept that was
    killed before it had saved anything, with the same cut into lanes. Durable when this returns.

    Raises:
        CheckpointError: What was kept cannot be read.
        StorageError: The file cannot be written.
    """
    kept = _kept(paths.first_delivery, decode_delivery_state)
    if kept is not None and kept.era == fresh.era:
        return kept
    _keep(paths.first_delivery, fresh)
    return fresh


def note_delivery_saved(paths: PipelinePaths) -> None:
    """The recovery store knows what the lane has delivered."""
    paths.first_delivery.unlink(missing_ok=True)


def _keep(path: Path, state: SourceState | DeliveryState) -> None:
    try:
        make_folders(path.parent)
        write_durably(path, encode_state(state))
    except OSError as exc:
        raise unwritable(path.parent, exc) from exc


def _kept(path: Path, decode: Callable[[bytes], T]) -> T | None:
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CheckpointError(f"{path} cannot be read: {exc.strerror}") from exc
