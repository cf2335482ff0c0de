"""The demo's control plane: ``deltaforge serve`` on free ports of this machine, and requests to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deltaforge.core.errors import ControlError
from deltaforge.runtime.paths import PipelinePaths

WAIT_SECS = 60.0
PIPELINE = "shop"


class ControlPlane:
    """A running one, and its pipeline.

    Attributes:
        url: Of its REST API.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.url = f"http://{address}"
        self._paths = PipelinePaths(folder / "state", PIPELINE)

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask, or tell; the answer.

        Raises:
            ControlError: The server refuses; says why.
            OSError: It does not answer.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECS) as answer:  # noqa: S310 - loopback
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            raise ControlError(exc.read().decode(errors="replace")) from exc

    def pipeline_pid(self) -> int:
        """The process that runs the pipeline, or ran it last."""
        return int(self._paths.lock.read_text() or "0")

    def is_up(self) -> bool:
        """Whether a process of the pipeline answers."""
        ops: dict[str, Any] = self.request(f"/pipelines/{PIPELINE}")["ops"]
        return ops["uptime_seconds"] is not None

    def snapshot(self) -> dict[str, Any] | None:
        """The copy of what was there before; None until it is asked for."""
        jobs: list[dict[str, Any]] = self.request(f"/pipelines/{PIPELINE}/snapshots")
        return jobs[0] if jobs else None

    def position(self) -> str:
        """Where the pipeline stands by what is saved."""
        saved = self.request(f"/pipelines/{PIPELINE}")["ops"]["checkpoints"]
        return " ".join(f"{key} {value}" for key, value in saved[0]["position"].items()) if saved else "the beginning"

    def log(self) -> str:
        """What the pipeline said last."""
        return "\n".join(self._paths.log.read_text(errors="replace").splitlines()[-5:])


@contextlib.contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Start one that keeps everything in ``folder``; at the end it is stopped.

    Raises:
        ControlError: It did not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        api, metrics = (f"127.0.0.1:{probe.getsockname()[1]}" for probe in (one, two))
    command = [sys.executable, "-P", "-m", "deltaforge", "serve", "--api-addr", api, "--metrics-addr", metrics]
    command += ["--storage-path", str(folder / "deltaforge.db"), "--state-dir", str(folder / "state")]
    command += ["--output-dir", str(folder)]
    # What somebody has set for servers of their own is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DELTAFORGE_")}
    with (folder / "control-plane.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603 - ourselves
    try:
        plane = ControlPlane(folder, api)
        _wait_for_health(plane, process)
        yield plane
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=WAIT_SECS)


def _wait_for_health(plane: ControlPlane, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_SECS
    while True:
        try:
            plane.request("/health")
        except OSError as exc:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ControlError("the control plane did not start", hint="run with --keep and read its log") from exc
            time.sleep(0.1)
        else:
            return
