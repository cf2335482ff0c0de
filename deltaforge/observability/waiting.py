"""What a thread waits for inside of a call that takes long."""

from __future__ import annotations

import time

SAID_AGAIN_SECS = 2.0
"""Who still waits says so more often than this."""


class Waiting:
    """What a sink waits for inside of a call that takes long: shown before the call fails. From any thread."""

    def __init__(self) -> None:
        self._noted: tuple[float, str] | None = None

    def note(self, reason: str) -> None:
        """Say it, again and again for as long as it is so."""
        self._noted = time.monotonic(), reason

    @property
    def reason(self) -> str | None:
        """None if nothing was said lately."""
        noted = self._noted
        return noted[1] if noted is not None and time.monotonic() - noted[0] < SAID_AGAIN_SECS else None
