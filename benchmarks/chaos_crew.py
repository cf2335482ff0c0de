"""Rounds of chaos side by side: some processes, each with servers of its own, take one plan after the other."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.chaos_round import Plan, run
from benchmarks.chaos_timeline import Round
from benchmarks.servers import Servers

LOOK_SECS = 2.0


def kept(folder: Path, plan: Plan) -> Round | None:
    """The round of an earlier run; None if there is none, or a rule was broken in it."""
    try:
        found = msgspec.json.decode((folder / f"{plan.name}.json").read_bytes(), type=Round)
    except FileNotFoundError:
        return None
    return None if found.failure else found


def run_all(plans: Sequence[Plan], folder: Path, jobs: int) -> Iterator[Round]:
    """Every round, as they end; each is in ``folder`` by then.

    Raises:
        RuntimeError: A process of the crew died.
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    tasks, results = context.Queue(), context.Queue()
    for plan in [*plans, *[None] * jobs]:
        tasks.put(plan)
    crew = [context.Process(target=_work, args=(tasks, results, folder)) for _ in range(jobs)]
    try:
        end_on_signals()
        for process in crew:
            process.start()
        for _ in plans:
            yield _next(results, crew)
    finally:
        for process in crew:
            if process.is_alive() and not tasks.empty():
                process.terminate()
        for process in crew:
            process.join()


def end_on_signals() -> None:
    """A request to end leaves through every ``with``, so that no server and no pipeline stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def _next(results: Any, crew: Sequence[BaseProcess]) -> Round:
    while True:
        try:
            found: Round = results.get(timeout=LOOK_SECS)
        except queue.Empty:
            if any(process.exitcode for process in crew):
                raise RuntimeError("a process of the crew died") from None
        else:
            return found


def _work(tasks: Any, results: Any, folder: Path) -> None:
    end_on_signals()
    with Servers() as servers:
        while (plan := tasks.get()) is not None:
            found = run(servers, plan)
            partial = folder / f"{plan.name}.partial"
            partial.write_bytes(msgspec.json.encode(found))
            partial.replace(folder / f"{plan.name}.json")
            results.put(found)
