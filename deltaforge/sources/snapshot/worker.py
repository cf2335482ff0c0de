"""Threads that read chunks, each over a connection of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from deltaforge.core.errors import DeltaForgeError, SourceError, unforeseen
from deltaforge.observability.kill_points import reached
from deltaforge.observability.threads import show_thread_name
from deltaforge.sources.snapshot.base import ChunkReader
from deltaforge.sources.snapshot.tasks import ReadChunk, Result, Task

log = logging.getLogger(__name__)


class Employer(Protocol):
    """Who has work for workers. Called from their threads."""

    def next_task(self) -> Task | None:
        """The next thing to do, as soon as there is one; None: no more for now, the worker may go."""

    def finished(self, task: Task, result: Result) -> None:
        """It is done."""

    def failed(self, task: Task, error: DeltaForgeError) -> None:
        """It could not be done."""

    def left(self, worker: SnapshotWorker) -> None:
        """The worker has gone, and its connection with it."""


class SnapshotWorker:
    """A thread with a connection, as long as there is work.

    Args:
        name: Of the thread.
        employer: Gives tasks.
        build_reader: Makes the connection, unopened.
    """

    def __init__(self, name: str, employer: Employer, build_reader: Callable[[], ChunkReader]) -> None:
        self._employer = employer
        self._build_reader = build_reader
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def join(self, timeout_secs: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_secs)

    def _run(self) -> None:
        show_thread_name()
        try:
            reader = self._build_reader()
            try:
                while (task := self._employer.next_task()) is not None:
                    self._do(task, reader)
            finally:
                reader.close()
        finally:
            self._employer.left(self)

    def _do(self, task: Task, reader: ChunkReader) -> None:
        try:
            result: Result = task.do(reader)
            if isinstance(task, ReadChunk):
                reached("after_chunk_read")
        except DeltaForgeError as error:
            self._employer.failed(task, error)
        except Exception as error:
            log.exception("a worker of the snapshot crashed")
            reader.close()  # nobody knows what the server was asked last
            crash = SourceError(f"reading failed unexpectedly: {unforeseen(error)}", kind="other", crash=True)
            self._employer.failed(task, crash)
        else:
            self._employer.finished(task, result)
