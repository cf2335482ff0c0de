"""A Kafka Connect worker in standalone mode, with any number of connectors."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.debezium import LOGGING, java
from tests.fixtures.ports import free_port

TIMEOUT_SECS = 120


def jars(prefix: Path, plugin: Path | None = None) -> str:
    """The class path: what ``prefix`` holds in ``libs``; with ``plugin``, its connector in place of Debezium's own there."""
    if plugin is None:
        return f"{prefix}/libs/*"
    kept = [
        path for path in (prefix / "libs").glob("*.jar") if not path.name.startswith(("debezium-", "mysql-binlog-"))
    ]
    names = {_artifact(path) for path in kept}
    brought = [path for path in plugin.glob("*/*.jar") if _artifact(path) not in names]
    return ":".join(map(str, kept + brought))


def _artifact(path: Path) -> str:
    """``kafka-clients`` of ``kafka-clients-4.1.1.jar``."""
    return re.sub(r"-\d.*$", "", path.name)


class ConnectWorker:
    """One process with ``classpath``; its files are in ``folder``."""

    def __init__(self, folder: Path, classpath: str, bootstrap: str) -> None:
        self._folder, self._classpath, self._java, self._port = folder, classpath, java(), free_port()
        self._worker = {
            "bootstrap.servers": bootstrap, "listeners": f"http://127.0.0.1:{self._port}",
            "offset.storage.file.filename": str(folder / "offsets"), "offset.flush.interval.ms": "1000",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "plugin.discovery": "service_load", "topic.creation.enable": "false",
        }  # fmt: skip
        self._connectors: list[dict[str, str]] = []
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, connector: dict[str, str]) -> None:
        """One more connector, for the next start."""
        self._connectors.append(connector)

    def start(self) -> None:
        """Return at once; ``wait_until_running`` waits for the tasks."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "worker.properties").write_text(
            "".join(f"{key}={value}\n" for key, value in self._worker.items())
        )
        (self._folder / "log4j2.properties").write_text(LOGGING)
        names = []
        for connector in self._connectors:
            names.append(f"{connector['name']}.json")
            (self._folder / names[-1]).write_text(json.dumps({"name": connector["name"], "config": connector}))
        command = [self._java, "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
                   "-Dlog4j2.configurationFile=log4j2.properties", "-cp", self._classpath,
                   "org.apache.kafka.connect.cli.ConnectStandalone", "worker.properties", *names]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)

    def wait_until_running(self) -> None:
        """Until every connector has a task that runs.

        Raises:
            AssertionError: One failed, or it takes too long; with the log.
        """
        deadline = time.monotonic() + TIMEOUT_SECS
        while not all(self.state(connector["name"]) == "RUNNING" for connector in self._connectors):
            assert time.monotonic() < deadline, self.log()
            self.check()
            time.sleep(0.5)

    def check(self, *names: str) -> None:
        """Raise AssertionError when the worker has ended or a task of these connectors, or of any, has failed."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        for name in names or [connector["name"] for connector in self._connectors]:
            status = self._get(f"/connectors/{name}/status")
            failed = [task for task in status.get("tasks", []) if task["state"] == "FAILED"]
            assert not failed, f"{name}: {failed[0]['trace']}"

    def state(self, name: str) -> str:
        """The state of a connector's only task, as the worker's REST interface tells it."""
        tasks = self._get(f"/connectors/{name}/status").get("tasks")
        return str(tasks[0]["state"]) if tasks else ""

    def stop(self) -> None:
        """End it, in good order where it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def log(self) -> str:
        """The end of what it logged."""
        return (self._folder / "log").read_text(errors="replace")[-6000:]

    def _get(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return json.loads(answer.read()) if answer.status == http.client.OK else {}
        return {}
