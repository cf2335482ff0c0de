"""``python -m benchmarks.chaos_hosts``: one pipeline over two machines, whose wire is cut again and again.

The machines are network namespaces: root is needed, and ``ip``. Each runs a process of one Bytewax cluster, as
``python -m bytewax.run`` starts it, and starts it again when it ends, as an orchestrator would. Both reach database and
broker all the while; between them everything is lost for some time, or one process is killed or asked to end. What must
hold: the cluster ends by itself, comes back, and in the end every committed change has come, in the order of its key,
and with Kafka exactly once none of them twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.chaos_layouts import Layout
from benchmarks.chaos_sinks import EXACT, Place, destinations_of
from benchmarks.hosts import Hosts
from benchmarks.servers import Servers
from deltaforge.runtime.paths import PipelinePaths
from tests.fixtures.fault_proxy import FaultProxy
from tests.pipelines import wait_for
from tests.trial import Trial, pause, source_of

LAYOUT = Layout("key", 4, processes=2)
PORT = 2101
MOST_SECS = 120.0
GRACE_SECS = 30.0


class HostsProcess:
    """A pipeline as :class:`Trial` wants it, over two machines.

    Args:
        hosts: Both.
        folder: For everything; both machines have it, as a network file system would be.
        source: Of the document, and so on.
    """

    runtime = (LAYOUT.processes, LAYOUT.workers)

    def __init__(self, hosts: Hosts, folder: Path, source: Any, sinks: Any, **spec: Any) -> None:
        self.paths = PipelinePaths(folder / "state", "p")
        self.document = {
            "metadata": {"name": "p", "tenant": "acme"},
            "spec": {"source": source, "processors": [], "sinks": sinks, **spec},
        }
        self._hosts, self._folder = hosts, folder
        self._file = folder / "p.json"
        self.paths.create()
        subprocess.run([sys.executable, "-m", "bytewax.recovery", str(self.paths.recovery), "2"], check=True)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, *, waits: bool = False) -> HostsProcess:
        """Start what does not run; nobody waits for it."""
        assert not waits, "it has no socket that can be asked from here"
        self._file.write_text(json.dumps(self.document), encoding="utf-8")
        for number in range(2):
            if number not in self.processes or self.processes[number].poll() is not None:
                self._start(number)
        return self

    def _start(self, number: int) -> None:
        flow = f"deltaforge.runtime.embedded:get_flow('{self._file}')"
        environment = {
            **os.environ,
            "DELTAFORGE_STATE_DIR": str(self.paths.state_dir),
            "TMPDIR": str(self._folder / f"tmp{number}"),
            "BYTEWAX_ADDRESSES": ";".join(self._hosts.addresses(PORT)),
            "BYTEWAX_PROCESS_ID": str(number),
            "BYTEWAX_RECOVERY_DIRECTORY": str(self.paths.recovery),
            "BYTEWAX_SNAPSHOT_INTERVAL": "1",
            "BYTEWAX_RECOVERY_BACKUP_INTERVAL": "0",
            "RUST_BACKTRACE": "0",
        }
        (self._folder / f"tmp{number}").mkdir(exist_ok=True)
        with (self._folder / f"log{number}").open("ab") as log:
            command = [sys.executable, "-m", "bytewax.run", flow]
            self.processes[number] = self._hosts.start(number, command, stdout=log, stderr=log, env=environment)

    def wait_until_ended(self) -> float:
        """Wait for both to end by themselves; the seconds that it took."""
        began = time.monotonic()
        for process in self.processes.values():
            process.wait(timeout=MOST_SECS)
        return time.monotonic() - began

    def drain(self, number: int) -> None:
        """Its machine is to be emptied: it is asked to end, and killed if it has not by then."""
        process = self.processes[number]
        process.terminate()
        try:
            process.wait(timeout=GRACE_SECS)
        except subprocess.TimeoutExpired:
            process.kill()

    def keep_up(self) -> None:
        """Start again what has ended, as an orchestrator does."""
        for number, process in list(self.processes.items()):
            if process.poll() is not None:
                self._start(number)

    def assert_runs(self) -> None:
        """What has ended begins again; that is no failure here."""
        self.keep_up()

    def kill(self) -> None:
        """Both at a time."""
        self.end()

    def stop(self) -> int:
        """Drain, save, end; 0 if both say so."""
        for process in self.processes.values():
            process.terminate()
        return max(abs(process.wait(timeout=MOST_SECS)) for process in self.processes.values())

    def end(self) -> None:
        """Nothing is left running."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def log(self) -> str:
        """The last that both have said."""
        return "\n".join((self._folder / f"log{n}").read_text(errors="replace")[-3000:] for n in self.processes)


