"""Keeps the process of one pipeline in the state that was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from deltaforge.control import child
from deltaforge.control.options import ServeOptions
from deltaforge.core.errors import ControlError
from deltaforge.core.retry import Backoff
from deltaforge.runtime.outcome import Outcome, read_outcome
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec.remote import RemoteRules

log = logging.getLogger(__name__)

RESTART = Backoff()
STABLE_SECS = 60.0
WATCH_SECS = 0.5
RELOAD_SECS = 70.0
REDELIVER_SECS = 300.0


class Supervisor:
    """Starts, watches, restarts and stops one pipeline process; never two of them.

    Attributes:
        status: ``running``, ``paused``, ``stopped`` or ``failed``.
        reason: Why it failed, or the last reason for a restart; empty otherwise.
        start_count: Starts so far, for metrics.
        rules: What the document may do, if it came over the network.
    """

    def __init__(self, name: str, options: ServeOptions, *, command: tuple[str, ...] = child.LAUNCHER) -> None:
        self.paths = PipelinePaths(options.state_dir, name)
        self.status = "stopped"
        self.reason = ""
        self.start_count = 0
        self.rules: RemoteRules | None = None
        self._options = options
        self._command = command
        self._document: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._delays = self._new_delays()

    async def start(self, document: dict[str, Any], *, is_paused: bool = False) -> None:
        """Run ``document``; returns when the pipeline is connected, has failed, or after a bounded wait."""
        await self._unwatch()
        await child.stop(self.paths, self._options.stop_grace_secs)
        self._document, self._delays = document, self._new_delays()
        self.status, self.reason = ("paused" if is_paused else "running"), ""
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch())
        await self._settle()

    async def adopt(self, document: dict[str, Any], *, is_paused: bool) -> bool:
        """Take over a process that an earlier control plane started, if it runs this very document."""
        try:
            answer = await child.ask(self.paths, "status")
            digest = hashlib.sha256(msgspec.json.encode(document)).hexdigest()
            if answer.get("document_sha256") != digest or answer.get("state") == "stopping":
                return False
            await child.ask(self.paths, "pause" if is_paused else "resume")
        except ControlError:
            return False
        self._document = document
        self.status, self.reason = ("paused" if is_paused else "running"), ""
        self._watcher = asyncio.create_task(self._watch())
        log.info("pipeline %s is running: adopted pid %s", self.paths.name, answer.get("pid"))
        return True

    async def pause(self) -> None:
        """Stop reading; the connection stays."""
        await child.ask(self.paths, "pause")
        self.status = "paused"

    async def resume(self) -> None:
        """Go on reading after a pause."""
        await child.ask(self.paths, "resume")
        self.status = "running"

    async def stop(self) -> None:
        """Drain, save, end; returns when the process is gone."""
        await self._unwatch()
        await child.stop(self.paths, self._options.stop_grace_secs)
        self.status, self.reason = "stopped", ""

    async def live(self, *, answer_secs: float = child.ANSWER_SECS) -> dict[str, Any] | None:
        """What the process says of itself; None if none answers in time."""
        if self.status not in ("running", "paused"):
            return None
        try:
            return await child.ask(self.paths, "status", answer_secs=answer_secs)
        except ControlError:
            return None

    async def reload_schemas(self, tables: list[tuple[str, str]] | None) -> list[dict[str, Any]]:
        """Have the process read table definitions again.

        Raises:
            ControlError: It does not run, or its source is not connected.
        """
        answer = await child.ask(self.paths, "reload_schemas", answer_secs=RELOAD_SECS, tables=tables)
        found: list[dict[str, Any]] = answer["tables"]
        return found

    async def retry_dead_letters(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Have the process deliver dead letters again; what became of each.

        Raises:
            ControlError: It does not run, or there are no such entries.
        """
        answer = await child.ask(self.paths, "retry_dead_letters", answer_secs=REDELIVER_SECS, **request)
        found: list[dict[str, Any]] = answer["entries"]
        return found

    async def _spawn(self) -> None:
        self.start_count += 1
        self._process = await child.spawn(
            self.paths,
            self._options,
            self._document,
            rules=self.rules,
            is_paused=self.status == "paused",
            command=self._command,
        )
        log.info("pipeline %s started as pid %d", self.paths.name, self._process.pid)

    async def _settle(self) -> None:
        deadline = time.monotonic() + self._options.settle_secs
        while time.monotonic() < deadline and self.status in ("running", "paused"):
            answer = await self.live()
            if answer is not None and _is_settled(answer):
                return
            await asyncio.sleep(child.POLL_SECS)

    async def _watch(self) -> None:
        """Wait for the process to end, and decide what that means."""
        while True:
            began = time.monotonic()
            await self._wait_for_end()
            if time.monotonic() - began > STABLE_SECS:
                self._delays = self._new_delays()
            outcome = read_outcome(self.paths.outcome)
            if outcome is not None and outcome.status == "failed" and outcome.retry != "backoff":
                self._fail(outcome)
                return
            self.reason = outcome.message if outcome and outcome.message else "the process ended without a reason"
            delay = next(self._delays)
            log.warning("pipeline %s ended, restarting in %.1f s: %s", self.paths.name, delay, self.reason)
            await asyncio.sleep(delay)
            await self._spawn()

    async def _wait_for_end(self) -> None:
        if self._process is not None:
            await self._process.wait()
            self._process = None
            return
        while child.is_alive(self.paths):  # noqa: ASYNC110 - no event comes from another process
            await asyncio.sleep(WATCH_SECS)

    def _fail(self, outcome: Outcome) -> None:
        self.status = "failed"
        self.reason = f"{outcome.message} ({outcome.hint})" if outcome.hint else outcome.message
        log.error("pipeline %s failed (%s): %s", self.paths.name, outcome.kind, self.reason)

    async def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        self._process = None

    def _new_delays(self) -> Iterator[float]:
        return RESTART.delays(random.Random())


def _is_settled(answer: dict[str, Any]) -> bool:
    """Connected, or known not to be: a source that cannot be reached is retried for as long as it takes."""
    is_up = answer.get("connected") and answer.get("state") in ("running", "paused")
    source = answer.get("source") or {}
    return bool(is_up or source.get("reconnects"))
