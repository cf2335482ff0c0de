"""A process of ``python -m bytewax.run``: which one of its cluster it is, and what it is for the others.

Bytewax starts the dataflow after we are done here, and the interpreter ends after it. So what is open while the
pipeline runs is closed when the interpreter ends.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from types import TracebackType

from deltaforge.runtime.cluster import ALONE, Cluster
from deltaforge.runtime.control_socket import ControlSocket
from deltaforge.runtime.first_start import is_bytewax_run
from deltaforge.runtime.flow_run import is_lost, reason_of
from deltaforge.runtime.outcome import ElsewhereError, Outcome, read_outcome
from deltaforge.runtime.peers import Peers
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.stop_signals import EXIT_BY_SIGNAL, stop_on_signals
from deltaforge.runtime.stop_together import stop_together

log = logging.getLogger(__name__)

_NO_REASON = ": another process has ended, or cannot be reached, without a reason"
REASON_SECS = 3.0
"""How long another process gets to say why it failed."""
OVERDUE_SECS = 1.0
"""How much longer than a stop may take the dataflow gets to end."""


def cluster_of_command() -> Cluster:
    """The place of this process among those of ``python -m bytewax.run``; alone, if that is not what runs here."""
    if not is_bytewax_run():
        return ALONE
    from bytewax.run import _parse_args  # the numbers that it works with itself

    args = _parse_args()
    addresses = tuple(args.addresses.split(";")) if args.addresses else ()
    return Cluster(args.process_id or 0, len(addresses) or 1, args.workers_per_process or 1, addresses)


def begin(info: RunInfo) -> RunEnd:
    """Own the pipeline, if this process leads its cluster; to be called before anything of it is read.

    Raises:
        ControlError: Kind ``already_running``: another process owns it.
    """
    end = RunEnd(info)
    atexit.register(end.leave)  # what is registered first is called last
    if info.cluster.is_leader:
        _until_exit(info.ownership.held(info.paths, info.storage_path, None))
    else:
        log.info("process %d of pipeline %s: process 0 owns it", info.cluster.process, info.name)
    info.outcome_path.unlink(missing_ok=True)
    end.begin()
    return end


def serve(pipeline: RunningPipeline, end: RunEnd) -> None:
    """Answer, stop and fail together with the other processes from now on."""
    sys.excepthook = end.by
    atexit.register(ControlSocket(pipeline).close)
    _until_exit(stop_together(pipeline, Peers(pipeline.info), end.note))


def heed_signals(info: RunInfo) -> None:
    """Stop on SIGTERM and SIGINT. Only a process that reads a log can end the dataflow: one that cannot reach it ends
    by itself, when a stop has taken as long as it may.
    """
    _until_exit(stop_on_signals(info.ending, info.outcome_path))
    threading.Thread(target=_end_overdue, args=(info,), name="overdue", daemon=True).start()


def _until_exit(context: contextlib.AbstractContextManager[None]) -> None:
    context.__enter__()
    atexit.register(context.__exit__, None, None, None)


def _end_overdue(info: RunInfo) -> None:
    info.ending.is_near.wait()
    if not info.ending.is_stopping:
        return
    time.sleep(info.ending.stop_secs + OVERDUE_SECS)
    log.critical(
        "stopped for %g s, and the dataflow goes on: its log is read by a process that cannot be reached. This process"
        " ends now, which ends the others; nothing is lost: the next start delivers from the last saved position",
        info.ending.stop_secs,
    )
    os._exit(EXIT_BY_SIGNAL + signal.SIGTERM)


class RunEnd:
    """The end of a run that Bytewax began: says why it failed, here and for the other processes."""

    def __init__(self, info: RunInfo) -> None:
        self._info = info
        self._began = 0.0
        self._is_said = False

    def begin(self) -> None:
        """The pipeline is ours: there is something to be said from now on."""
        self._began = time.time()

    def note(self) -> None:
        """A stop was asked for, or something has failed."""
        if self._info.ending.failure is not None:
            self._write()

    def by(self, _kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        """The dataflow ended by an exception."""
        info = self._info
        cause = info.panics.cause if info.panics is not None else None
        if info.cluster.others and info.ending.failure is None and cause is None and is_lost(error):
            self._say(self._of_others(REASON_SECS) or _NO_REASON)
            return
        failure = info.ending.failure or reason_of(cause or error)
        info.ending.fail(failure)
        self._write()
        self._say(f" ({failure.kind}): {failure}")

    def leave(self) -> None:
        """The interpreter ends."""
        if not self._began:
            return
        failure = self._info.ending.failure
        text = f" ({failure.kind}): {failure}" if failure is not None else self._of_others(0)
        if self._info.cluster.is_leader:
            self._write()
        if text and not self._is_said:  # the dataflow ended well, once its logs were told to
            self._say(text)
            logging.shutdown()
            os._exit(self._info.ending.failure.exit_code if self._info.ending.failure else 1)

    def _say(self, text: str) -> None:
        self._is_said = True
        log.error("pipeline failed%s", text)

    def _of_others(self, wait_secs: float) -> str:
        """What failed in another process; empty if none says so."""
        until = time.monotonic() + wait_secs
        while True:
            for number in self._info.cluster.others:
                path = self._info.paths.member_outcome(number)
                outcome = read_outcome(path)
                if outcome is not None and outcome.status == "failed" and path.stat().st_mtime >= self._began:
                    self._info.ending.fail(ElsewhereError(outcome, 1))
                    return f" in process {number} ({outcome.kind}): {outcome.message}"
            if time.monotonic() >= until:
                return ""
            time.sleep(0.1)

    def _write(self) -> None:
        info = self._info
        at = None if info.cluster.is_leader else info.ending.failed_at
        with contextlib.suppress(OSError):
            Outcome.of(info.ending.failure, at=at).write(info.outcome_path)
