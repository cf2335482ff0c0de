"""One round of chaos: a pipeline, its workload and its faults until it was killed often enough, and the judgement."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.chaos_faults import Faults
from benchmarks.chaos_sinks import Place, destination_of
from benchmarks.chaos_timeline import Round, Timeline
from benchmarks.servers import Servers
from tests.fixtures.fault_proxy import FaultProxy
from tests.trial import Trial, source_of

GAP_SECS = 0.005
"""Between transactions."""


class Plan(msgspec.Struct, frozen=True):
    """What a round is to be; equal plans draw equal rows and faults."""

    source: str
    sink: str
    seed: int
    kills: int

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.source}-{self.sink}-{self.seed}-{self.kills}"


def run(servers: Servers, plan: Plan) -> Round:
    """Faults until the number of kills is reached, then the judgement. What broke a rule leaves its folder behind."""
    found = Round(plan.source, plan.sink, plan.seed)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{plan.name}-"))
    with ExitStack() as opened:
        trial, faults, timeline = _opened(servers, plan, (folder, found), opened)
        try:
            trial.begin(gap_secs=GAP_SECS)
            while found.kill_count < plan.kills:
                faults.next()
            faults.end()
            found.broken_secs = timeline.now()
            _judge(trial, found)
        except Exception as error:  # noqa: BLE001 - whatever it is, the round has failed, and the others go on
            found.failure = f"{type(error).__name__}: {error}"[-2000:]
            (folder / "delivered.json").write_bytes(msgspec.json.encode(trial.destination.read_anew()))
            found.failure += f"\nstate, log and delivered events: {folder}"
        found.secs = timeline.now()
    if not found.failure:
        shutil.rmtree(folder)
    return found


def _opened(
    servers: Servers, plan: Plan, place: tuple[Path, Round], opened: ExitStack
) -> tuple[Trial, Faults, Timeline]:
    folder, found = place
    rng = random.Random(f"{plan.seed} {plan.source} {plan.sink}")
    server = servers.get(plan.source)
    database = opened.enter_context(server.fresh_database())
    source_proxy = opened.enter_context(FaultProxy(server.port))
    destination, sink_proxy = destination_of(plan.sink, Place(servers, database.name, folder), opened)
    source = source_of(database, url=database.url(port=source_proxy.port))
    trial = Trial(database, destination, folder, seed=rng.randrange(1 << 30), source=source, batch=_batch(rng))
    opened.enter_context(closing(trial))
    timeline = opened.enter_context(Timeline(trial.workload, destination, found))
    return trial, Faults(trial, rng, plan.sink, source_proxy, sink_proxy, timeline), timeline


def _batch(rng: random.Random) -> dict[str, Any]:
    """Small batches make many places to be killed at; a large transaction is split into at least a dozen."""
    return {"max_events": rng.choice([50, 500, 4000]), "max_tx_bytes": rng.choice([10_000, 30_000])}


def _judge(trial: Trial, found: Round) -> None:
    began = time.monotonic()
    verdict = trial.finish()
    found.drain_secs = round(time.monotonic() - began, 1)
    found.event_count, found.repeated_count = verdict.event_count, verdict.repeated_count
    assert trial.destination.read_anew() == trial.destination.events(), "the destination reads differently from anew"
    if found.sink == "kafka-exactly-once" and found.repeated_count:
        found.failure = f"{found.repeated_count} events came twice to a reader of committed messages"