def main() -> int:
    """Exit code 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos_hosts", description=__doc__)
    parser.add_argument(
        "--cuts", type=int, default=6, help="of the wire; a process is killed, and one asked to end, as often"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", default="postgres", choices=["postgres", "mysql", "mariadb"])
    parser.add_argument("--sink", default=EXACT, choices=["kafka", EXACT, "redis", "file"])
    options = parser.parse_args()
    with ExitStack() as opened:
        servers = opened.enter_context(Servers())
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="chaos-hosts-")))
        _run(options, servers, folder, opened)
    return 0


def _run(options: argparse.Namespace, servers: Servers, folder: Path, opened: ExitStack) -> None:
    rng = random.Random(options.seed)
    server = servers.get(options.source)
    database = opened.enter_context(server.fresh_database())
    source_proxy = opened.enter_context(FaultProxy(server.port))
    place = Place(servers, database.name, folder, LAYOUT.lane_names)
    destinations = destinations_of(options.sink, place, opened)
    ports = [source_proxy.port] + ([destinations.proxy.port] if destinations.proxy else [])
    hosts = opened.enter_context(Hosts(ports))
    trial = Trial(
        database,
        destinations.required,
        folder,
        seed=rng.randrange(1 << 30),
        source=source_of(database, url=database.url(port=source_proxy.port)),
        strands=LAYOUT.strands(),
        runner=lambda *parts, **spec: HostsProcess(hosts, *parts, **spec),
        sharding=LAYOUT.spec()["sharding"],
    )
    opened.callback(trial.close)
    pipeline = trial.pipeline
    pipeline.start()
    wait_for(lambda: pipeline.keep_up() or (pipeline.paths.root / "started").exists(), MOST_SECS)
    trial.begin(gap_secs=0.005)
    for number in range(options.cuts):
        _flows(trial, f"before cut {number}")
        hosts.cut()
        secs = pipeline.wait_until_ended()
        trial.note_death()
        hosts.mend()
        print(f"cut {number}: both processes ended after {secs:.1f} s", flush=True)
        pipeline.start()
        _flows(trial, f"after cut {number}")
        victim = rng.randrange(2)
        pipeline.processes[victim].kill()
        secs = pipeline.wait_until_ended()
        trial.note_death()
        print(f"process {victim} killed: the other one ended after {secs:.1f} s", flush=True)
        pipeline.start()
        _flows(trial, f"after kill {number}")
        pipeline.drain(1 - victim)
        secs = pipeline.wait_until_ended()
        trial.note_death()
        print(f"process {1 - victim} asked to end: both have after {secs:.1f} s", flush=True)
        pipeline.start()
    _flows(trial, "at the end")
    verdict = trial.finish()
    assert options.sink != EXACT or not verdict.repeated_count, verdict
    print(f"held: {verdict.event_count} events, {verdict.repeated_count} of them again; seed {options.seed}")


def _flows(trial: Trial, when: str) -> None:
    """More comes through than now."""
    before, deadline = trial.destination.count(), time.monotonic() + MOST_SECS
    while trial.destination.count() <= before:
        trial.pipeline.keep_up()
        assert time.monotonic() < deadline, f"nothing comes through {when}\n{trial.pipeline.log()}"
        pause(0.1)
    pause(1.0)


if __name__ == "__main__":
    sys.exit(main())
