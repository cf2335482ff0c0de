"""Runs the dataflow of a pipeline in this process, alone or as one of several."""

from __future__ import annotations

import errno
import gc
import logging
import os
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deltaforge.checkpoint.durable import sync_folder
from deltaforge.checkpoint.reset import ResetRequest
from deltaforge.core.errors import DeltaForgeError, SourceError, StorageError, unforeseen
from deltaforge.runtime.cluster import Cluster
from deltaforge.runtime.memory import keep_freed_memory
from deltaforge.runtime.panics import kept_out
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.running import RunningPipeline
from deltaforge.storage.private_files import close_tree, make_private

if TYPE_CHECKING:
    from bytewax.recovery import RecoveryConfig

log = logging.getLogger(__name__)

RECOVERY_PARTITIONS = 1
"""One worker writes the states of all, a few KB an epoch. More files would be written by more workers, and then a
number of workers would be as many as the store has files at most to gain anything by it.
"""
_UNWRITABLE_STORE = ("SqliteFailure(Error { code: DiskFull", "SqliteFailure(Error { code: SystemIoFailure")
_PORT_TAKEN = ("failed to initialize networking", "Address already in use")
_LOST = ("Send thread panic", "Recv thread panic", "Communication thread panic", "Any { .. }")
"""How Bytewax says it."""


class PortTakenError(SourceError):
    """Somebody else has the port that another process of the pipeline was to find us at."""


def prepare() -> None:
    """Before Bytewax is loaded. Rust's backtraces say nothing about a pipeline."""
    os.environ["RUST_BACKTRACE"] = "0"
    keep_freed_memory()


def run_flow(pipeline: RunningPipeline, resets: dict[str, ResetRequest], epoch_secs: float, cluster: Cluster) -> bool:
    """Run the dataflow until it ends; why it failed is in the pipeline's ``ending`` then.

    Args:
        pipeline: Whose parts it makes.
        resets: That this run has to carry out, by shard.
        epoch_secs: Between two barriers.
        cluster: Where the others are.

    Returns:
        Whether it ended because another process did: the reason is known there.

    Raises:
        PortTakenError: It did not begin.
    """
    from bytewax.run import cli_main

    from deltaforge.runtime.dataflow import build_dataflow

    info = pipeline.info
    where = {"process_id": cluster.process, "addresses": [*cluster.addresses]} if cluster.addresses else {}
    try:
        flow = build_dataflow(pipeline, resets)
        gc.freeze()  # what is there now stays
        with kept_out(info.panics):
            cli_main(
                flow,
                workers_per_process=cluster.workers,
                epoch_interval=timedelta(seconds=epoch_secs),
                recovery_config=_recovery(info.paths),
                **where,
            )
    except BaseException as error:
        if all(text in str(error) for text in _PORT_TAKEN):
            raise PortTakenError("the port of this process is taken by somebody else", kind="io") from error
        cause = info.panics.cause if info.panics is not None else None
        if cluster.addresses and info.ending.failure is None and cause is None and is_lost(error):
            return True
        info.ending.fail(reason_of(cause or error))
    return False


def _recovery(paths: PipelinePaths) -> RecoveryConfig:
    from bytewax.recovery import RecoveryConfig

    if not any(paths.recovery.glob("part-*.sqlite3")):
        try:
            _make_store(paths)
        except OSError as error:
            hint = "look at the disk and the rights of the state folder"
            raise StorageError(f"the recovery store cannot be made: {error.strerror}", hint=hint) from error
    return RecoveryConfig(str(paths.recovery))


def _make_store(paths: PipelinePaths) -> None:
    """In one step: after a crash in the midst of it there is none, and nobody reads one that is half made."""
    from bytewax.recovery import init_db_dir

    with TemporaryDirectory(prefix="recovery-", dir=paths.root) as folder:
        made = Path(folder) / "store"
        make_private(made)
        init_db_dir(made, RECOVERY_PARTITIONS)
        close_tree(made)
        try:
            made.rename(paths.recovery)  # which is empty
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # another process of the pipeline was first
    sync_folder(paths.root)


def reason_of(error: BaseException) -> DeltaForgeError:
    """Our error at the bottom of what Bytewax raised; Bytewax wraps what an operator raises."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DeltaForgeError):
            return cause
        cause = cause.__cause__ or cause.__context__
    log.error("pipeline crashed", exc_info=error)
    if any(code in str(error) for code in _UNWRITABLE_STORE):
        return StorageError(
            "the recovery store cannot be written: its disk is full or broken", hint="free space below the state folder"
        )
    return SourceError(f"the dataflow failed unexpectedly: {unforeseen(error)}", crash=True)


def is_lost(error: BaseException) -> bool:
    """Whether this is how Bytewax says that another process has ended."""
    return any(text in str(error) for text in _LOST)
