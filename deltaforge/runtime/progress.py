"""What ``deltaforge run`` shows: a live line below the log on a terminal, with bars of tables that are copied above it,
and a log line now and then elsewhere.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Self, TextIO, cast

from deltaforge.observability.logging import written_to
from deltaforge.observability.snapshot_bars import SnapshotBars, job_line
from deltaforge.observability.terminal import StatusBelow, is_terminal
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.status import snapshot_views, status

log = logging.getLogger(__name__)

TERMINAL_SECS = 0.5
LOG_SECS = 10.0


class Progress:
    """Shows the state of a pipeline on stderr while the context manager is open."""

    def __init__(self, pipeline: RunningPipeline) -> None:
        self._pipeline = pipeline
        self._status: Callable[[], dict[str, Any]] = lambda: status(pipeline)
        self._snapshots: Callable[[], list[dict[str, Any]]] = lambda: snapshot_views(pipeline)
        if pipeline.info.cluster.processes > 1:
            from deltaforge.runtime.cluster_answers import answers_of

            whole = answers_of(pipeline)
            self._status, self._snapshots = whole.status, whole.snapshots
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._last = (time.monotonic(), 0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        if not self._has_terminal():
            while not self._done.wait(LOG_SECS):
                now = self._status()
                log.info("%s", "  ".join([self._line(now), *map(job_line, now["snapshots"])]))
            return
        below, bars = StatusBelow(sys.stderr), SnapshotBars()
        with written_to(cast("TextIO", below)):
            while not self._done.wait(TERMINAL_SECS):
                width, _ = shutil.get_terminal_size()
                rows = bars.rows(self._snapshots(), time.monotonic(), width=width)
                below.show(self._line(self._status()), rows)
            below.show("")

    def _has_terminal(self) -> bool:
        """Whether there is one that is ours alone: events on standard output would write over the line."""
        sinks = self._pipeline.info.spec.spec.sinks
        is_shared = sys.stdout.isatty() and any(sink.type == "stdout" for sink in sinks)
        return is_terminal(sys.stderr) and not is_shared

    def _line(self, now: dict[str, Any]) -> str:
        at, read = time.monotonic(), int(now["events_read"])
        rate = (read - self._last[1]) / max(at - self._last[0], 1e-6)
        self._last = (at, read)
        parts = [now["name"], now["state"], f"{read:,} events", f"{rate:,.0f}/s"]
        if now["lag_seconds"] is not None:
            parts.append(f"last event {now['lag_seconds']:.1f} s ago")
        if now["source"]["last_error"]:
            parts.append(f"source: {now['source']['last_error']}")
        parts += [f"{sink}: {error}" for sink, error in now["sink_errors"].items()]
        return "  ".join(parts)
