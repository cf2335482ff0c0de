"""The ``file`` sink: one line per event, appended to a file.

Delivery: at least once. A batch is acked when the file is synchronized to the disk. Lines that are
not acked are taken back when a write fails and when the sink is closed, so a duplicate is only a
line that was on disk before its ack was saved. Needs a regular file on a local file system, which
nobody else writes: it opens only files that it made (:mod:`deltaforge.sinks.owned_file`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.core.batch import Batch
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.errors import SinkError
from deltaforge.observability.kill_points import reached
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext
from deltaforge.sinks.owned_file import SUFFIX, OwnedFile, Owner

_TRANSIENT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE})
_BLOCK_BYTES = 65536


class FileSinkConfig(EncodedSinkConfig):
    """Which file."""

    has_destinations: ClassVar[bool] = False

    path: Path = Field(
        strict=False,
        description="File to append to; created if missing, in a directory that exists. With lanes: one for each, "
        "`events.2.jsonl` for `events.jsonl`.",
    )

    def local_uses(self) -> Iterator[LocalUse]:
        yield LocalUse(("path",), str(self.path), "write")

    def refused(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.path.name.endswith(SUFFIX):
            yield ("path",), f"must not end in {SUFFIX}: those are the markers of our files"


class FileSinkSpec(StrictModel):
    """Lines in a file."""

    type: Literal["file"]
    config: FileSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """A sink on that file, unopened."""
        return FileSink(self.config, context)


class FileSink:
    """Appends lines. Holds an advisory lock on the file while open.

    Invariant: after any error the file ends where the last flush left it. After a crash, ``open``
    cuts off a last line without its end, which cannot have been acked.
    """

    def __init__(self, config: FileSinkConfig, context: SinkContext) -> None:
        self._path = context.file_of(config.path)
        self._encoder = config.encoder()
        self._bytes = context.metrics.sink_bytes.labels(context.pipeline, config.id)
        self._owner = Owner(context.pipeline, config.id)
        self._confines, self._adopts = context.output_dir, context.adopts
        self._file: OwnedFile | None = None
        self._fd = -1
        self._flushed_size = 0
        self._is_dirty = False

    def open(self) -> None:
        with self._errors("open"):
            self._file = OwnedFile(self._path, self._confines)
            self._fd = self._file.fd
            try:
                self._lock()
                self._file.claim(self._owner, adopts=self._adopts)
                _cut_torn_line(self._fd)
                self._flushed_size = os.fstat(self._fd).st_size
            except BaseException:
                self._close_file()
                raise

    def write(self, batch: Batch) -> None:
        lines = batch.encoded(self._encoder).lines()
        rest = memoryview(lines)
        reached("after_encode")
        with self._errors("append to"):
            while rest:
                self._is_dirty = True
                rest = rest[os.write(self._fd, rest) :]
                reached("mid_produce")
        self._bytes.inc(len(lines))

    def flush(self) -> DeliveryReport:
        if not self._is_dirty:
            return ALL_ACKED
        with self._errors("synchronize"):
            os.fsync(self._fd)
            self._flushed_size = os.fstat(self._fd).st_size
        self._is_dirty = False
        return ALL_ACKED

    def suspend(self) -> None:
        self.close()

    def close(self) -> None:
        if self._fd < 0:
            return
        self._take_back()
        with suppress(OSError):
            self._close_file()

    def _close_file(self) -> None:
        file, self._file, self._fd = self._file, None, -1
        if file is not None:
            file.close()

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise SinkError(f"cannot open {self._path}: it is not a regular file", hint="use the stdout sink for pipes")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise SinkError(f"cannot open {self._path}: another sink has it open", kind="io") from exc

    def _take_back(self) -> None:
        """Cut off what is not acked: it will be written again."""
        if not self._is_dirty:
            return
        with suppress(OSError):  # what cannot be cut off now is duplicated; a torn line is cut off by open
            if os.fstat(self._fd).st_size > self._flushed_size:
                os.ftruncate(self._fd, self._flushed_size)
            self._is_dirty = False

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            self._take_back()
            kind = "io" if exc.errno in _TRANSIENT else "other"
            raise SinkError(f"cannot {action} {self._path}: {exc.strerror}", kind=kind) from exc


def _cut_torn_line(fd: int) -> None:
    """Truncate the file after its last line end: what follows was interrupted while being written."""
    size = end = os.fstat(fd).st_size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
