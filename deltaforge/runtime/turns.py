"""Several logs in one process: each thread takes their batches in turn."""

from __future__ import annotations

import threading

from deltaforge.sources.reader import LogReader


class LogTurns:
    """The readers of a process, by the thread that takes their batches: a wait for one of them ends as soon as another
    one of the same thread has something.

    Attributes:
        changed: Shared by all of them.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._readers: dict[int, tuple[LogReader, ...]] = {}

    def join(self, reader: LogReader) -> None:
        """Called in the thread that takes its batches."""
        thread = threading.get_ident()
        self._readers[thread] = (*self._readers.get(thread, ()), reader)

    def others(self, reader: LogReader) -> tuple[LogReader, ...]:
        """Those that the calling thread takes batches of besides."""
        return tuple(each for each in self._readers.get(threading.get_ident(), ()) if each is not reader)

    def wait(self, reader: LogReader, timeout_secs: float) -> None:
        """Wait until another one has something, or this one was told to read again."""
        others = self.others(reader)
        with self.changed:
            self.changed.wait_for(
                lambda: reader.failure is None or any(each.has_ready() for each in others), timeout_secs
            )
