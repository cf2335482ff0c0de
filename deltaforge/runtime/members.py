"""The members of a pipeline's cluster, as its leader sees them: started, watched, ended.

Each is on a leash: its standard input is a pipe of the leader's. It holds the pipeline's lock as well, so nobody else
can own the pipeline while one of them lives; and once the leader is gone, however it ended, the pipe is at its end, and
so is the member.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from deltaforge.checkpoint.reset import ResetRequest
from deltaforge.config.known_secrets import KNOWN_SECRETS
from deltaforge.core.errors import SourceError
from deltaforge.runtime.cluster import Cluster, held_addresses
from deltaforge.runtime.flow_run import PortTakenError, run_flow
from deltaforge.runtime.outcome import ElsewhereError, Outcome, read_outcome
from deltaforge.runtime.ownership import BEAT
from deltaforge.runtime.peers import Peers
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.stop_signals import EXIT_BY_SIGNAL
from deltaforge.runtime.stop_together import stop_together
from deltaforge.spec import PipelineSpec
from deltaforge.spec.remote import RemoteRules

log = logging.getLogger(__name__)

PORT_TRIES = 5
BEAT_SECS = 1.0
NOTICE_SECS = 2.0
"""How long Bytewax gets to notice that a member is gone."""
LEAVE_SECS = 5.0
"""How long members get to end by themselves once something has failed."""
JOB_SIZE = struct.Struct("<I")
"""In front of a pickled :class:`MemberJob`."""
EXIT_LOST = 75
"""Of a member that ended because another process did."""
_COMMAND = (sys.executable, "-P", "-m", "deltaforge.runtime.launcher")


@dataclass(frozen=True)
class MemberJob:
    """All that a member has to know. It travels through its leash.

    Attributes:
        spec: With what it refers to put in.
        secrets: To be kept out of what it says.
        cluster: With its own number.
    """

    spec: PipelineSpec
    secrets: tuple[str, ...]
    rules: RemoteRules | None
    storage_path: Path | None
    document_sha256: str
    starts_paused: bool
    resets: dict[str, ResetRequest]
    sinks_to_fill: dict[str, list[str]]
    epoch_secs: float
    cluster: Cluster


def lead(pipeline: RunningPipeline, resets: dict[str, ResetRequest], epoch_secs: float) -> None:
    """Run the dataflow in this process and its members until it ends; why it failed is in ``ending`` then."""
    info = pipeline.info
    job = MemberJob(
        info.spec,
        KNOWN_SECRETS.forms(),
        info.rules,
        info.storage_path,
        info.document_sha256,
        info.starts_paused,
        resets,
        pipeline.sinks_to_fill,
        epoch_secs,
        info.cluster,
    )
    for left in reversed(range(PORT_TRIES)):
        with held_addresses(info.cluster.processes) as addresses:
            placed = replace(info.cluster, addresses=addresses)
            try:
                with (
                    Members(info, replace(job, cluster=placed)) as members,
                    stop_together(pipeline, Peers(info), overdue=members.end_frozen),
                ):
                    is_lost = run_flow(pipeline, resets, epoch_secs, placed)
                    members.join(is_lost=is_lost)
                    return
            except PortTakenError as error:
                if not left:
                    info.ending.fail(error)
                    return
                log.warning("%s: the processes of the pipeline meet elsewhere", error)


class Members:
    """The other processes, while it is open.

    Args:
        info: Of the run.
        job: Of every one of them, with the addresses of all.
    """

    def __init__(self, info: RunInfo, job: MemberJob) -> None:
        self._info = info
        self._job = job
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._ended_at: dict[int, float] = {}
        self._is_over = threading.Event()

    def __enter__(self) -> Self:
        try:
            for number in self._job.cluster.others:
                self._start(number)
        except BaseException:
            self._end()
            raise
        threading.Thread(target=self._beat, name="members", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def join(self, *, is_lost: bool) -> None:
        """The dataflow has ended here: wait for the members to end, and note the first reason of all.

        Args:
            is_lost: It ended because a member did.
        """
        self._is_over.set()
        ending = self._info.ending
        is_failed = is_lost or ending.failure is not None
        until = time.monotonic() + (LEAVE_SECS if is_failed else ending.stop_secs)
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        reason = self._first_reason()
        if reason is not None:
            ending.fail_first(reason, reason.at)
        elif is_lost:
            ending.fail(SourceError("another process of the pipeline ended without a reason", kind="io", crash=True))

    def end_frozen(self) -> None:
        """End everything at once if one of them lives and stands still: the dataflow would never end."""
        ending = self._info.ending
        answers = Peers(self._info).ask({"cmd": "status"}, answer_secs=ending.stop_secs)
        silent = [number for number, answer in zip(self._processes, answers, strict=True) if answer is None]
        frozen = [number for number in silent if self._processes[number].poll() is None]
        if not frozen or self._is_over.is_set():
            return
        log.critical(
            "process %d of the pipeline has not answered for %g s, and nothing ends without it: all of them are ended;"
            " the next start delivers from the last saved position",
            frozen[0],
            2 * ending.stop_secs,
        )
        error = ending.failure or SourceError(f"process {frozen[0]} of the pipeline stood still", kind="cancelled")
        Outcome.of(error).write(self._info.outcome_path)
        self._end()
        os._exit(EXIT_BY_SIGNAL + signal.SIGTERM if ending.failure is None else error.exit_code)

    def _start(self, number: int) -> None:
        info = self._info
        info.paths.member_outcome(number).unlink(missing_ok=True)
        lock = info.ownership.lock_descriptor
        process = subprocess.Popen(  # noqa: S603 - our own program
            [
                *_COMMAND,
                f"--name={info.name}",
                "--state-dir",
                str(info.paths.state_dir.resolve()),
                f"--member={number}",
            ],
            stdin=subprocess.PIPE,
            pass_fds=(lock,) if lock is not None else (),
            start_new_session=True,  # Ctrl-C at a terminal is for the leader
        )
        self._processes[number] = process
        job = replace(self._job, cluster=replace(self._job.cluster, process=number))
        if process.stdin is None:
            raise SourceError(f"process {number} of the pipeline has no leash", crash=True)
        with suppress(BrokenPipeError):  # its end says why
            data = pickle.dumps(job)
            process.stdin.write(JOB_SIZE.pack(len(data)) + data)
            process.stdin.flush()
        log.info("process %d of the pipeline started as pid %d", number, process.pid)
        threading.Thread(target=self._watch, args=(number, process), name=f"member-{number}", daemon=True).start()

    def _watch(self, number: int, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        self._ended_at[number] = time.time()
        if code == 0 or self._is_over.is_set():
            return
        log.log(
            logging.INFO if code == EXIT_LOST else logging.ERROR,
            "process %d of the pipeline, pid %d, ended: %s",
            number,
            process.pid,
            _how(code),
        )
        if self._is_over.wait(NOTICE_SECS + (LEAVE_SECS if code == EXIT_LOST else 0)):
            return
        error = self._first_reason() or SourceError("a process of the pipeline ended without a reason", crash=True)
        self._info.ending.fail(error)
        log.critical("%s; this process does not take notice and is ended", error)
        Outcome.of(self._info.ending.failure).write(self._info.outcome_path)
        os._exit(error.exit_code)

    def _first_reason(self) -> ElsewhereError | None:
        """Why the first of the members failed that have ended; None: none of them did, by itself."""
        reasons = []
        for number, process in self._processes.items():
            code = process.poll()
            outcome = read_outcome(self._info.paths.member_outcome(number))
            if outcome is not None and outcome.status == "failed":
                reasons.append(ElsewhereError(outcome, code or 1))
            elif code not in (None, 0, EXIT_LOST):
                how = f"process {number} of the pipeline ended without a reason: {_how(code)}"
                died = Outcome(status="failed", kind="io", message=how, retry="backoff", is_crash=True)
                at = self._ended_at.get(number, time.time())
                reasons.append(ElsewhereError(died, 1, at=at))
        return min(reasons, key=lambda reason: reason.at, default=None)

    def _beat(self) -> None:
        """Tell members how long the pipeline was known to be ours."""
        while not self._is_over.wait(BEAT_SECS):
            for process in self._processes.values():
                with suppress(OSError, ValueError):
                    if process.stdin is not None:
                        process.stdin.write(BEAT.pack(self._info.ownership.renewed_at))
                        process.stdin.flush()

    def _end(self) -> None:
        """End those that are still there, at once."""
        self._is_over.set()
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
            with suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return "another process ended" if code == EXIT_LOST else f"exit code {code}"
