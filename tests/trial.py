"""A pipeline under faults: a seeded workload, the process, its destination, and the rules that hold at the end."""

import signal
import threading
from dataclasses import dataclass, field

from deltaforge.checkpoint.reader import read_checkpoints
from deltaforge.observability.kill_points import VARIABLE
from tests.copies import assert_never_backwards, changes
from tests.oracle import has
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for
from tests.workload import Consumer, Workload, assert_ordered_without_gap, selected, without_added


def source_of(database, **changes):
    return (mysql_source if database.server.scheme == "mysql" else postgres_source)(database, **changes)


def is_delivered(database, destination, consumer=None):
    """Whether a consumer's tables are those of the database. With a consumer from before, not while more arrives."""
    events = destination.events()
    if consumer is None:
        consumer = Consumer()
        consumer.apply(events)
    elif added := events[consumer.event_count :]:
        consumer.apply(added)
        return False
    return without_added(consumer.tables) == without_added(selected(database))


def wait_until_delivered(database, pipeline, destination):
    """Return when a consumer's tables are those of the database; the pipeline may not end before."""
    consumer = Consumer()

    def is_done():
        pipeline.assert_runs()
        return is_delivered(database, destination, consumer)

    wait_for(is_done, 120)


def finish(database, pipeline, destination):
    """Wait until everything arrived, stop, and compare; the number of changes that came again."""
    wait_until_delivered(database, pipeline, destination)
    assert pipeline.stop() == 0, pipeline.log()
    return sum(map(judged, destination.streams()))


def judged(events):
    """What came must be in order, without a gap, and no copied row behind its changes; how many of these came again."""
    assert_never_backwards(events)
    return assert_ordered_without_gap(changes(events))


@dataclass
class Death:
    """What was true when a process had been killed: the saved position, and the number of delivered events."""

    saved: object
    event_count: int


@dataclass
class Verdict:
    """What the oracle found: events in all, and how many of them came again."""

    event_count: int
    repeated_count: int
    deaths: list = field(repr=False)


class Trial:
    """Writes rows while the test breaks things, and compares in the end.

    Args:
        database: A fresh one of the fixtures.
        destination: One of :mod:`tests.destinations`.
        folder: For the state directory.
        seed: Equal seeds write equal rows.
        source: The source part of the document, if it is not the database itself.
        optional: The destination of a sink that is not waited for, judged like the other one.
        spec: More of the document.
    """

    def __init__(self, database, destination, folder, *, seed, source=None, optional=None, **spec):
        self.database, self.destination, self.optional = database, destination, optional
        sinks = [destination.sink, *([optional.sink] if optional else [])]
        self.workload = Workload(database, seed)
        self.workload.create()
        self.pipeline = PipelineProcess(folder, source or source_of(database), sinks, **spec)
        self.deaths, self.optional_deaths = [], []
        self._end_writing = None

    def begin(self, *, gap_secs=0.002):
        """Start the pipeline, then the workload in a thread, with gaps between its transactions: what is written as
        fast as it can be takes the longer to be judged, and shows nothing more.
        """
        self.pipeline.start()
        self._end_writing = self.workload.start(gap_secs=gap_secs)

    def kill(self):
        """SIGKILL, now."""
        self.pipeline.kill()
        self.note_death()

    def kill_at_random(self, rng, count):
        """SIGKILL so many times at random moments, with a start after each."""
        for _ in range(count):
            pause(rng.uniform(0.1, 1.2))
            self.kill()
            self.pipeline.start()

    def kill_at(self, point, passing, *, timeout_secs=60):
        """Start the pipeline such that it kills itself, and wait until it has."""
        self.pipeline.start(waits=False, environment={VARIABLE: f"{point}:{passing}"})
        if point == "during_stop":
            self.pipeline.wait_until(lambda status: status["state"] == "running")
            self.pipeline.signal(signal.SIGTERM)
        assert self.pipeline.wait_code(timeout_secs) == -signal.SIGKILL, (
            f"{point} was not passed\n{self.pipeline.log()}"
        )
        self.note_death()

    def end_writing(self):
        if self._end_writing is not None:
            self._end_writing()
            self._end_writing = None

    def finish(self):
        """Wait until everything arrived, stop, and judge.

        Returns:
            The verdict; its repetitions all lie after the position that was saved when they began.
        """
        self.end_writing()
        if self.optional is not None:
            wait_until_delivered(self.database, self.pipeline, self.optional)
        repeated_count = finish(self.database, self.pipeline, self.destination)
        events = self.destination.events()
        assert_repeated_after_saved(events, self.deaths)
        return Verdict(len(events), repeated_count, self.deaths)

    def judge_optional(self):
        """The verdict of the sink that is not waited for, after :meth:`finish`."""
        events = self.optional.events()
        repeated_count = judged(events)
        assert_repeated_after_saved(events, self.optional_deaths)
        return Verdict(len(events), repeated_count, self.optional_deaths)

    def close(self):
        """Leave nothing running, whatever happened."""
        try:
            self.end_writing()
        finally:
            self.pipeline.end()

    def note_death(self):
        """The process is dead: remember what was saved and delivered."""
        saved = {sink.sink_id: sink.position for sink in read_checkpoints(self.pipeline.paths.recovery)}
        judged = [(self.destination, self.deaths), (self.optional, self.optional_deaths)]
        for destination, deaths in judged if self.optional else judged[:1]:
            deaths.append(Death(saved.get(destination.sink["config"]["id"]), len(destination.events())))


def assert_repeated_after_saved(events, deaths):
    """What comes again after a death was not saved at that death. Rows that are copied have a place in their table."""
    starts = [death.event_count for death in deaths] + [len(events)]
    seen = {event["event_id"] for event in events[: starts[0]]}
    for death, start, end in zip(deaths, starts, starts[1:], strict=False):
        for event in changes(events[start:end]):
            if event["event_id"] in seen and death.saved is not None:
                assert not has(death.saved, event["source"]), f"{event['event_id']} was saved, and came again"
            seen.add(event["event_id"])


def pause(secs):
    """Let a fault last. Not a wait for anything: those have conditions."""
    threading.Event().wait(secs)
