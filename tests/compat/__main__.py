"""``python -m tests.compat``: Debezium and DeltaForge on the same databases, message by message."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.servers import Servers
from tests.compat.cases import CASES
from tests.compat.comparing import compare, report, unexplained
from tests.compat.differences import DIFFERENCES
from tests.compat.reading import Side
from tests.compat.trial import Trial
from tests.fixtures.fix_registry import start_registry


def main() -> int:
    """Exit code 1 if anything differs that is not in the list, or something in the list was not found."""
    options = _options()
    faults, used = 0, set[str]()
    with Servers() as servers:
        # every version of a subject is wanted, whether it is compatible or not
        registry = start_registry(servers._room, "-Dapicurio.rules.global.compatibility=NONE")
        for source in options.source:
            cases = [case for case in CASES[source] if not options.case or case.name in options.case]
            trial = Trial(servers, registry, source, cases, with_ours=not options.theirs_only)
            trial.run()
            for name, why in trial.broken.items():
                print(f"== {source}, {name}: did not take part\n{why[: options.width]}\n")
                faults += 1
            for name, why in trial.lost.items():
                print(f"== {source}, {name}: not imported: {why}")
                faults += 1
            for name, (theirs, ours) in trial.sides.items():
                if options.record:
                    _record(options.record, f"{source}-{name}", theirs, ours)
                if options.theirs_only:
                    continue
                found = compare(theirs, ours)
                left, covering = unexplained(f"{source} {name}", found, DIFFERENCES)
                used |= {one.reason for one in covering}
                faults += len(left)
                print(f"== {source}, {name}: {len(theirs.messages)} messages of theirs, {len(ours.messages)} of ours; "
                      f"{len(found)} differences, {len(left)} of them unexplained\n{report(left)}\n")  # fmt: skip
    if not options.case and set(options.source) == set(CASES):
        for what in {one.reason for one in DIFFERENCES} - used:
            print(f"listed, but not found: {what}")
            faults += 1
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__)
    parser.add_argument("--source", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--case", nargs="+", default=[])
    parser.add_argument("--record", type=Path, help="a folder for what each side has written")
    parser.add_argument("--theirs-only", action="store_true", help="run Debezium alone")
    parser.add_argument("--width", type=int, default=4000, help="characters of a log that is shown")
    return parser.parse_args()


def _record(folder: Path, name: str, theirs: Side, ours: Side) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for who, side in (("", theirs), ("-ours", ours)):
        lines = [json.dumps(message, ensure_ascii=False) for message in side.messages]
        if lines:
            (folder / f"{name}{who}.jsonl").write_text("\n".join(lines) + "\n")
        if side.subjects:
            (folder / f"{name}{who}-subjects.json").write_text(json.dumps(side.subjects, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    sys.exit(main())
