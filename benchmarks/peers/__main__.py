"""``python -m benchmarks.peers``: DeltaForge and Debezium beside each other."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.peers import tables
from benchmarks.peers.contenders import Contender, DeltaForge, Route
from benchmarks.peers.debezium import Debezium, java, java_version
from benchmarks.peers.drain import Drained, drain_round
from benchmarks.servers import Servers
from tests.fixtures.local_server import installed

SOURCES = ["mysql", "postgres"]
ENVELOPES = ["native", "debezium"]


def main() -> int:
    """Exit code 1 if a topic did not hold exactly what was written."""
    options = _options()
    versions = {"java": java_version(java())}
    prefix = Path(installed("debezium", is_required=True))
    versions |= _jar_versions(prefix)
    drains: list[Drained] = []
    make = functools.partial(_contenders, prefix=prefix)
    with Servers() as servers, report.progress_bars() as progress:
        for source in options.source:
            versions[source] = servers.version(source)
            task = progress.add_task(f"{source}: rounds", total=options.rounds)
            for number in range(options.rounds):
                drains += drain_round(servers, source, make, (number, options.rows), progress)
                progress.advance(task)
            progress.remove_task(task)
    text = tables.compared(drains, tables.DRAINS)
    print(text)
    report.save("peers", "benchmarks.peers", {"drains": drains}, text, **versions)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--source", nargs="+", default=SOURCES, choices=SOURCES)
    parser.add_argument("--rows", type=int, default=400_000, help="changes in the backlog")
    parser.add_argument("--rounds", type=int, default=3, help="backlogs, each drained by every contender")
    return parser.parse_args()


def _contenders(route: Route, *, prefix: Path) -> list[Contender]:
    return [*(DeltaForge(route, envelope) for envelope in ENVELOPES), Debezium(route, prefix)]


def _jar_versions(prefix: Path) -> dict[str, str]:
    jars = {"debezium": "debezium-connector-common-*.jar", "kafka-connect": "connect-runtime-*.jar"}
    found = {name: next((prefix / "libs").glob(pattern)) for name, pattern in jars.items()}
    return {name: path.stem.removeprefix(jars[name].removesuffix("*.jar")) for name, path in found.items()}


if __name__ == "__main__":
    sys.exit(main())
