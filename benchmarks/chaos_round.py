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

from benchmarks.chaos_copies import Copies, settings_of
from benchmarks.chaos_faults import Faults
from benchmarks.chaos_sinks import EXACT, Destinations, Place, destinations_of
from benchmarks.chaos_timeline import Round, Timeline
from benchmarks.servers import Servers
from tests.copies import copied, repeated_rows
from tests.fixtures.fault_proxy import FaultProxy
from tests.trial import Trial, judged, source_of, wait_until_delivered

GAP_SECS = 0.005
"""Between transactions."""


class Plan(msgspec.Struct, frozen=True):
    """What a round is to be; equal plans draw equal rows and faults."""

    source: str
    sink: str
    seed: int
    kills: int
    copies: bool = False
    """Whether tables that have rows already are copied all the while."""

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.source}-{self.sink}-{self.seed}-{self.kills}{'-copies' if self.copies else ''}"


def run(servers: Servers, plan: Plan) -> Round:
    """Faults until the number of kills is reached, then the judgement. What broke a rule leaves its folder behind."""
    found = Round(plan.source, plan.sink, plan.seed, copies=plan.copies)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{plan.name}-"))
    with ExitStack() as opened:
        faults, destinations = _opened(servers, plan, (folder, found), opened)
        trial, timeline = faults.trial, faults.timeline
        try:
            trial.begin(gap_secs=GAP_SECS)
            while found.kill_count < plan.kills:
                if faults.copies is not None:
                    faults.copies.ask_again()
                faults.next()
            faults.end()
            found.broken_secs = timeline.now()
            if faults.copies is not None:
                faults.copies.wait()
            _judge(trial, destinations, found)
        except Exception as error:  # noqa: BLE001 - whatever it is, the round has failed, and the others go on
            found.failure = f"{type(error).__name__}: {error}"[-2000:]
            (folder / "delivered.json").write_bytes(msgspec.json.encode(trial.destination.read_anew()))
            found.failure += f"\nstate, log and delivered events: {folder}"
        found.secs = timeline.now()
    if not found.failure:
        shutil.rmtree(folder)
    return found


def _opened(servers: Servers, plan: Plan, place: tuple[Path, Round], opened: ExitStack) -> tuple[Faults, Destinations]:
    folder, found = place
    rng = random.Random(f"{plan.seed} {plan.source} {plan.sink}{' copies' if plan.copies else ''}")
    server = servers.get(plan.source)
    database = opened.enter_context(server.fresh_database())
    source_proxy = opened.enter_context(FaultProxy(server.port))
    destinations = destinations_of(plan.sink, Place(servers, database.name, folder), opened)
    snapshot = {"snapshot": settings_of(rng)} if plan.copies else {}
    source = source_of(database, url=database.url(port=source_proxy.port), **snapshot)
    seed = rng.randrange(1 << 30)
    trial = Trial(database, destinations.required, folder, seed=seed, source=source, batch=_batch(rng))
    opened.enter_context(closing(trial))
    if destinations.optional is not None:
        trial.pipeline.document["spec"]["sinks"].append(destinations.optional.sink)
    copies = Copies(trial, rng, is_exact=plan.sink == EXACT) if plan.copies else None
    timeline = opened.enter_context(Timeline(trial.workload, destinations.required, found))
    proxies = source_proxy, destinations.proxy
    return Faults(trial, timeline, rng, plan.sink, proxies=proxies, copies=copies), destinations


def _batch(rng: random.Random) -> dict[str, Any]:
    """Small batches make many places to be killed at; a large transaction is split into at least a dozen."""
    return {"max_events": rng.choice([50, 500, 4000]), "max_tx_bytes": rng.choice([10_000, 30_000])}


def _judge(trial: Trial, destinations: Destinations, found: Round) -> None:
    began, optional = time.monotonic(), destinations.optional
    trial.end_writing()
    if optional is not None:
        wait_until_delivered(trial.database, trial.pipeline, optional)
    verdict = trial.finish()
    found.drain_secs = round(time.monotonic() - began, 1)
    found.event_count, found.repeated_count = verdict.event_count, verdict.repeated_count
    for destination in filter(None, (destinations.required, optional)):
        assert destination.read_anew() == destination.events(), "the destination reads differently from anew"
    found.copied_count = len(copied(destinations.required.events()))
    if optional is not None:
        judged(optional.events())
    twice = found.repeated_count + repeated_rows(destinations.required.events())
    assert found.sink != EXACT or not twice, f"{twice} events came twice to a reader of committed messages"
