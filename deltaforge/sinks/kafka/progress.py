"""Whether a client gets on, and what it says of itself when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from deltaforge.observability.waiting import Waiting
from deltaforge.sinks.kafka.errors import KIND_OF, StalledError

SHOWN_AFTER_SECS = 1.0
"""How long nothing may move until people are told why."""


class Trouble(NamedTuple):
    """What the client library said of itself last, by the name of its error."""

    name: str
    text: str

    @property
    def kind(self) -> str | None:
        """The kind of our error, None if it has none of its own."""
        return KIND_OF.get(self.name)


class Progress:
    """Notices that the number of waiting messages has stopped falling, and says so."""

    def __init__(self, timeout_secs: float, trouble: Callable[[], Trouble | None], waiting: Waiting) -> None:
        self._timeout_secs = timeout_secs
        self._trouble = trouble
        self._waiting = waiting
        self._least: int | None = None
        self._deadline = 0.0

    def check(self, waiting: int) -> None:
        """Take note of the number of waiting messages.

        Raises:
            StalledError: It has not fallen for too long.
        """
        now = time.monotonic()
        if self._least is None or waiting < self._least:
            self._least, self._deadline = waiting, now + self._timeout_secs
            return
        self.show()
        if now > self._deadline:
            raise self.stalled()

    def show(self) -> None:
        """Tell people, once nothing has moved for a while."""
        if time.monotonic() > self._deadline - self._timeout_secs + SHOWN_AFTER_SECS:
            self._waiting.note(f"kafka makes no progress{self._reason()}")

    def stalled(self) -> StalledError:
        """What is raised when it takes too long."""
        trouble = self._trouble()
        kind = "connect" if trouble and trouble.kind == "connect" else "timeout"
        return StalledError(f"kafka made no progress for {self._timeout_secs:g} s{self._reason()}", kind=kind)

    def _reason(self) -> str:
        trouble = self._trouble()
        return f": {trouble.text}" if trouble else ""
