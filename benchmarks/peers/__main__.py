"""``python -m benchmarks.peers``: DeltaForge and Debezium beside each other."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.latency import Load
from benchmarks.peers import tables
from benchmarks.peers.contenders import CONNECT, DeltaForge
from benchmarks.peers.debezium import Debezium, java, java_version
from benchmarks.peers.drain import drain_round
from benchmarks.peers.latency import latency_round
from benchmarks.servers import Servers
from tests.fixtures.local_server import installed

SOURCES = ["mysql", "postgres"]
MEASURES = ["drain", "latency"]
ENVELOPES = ["native", "debezium"]


def main() -> int:
    """Exit code 1 if a topic did not hold exactly what was written."""
    options = _options()
    versions = {"java": java_version(java())}
    prefix = Path(installed("debezium", is_required=True))
    versions |= _jar_versions(prefix)
    load = Load(options.rate, options.rows_per_transaction, options.secs, options.warm_up_secs)
    is_avro = options.form == "avro"
    if is_avro:
        options.measure = ["drain"]
    envelopes = [CONNECT] if is_avro else ENVELOPES
    ours = [functools.partial(DeltaForge, envelope=envelope) for envelope in envelopes]
    makers = [*ours, functools.partial(Debezium, prefix=prefix)]
    document: dict[str, list[Any]] = {"drains": [], "latency": []}
    with Servers() as servers, report.progress_bars() as progress:
        task = progress.add_task("rounds", total=len(options.source) * len(options.measure) * options.rounds)
        for source in options.source:
            versions[source] = servers.version(source)
            for number in range(options.rounds):
                if "drain" in options.measure:
                    document["drains"] += drain_round(
                        servers, source, makers, (number, options.rows), progress, is_avro=is_avro
                    )
                    progress.advance(task)
                if "latency" in options.measure:
                    # The envelopes differ in 26 bytes: one of them is enough here.
                    few = [makers[0], makers[-1]]
                    document["latency"] += latency_round(servers, source, few, (number, load), progress)
                    progress.advance(task)
    text = _text(document, load)
    print(text)
    report.save("peers-avro" if is_avro else "peers", "benchmarks.peers", document, text, **versions)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--source", nargs="+", default=SOURCES, choices=SOURCES)
    parser.add_argument("--measure", nargs="+", default=MEASURES, choices=MEASURES)
    parser.add_argument("--form", default="json", choices=["json", "avro"], help="avro: drains, through one registry")
    parser.add_argument("--rounds", type=int, default=3, help="in each, every contender has its turn")
    parser.add_argument("--rows", type=int, default=400_000, help="changes in the backlog of a drain")
    parser.add_argument("--rate", type=int, default=5000, help="rows per second while the latency is measured")
    parser.add_argument("--rows-per-transaction", type=int, default=10)
    parser.add_argument("--secs", type=float, default=30, help="of that load")
    parser.add_argument("--warm-up-secs", type=float, default=15, help="of these, from the first on, nothing is kept")
    return parser.parse_args()


def _text(document: dict[str, list[Any]], load: Load) -> str:
    parts = []
    if document["drains"]:
        parts += ["Backlog into Kafka:", tables.compared(document["drains"], tables.DRAINS)]
    if document["latency"]:
        parts += [f"Commit to consumer at {load.rate:,} rows/s, {load.rows_per_transaction} in a transaction:"]
        parts += [tables.compared(document["latency"], tables.LATENCY)]
    return "\n\n".join(parts)


def _jar_versions(prefix: Path) -> dict[str, str]:
    jars = {"debezium": "debezium-connector-common-*.jar", "kafka-connect": "connect-runtime-*.jar"}
    found = {name: next((prefix / "libs").glob(pattern)) for name, pattern in jars.items()}
    return {name: path.stem.removeprefix(jars[name].removesuffix("*.jar")) for name, path in found.items()}


if __name__ == "__main__":
    sys.exit(main())
