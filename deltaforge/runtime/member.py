"""A member of a pipeline's cluster: a process that its leader has started and holds on a leash."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
from pathlib import Path

from deltaforge.config.known_secrets import KNOWN_SECRETS
from deltaforge.core.errors import DeltaForgeError
from deltaforge.observability.logging import configure
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.control_socket import ControlSocket
from deltaforge.runtime.ending import CLOSE_SECS, Ending, stop_secs_of
from deltaforge.runtime.flow_run import prepare, run_flow
from deltaforge.runtime.members import EXIT_LOST, JOB_SIZE, MemberJob
from deltaforge.runtime.outcome import Outcome
from deltaforge.runtime.ownership import BEAT, LeashedOwnership
from deltaforge.runtime.panics import Panics
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.peers import Peers
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.status import say_what_was_delivered
from deltaforge.runtime.stop_signals import stop_on_signals
from deltaforge.runtime.stop_together import stop_together

log = logging.getLogger(__name__)


def run_member(name: str, state_dir: Path) -> int:
    """Run a part of a pipeline until the whole ends. Returns the exit code.

    Args:
        name: Of the pipeline.
        state_dir: Of the engine.
    """
    configure(os.environ, pipeline=name)
    prepare()
    leash = sys.stdin.fileno()
    (size,) = JOB_SIZE.unpack(_read(leash, JOB_SIZE.size))
    job: MemberJob = pickle.loads(_read(leash, size))  # noqa: S301 - of the process that made us
    KNOWN_SECRETS.learn(name, job.secrets)
    ownership = LeashedOwnership()
    threading.Thread(target=_hold, args=(leash, ownership), name="leash", daemon=True).start()
    info = RunInfo(
        job.spec,
        PipelinePaths(state_dir, name),
        PipelineMetrics(name),
        document_sha256=job.document_sha256,
        storage_path=job.storage_path,
        rules=job.rules,
        starts_paused=job.starts_paused,
        panics=Panics(),
        ending=Ending(stop_secs_of(os.environ) - CLOSE_SECS),
        ownership=ownership,
        cluster=job.cluster,
    )
    pipeline = RunningPipeline(info)
    pipeline.sinks_to_fill = job.sinks_to_fill
    return _run(pipeline, job)


def _run(pipeline: RunningPipeline, job: MemberJob) -> int:
    info, is_lost = pipeline.info, False
    with stop_on_signals(info.ending, info.outcome_path), stop_together(pipeline, Peers(info)):
        socket = ControlSocket(pipeline)
        try:
            is_lost = run_flow(pipeline, job.resets, job.epoch_secs, job.cluster)
        except DeltaForgeError as error:
            info.ending.fail(error)
        finally:
            if info.ending.failure is not None:
                Outcome.of(info.ending.failure, at=info.ending.failed_at).write(info.outcome_path)
            pipeline.close()
            socket.close()
            say_what_was_delivered(pipeline)
    failure = info.ending.failure
    if failure is None:
        return EXIT_LOST if is_lost else 0
    return failure.exit_code


def _hold(leash: int, ownership: LeashedOwnership) -> None:
    while True:
        ownership.beat(*BEAT.unpack(_read(leash, BEAT.size)))


def _read(leash: int, size: int) -> bytes:
    """So many bytes. Nothing must be written any more once the leader is gone: its place may be taken at once."""
    data = b""
    while len(data) < size:
        read = os.read(leash, size - len(data))
        if not read:
            os._exit(EXIT_LOST)
        data += read
    return data
