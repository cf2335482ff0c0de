"""``python -m benchmarks.chaos``: random faults over a random workload, until each pipeline was killed often enough.

The seed decides rows, faults, their order and the named points; the moments depend on the machine. What must hold: the
tables that a consumer rebuilds equal the source; order, no gap; nothing comes again that was saved, and with Kafka
exactly once nothing comes again at all.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.chaos_faults import Faults
from benchmarks.chaos_sinks import SINKS, Place, destination_of
from benchmarks.chaos_timeline import Round, Timeline
from benchmarks.servers import Servers
from tests.fixtures.fault_proxy import FaultProxy
from tests.trial import Trial, source_of

if TYPE_CHECKING:
    from rich.progress import Progress

SOURCES = ("mysql", "postgres", "mariadb")
HEADS = ["Source", "Sink", "Seed", "Kills", "at named points", "Cuts and outages", "Events", "Repeated", "Secs", "Held"]
GAP_SECS = 0.005
"""Between transactions: the oracle reads everything again after each kill."""


def main() -> int:
    """Exit code 1 if a rule was broken anywhere."""
    options = _options()
    rounds: list[Round] = []
    with Servers() as servers, report.progress_bars() as progress:
        for source in options.source:
            for sink in options.sink:
                rounds.append(run(servers, (source, sink), options, progress))
                if rounds[-1].failure:
                    print(_failure_text(rounds[-1], options), file=sys.stderr)
    text = report.table(HEADS, [_cells(each) for each in rounds])
    print(text)
    print(f"{sum(r.kill_count for r in rounds)} kills, {sum(len(r.faults) for r in rounds)} faults")
    report.save(options.name, "benchmarks.chaos", {"rounds": rounds}, text)
    if options.picture:
        from benchmarks.chaos_picture import save

        save(rounds, options.picture)
    return int(any(each.failure for each in rounds))


def run(servers: Servers, pair: tuple[str, str], options: argparse.Namespace, progress: Progress) -> Round:
    """One pipeline: faults until the number of kills is reached, then the judgement."""
    source, sink = pair
    rng = random.Random(f"{options.seed} {source} {sink}")
    found = Round(source, sink, options.seed)
    server = servers.get(source)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, ExitStack() as opened:
        database = opened.enter_context(server.fresh_database())
        source_proxy = opened.enter_context(FaultProxy(server.port))
        place = Place(servers, database.name, Path(folder))
        destination, sink_proxy = destination_of(sink, place, opened)
        document = source_of(database, url=database.url(port=source_proxy.port))
        trial = opened.enter_context(
            closing(
                Trial(database, destination, Path(folder), seed=rng.randrange(1 << 30), source=document, **_batch(rng))
            )
        )
        timeline = opened.enter_context(Timeline(trial.workload, destination, found))
        try:
            _break(trial, Faults(trial, rng, sink, source_proxy, sink_proxy, timeline), (options, progress))
            _judge(trial, found)
        except Exception as error:  # noqa: BLE001 - whatever it is, the round has failed, and the others go on
            found.failure = f"{type(error).__name__}: {error}"[-2000:]
        found.secs = timeline.now()
    return found


def _batch(rng: random.Random) -> dict[str, Any]:
    """Batches of a random size; small ones make many places to be killed at."""
    return {"batch": {"max_events": rng.choice([50, 500, 4000])}}


def _break(trial: Trial, faults: Faults, shown: tuple[argparse.Namespace, Progress]) -> None:
    options, progress = shown
    task = progress.add_task(f"{faults.about(trial)}", total=options.kills)
    trial.begin(gap_secs=GAP_SECS)
    while faults.kill_count < options.kills:
        faults.next()
        progress.update(task, completed=faults.kill_count)
    faults.end()


def _judge(trial: Trial, found: Round) -> None:
    began = time.monotonic()
    verdict = trial.finish()
    found.drain_secs = round(time.monotonic() - began, 1)
    found.event_count, found.repeated_count = verdict.event_count, verdict.repeated_count
    if found.sink == "kafka-exactly-once" and found.repeated_count:
        found.failure = f"{found.repeated_count} events came twice to a reader of committed messages"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=25, help="SIGKILLs of each pipeline; other faults come between them"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", nargs="+", default=["mysql", "postgres"], choices=SOURCES)
    parser.add_argument("--sink", nargs="+", default=SINKS, choices=SINKS)
    parser.add_argument("--picture", type=Path, help="file of the timeline, .svg or .png; needs the group `bench`")
    parser.add_argument("--name", default="chaos", help="first part of the result's file name")
    options = parser.parse_args()
    if options.picture and find_spec("matplotlib") is None:
        parser.error('a picture needs the optional group: pip install -e ".[bench]"')
    return options


def _failure_text(failed: Round, options: argparse.Namespace) -> str:
    again = (
        f"python -m benchmarks.chaos --kills {options.kills} --seed {failed.seed}"
        f" --source {failed.source} --sink {failed.sink}"
    )
    return f"FAILED with seed {failed.seed}: {failed.failure}\nrepeat it: {again}"


def _cells(r: Round) -> list[str]:
    others = len(r.faults) - r.kill_count
    counts = [str(r.seed), str(r.kill_count), str(r.point_count), str(others), f"{r.event_count:,}"]
    return [r.source, r.sink, *counts, f"{r.repeated_count:,}", f"{r.secs:.0f}", "no" if r.failure else "yes"]


if __name__ == "__main__":
    sys.exit(main())
