"""``python -m benchmarks.chaos``: random faults over a random workload, until each pipeline was killed often enough.

A round is one source, one sink, one layout (lanes, processes, workers, shards) and one seed, with or without copies of
the tables meanwhile. The seed decides rows, faults, their order and the named points; the moments depend on the
machine. What must hold: the tables that a consumer rebuilds equal the source, and every committed change has come;
order, of the log or of whatever a lane keeps in order; nothing comes again that was saved, and with Kafka exactly once
nothing comes again at all. No copied row is older than what the changes of its table had made of it by then.

With ``--keep`` a round that ended is kept in that folder, and one that is there and held is not run again: the same
command after an interruption goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from benchmarks import report
from benchmarks.chaos_crew import kept, run_all
from benchmarks.chaos_layouts import ONE, Layout, layout_of
from benchmarks.chaos_round import Plan
from benchmarks.chaos_sinks import SINKS
from benchmarks.chaos_timeline import Round
from tests.combinations import combined

SOURCES = ("mysql", "mariadb", "postgres")
LANES = (("one", 1), ("table", 2), ("key", 3))
PROCESSES, WORKERS, SHARDS = (1, 2, 3), (1, 2), (1, 2)
HEADS = ["Source", "Sink", "Copies", "Layout", "Rounds", "Kills", "at named points", "Cuts and outages",
         "Large transactions", "Events", "Copied rows", "Repeated", "Secs per kill", "Held"]  # fmt: skip


def main() -> int:
    """Exit code 1 if a rule was broken anywhere."""
    options = _options()
    with ExitStack() as opened:
        folder = options.keep or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="chaos-rounds-")))
        return _run(options, folder)


def _run(options: argparse.Namespace, folder: Path) -> int:
    plans = _plans(options)
    rounds = [found for plan in plans if (found := kept(folder, plan))]
    done = {(*_kind(each), each.seed) for each in rounds}
    missing = [plan for plan in plans if (*_kind_of(plan), plan.seed) not in done]
    began = time.monotonic()
    for found in run_all(missing, folder, min(options.jobs, len(missing))):
        rounds.append(found)
        _tell(found, f"{len(rounds)} of {len(plans)}", options)
    run_secs, run_kills = time.monotonic() - began, sum(each.kill_count for each in rounds[-len(missing) :])
    text = f"{report.table(HEADS, _rows(rounds))}\n\n{_summary(rounds)}"
    print(text)
    if missing:
        print(f"this run: {run_kills / run_secs * 60:.0f} kills a minute, servers and judgements included")
    report.save(options.name, "benchmarks.chaos", {"rounds": rounds}, text)
    if options.picture:
        from benchmarks.chaos_picture import save

        shown = [each for each in rounds if each.seed == options.seed[-1]]
        save([each for each in shown if not each.copies] or shown, options.picture)
    return int(any(each.failure for each in rounds))


def _plans(options: argparse.Namespace) -> list[Plan]:
    """All combinations of what was asked for; with ``--pairs`` so many that every two values of it come together."""
    plans = []
    for seed in options.seed:
        choices = [options.source, options.sink, options.copies]
        if options.pairs:
            rng = random.Random(seed)
            axes = [*choices, LANES, PROCESSES, WORKERS, SHARDS]
            chosen = combined(*(rng.sample(list(axis), len(axis)) for axis in axes))
            plans += [
                Plan(source, sink, seed, options.kills, copies == "yes", Layout(*lanes, processes, workers, shards))
                for source, sink, copies, lanes, processes, workers, shards in chosen
            ]
        else:
            plans += [
                Plan(source, sink, seed, options.kills, copies == "yes", layout)
                for source, sink, copies, layout in itertools.product(*choices, options.layout)
            ]
    return plans


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=25, help="SIGKILLs of a round; other faults come between them")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="a round of each pipeline for each of them")
    parser.add_argument("--source", nargs="+", default=list(SOURCES), choices=SOURCES)
    parser.add_argument("--sink", nargs="+", default=list(SINKS), choices=SINKS)
    parser.add_argument("--copies", nargs="+", default=["no", "yes"], choices=["no", "yes"], help="of the tables")
    parser.add_argument(
        "--layout", nargs="+", default=[ONE], type=layout_of, help="as key3-2x1-s2: lanes, processes, workers, shards"
    )
    parser.add_argument(
        "--pairs", action="store_true", help="layouts, too, and of all combinations few: every two values come together"
    )
    parser.add_argument("--jobs", type=int, default=2, help="rounds side by side, each with servers of its own")
    parser.add_argument("--keep", type=Path, help="folder of the rounds that ended, for the next try of this command")
    parser.add_argument(
        "--picture", type=Path, help="timelines of the last seed, .svg or .png; needs the group `bench`"
    )
    parser.add_argument("--name", default="chaos", help="first part of the result's file name")
    options = parser.parse_args()
    if options.picture and find_spec("matplotlib") is None:
        parser.error('a picture needs the optional group: pip install -e ".[bench]"')
    return options


def _tell(found: Round, place: str, options: argparse.Namespace) -> None:
    about = f"{_name(found)}: {found.kill_count} kills in {found.secs:.0f} s"
    print(f"{place}: {about}, {'FAILED' if found.failure else 'held'}", flush=True)
    if found.failure:
        print(_failure_text(found, options), file=sys.stderr, flush=True)


def _failure_text(failed: Round, options: argparse.Namespace) -> str:
    again = (
        f"python -m benchmarks.chaos --kills {options.kills} --seed {failed.seed}"
        f" --source {failed.source} --sink {failed.sink} --copies {'yes' if failed.copies else 'no'}"
        + (f" --layout {failed.layout}" if failed.layout else "")
    )
    return f"FAILED with seed {failed.seed}: {failed.failure}\nrepeat it: {again}"


def _name(found: Round) -> str:
    more = (" with copies" if found.copies else "") + (f" in {found.layout}" if found.layout else "")
    return f"{found.source} to {found.sink}{more}, seed {found.seed}"


Kind = tuple[str, str, bool, str]
"""What is told of together: source, sink, copies, layout."""


def _kind(found: Round) -> Kind:
    return found.source, found.sink, found.copies, found.layout


def _kind_of(plan: Plan) -> Kind:
    return plan.source, plan.sink, plan.copies, plan.layout.name if plan.layout != ONE else ""


def _summary(rounds: list[Round]) -> str:
    kills, faults = sum(each.kill_count for each in rounds), sum(len(each.faults) for each in rounds)
    failed = [_name(each) for each in rounds if each.failure]
    return f"{kills} kills, {faults} faults in {len(rounds)} rounds; broken: {', '.join(failed) or 'none'}"


def _rows(rounds: list[Round]) -> list[list[str]]:
    """One row for each pipeline, over its seeds."""
    order = {kind: place for place, kind in enumerate(itertools.product(SOURCES, SINKS, (False, True)))}
    kinds = sorted({_kind(each) for each in rounds}, key=lambda kind: (order[kind[:3]], kind[3]))
    return [_cells(kind, [each for each in rounds if _kind(each) == kind]) for kind in kinds]


def _cells(kind: Kind, found: list[Round]) -> list[str]:
    kills = sum(each.kill_count for each in found)
    others = sum(len(each.faults) for each in found) - kills
    larges, events = sum(each.large_count for each in found), sum(each.event_count for each in found)
    counts = [kills, sum(each.point_count for each in found), others - larges, larges]
    counts += [events, sum(each.copied_count for each in found), sum(each.repeated_count for each in found)]
    pace = sum(each.broken_secs for each in found) / max(1, kills)
    held = "no" if any(each.failure for each in found) else "yes"
    return [
        *kind[:2],
        "yes" if kind[2] else "no",
        kind[3] or ONE.name,
        str(len(found)),
        *(f"{count:,}" for count in counts),
        f"{pace:.1f}",
        held,
    ]


if __name__ == "__main__":
    sys.exit(main())
