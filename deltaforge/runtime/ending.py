"""When and why a run ends: asked for, by a failure, or because another process owns the pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from deltaforge.core.errors import DeltaForgeError, SpecError

STOP_SECS = 10.0
"""How long a stop takes at most, unless :data:`STOP_VARIABLE` says otherwise."""
STOP_VARIABLE = "DELTAFORGE_STOP_SECS"
CLOSE_SECS = 2.0
"""The part of it that is kept for the end."""
THREADS_SECS = 1.5
"""How long the threads of source and sinks get to end, all together; also after a failure."""


def stop_secs_of(environment: Mapping[str, str]) -> float:
    """How long a stop may take.

    Raises:
        SpecError: The variable is no number of seconds above :data:`CLOSE_SECS`.
    """
    text = environment.get(STOP_VARIABLE) or str(STOP_SECS)
    try:
        secs = float(text)
    except ValueError:
        secs = 0.0
    if not CLOSE_SECS < secs < float("inf"):
        raise SpecError(f"{STOP_VARIABLE} is a number of seconds above {CLOSE_SECS:g}, not {text!r}")
    return secs


class Ending:
    """Asked and told by every thread of a run; what was told stays.

    Attributes:
        grace_secs: How long a stop waits for sinks that do not answer, before :data:`CLOSE_SECS`.
        failure: Why the run ends, if it does not end because it was told to: the first reason.
        failed_at: When that was, in seconds since 1970.
        is_near: Set once a stop is asked for, or the run has failed.
    """

    def __init__(self, grace_secs: float = STOP_SECS - CLOSE_SECS) -> None:
        self.grace_secs = grace_secs
        self.failure: DeltaForgeError | None = None
        self.failed_at = 0.0
        self.is_near = threading.Event()
        self._stop_at: float | None = None
        self._threads_until: float | None = None
        self._lock = threading.Lock()

    @property
    def stop_secs(self) -> float:
        """How long a stop takes at most."""
        return self.grace_secs + CLOSE_SECS

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for: the source ends at the next transaction end."""
        return self._stop_at is not None

    @property
    def is_grace_over(self) -> bool:
        """Whether a stop was asked for longer ago than the grace allows."""
        return self._stop_at is not None and time.monotonic() - self._stop_at > self.grace_secs

    def stop(self) -> None:
        """Ask for a drain, a last save, and the end. Safe in a signal handler; may be called again."""
        if self._stop_at is None:
            self._stop_at = time.monotonic()
            self.is_near.set()

    def fail(self, error: DeltaForgeError) -> None:
        """Note why the run ends."""
        self.fail_first(error, time.time())

    def fail_first(self, error: DeltaForgeError, at: float) -> None:
        """Note why the run ends, if nothing failed before ``at``, in seconds since 1970."""
        with self._lock:
            if self.failure is None or at < self.failed_at:
                self.failure, self.failed_at = error, at
        self.is_near.set()

    def threads_secs(self) -> float:
        """How much of :data:`THREADS_SECS` is left, which the first call begins."""
        now = time.monotonic()
        if self._threads_until is None:
            self._threads_until = now + THREADS_SECS
        return max(0.0, self._threads_until - now)
