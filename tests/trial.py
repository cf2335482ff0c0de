"""A pipeline under faults: a seeded workload, the process, its destination, and the rules that hold at the end."""

import os
import signal
import threading
from dataclasses import dataclass, field

from deltaforge.checkpoint.reader import read_delivery_states
from deltaforge.observability.kill_points import VARIABLE
from tests.copies import assert_never_backwards, changes
from tests.oracle import has
from tests.pipelines import PipelineProcess, mysql_source, postgres_source, wait_for
from tests.strands import by_key, of_database, whole
from tests.workload import Consumer, Workload, assert_complete, assert_ordered_without_gap, selected, without_added


def source_of(database, **changes):
    return (mysql_source if database.server.scheme == "mysql" else postgres_source)(database, **changes)


def source_of_shards(shards, urls=None, **changes):
    """Databases of one kind as shards of one source.

    Args:
        shards: The databases, by id.
        urls: Of each, if not its own.
        changes: Of the source.
    """
    own = ("dsn", "slot", "tables")
    urls = urls or [database.url() for database in shards.values()]
    parts = [source_of(database, url=url) for database, url in zip(shards.values(), urls, strict=True)]
    listed = [
        {"id": shard, **{name: part["config"][name] for name in own if name in part["config"]}}
        for shard, part in zip(shards, parts, strict=True)
    ]
    above = {name: value for name, value in parts[0]["config"].items() if name not in own}
    return {**parts[0], "config": {**above, "shards": listed, **changes}}


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

    wait_for(is_done, 200)


def finish(database, pipeline, destination):
    """Wait until everything arrived, stop, and compare; the number of changes that came again."""
    wait_until_delivered(database, pipeline, destination)
    assert pipeline.stop() == 0, pipeline.log()
    return sum(map(judged, destination.streams()))


def judged(events, strands=whole):
    """What came must be in order, without a gap, and no copied row behind its changes; how many of these came again."""
    repeated_count = 0
    for strand in strands(events):
        assert_never_backwards(strand)
        repeated_count += assert_ordered_without_gap(changes(strand))
    return repeated_count


@dataclass
class Death:
    """What was true when a process had been killed: the saved positions of a log's lanes, by the name of its shard, and
    the number of delivered events.
    """

    saved: dict
    event_count: int


@dataclass
class Verdict:
    """What the oracle found: events in all, and how many of them came again."""

    event_count: int
    repeated_count: int
    deaths: list = field(repr=False)


@dataclass
class Log:
    """A database that is read, and who writes to it. ``since``: how much was committed before the pipeline began."""

    shard: str
    database: object
    workload: Workload
    since: int | None = None


