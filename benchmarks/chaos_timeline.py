"""What a chaos run records: rows written and delivered over time, and every fault."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

SAMPLE_SECS = 0.5
LOOK_SECS = 0.03


@dataclass(frozen=True)
class Fault:
    """``kind`` is ``kill``, ``point``, ``cut``, ``stall``, ``outage``, ``kill in outage`` or ``large`` (a large
    transaction was committed, which is no fault); times from the start.
    """

    at_secs: float
    kind: str
    detail: str


@dataclass
class Round:
    """One pipeline over its faults. ``samples``: seconds, row changes committed, events at the destination. ``layout``:
    the name of one that is not usual.

    ``copied_count``: of the events those that are rows of a table, copied. ``broken_secs``: until the last fault; then
    comes the judgement.
    """

    source: str
    sink: str
    seed: int
    copies: bool = False
    layout: str = ""
    event_count: int = 0
    copied_count: int = 0
    repeated_count: int = 0
    secs: float = 0.0
    broken_secs: float = 0.0
    drain_secs: float = 0.0
    failure: str = ""
    faults: list[Fault] = field(default_factory=list)
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def kill_count(self) -> int:
        """SIGKILLs of the process, by whomever."""
        return sum("kill" in fault.kind for fault in self.faults) + self.point_count

    @property
    def point_count(self) -> int:
        """SIGKILLs at named points."""
        return sum(fault.kind == "point" for fault in self.faults)

    @property
    def large_count(self) -> int:
        """Large transactions that were committed to be killed in."""
        return sum(fault.kind == "large" for fault in self.faults)


class Timeline:
    """Samples the counts in a thread of its own while it is open."""

    def __init__(self, workload: Any, destination: Any, found: Round) -> None:
        self._workload, self._destination, self._found = workload, destination, found
        self._began = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="timeline")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def now(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self._began, 2)

    def note(self, kind: str, detail: str) -> None:
        """A fault happens now."""
        self._found.faults.append(Fault(self.now(), kind, detail))

    def wait_for_more(self, most_secs: float) -> None:
        """Return when more is delivered than now, or after ``most_secs``."""
        before, deadline = self._destination.count(), time.monotonic() + most_secs
        while self._destination.count() == before and time.monotonic() < deadline:
            self._is_over.wait(LOOK_SECS)

    def _sample(self) -> None:
        while True:
            is_last = self._is_over.wait(SAMPLE_SECS)
            self._found.samples.append((self.now(), self._workload.committed_count, self._destination.count()))
            if is_last:
                return
