"""The dataflow of a document whose sink on standard output counts its events, and takes as long for each as asked for.

    python -m bytewax.run "benchmarks.worker_flow:get_flow('p.json')" …

``DELTAFORGE_BENCH_COUNTS`` is a folder for the counts, ``DELTAFORGE_BENCH_SINK_US`` the CPU time of an event.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from bytewax.dataflow import Dataflow

from deltaforge.core.batch import Batch
from deltaforge.runtime import embedded
from deltaforge.sinks.stdout import StdoutSink


def get_flow(document: str) -> Dataflow:
    """For Bytewax's own launcher."""
    plain, secs = StdoutSink.write, float(os.environ["DELTAFORGE_BENCH_SINK_US"]) / 1e6
    folder = Path(os.environ["DELTAFORGE_BENCH_COUNTS"])

    def write(sink: StdoutSink, batch: Batch) -> None:
        until = time.thread_time() + secs * batch.event_count
        plain(sink, batch)
        while secs and time.thread_time() < until:  # as Python code would, with the lock of the interpreter
            sum(range(100))
        with (folder / f"{os.getpid()}-{id(sink)}").open("ab") as file:
            file.write(b"%d\n" % batch.event_count)

    StdoutSink.write = write  # type: ignore[method-assign]
    return embedded.get_flow(document)
