"""What a pipeline shows while it works: the events that pass, and its log."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import msgspec

from deltaforge.config.known_secrets import KnownSecrets
from deltaforge.control.child import ANSWER_SECS, connect
from deltaforge.control.log_file import LogFile
from deltaforge.control.pipeline import Pipeline
from deltaforge.core.errors import ControlError, DeltaForgeError, SpecError, StorageError
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.tap import MAX_EVENT_BYTES, TailRequest
from deltaforge.spec.secrets import secrets_of

log = logging.getLogger(__name__)

MAX_FOLLOWERS = 32
"""Readers of logs at a time, of all pipelines."""
POLL_SECS = 0.25
KEEP_ALIVE_SECS = 15.0
"""After so long without a line a blank one is sent: what is between us and the reader must not take it for dead."""
CHUNK_BYTES = 1 << 16


class PipelineStreams:
    """Events and log lines of registered pipelines.

    Args:
        get: The pipeline of a name; raises if there is none.
    """

    def __init__(self, get: Callable[[str], Pipeline]) -> None:
        self._get = get
        self._followers = 0

    async def events(self, name: str, request: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """The events that pass from now on, as JSON lines; the last line says why it ends.

        Args:
            name: Of the pipeline.
            request: See :class:`deltaforge.runtime.tap.TailRequest`.

        Raises:
            SpecError: The request is not understood.
            ControlError: The pipeline does not run, or enough others follow it.
        """
        pipeline = self._get(name)
        try:
            msgspec.convert(request, TailRequest)
        except msgspec.ValidationError as exc:
            raise SpecError(str(exc)) from exc
        if (status := await pipeline.supervisor.next_status()) not in ("running", "paused"):
            raise ControlError(f"no events pass: pipeline {name} is {status}", hint="resume it, and try again")
        reader, writer = await _open_tail(pipeline.supervisor.paths, request)
        return _forward(reader, writer)

    def log_lines(self, name: str, count: int, seconds: float) -> AsyncGenerator[bytes, None]:
        """The last lines of the log and what is added for so many seconds, as JSON lines.

        Raises:
            ControlError: Enough others read a log.
        """
        pipeline = self._get(name)
        if self._followers >= MAX_FOLLOWERS:
            raise ControlError(f"{MAX_FOLLOWERS} readers follow logs already", hint="end one of them first")
        return self._lines(pipeline, count, seconds)

    async def _lines(self, pipeline: Pipeline, count: int, seconds: float) -> AsyncGenerator[bytes, None]:
        paths, until = pipeline.supervisor.paths, time.monotonic() + seconds
        file = LogFile(paths.log, await asyncio.to_thread(_secrets_of, pipeline))
        self._followers += 1
        try:
            lines, spoke_at = await asyncio.to_thread(file.last, count), time.monotonic()
            while True:
                if lines or time.monotonic() - spoke_at > KEEP_ALIVE_SECS:
                    spoke_at = time.monotonic()
                    yield b"".join(msgspec.json.encode({"line": line}) + b"\n" for line in lines) or b"\n"
                if time.monotonic() >= until or not await asyncio.to_thread(paths.root.exists):
                    return
                await asyncio.sleep(POLL_SECS)
                lines = await asyncio.to_thread(file.added)
        finally:
            self._followers -= 1
            file.close()


def _secrets_of(pipeline: Pipeline) -> KnownSecrets:
    found = secrets_of(pipeline.raw)
    with suppress(DeltaForgeError):  # what is not there cannot have been printed
        found += pipeline.used()[1]
    known = KnownSecrets()
    known.learn(pipeline.name, found, shown="" if pipeline.fault else json.dumps(pipeline.parsed.spec.echo()))
    return known


async def _open_tail(
    paths: PipelinePaths, request: dict[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    writer = None
    try:
        async with asyncio.timeout(ANSWER_SECS):
            reader, writer = await connect(paths, is_awaited=True, limit=2 * MAX_EVENT_BYTES)
            writer.write(msgspec.json.encode({"cmd": "tail", "request": request}) + b"\n")
            answer = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
    except StorageError as exc:
        raise ControlError(str(exc), kind="gone") from exc
    except (OSError, TimeoutError, msgspec.MsgspecError) as exc:
        if writer is not None:
            writer.close()
        raise ControlError(f"pipeline {paths.name} does not answer: {type(exc).__name__}", kind="gone") from exc
    if not answer.get("ok"):
        writer.close()
        raise ControlError(str(answer.get("error")))
    return reader, writer


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncGenerator[bytes, None]:
    """Whole lines as they come, and a last one of our own if the process ends without a word."""
    rest, last = b"", b""
    try:
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECS):
                    data = await reader.read(CHUNK_BYTES)
            except TimeoutError:
                yield b"\n"
                continue
            if not data:
                break
            whole, newline, rest = (rest + data).rpartition(b"\n")
            if newline:
                last = whole.rpartition(b"\n")[2]
                yield whole + newline
    except OSError as error:
        log.debug("events of a pipeline end: %s", error)
    finally:
        writer.close()
    if not last.startswith(b'{"tail":{"ended":'):
        yield b'{"tail":{"ended":"killed"}}\n'
