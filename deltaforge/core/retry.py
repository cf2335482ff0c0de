"""What to do about an error: one table from kind to policy, and the backoff that goes with it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from deltaforge.core.errors import DeltaForgeError, PositionLostError, ProtocolError, RecordError, SpecError


class Retry(Enum):
    """Whether trying again can help."""

    BACKOFF = "backoff"
    """Transient: try again, ever more slowly."""
    OPERATOR = "operator"
    """A person has to change something (settings, rights, data) before a retry can work."""
    NEVER = "never"
    """No retry of this pipeline can work: its position or its data is gone, or it was replaced."""


_KINDS: dict[str, Retry] = {
    "cancelled": Retry.NEVER,
    "timeout": Retry.BACKOFF,
    "connect": Retry.BACKOFF,
    "io": Retry.BACKOFF,
    "backpressure": Retry.BACKOFF,
    "storage": Retry.BACKOFF,
    "auth": Retry.OPERATOR,
    "permission": Retry.OPERATOR,
    "not_found": Retry.OPERATOR,
    "incompatible": Retry.OPERATOR,
    "schema": Retry.OPERATOR,
    "protocol": Retry.OPERATOR,
    "serialization": Retry.OPERATOR,
    "routing": Retry.OPERATOR,
    "spec": Retry.OPERATOR,
    "missing_dependency": Retry.OPERATOR,
    "checkpoint": Retry.NEVER,
    "fatal": Retry.NEVER,
}


def retry_of(error: BaseException) -> Retry:
    """The policy for an error. What is not known needs a person: ``OPERATOR``."""
    if isinstance(error, PositionLostError):
        return Retry.NEVER
    if isinstance(error, (ProtocolError, RecordError, SpecError)):
        return Retry.OPERATOR
    if isinstance(error, DeltaForgeError):
        return _KINDS.get(error.kind, Retry.OPERATOR)
    return Retry.OPERATOR


@dataclass(frozen=True)
class Backoff:
    """Doubling delays with jitter. ``attempts`` None means without end."""

    initial_secs: float = 1.0
    max_secs: float = 60.0
    jitter: float = 0.2
    attempts: int | None = None

    def delays(self, rng: random.Random) -> Iterator[float]:
        """Seconds to wait before retry 1, 2, …; stops after ``attempts``."""
        delay, count = self.initial_secs, 0
        while self.attempts is None or count < self.attempts:
            yield delay * (1.0 + self.jitter * (2.0 * rng.random() - 1.0))
            delay, count = min(delay * 2.0, self.max_secs), count + 1


SOURCE_RECONNECT = Backoff()
