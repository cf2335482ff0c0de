"""The ``stdout`` sink: one line per event on standard output.

Delivery: at least once, as far as the operating system's pipe, terminal or file; what the reader of
a pipe does with a line is not known here. A duplicate is the same line again after a restart.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

from deltaforge.config.model import StrictModel
from deltaforge.core.batch import Batch
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.errors import SinkError
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext

STDOUT = 1
_OF_THIS_PROCESS = threading.Lock()


class StdoutSinkConfig(EncodedSinkConfig):
    """Standard output has no settings of its own."""

    has_destinations: ClassVar[bool] = False


class StdoutSinkSpec(StrictModel):
    """Lines on standard output."""

    type: Literal["stdout"]
    config: StdoutSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """A sink on file descriptor 1."""
        return StdoutSink(self.config, context)


class StdoutSink:
    """Writes past Python's own buffer, so that a line is out when ``write`` returns. Never closes the descriptor."""

    def __init__(self, config: StdoutSinkConfig, context: SinkContext) -> None:
        self._encoder = config.encoder()
        self._bytes = context.metrics.sink_bytes.labels(context.pipeline, config.id)

    def open(self) -> None:
        """See that there is a standard output; there is nothing to open."""
        try:
            os.fstat(STDOUT)
        except OSError as exc:
            raise SinkError(f"cannot write to standard output: {exc.strerror}", kind="fatal") from exc

    def write(self, batch: Batch) -> None:
        lines = batch.encoded(self._encoder).lines()
        with _alone():
            _write_all(lines)
        self._bytes.inc(len(lines))

    def flush(self) -> DeliveryReport:
        """Standard output redirected to a file is synchronized; a pipe or terminal already has the lines."""
        try:
            if stat.S_ISREG(os.fstat(STDOUT).st_mode):
                os.fsync(STDOUT)
        except OSError as exc:
            raise _error(exc) from exc
        return ALL_ACKED

    def suspend(self) -> None:
        """There is nothing to give up."""

    def close(self) -> None:
        """There is nothing to close."""


@contextmanager
def _alone() -> Iterator[None]:
    """For what one sink writes at a time: a pipe takes it in pieces, and no line of another sink, of this process or of
    another one of the pipeline, may come in between.

    A record lock is of a process and an inode, be it a file, pipe, terminal or socket, and is given up by the kernel
    when the process ends.
    """
    with _OF_THIS_PROCESS:
        try:
            fcntl.lockf(STDOUT, fcntl.LOCK_EX)
        except OSError as exc:
            raise _error(exc) from exc
        try:
            yield
        finally:
            fcntl.lockf(STDOUT, fcntl.LOCK_UN)


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(STDOUT, rest) :]
        except BlockingIOError:  # somebody who shares the terminal or pipe made it non-blocking
            select.select([], [STDOUT], [], 1.0)
        except OSError as exc:
            raise _error(exc) from exc


def _error(exc: OSError) -> SinkError:
    if isinstance(exc, BrokenPipeError):
        return SinkError("cannot write to standard output: its reader is gone", kind="fatal")
    return SinkError(f"cannot write to standard output: {exc.strerror}", kind="io")
