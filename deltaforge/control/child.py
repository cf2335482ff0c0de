"""One pipeline process, seen from outside: its control socket, its lock, its end."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from typing import Any

import msgspec

from deltaforge.checkpoint.durable import write_durably
from deltaforge.control.options import ServeOptions
from deltaforge.core.errors import ControlError
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec.remote import RemoteRules, write_rules

ANSWER_SECS = 5.0
POLL_SECS = 0.05
MAX_LOG_BYTES = 16 << 20
LAUNCHER = (sys.executable, "-P", "-m", "deltaforge.runtime.launcher")


async def ask(
    paths: PipelinePaths, command: str, *, answer_secs: float = ANSWER_SECS, **arguments: Any
) -> dict[str, Any]:
    """Send one request to the control socket of a pipeline.

    Args:
        paths: Of the pipeline.
        command: What to do.
        answer_secs: How long to wait for the answer.
        arguments: Of the command.

    Raises:
        ControlError: Kind ``gone`` when no process answers; else the process refused.
    """
    try:
        async with asyncio.timeout(answer_secs):
            reader, writer = await asyncio.open_unix_connection(str(paths.socket), limit=1 << 26)
            try:
                writer.write(msgspec.json.encode({"cmd": command, **arguments}) + b"\n")
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
        answer = msgspec.json.decode(line, type=dict[str, Any])
    except (OSError, TimeoutError, msgspec.MsgspecError) as exc:
        raise ControlError(f"pipeline {paths.name} does not answer: {type(exc).__name__}", kind="gone") from exc
    if not answer.get("ok"):
        raise ControlError(f"pipeline {paths.name} refused {command}: {answer.get('error')}")
    return answer


def is_alive(paths: PipelinePaths) -> bool:
    """Whether a process runs this pipeline: it holds the lock for its whole life."""
    try:
        with paths.lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except FileNotFoundError:
        return False
    return False


async def wait_until_gone(paths: PipelinePaths, timeout_secs: float) -> bool:
    """Wait for the process to end. False if it still runs after ``timeout_secs``."""
    deadline = time.monotonic() + timeout_secs
    while is_alive(paths):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECS)
    return True


async def stop(paths: PipelinePaths, grace_secs: float) -> None:
    """End the process of a pipeline: drain and save within the grace, SIGKILL after it.

    After a SIGKILL the position stays at the last save; nothing is lost.
    """
    if not is_alive(paths):
        return
    try:
        await ask(paths, "stop")
    except ControlError:
        _signal(paths, signal.SIGTERM)
    if not await wait_until_gone(paths, grace_secs):
        _signal(paths, signal.SIGKILL)
        await wait_until_gone(paths, 10.0)


def _signal(paths: PipelinePaths, number: int) -> None:
    """Signal the process whose id stands in the lock file, if it still holds the lock."""
    try:
        pid = int(paths.lock.read_text() or "0")
        if pid > 0 and is_alive(paths):
            os.kill(pid, number)
    except (ValueError, OSError):
        return  # it ended meanwhile


async def spawn(  # noqa: PLR0913 - all that makes a process of a pipeline
    paths: PipelinePaths,
    options: ServeOptions,
    document: dict[str, Any],
    *,
    rules: RemoteRules | None,
    is_paused: bool,
    command: tuple[str, ...],
) -> asyncio.subprocess.Process:
    """Write the document and start a process for it, in a session of its own: it survives our end."""
    _prepare(paths, document, rules)
    arguments = ["--name", paths.name, "--state-dir", str(options.state_dir.resolve())]
    if options.shared_storage is not None:
        arguments += ["--storage-path", str(options.shared_storage)]
    if is_paused:
        arguments.append("--paused")
    with os.fdopen(os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "RUST_BACKTRACE": "0"},
        )


def _prepare(paths: PipelinePaths, document: dict[str, Any], rules: RemoteRules | None) -> None:
    paths.create()
    write_rules(paths.rules, rules)
    write_durably(paths.document, msgspec.json.encode(document))
    paths.outcome.unlink(missing_ok=True)
    if paths.log.exists() and paths.log.stat().st_size > MAX_LOG_BYTES:
        paths.log.replace(paths.log.with_suffix(".log.1"))
