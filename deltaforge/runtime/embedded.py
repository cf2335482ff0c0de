"""A pipeline inside somebody else's Bytewax run: ``python -m bytewax.run``, a notebook, a test.

Bytewax's own launcher decides about workers, processes and recovery. Under ``python -m bytewax.run`` its process 0 owns
the pipeline, and each has a control socket; elsewhere that one pipeline is not run twice at a time is up to the caller.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from bytewax.dataflow import Dataflow

from deltaforge.checkpoint.reset import read_reset
from deltaforge.core.errors import SpecError
from deltaforge.observability.logging import configure
from deltaforge.runtime.bytewax_process import begin, cluster_of_command, heed_signals, serve
from deltaforge.runtime.dataflow import build_dataflow
from deltaforge.runtime.first_start import check_has_store, is_bytewax_run
from deltaforge.runtime.lane_layout import settle_layout
from deltaforge.runtime.launcher import run_info_of
from deltaforge.runtime.links import cluster_addresses, limit_silence
from deltaforge.runtime.panics import Panics
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
    info = run_info_of(load_file(document, dict(os.environ)), state_dir)
    check_has_store(sys.argv[1:], os.environ)
    info = replace(info, is_embedded=True, panics=Panics(is_quiet=False), cluster=cluster_of_command())
    info.paths.create()
    end = begin(info) if is_bytewax_run() else None
    if any(map(_begins_elsewhere, info.logs().values())):
        raise SpecError(
            f"pipeline {info.name} has to begin elsewhere than at its saved position",
            hint="start it once with `deltaforge run`, which saves where it begins",
        )
    info.paths.outcome.unlink(missing_ok=True)  # of a run of ours: it says nothing of the end of this one
    settle_layout(info, None)
    if threading.current_thread() is threading.main_thread():
        heed_signals(info)
    limit_silence(cluster_addresses(sys.argv[1:], os.environ))
    pipeline = RunningPipeline(info)
    if end is not None:
        serve(pipeline, end)
    return build_dataflow(pipeline)


def _begins_elsewhere(info: RunInfo) -> bool:
    """Whether a log has to."""
    pending = read_reset(info.paths.reset)
    return pending is not None or bool(new_sinks(info, "earliest") or new_sinks(info, "snapshot"))
