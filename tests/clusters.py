"""A pipeline under Bytewax's own launcher, over several processes and workers on this machine."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from deltaforge.checkpoint.reader import SOURCE_KEY, read_delivery_states, read_source_states
from deltaforge.runtime.paths import PipelinePaths
from tests.fixtures.ports import free_addresses
from tests.oracle import has
from tests.pipelines import file_events, file_sink, wait_for

FLOW = "flows.pipeline:get_flow"


class Cluster:
    """Its first sink is a file for each lane, if nothing else is said.

    Args:
        folder: For everything.
        source: Of the document; it has one log.
        lane_count: 1: no sharding.
        mode: Of the sharding.
        part_count: Files of the recovery store.
        sink: The first one; ``sinks``: more of them.
        flow: Makes the dataflow of a document.
        spec: More of the document.
    """

    def __init__(self, folder, source, lane_count, *, mode="key", part_count=1, sink=None, sinks=(), flow=FLOW, **spec):
        self.folder, self.lane_count, self._flow = folder, lane_count, flow
        spec |= {"source": source, "processors": [], "sinks": [sink or file_sink(folder / "out.jsonl"), *sinks]}
        if lane_count > 1:
            spec["sharding"] = {"mode": mode, "count": lane_count}
        self._document = folder / "p.json"
        self._document.write_text(json.dumps({"metadata": {"name": "p", "tenant": "acme"}, "spec": spec}))
        self.paths = PipelinePaths(folder / "state", "p")
        self.recovery = self.paths.recovery
        if not self.recovery.exists():
            self.recovery.mkdir(parents=True)
            command = [sys.executable, "-m", "bytewax.recovery", str(self.recovery), str(part_count)]
            subprocess.run(command, check=True)
        self.processes = []
        self._deaths = []

    def start(self, process_count=1, worker_count=1, environment=None, stdout=None):
        """Start all processes."""
        flow = f"{self._flow}('{self._document}')"
        command = [sys.executable, "-m", "bytewax.run", flow, "-r", str(self.recovery), "-s", "1", "-b", "0"]
        command += ["-w", str(worker_count)]
        addresses = ";".join(free_addresses(process_count))
        environment = {**os.environ, **(environment or {}), "RUST_BACKTRACE": "0"}
        environment["DELTAFORGE_STATE_DIR"] = str(self.paths.state_dir)
        with (self.folder / "log").open("ab") as log:
            for number in range(process_count):
                place = ["-i", str(number), "-a", addresses] if process_count > 1 else []
                self.processes.append(
                    subprocess.Popen([*command, *place], stdout=stdout or log, stderr=log, env=environment)
                )
        return self

    def stop(self):
        """Ask all processes to end; their exit codes."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self, numbers=None):
        """End processes as a crash would, all or some; the others find out and end."""
        for number, process in enumerate(self.processes):
            if numbers is None or number in numbers:
                process.kill()
        codes = self._ended()
        self._deaths.append(self._saved())
        return codes

    def end(self):
        """Nothing is left running."""
        for process in self.processes:
            process.kill()
            process.wait()

    def _ended(self):
        codes = [process.wait(timeout=60) for process in self.processes]
        self.processes = []
        return codes

    def lane_path(self, number):
        """The file of a lane."""
        return self.folder / (f"out.{number}.jsonl" if self.lane_count > 1 else "out.jsonl")

    def lane_events(self):
        """What each lane has written."""
        return [file_events(self.lane_path(number)) for number in range(self.lane_count)]

    def wait_for_ids(self, count):
        """Wait until so many different events are there."""
        wait_for(lambda: len({event["event_id"] for events in self.lane_events() for event in events}) >= count)

    def waiting(self):
        """The lanes in whose spools something is, as far as that is saved."""
        states = sorted(read_delivery_states(self.recovery).items())
        return [key for key, state in states if any(mark.first < mark.end for mark in state.spools.values())]

    def owners(self):
        """By process, the lanes whose files it has open."""
        found = []
        for process in self.processes:
            links = _open_files(process.pid)
            found.append([n for n in range(self.lane_count) if self.lane_path(n) in links])
        return found

    def log(self):
        """What the processes said."""
        return (self.folder / "log").read_text(errors="replace")

    def _saved(self):
        """At a crash: what the recovery store says, and the events that were there."""
        source = read_source_states(self.recovery).get(SOURCE_KEY)
        lanes = {
            key: sink.position
            for key, state in read_delivery_states(self.recovery).items()
            for sink in state.sinks
            if sink.sink_id == "file"
        }  # fmt: skip
        return source and source.position, lanes, [{e["event_id"] for e in events} for events in self.lane_events()]

    def assert_never_ahead(self):
        """No position that was saved at a crash stands behind an event that its lane had not written by then."""
        lanes = self.lane_events()
        for source, positions, there in self._deaths:
            for number, events in enumerate(lanes):
                key = f"delivery#{number}" if self.lane_count > 1 else "delivery"
                for position in (source, positions.get(key)):
                    if position is None:
                        continue
                    missing = [e for e in events if has(position, e["source"]) and e["event_id"] not in there[number]]
                    assert not missing, (key, position, missing[0])


def _open_files(pid):
    found = set()
    with suppress(FileNotFoundError):  # closed meanwhile: it is asked again
        for link in Path(f"/proc/{pid}/fd").iterdir():
            found.add(link.readlink())
    return found


def in_log_order(lanes):
    """Each event of all lanes once, in the order of the log."""
    once = {event["event_id"]: event for events in lanes for event in events}
    return sorted(once.values(), key=_place)


def _place(event):
    source = event["source"]
    if "lsn" in source:
        high, low = source["lsn"].split("/")
        return int(high, 16), int(low, 16), event["event_id"][-12:]
    return source["file"], source["pos"], source["row"]