class Trial:
    """Writes rows while the test breaks things, and compares in the end.

    Args:
        database: A fresh one of the fixtures.
        destination: One of :mod:`tests.destinations`.
        folder: For the state directory.
        seed: Equal seeds write equal rows.
        source: The source part of the document, if it is not the database itself.
        optional: The destination of a sink that is not waited for, judged like the other one.
        strands: One of :mod:`tests.strands`: what of the events has an order.
        shards: With ``source``, the databases that it reads, by shard; ``database`` is one of them.
        runner: What runs the pipeline.
        spec: More of the document.
    """

    def __init__(
        self,
        database,
        destination,
        folder,
        *,
        seed,
        source=None,
        optional=None,
        strands=whole,
        shards=None,
        runner=PipelineProcess,
        **spec,
    ):
        self.database, self.destination, self.optional = database, destination, optional
        sinks = [destination.sink, *([optional.sink] if optional else [])]
        self.logs = [
            Log(shard, each, Workload(each, seed + number))
            for number, (shard, each) in enumerate((shards or {"": database}).items())
        ]
        for log in self.logs:
            log.workload.create()
            log.workload.has_truncates = strands is not by_key  # a truncate is in one lane, the rows are in all
        self.workload = self.logs[0].workload
        self.pipeline = runner(folder, source or source_of(database), sinks, **spec)
        self.deaths, self.optional_deaths = [], []
        self._strands = strands
        self._ends_of_writing = []

    def begin(self, *, gap_secs=0.01, count=10**9):
        """Start the pipeline, then the workload in a thread, with gaps between its transactions: what is written as
        fast as it can be takes the longer to be judged, and shows nothing more. ``count``: not more of them for each log.
        """
        self.pipeline.start()
        for log in self.logs:
            log.since = len(log.workload.committed)
            self._ends_of_writing.append(log.workload.start(count, gap_secs=gap_secs))

    def kill(self):
        """SIGKILL, now."""
        self.pipeline.kill()
        self.note_death()

    def kill_one(self, pid):
        """SIGKILL of one process of several, of the first one or another. The pipeline ends with it."""
        os.kill(pid, signal.SIGKILL)
        assert self.pipeline.wait_code() != 0
        self.note_death()

    def stop(self):
        """Drain, save, end."""
        assert self.pipeline.stop() == 0, self.pipeline.log()

    def kill_at_random(self, rng, count):
        """SIGKILL so many times at random moments, with a start after each."""
        for _ in range(count):
            pause(rng.uniform(0.1, 1.2))
            self.kill()
            self.pipeline.start()

    def kill_at(self, point, passing, *, timeout_secs=120):
        """Start the pipeline such that it kills itself, and wait until it has."""
        self.pipeline.start(waits=False, environment={VARIABLE: f"{point}:{passing}"})
        if point == "during_stop":
            self.pipeline.wait_until(lambda status: status["state"] == "running")
            self.pipeline.signal(signal.SIGTERM)
        code, processes = self.pipeline.wait_code(timeout_secs), self.pipeline.runtime[0]
        # Of several processes the one that died need not be the first, whose code this is.
        is_killed = code == -signal.SIGKILL if processes == 1 else code != 0
        assert is_killed, f"{point} was not passed, {code}\n{self.pipeline.log()}"
        self.note_death()

    def end_writing(self):
        while self._ends_of_writing:
            self._ends_of_writing.pop()()

    def finish(self):
        """Wait until everything arrived, stop, and judge.

        Returns:
            The verdict; its repetitions all lie after the position that was saved when they began.
        """
        self.end_writing()
        for destination in filter(None, (self.optional, self.destination)):
            self.wait_until_delivered(destination)
        assert self.pipeline.stop() == 0, self.pipeline.log()
        return self._verdict(self.destination, self.deaths)

    def judge_optional(self):
        """The verdict of the sink that is not waited for, after :meth:`finish`."""
        return self._verdict(self.optional, self.optional_deaths)

    def wait_until_delivered(self, destination):
        """Return when a consumer's tables are those of every database; the pipeline may not end before."""
        consumers = [Consumer(keeps_moved_away=self._strands is by_key) for _ in self.logs]
        known_count = 0

        def is_done():
            nonlocal known_count
            self.pipeline.assert_runs()
            events = destination.events()
            added, known_count = events[known_count:], len(events)
            for log, consumer in zip(self.logs, consumers, strict=True):
                consumer.apply(self._of(log, added))
            return not added and all(
                without_added(consumer.tables) == without_added(selected(log.database))
                for log, consumer in zip(self.logs, consumers, strict=True)
            )

        wait_for(is_done, 200)

    def close(self):
        """Leave nothing running, whatever happened."""
        try:
            self.end_writing()
        finally:
            self.pipeline.end()

    def note_death(self):
        """The process is dead: remember what was saved and delivered."""
        states = read_delivery_states(self.pipeline.paths.recovery)
        judged = [(self.destination, self.deaths), (self.optional, self.optional_deaths)]
        for destination, deaths in judged if self.optional else judged[:1]:
            sink_id = destination.sink["config"]["id"]
            saved = {log.shard: _saved(states, log.shard, sink_id) for log in self.logs}
            deaths.append(Death(saved, len(destination.events())))

    def judge(self, events):
        """The rules of order for the events of every log; how many came again."""
        return sum(judged(self._of(log, events), self._strands) for log in self.logs)

    def assert_complete(self, destination):
        """Every change that was committed since the start is there, and no other."""
        events = destination.events()
        for log in self.logs:
            if log.since is not None:
                assert_complete(self._of(log, events), log.workload.committed, log.since)

    @property
    def committed_count(self):
        """Row changes of the random transactions."""
        return sum(log.workload.committed_count for log in self.logs)

    def _verdict(self, destination, deaths):
        events = destination.events()
        repeated_count = sum(map(self.judge, destination.streams()))
        self.assert_complete(destination)
        assert_repeated_after_saved(events, deaths, {log.database.name: log.shard for log in self.logs})
        return Verdict(len(events), repeated_count, deaths)

    def _of(self, log, events):
        return events if len(self.logs) == 1 else of_database(events, log.database.name)


def _saved(states, shard, sink_id):
    """The positions of one sink in each lane of a log, as far as they are saved, by the names of the keys on disk."""
    of_log = f"delivery@{shard}" if shard else "delivery"
    found = {key: state for key, state in states.items() if key.partition("#")[0] == of_log}
    return [sink.position for state in found.values() for sink in state.sinks if sink.sink_id == sink_id]


def assert_repeated_after_saved(events, deaths, shards=None):
    """What comes again after a death was not saved at that death, in every lane. Rows that are copied have a place in
    their table.

    Args:
        events: Of the destination.
        deaths: In their order.
        shards: Which one a database is; absent: there are none.
    """
    starts = [death.event_count for death in deaths] + [len(events)]
    seen = {event["event_id"] for event in events[: starts[0]]}
    for death, start, end in zip(deaths, starts, starts[1:], strict=False):
        for event in changes(events[start:end]):
            saved = death.saved.get((shards or {}).get(event["source"]["db"], ""), [])
            if event["event_id"] in seen and saved:
                is_saved = all(has(position, event["source"]) for position in saved)
                assert not is_saved, f"{event['event_id']} was saved, and came again"
            seen.add(event["event_id"])


def pause(secs):
    """Let a fault last. Not a wait for anything: those have conditions."""
    threading.Event().wait(secs)
