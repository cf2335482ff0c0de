"""Keeps the process of one pipeline in the state that was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from typing import Any

import msgspec

from deltaforge.control import child
from deltaforge.control.options import ServeOptions
from deltaforge.control.restarts import STABLE_SECS, Restarts
from deltaforge.core.errors import ControlError, DeltaForgeError, unforeseen
from deltaforge.runtime.outcome import Outcome, read_outcome
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec.remote import RemoteRules

log = logging.getLogger(__name__)

WATCH_SECS = 0.5
RELOAD_SECS = 70.0
REDELIVER_SECS = 300.0
_OTHER_KINDS = ("already_running", "not_ended")


class Supervisor:
    """Starts, watches, restarts and stops one pipeline process; never two of them.

    ``running`` and ``paused`` have a process, or had one that ended a moment ago and is being restarted; ``stopped``
    has none. ``failed`` has none either; if it could not even be made, the next try comes by itself.

    Attributes:
        status: ``running``, ``paused``, ``stopped`` or ``failed``.
        rules: What the document may do, if it came over the network.
        secrets_dir: Where files of secrets are.
        start_count: Processes that were made, for metrics.
        restart_count: Those of them that followed one that had ended by itself.
        failed_start_count: Tries to make one that failed.
        crash_count: Processes that ended without a reason, or by an exception that nobody foresaw.
    """

    def __init__(self, name: str, options: ServeOptions, *, command: tuple[str, ...] = child.LAUNCHER) -> None:
        self.paths = PipelinePaths(options.state_dir, name)
        self.status = "stopped"
        self.start_count = self.restart_count = self.failed_start_count = self.crash_count = 0
        self.rules: RemoteRules | None = None
        self.secrets_dir = options.secrets_dir
        self._options = options
        self._command = command
        self._document: dict[str, Any] = {}
        self._is_paused = False
        self._reason = self._kind = ""
        self._reason_at = 0.0
        self._next_try_at: float | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._older: asyncio.subprocess.Process | None = None  # one that is being ended
        self._watcher: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()  # the watcher restarts nothing while somebody else starts or stops it
        self._restarts = self._new_restarts()
        self._has_older = False  # a process of an earlier document may have to be ended first

    @property
    def reason(self) -> str:
        """Why it failed, or had to be restarted; empty once the new process has lived for a while."""
        is_over = self.status in ("running", "paused") and time.monotonic() - self._reason_at > STABLE_SECS
        return "" if is_over and self._next_try_at is None else self._reason

    @property
    def kind(self) -> str:
        """The code of :attr:`reason`."""
        return self._kind if self.reason else ""

    @property
    def next_try_secs(self) -> float | None:
        """Seconds until a process is made again; None while there is one, or none is wanted."""
        return None if self._next_try_at is None else round(max(0.0, self._next_try_at - time.monotonic()), 3)

    async def start(self, document: dict[str, Any], *, is_paused: bool = False) -> None:
        """Run ``document``; returns when the pipeline is connected, has failed, or after a bounded wait."""
        async with self._changing:
            await self._start(document, is_paused=is_paused)
        await self._settle()

    async def adopt(self, document: dict[str, Any], *, is_paused: bool) -> bool:
        """Take over a process that an earlier control plane started, if it runs this very document."""
        async with self._changing:
            try:
                answer = await child.ask(self.paths, "status")
                digest = hashlib.sha256(msgspec.json.encode(document)).hexdigest()
                if answer.get("document_sha256") != digest or answer.get("state") == "stopping":
                    return False
                await child.ask(self.paths, "pause" if is_paused else "resume")
            except ControlError:
                return False
            self._document, self._is_paused = document, is_paused
            self._note("", "")
            self._is_up()
            self._watcher = asyncio.create_task(self._watch())
        log.info("pipeline %s is running: adopted pid %s", self.paths.name, answer.get("pid"))
        return True

    async def pause(self) -> None:
        """Stop reading; the connection stays."""
        await self._switch("pause", is_paused=True)

    async def resume(self) -> None:
        """Go on reading after a pause."""
        await self._switch("resume", is_paused=False)

    async def switch_shard(self, shard: str, *, is_paused: bool) -> None:
        """Pause one shard of a running pipeline, or have it go on.

        Raises:
            ControlError: The process does not answer, or refuses.
        """
        await child.ask(self.paths, "pause" if is_paused else "resume", is_awaited=True, shard=shard)

    async def stop(self) -> None:
        """Drain, save, end; returns when the process is gone.

        Raises:
            ControlError: It does not end. It is watched on.
        """
        async with self._changing:
            is_watched = self._watcher is not None and not self._watcher.done()
            await self._unwatch()
            try:
                await self._end()
            except ControlError:
                if is_watched:
                    self._watcher = asyncio.create_task(self._watch())
                raise
            self.status = "stopped"
            self._note("", "")

    async def refuse(self, kind: str, reason: str) -> None:
        """End the process, if there is one: what it runs is not valid any more."""
        try:
            await self.stop()
        except ControlError as error:
            reason = f"{reason}; {error}"
        self._fail(kind, reason)

    async def next_status(self) -> str:
        """The status once no start and no stop of the process is under way."""
        async with self._changing:
            return self.status

    async def live(self, *, answer_secs: float = child.ANSWER_SECS) -> dict[str, Any] | None:
        """What the process says of itself; None if none answers in time."""
        if self.status not in ("running", "paused"):
            return None
        try:
            return await child.ask(self.paths, "status", answer_secs=answer_secs)
        except ControlError:
            return None

    async def ended_sinks(self) -> dict[str, str]:
        """The sinks of the running process that deliver nothing more, whatever comes, and why."""
        live = await self.live() or {}
        return {sink_id: live["sink_errors"].get(sink_id, "") for sink_id in live.get("ended_sinks", [])}

    async def reload_schemas(self, tables: list[tuple[str, str]] | None) -> list[dict[str, Any]]:
        """Have the process read table definitions again.

        Raises:
            ControlError: It does not run, or its source is not connected.
        """
        answer = await child.ask(self.paths, "reload_schemas", answer_secs=RELOAD_SECS, is_awaited=True, tables=tables)
        found: list[dict[str, Any]] = answer["tables"]
        return found

    async def retry_dead_letters(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Have the process deliver dead letters again; what became of each.

        Raises:
            ControlError: It does not run, or there are no such entries.
        """
        answer = await child.ask(
            self.paths, "retry_dead_letters", answer_secs=REDELIVER_SECS, is_awaited=True, **request
        )
        found: list[dict[str, Any]] = answer["entries"]
        return found

    async def _start(self, document: dict[str, Any], *, is_paused: bool) -> None:
        await self._unwatch()
        self._document, self._is_paused, self._restarts = document, is_paused, self._new_restarts()
        self._has_older = True
        self._note("", "")
        if await self._spawn():
            self._watcher = asyncio.create_task(self._watch())

    async def _switch(self, command: str, *, is_paused: bool) -> None:
        async with self._changing:
            try:
                await child.ask(self.paths, command, is_awaited=True)
            except ControlError as error:
                log.info("pipeline %s is started anew to %s: %s", self.paths.name, command, error)
                await self._start(self._document, is_paused=is_paused)
            else:
                self._is_paused, self.status = is_paused, "paused" if is_paused else "running"
                return
        await self._settle()

    async def _spawn(self) -> bool:
        """Make a process; whether it has to be watched, also for the next try."""
        try:
            if self._has_older:
                await self._end()
            self._process = await child.spawn(
                self.paths,
                self._options,
                self._document,
                rules=self.rules,
                is_paused=self._is_paused,
                command=self._command,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing runs now, and that is what has to be shown
            self.failed_start_count += 1
            reason = str(error) if isinstance(error, (DeltaForgeError, OSError)) else unforeseen(error)
            kind = error.kind if isinstance(error, ControlError) and error.kind in _OTHER_KINDS else "start_failed"
            self._fail(kind, f"its process cannot be started: {reason}")
            return kind != "already_running"
        self._has_older = False
        self.start_count += 1
        self._is_up()
        log.info("pipeline %s started as pid %d", self.paths.name, self._process.pid)
        return True

    async def _settle(self) -> None:
        deadline = time.monotonic() + self._options.settle_secs
        while time.monotonic() < deadline and self.status in ("running", "paused"):
            answer = await self.live()
            if answer is not None and _is_settled(answer):
                return
            await asyncio.sleep(child.POLL_SECS)

    async def _watch(self) -> None:
        """Wait for the process to end, decide what that means, and make a new one, as long as that can help."""
        while True:
            try:
                if self.status != "failed":  # else there is none
                    began = time.monotonic()
                    await self._wait_for_end()
                    if not self._may_go_on(time.monotonic() - began):
                        return
            except Exception as error:
                log.exception("watching pipeline %s failed", self.paths.name)
                self._has_older = True
                self._fail("unforeseen", f"watching its process failed: {unforeseen(error)}")
            if not await self._try_again():
                return

    async def _try_again(self) -> bool:
        delay = self._restarts.next_delay()
        self._next_try_at = time.monotonic() + delay
        log.warning("pipeline %s has no process, the next try is in %.1f s: %s", self.paths.name, delay, self._reason)
        await asyncio.sleep(delay)
        async with self._changing:
            self._next_try_at, before = None, self.start_count
            goes_on = await self._spawn()
            self.restart_count += self.start_count - before
            return goes_on

    def _may_go_on(self, lived_secs: float) -> bool:
        """Whether a new process can help after the end of one."""
        outcome = read_outcome(self.paths.outcome)
        self.crash_count += outcome is None or outcome.is_crash
        if outcome is not None and outcome.status == "failed" and outcome.retry != "backoff":
            self._fail(outcome.kind, _text(outcome))
            return False
        if outcome is None and _is_full(self.paths):
            kind, reason = "storage", f"the process ended; the disk of {self.paths.root} is full (free space there)"
        elif outcome is None:
            kind, reason = "crashed", "the process ended without a reason"
        elif outcome.status == "stopped":
            kind, reason = "ended", outcome.message or "the process was stopped by somebody else"
        else:
            kind, reason = outcome.kind, _text(outcome)
        if self._restarts.is_loop(kind, lived_secs):
            self._fail("crash_loop", f"{self._restarts.what}, the last time so: {reason}")
            return False
        self._note(kind, reason)
        return True

    async def _wait_for_end(self) -> None:
        if self._process is not None:
            await self._process.wait()
            self._process = None
        while self._is_there():  # noqa: ASYNC110 - no event comes from another process
            await asyncio.sleep(WATCH_SECS)

    def _is_there(self) -> bool:
        try:
            return child.is_alive(self.paths)
        except ControlError as error:
            log.warning("%s", error)
            return True  # it is looked at again

    def _is_up(self) -> None:
        self.status, self._next_try_at = "paused" if self._is_paused else "running", None

    def _note(self, kind: str, reason: str) -> None:
        self._kind, self._reason, self._reason_at = kind, reason, time.monotonic()

    def _fail(self, kind: str, reason: str) -> None:
        self.status = "failed"
        self._note(kind, reason)
        log.error("pipeline %s failed (%s): %s", self.paths.name, kind, reason)

    async def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        self._older = self._process or self._older
        self._process = self._next_try_at = None

    async def _end(self) -> None:
        """End the process, also one that we made and whose folder, with its lock, was taken away."""
        await child.stop(self.paths, self._options.stop_grace_secs)
        if self._older is not None:
            await child.reap(self._older)
            self._older = None

    def _new_restarts(self) -> Restarts:
        return Restarts(self._options.crash_limit, self._options.crash_window_secs)


def _text(outcome: Outcome) -> str:
    return f"{outcome.message} ({outcome.hint})" if outcome.hint else outcome.message


def _is_settled(answer: dict[str, Any]) -> bool:
    """Source and sinks are connected, or known not to be: what cannot be reached is retried for as long as it takes. A
    sink that has failed for good is about to end the process.
    """
    is_up = answer.get("connected") and answer.get("state") in ("running", "paused")
    source = answer.get("source") or {}
    return bool((is_up or source.get("reconnects")) and answer.get("sinks_settled", True))


def _is_full(paths: PipelinePaths) -> bool:
    """Whether a process could not even have written down why it ended."""
    try:
        return os.statvfs(paths.root).f_bavail == 0
    except OSError:
        return False
