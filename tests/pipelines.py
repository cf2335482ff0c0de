"""Pipeline processes in a test: written down, started, stopped, killed."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from deltaforge.runtime.outcome import read_outcome
from deltaforge.runtime.paths import PipelinePaths
from tests.processes import ends_with_its_test, pipeline_processes


class PipelineProcess:
    """One pipeline, run by the launcher like a supervisor would."""

    def __init__(self, folder, source, sinks, *, name="p", **spec):
        self.paths = PipelinePaths(Path(folder) / "state", name)
        self.document = {
            "metadata": {"name": name, "tenant": "acme"},
            "spec": {"source": source, "processors": [], "sinks": sinks, **spec},
        }
        self.program = ["-m", "deltaforge.runtime.launcher"]
        self.arguments = []  # more of them for the launcher
        self._process = None

    def start(self, *, waits=True, stdout=None, environment=None, limit_bytes=None):
        """``limit_bytes``: no file may grow beyond, which is how a full disk looks to a process without one."""
        assert self._process is None or self._process.poll() is not None, "it runs already"
        self.paths.create()
        self.paths.document.write_text(json.dumps(self.document))
        command = [sys.executable, "-P", *self.program]
        with self.paths.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, f"--name={self.paths.name}", "--state-dir", str(self.paths.state_dir), *self.arguments],
                stdout=log if stdout is None else stdout,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        ends_with_its_test(self.end)
        if limit_bytes:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        if waits:
            self.wait_until_running()
        return self

    @property
    def runtime(self):
        """How many processes, and workers of each, its document asks for."""
        runtime = self.document["spec"].get("runtime") or {}
        return runtime.get("processes", 1), runtime.get("workers", 1)

    def pids(self):
        """Of all its processes, the first one's at first."""
        return [self.pid, *sorted(pid for pid in pipeline_processes(self.paths.state_dir) if pid != self.pid)]

    def is_running(self):
        """Wait until it runs, or has ended by itself; whether it runs."""
        wait_for(lambda: self._process.poll() is not None or self._says_it_runs(), interval_secs=0.05)
        return self._process.poll() is None

    def _says_it_runs(self):
        try:
            return self.ask("status")["state"] == "running"
        except (OSError, ValueError):
            return False

    def wait_until_running(self):
        """Wait until it says so."""
        self.wait_until(lambda status: status["state"] == "running")

    def signal(self, number):
        self._process.send_signal(number)

    def wait_code(self, timeout_secs=120):
        """Wait for the process to end by itself; its exit code, negative for a signal."""
        return self._process.wait(timeout=timeout_secs)

    def kill(self):
        """SIGKILL, as a crash would. What else belongs to it ends with it, and is waited for."""
        self._process.kill()
        self._process.wait()
        if self.runtime[0] > 1:
            wait_for(lambda: self.pids() == [self.pid], interval_secs=0.02)

    def stop(self):
        """Drain, save, end; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=120)

    def wait(self, timeout_secs=120):
        """Wait for the process to end by itself; its outcome."""
        self._process.wait(timeout=timeout_secs)
        return read_outcome(self.paths.outcome)

    def end(self):
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def ask(self, command, *, path=None, **more):
        """Ask the pipeline, or one of its processes by the path of its socket."""
        import socket

        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(path or self.paths.socket))
            client.sendall(json.dumps({"cmd": command, **more}).encode() + b"\n")
            return json.loads(client.makefile("rb").readline())

    @property
    def has_ended(self):
        """Whether the process has ended by itself."""
        return self._process.poll() is not None

    def assert_runs(self):
        """The process has not ended by itself; if it has, its log says why."""
        assert self._process.poll() is None, self.log()

    def wait_until(self, condition, timeout_secs=120):
        """Wait until the status fulfils a condition."""
        deadline = time.monotonic() + timeout_secs
        while True:
            self.assert_runs()
            try:
                status = self.ask("status")
            except (OSError, ValueError):  # nobody listens yet, or not any more
                status = None
            if status is not None and condition(status):
                return status
            assert time.monotonic() < deadline, f"{status}\n{self.log()}"
            time.sleep(0.05)

    def log(self):
        return self.log_text()[-4000:]

    def log_text(self):
        return self.paths.log.read_text(errors="replace")

    @property
    def pid(self):
        return self._process.pid


def memory_kib(pid):
    """Peak resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def postgres_source(database, *, url=None, **config):
    config = {
        "id": "src",
        "dsn": url or database.url(),
        "publication": "pub",
        "slot": f"s_{database.name}",
        "tables": [],
        **config,
    }
    return {"type": "postgres", "config": config}


def mysql_source(database, *, url=None, **config):
    config = {"id": f"src-{database.name}", "dsn": url or database.url(), "tables": [f"{database.name}.*"], **config}
    return {"type": "mysql", "config": config}


def file_sink(path, **config):
    return {"type": "file", "config": {"id": "file", "path": str(path), **config}}


def file_events(path):
    """The whole events of a file sink."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def wait_for(condition, timeout_secs=120, *, interval_secs=0.1):
    """What the condition gives as soon as it is something. It must not fail while that is not there yet."""
    deadline = time.monotonic() + timeout_secs
    while not (value := condition()):
        assert time.monotonic() < deadline, "condition did not come true in time"
        time.sleep(interval_secs)
    return value
