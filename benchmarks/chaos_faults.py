"""The faults of a chaos run, and which comes next."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.chaos_sinks import EXACT, OPTIONAL
from deltaforge.observability.kill_points import POINTS
from tests.pipelines import wait_for
from tests.trial import Trial, pause

if TYPE_CHECKING:
    from benchmarks.chaos_copies import Copies
    from benchmarks.chaos_timeline import Timeline
    from tests.fixtures.fault_proxy import FaultProxy

_OF_KAFKA_TRANSACTIONS = ("inside_transaction_before_commit", "after_commit")
_OF_SPOOLS = ("during_spool_fsync",)
_OF_BAD_ROWS = ("after_dead_letter",)  # the workload has none
_OF_COPIES = ("after_chunk_read", "before_chunk_queued", "after_chunk_queued", "between_chunk_ack_and_save")
_PER_BATCH = ("after_read", "after_encode", "mid_produce")
MAX_PASSINGS = 6
COPIED_PER_SECOND = 4000
LARGE_ROWS = (3000, 8000)
IN_THE_FLOW = 0.75
MOST_SECS = 8.0


class Faults:
    """Draws faults by weight. A kill at a named point begins with a plain kill: points are armed at a start.

    Args:
        trial: What is broken.
        timeline: Where faults are noted.
        rng: Decides everything.
        sink: Its name among the chaos sinks.
        proxies: In front of each log's database and of the destination; None for a file.
        copies: Of the tables, if they are copied meanwhile.
    """

    def __init__(  # noqa: PLR0913 - a trial, and all that may be broken of it
        self,
        trial: Trial,
        timeline: Timeline,
        rng: random.Random,
        sink: str,
        *,
        proxies: tuple[Sequence[FaultProxy], FaultProxy | None],
        copies: Copies | None = None,
    ) -> None:
        self.trial, self.timeline, self.copies = trial, timeline, copies
        self._rng = rng
        self._source_proxies, self._sink_proxy = proxies
        left_out = _OF_SPOOLS + _OF_BAD_ROWS + _OF_COPIES + (() if sink == EXACT else _OF_KAFKA_TRANSACTIONS)
        self._points = [point for point in POINTS if point not in left_out]
        self._choices: list[tuple[int, Any]] = [(40, self._kill), (25, self._points_in_a_row)]
        self._choices += [(7, self._kill_in_large), (8, self._point_in_large), (7, self._cut), (3, self._stall)]
        if self._sink_proxy is not None:
            self._choices += [(5, self._outage), (5, self._kill_in_outage)]
        if copies is not None:
            self._choices.append((60, self._point_of_a_copy))
        if sink == OPTIONAL:
            self._choices += [(20, self._point_of_the_spool)]
        if trial.pipeline.runtime != (1, 1):
            self._choices += [(40, self._kill_one), (10, self._stop), (10, self._rescale)]
        if "sharding" in trial.pipeline.document["spec"] and sink in (EXACT, "kafka", "redis"):
            self._choices.append((15, self._other_lanes))  # of files each lane has its own, and over these is no order
        if len(self._source_proxies) > 1:
            self._choices += [(15, self._shard_away), (10, self._kill_in_shard_away)]

    def next(self) -> None:
        """After a while, one more fault; the pipeline runs when it is over.

        Most faults wait until rows come through again: a process that has only just started has little to lose.
        """
        if self._rng.random() < IN_THE_FLOW:
            self.timeline.wait_for_more(MOST_SECS)
        pause(self._rng.uniform(0.0, 0.3))
        weights = [weight for weight, _ in self._choices]
        self._rng.choices([fault for _, fault in self._choices], weights)[0]()

    def end(self) -> None:
        """Let the pipeline run once more before it is judged."""
        pause(self._rng.uniform(0.1, 1.0))

    def _kill(self) -> None:
        self.timeline.note("kill", "")
        self.trial.kill()
        self.trial.pipeline.start()

    def _points_in_a_row(self) -> None:
        self.timeline.note("kill", "before named points")
        self.trial.kill()
        for _ in range(self._rng.randint(1, 3)):
            point = self._rng.choice(self._points)
            passing = 1 if point == "during_stop" else self._rng.randint(1, MAX_PASSINGS)
            self._kill_at(point, passing)
        self.trial.pipeline.start()

    def _kill_in_large(self) -> None:
        """Kill as soon as a part of a large transaction, or what is before it, has come through."""
        self._commit_large()
        self.timeline.wait_for_more(MOST_SECS)
        self._kill()

    def _point_in_large(self) -> None:
        """Commit a large transaction while the process is dead, and kill at one of its first parts."""
        self.timeline.note("kill", "before a large transaction")
        self.trial.kill()
        self._commit_large()
        points = _PER_BATCH + tuple(point for point in self._points if point in _OF_KAFKA_TRANSACTIONS)
        self._kill_at(self._rng.choice(points), self._rng.randint(2, MAX_PASSINGS))
        self.trial.pipeline.start()

    def _point_of_a_copy(self) -> None:
        """Ask for a copy, and kill while it goes on."""
        assert self.copies is not None
        self.copies.ask(rows_per_second=COPIED_PER_SECOND)
        self.timeline.note("kill", "after a copy was asked for")
        self.trial.kill()
        point = self._rng.choice(_OF_COPIES)
        # The last one is passed once in an epoch.
        self._kill_at(point, 1 if point == _OF_COPIES[-1] else self._rng.randint(1, MAX_PASSINGS))
        self.trial.pipeline.start()

    def _point_of_the_spool(self) -> None:
        """The optional sink is away, and the process dies while it writes down what that could not take."""
        proxy = self._sink_proxy
        assert proxy is not None
        self.timeline.note("kill in outage", "")
        proxy.down()
        self.trial.kill()
        self._kill_at(self._rng.choice(_OF_SPOOLS), self._rng.randint(1, 3))
        self.trial.pipeline.start()
        pause(self._rng.uniform(0.0, 1.0))
        proxy.up()

    def _commit_large(self) -> None:
        workload, row_count = self._one_of(self.trial.logs).workload, self._rng.randint(*LARGE_ROWS)
        before = workload.large_count
        workload.ask_for_large(row_count)
        wait_for(lambda: workload.large_count > before, interval_secs=0.01)
        self.timeline.note("large", f"{row_count} rows")

    def _kill_at(self, point: str, passing: int) -> None:
        self.trial.kill_at(point, passing)
        self.timeline.note("point", f"{point}:{passing}")

    def _cut(self) -> None:
        self.timeline.note("cut", "database")
        self._one_of(self._source_proxies).cut()

    def _stall(self) -> None:
        self.timeline.note("stall", "database")
        proxy = self._one_of(self._source_proxies)
        proxy.stall()
        pause(self._rng.uniform(0.3, 1.5))
        proxy.unstall()

    def _one_of(self, several: Sequence[Any]) -> Any:
        return several[0] if len(several) == 1 else self._rng.choice(several)

    def _kill_one(self) -> None:
        """Kill a process of the cluster; the others end, and all are started again."""
        processes = self.trial.pipeline.pids()
        number = self._rng.randrange(len(processes))
        self.timeline.note("kill", f"process {number} of {len(processes)}")
        self.trial.kill_one(processes[number])
        self.trial.pipeline.start()

    def _stop(self) -> None:
        self.timeline.note("stop", "")
        self.trial.stop()
        self.trial.pipeline.start()

    def _rescale(self) -> None:
        """Stop, and go on with other processes and workers."""
        processes, workers = self._rng.randint(1, 3), self._rng.randint(1, 2)
        self.timeline.note("rescale", f"{processes}x{workers}")
        self.trial.stop()
        self.trial.pipeline.document["spec"]["runtime"] = {"processes": processes, "workers": workers}
        self.trial.pipeline.start()

    def _other_lanes(self) -> None:
        """Stop, and go on with another number of lanes; if something is left to deliver, with those that there were."""
        sharding = self.trial.pipeline.document["spec"]["sharding"]
        before, sharding["count"] = sharding["count"], self._rng.randint(1, 4)
        self.timeline.note("other lanes", f"{before} to {sharding['count']}")
        self.trial.stop()
        self.trial.pipeline.start(waits=False)
        if not self.trial.pipeline.is_running():
            assert "cannot be cut anew" in self.trial.pipeline.log(), self.trial.pipeline.log()
            self.timeline.note("lanes refused", "")
            sharding["count"] = before
            self.trial.pipeline.start()

    def _shard_away(self) -> None:
        """The server of one shard is away for a while, and the others go on."""
        proxy = self._one_of(self._source_proxies)
        self.timeline.note("shard away", "")
        proxy.down()
        pause(self._rng.uniform(0.3, 3.0))
        proxy.up()

    def _kill_in_shard_away(self) -> None:
        proxy = self._one_of(self._source_proxies)
        self.timeline.note("kill", "while a shard is away")
        proxy.down()
        pause(self._rng.uniform(0.1, 1.2))
        self.trial.kill()
        self.trial.pipeline.start(waits=False)
        pause(self._rng.uniform(0.2, 1.0))
        proxy.up()
        self.trial.pipeline.wait_until_running()

    def _outage(self) -> None:
        proxy = self._sink_proxy
        assert proxy is not None
        is_silent = self._rng.random() < 0.5
        self.timeline.note("outage", "silent" if is_silent else "refused")
        (proxy.stall if is_silent else proxy.down)()
        pause(self._rng.uniform(0.5, 3.0))
        (proxy.unstall if is_silent else proxy.up)()

    def _kill_in_outage(self) -> None:
        proxy = self._sink_proxy
        assert proxy is not None
        self.timeline.note("kill in outage", "")
        proxy.down()
        pause(self._rng.uniform(0.1, 1.2))
        self.trial.kill()
        self.trial.pipeline.start()
        pause(self._rng.uniform(0.2, 1.0))
        proxy.up()
