"""Dead letters on their way back to their sink: asked for by one thread, written by the sink's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from deltaforge.core.batch import Batch
from deltaforge.core.errors import StorageError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.positions import NOWHERE


class Redelivery:
    """One event that is written outside its turn.

    Args:
        event: What is written.
        on_ack: Called once it is delivered; may raise StorageError.
        check: Called before it is begun with; raises StorageError if it is not wanted any more.

    Attributes:
        error: Why it was not delivered; None once it was.
    """

    def __init__(
        self, event: ChangeEvent, on_ack: Callable[[], object], check: Callable[[], object] = lambda: None
    ) -> None:
        self.batch = Batch([event], NOWHERE)
        self.batch.now_ns = time.time_ns()
        self.error: str | None = "not delivered yet"
        self._on_ack = on_ack
        self._check = check
        self._lock = threading.Lock()
        self._is_taken = False
        self._ended = threading.Event()

    def take(self) -> bool:
        """Begin with it, or go on. False: whoever asked has given up, or it is not wanted any more."""
        with self._lock:
            if self._is_taken:
                return True
            if self._ended.is_set():
                return False
            try:
                self._check()
            except StorageError as error:
                self.end(str(error))
                return False
            self._is_taken = True
            return True

    def end(self, error: str | None) -> None:
        """Say how it went."""
        if error is None:
            try:
                self._on_ack()
            except StorageError as exc:
                error = f"it is delivered, but its entry is still there: {exc}"
        self.error = error
        self._ended.set()

    def wait(self, timeout_secs: float, reason: Callable[[], str]) -> None:
        """Wait for the end. What was not begun within ``timeout_secs`` never will be; ``reason`` says why."""
        if self._ended.wait(timeout_secs):
            return
        with self._lock:
            if not self._is_taken:
                self.error = reason()
                self._ended.set()
        self._ended.wait()
