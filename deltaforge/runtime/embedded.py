"""A pipeline inside somebody else's Bytewax run: ``python -m bytewax.run``, a notebook, a test.

Bytewax's own launcher decides about workers, processes and recovery; we only listen to signals. One
pipeline must not be run twice at a time: that is up to the caller here, since the processes of one
cluster share a pipeline.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from bytewax.dataflow import Dataflow

from deltaforge.checkpoint.reset import read_reset
from deltaforge.core.errors import SpecError
from deltaforge.observability.logging import configure
from deltaforge.runtime.dataflow import build_dataflow
from deltaforge.runtime.first_start import check_has_store
from deltaforge.runtime.lane_layout import settle_layout
from deltaforge.runtime.launcher import run_info_of
from deltaforge.runtime.links import cluster_addresses, limit_silence
from deltaforge.runtime.resets import new_sinks
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.spec import load_file


def get_flow(document: str) -> Dataflow:
    """For ``python -m bytewax.run``: the dataflow of the document at this path. State that is not in Bytewax's
    recovery store goes below ``DELTAFORGE_STATE_DIR``, default ``./data``. Works with ``-w`` and with ``-i``/``-a``.
    """
    return flow_of_file(Path(document), Path(os.environ.get("DELTAFORGE_STATE_DIR", "./data")))


def flow_of_file(document: Path, state_dir: Path) -> Dataflow:
    """The dataflow of a document file; SIGTERM and SIGINT then drain it, save, and end it.

    Raises:
        SpecError: The document is wrong, asks for something that this version cannot do, or a reset is pending; or
            there is no recovery store.
        CheckpointError: The saved state cannot be read.
    """
    configure(os.environ)
    info = replace(run_info_of(load_file(document, dict(os.environ)), state_dir), is_embedded=True, panics=None)
    check_has_store(sys.argv[1:], os.environ)
    info.paths.create()
    if any(map(_begins_elsewhere, info.logs().values())):
        raise SpecError(
            f"pipeline {info.name} has to begin elsewhere than at its saved position",
            hint="start it once with `deltaforge run`, which saves where it begins",
        )
    info.paths.outcome.unlink(missing_ok=True)  # of a run of ours: it says nothing of the end of this one
    settle_layout(info, None)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: info.ending.stop())
    limit_silence(cluster_addresses(sys.argv[1:], os.environ))
    return build_dataflow(RunningPipeline(info))


def _begins_elsewhere(info: RunInfo) -> bool:
    """Whether a log has to."""
    pending = read_reset(info.paths.reset)
    return pending is not None or bool(new_sinks(info, "earliest") or new_sinks(info, "snapshot"))
