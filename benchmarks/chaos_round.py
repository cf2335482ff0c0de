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
from benchmarks.chaos_layouts import ONE, Layout
from benchmarks.chaos_sinks import EXACT, Destinations, Place, destinations_of
from benchmarks.chaos_timeline import Round, Timeline
from benchmarks.servers import Servers
from tests.copies import copied, repeated_rows
from tests.fixtures.fault_proxy import FaultProxy
from tests.trial import Trial, source_of, source_of_shards

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
    layout: Layout = ONE

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.source}-{self.sink}-{self.seed}-{self.kills}{self.more('-')}"

    def more(self, before: str) -> str:
        """What is not usual of it, in words."""
        words = (["copies"] if self.copies else []) + ([self.layout.name] if self.layout != ONE else [])
        return "".join(f"{before}{word}" for word in words)


def run(servers: Servers, plan: Plan) -> Round:
    """Faults until the number of kills is reached, then the judgement. What broke a rule leaves its folder behind."""
    found = Round(plan.source, plan.sink, plan.seed, copies=plan.copies)
    found.layout = plan.layout.name if plan.layout != ONE else ""
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
    rng, layout = random.Random(f"{plan.seed} {plan.source} {plan.sink}{plan.more(' ')}"), plan.layout
    server = servers.get(plan.source)
    databases = [opened.enter_context(server.fresh_database()) for _ in range(layout.shards)]
    source_proxies = [opened.enter_context(FaultProxy(server.port)) for _ in databases]
    destinations = destinations_of(plan.sink, Place(servers, databases[0].name, folder, layout.lane_names), opened)
    snapshot = {"snapshot": settings_of(rng)} if plan.copies else {}
    urls = [each.url(port=proxy.port) for each, proxy in zip(databases, source_proxies, strict=True)]
    shards = dict(zip(layout.shard_ids or [""], databases, strict=True))
    source = source_of(databases[0], url=urls[0], **snapshot)
    if layout.shard_ids:
        source = source_of_shards(shards, urls, **snapshot)
    seed = rng.randrange(1 << 30)
    trial = Trial(
        databases[0],
        destinations.required,
        folder,
        seed=seed,
        source=source,
        strands=layout.strands(),
        shards=shards,
        batch=_batch(rng),
        **layout.spec(),
    )
    opened.enter_context(closing(trial))
    if destinations.optional is not None:
        trial.pipeline.document["spec"]["sinks"].append(destinations.optional.sink)
    copies = Copies(trial, rng, is_exact=plan.sink == EXACT) if plan.copies else None
    timeline = opened.enter_context(Timeline(trial, destinations.required, found))
    proxies = source_proxies, destinations.proxy
    return Faults(trial, timeline, rng, plan.sink, proxies=proxies, copies=copies), destinations


def _batch(rng: random.Random) -> dict[str, Any]:
    """Small batches make many places to be killed at; a large transaction is split into at least a dozen."""
    return {"max_events": rng.choice([50, 500, 4000]), "max_tx_bytes": rng.choice([10_000, 30_000])}


def _judge(trial: Trial, destinations: Destinations, found: Round) -> None:
    began, optional = time.monotonic(), destinations.optional
    trial.end_writing()
    if optional is not None:
        trial.wait_until_delivered(optional)
    verdict = trial.finish()
    found.drain_secs = round(time.monotonic() - began, 1)
    found.event_count, found.repeated_count = verdict.event_count, verdict.repeated_count
    for destination in filter(None, (destinations.required, optional)):
        assert destination.read_anew() == destination.events(), "the destination reads differently from anew"
    found.copied_count = len(copied(destinations.required.events()))
    if optional is not None:
        trial.judge(optional.events())
    twice = found.repeated_count + repeated_rows(destinations.required.events())
    assert found.sink != EXACT or not twice, f"{twice} events came twice to a reader of committed messages"
