"""The faults of a chaos run, and which comes next."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from deltaforge.observability.kill_points import POINTS
from tests.trial import Trial, pause

if TYPE_CHECKING:
    from benchmarks.chaos_timeline import Timeline
    from tests.fixtures.fault_proxy import FaultProxy

_OF_TRANSACTIONS = ("inside_transaction_before_commit", "after_commit")
_OF_BAD_ROWS = ("after_dead_letter",)  # the workload has none
MAX_PASSINGS = 6
IN_THE_FLOW = 0.75
MOST_SECS = 20.0


class Faults:
    """Draws faults by weight. A kill at a named point begins with a plain kill: points are armed at a start.

    Args:
        trial: What is broken.
        rng: Decides everything.
        sink: Its name among the chaos sinks.
        source_proxy: In front of the database.
        sink_proxy: In front of the destination, None for a file.
        timeline: Where faults are noted.
    """

    def __init__(  # noqa: PLR0913 - each is a thing that can be broken
        self,
        trial: Trial,
        rng: random.Random,
        sink: str,
        source_proxy: FaultProxy,
        sink_proxy: FaultProxy | None,
        timeline: Timeline,
    ) -> None:
        self._trial, self._rng, self._timeline = trial, rng, timeline
        self._sink, self._source_proxy, self._sink_proxy = sink, source_proxy, sink_proxy
        left_out = _OF_BAD_ROWS + (() if sink == "kafka-exactly-once" else _OF_TRANSACTIONS)
        self._points = [point for point in POINTS if point not in left_out]
        self._choices: list[tuple[int, Any]] = [(45, self._kill), (25, self._points_in_a_row)]
        self._choices += [(10, self._cut), (5, self._stall)]
        if sink_proxy is not None:
            self._choices += [(10, self._outage), (5, self._kill_in_outage)]

    @property
    def kill_count(self) -> int:
        """Kills so far."""
        return self._timeline.kill_count

    def about(self, trial: Trial) -> str:
        """For the progress bar."""
        return f"{trial.database.server.scheme} to {self._sink}"

    def next(self) -> None:
        """After a while, one more fault; the pipeline runs when it is over.

        Most faults wait until rows come through again: a process that has only just started has little to lose.
        """
        if self._rng.random() < IN_THE_FLOW:
            self._timeline.wait_for_more(MOST_SECS)
        pause(self._rng.uniform(0.0, 1.0))
        weights = [weight for weight, _ in self._choices]
        self._rng.choices([fault for _, fault in self._choices], weights)[0]()

    def end(self) -> None:
        """Let the pipeline run once more before it is judged."""
        pause(self._rng.uniform(0.1, 1.0))

    def _kill(self) -> None:
        self._timeline.note("kill", "")
        self._trial.kill()
        self._trial.pipeline.start()

    def _points_in_a_row(self) -> None:
        self._timeline.note("kill", "before named points")
        self._trial.kill()
        for _ in range(self._rng.randint(1, 3)):
            point = self._rng.choice(self._points)
            passing = 1 if point == "during_stop" else self._rng.randint(1, MAX_PASSINGS)
            self._trial.kill_at(point, passing)
            self._timeline.note("point", f"{point}:{passing}")
        self._trial.pipeline.start()

    def _cut(self) -> None:
        self._timeline.note("cut", "database")
        self._source_proxy.cut()

    def _stall(self) -> None:
        self._timeline.note("stall", "database")
        self._source_proxy.stall()
        pause(self._rng.uniform(0.5, 2.0))
        self._source_proxy.unstall()

    def _outage(self) -> None:
        proxy = self._sink_proxy
        assert proxy is not None
        is_silent = self._rng.random() < 0.5
        self._timeline.note("outage", "silent" if is_silent else "refused")
        (proxy.stall if is_silent else proxy.down)()
        pause(self._rng.uniform(1.0, 4.0))
        (proxy.unstall if is_silent else proxy.up)()

    def _kill_in_outage(self) -> None:
        proxy = self._sink_proxy
        assert proxy is not None
        self._timeline.note("kill in outage", "")
        proxy.down()
        pause(self._rng.uniform(0.2, 1.5))
        self._trial.kill()
        self._trial.pipeline.start()
        pause(self._rng.uniform(0.2, 1.0))
        proxy.up()
