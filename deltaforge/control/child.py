"""One pipeline process, seen from outside: its control socket, its lock, its end.

The lock on :attr:`PipelinePaths.lock` is taken before the process is made and handed on to it, and the kernel gives it
up when the process ends, however it ends. So there is no moment in which a process lives and the lock is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import time
from typing import Any

import msgspec

from deltaforge.checkpoint.durable import write_durably
from deltaforge.control.environment import child_environment
from deltaforge.control.options import ServeOptions
from deltaforge.core.errors import ControlError, StorageError
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.spec.remote import RemoteRules, write_rules
from deltaforge.storage.file_lock import FileLock

ANSWER_SECS = 5.0
POLL_SECS = 0.05
KILLED_SECS = 10.0
"""How long a process that was killed may still be there."""
REAPED_SECS = 2.0
"""How long it takes to be told of the end of a process whose lock is free."""
MAX_LOG_BYTES = 16 << 20
LAUNCHER = (sys.executable, "-P", "-m", "deltaforge.runtime.launcher")


async def connect(
    paths: PipelinePaths, *, is_awaited: bool, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the control socket of a pipeline.

    Args:
        paths: Of the pipeline.
        is_awaited: Whether to wait, for as long as the caller lets it, for the socket of a process that lives and has
            not come so far.
        limit: Of a line, in bytes.

    Raises:
        StorageError: See :meth:`PipelinePaths.trusted_socket`.
        ControlError: Nobody can know whether a process lives.
        OSError: Nobody listens.
    """
    while True:
        try:
            return await asyncio.open_unix_connection(str(paths.trusted_socket()), limit=limit)
        except (FileNotFoundError, ConnectionRefusedError):
            if not is_awaited or not is_alive(paths):
                raise
        await asyncio.sleep(POLL_SECS)


async def ask(
    paths: PipelinePaths,
    command: str,
    *,
    answer_secs: float = ANSWER_SECS,
    is_awaited: bool = False,
    **arguments: Any,
) -> dict[str, Any]:
    """Send one request to the control socket of a pipeline.

    Args:
        paths: Of the pipeline.
        command: What to do.
        answer_secs: How long to wait for the answer.
        is_awaited: Whether to wait for a process that has just begun, as part of that time.
        arguments: Of the command.

    Raises:
        ControlError: Kind ``gone`` when no process answers; else the process refused: ``spec``, ``not_found`` or
            ``refused``, with its own words under ``said``.
    """
    try:
        async with asyncio.timeout(answer_secs):
            reader, writer = await connect(paths, is_awaited=is_awaited, limit=1 << 26)
            try:
                writer.write(msgspec.json.encode({"cmd": command, **arguments}) + b"\n")
                await writer.drain()
                line = await reader.readline()
            finally:
                writer.close()
        answer = msgspec.json.decode(line, type=dict[str, Any])
    except StorageError as exc:
        raise ControlError(str(exc), kind="gone") from exc
    except (OSError, TimeoutError, ValueError, msgspec.MsgspecError) as exc:
        raise ControlError(f"pipeline {paths.name} does not answer: {type(exc).__name__}", kind="gone") from exc
    if not answer.get("ok"):
        said = str(answer.get("error"))
        kind = str(answer.get("kind") or "refused")
        raise ControlError(f"pipeline {paths.name} refused {command}: {said}", kind=kind, said=said)
    return answer


def is_alive(paths: PipelinePaths) -> bool:
    """Whether a process runs this pipeline: it holds the lock for its whole life.

    Raises:
        ControlError: Nobody can know: the file cannot be opened.
    """
    try:
        with paths.lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as exc:
        raise ControlError(f"whether pipeline {paths.name} runs cannot be seen: {exc}", kind="io") from exc
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

    Raises:
        ControlError: Kind ``not_ended``: it is there all the same. Or nobody can know whether it is.
    """
    if not is_alive(paths):
        return
    try:
        await ask(paths, "stop")
    except ControlError:
        await _signal(paths, signal.SIGTERM)
    if await wait_until_gone(paths, grace_secs):
        return
    await _signal(paths, signal.SIGKILL)
    if not await wait_until_gone(paths, KILLED_SECS):
        raise ControlError(
            f"process {_pid_of(paths)} of pipeline {paths.name} does not end, not even after SIGKILL",
            kind="not_ended",
            hint="it hangs in the operating system: look at its disks and mounts",
        )


async def reap(process: asyncio.subprocess.Process) -> None:
    """Wait for a process of ours that was told to end; kill it if it does not."""
    try:
        async with asyncio.timeout(REAPED_SECS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _signal(paths: PipelinePaths, number: int) -> None:
    """Signal the process whose id stands in the lock file, while it holds the lock. One that was made a moment ago
    may not stand there yet.
    """
    deadline = time.monotonic() + ANSWER_SECS
    while is_alive(paths) and time.monotonic() < deadline:
        if pid := _pid_of(paths):
            try:
                os.kill(pid, number)
            except OSError:
                return  # it ended meanwhile
            return
        await asyncio.sleep(POLL_SECS)


def _pid_of(paths: PipelinePaths) -> int:
    """The process that holds the lock; 0 if it is not known."""
    try:
        return max(0, int(paths.lock.read_text() or "0"))
    except (OSError, ValueError):
        return 0


async def spawn(  # noqa: PLR0913 - all that makes a process of a pipeline
    paths: PipelinePaths,
    options: ServeOptions,
    document: dict[str, Any],
    *,
    rules: RemoteRules | None,
    is_paused: bool,
    command: tuple[str, ...],
) -> asyncio.subprocess.Process:
    """Write the document and start a process for it, in a session of its own: it survives our end.

    Raises:
        ControlError: Kind ``already_running``: there is one.
        Exception: Whatever keeps a process from being made: files, memory, limits.
    """
    lock = await asyncio.to_thread(_prepare, paths, document, rules)
    try:
        arguments = [f"--name={paths.name}", "--state-dir", str(options.state_dir.resolve())]
        arguments += ["--lock-fd", str(lock.descriptor)]
        if options.shared_storage is not None:
            arguments += ["--storage-path", str(options.shared_storage)]
        if options.secrets_dir is not None:
            arguments += ["--secrets-dir", str(options.secrets_dir.resolve())]
        if is_paused:
            arguments.append("--paused")
        with os.fdopen(os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(lock.descriptor,),
                env=child_environment(os.environ, options.env_prefix),
            )
        lock.note(process.pid)
    finally:
        lock.close()  # the process has it
    return process


def _prepare(paths: PipelinePaths, document: dict[str, Any], rules: RemoteRules | None) -> FileLock:
    """Everything that a process needs, and its lock, held."""
    encoded = msgspec.json.encode(document)
    paths.create()
    lock = FileLock(paths.lock)
    try:
        _take(lock, paths)
        write_rules(paths.rules, rules)
        write_durably(paths.document, encoded)
        paths.outcome.unlink(missing_ok=True)
        if paths.log.exists() and paths.log.stat().st_size > MAX_LOG_BYTES:
            paths.log.replace(paths.log.with_suffix(".log.1"))
    except BaseException:
        lock.close()
        raise
    return lock


def _take(lock: FileLock, paths: PipelinePaths) -> None:
    if not lock.take(is_ours=False):
        raise ControlError(
            f"pipeline {paths.name} already runs from {paths.state_dir} as process {lock.holder()}",
            kind="already_running",
            hint="stop the other process, or use another --state-dir and source id",
        )
