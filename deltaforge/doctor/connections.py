"""Whether a server has room for the connections of a pipeline: those that are open for as long as it runs, and those of
the workers that copy tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.sources.base import SourceConfig

STEADY = 2
"""Connections of a source beside the one that reads the log: one that asks the catalog, another one now and then."""


@dataclass(frozen=True)
class Limit:
    """One of the limits that connections meet.

    Attributes:
        name: What it is called, with its value.
        free: How many more it allows; may be negative.
        remedy: What raises it.
    """

    name: str
    free: int
    remedy: str


def check(remedy: str) -> Check:
    """Of a kind of server."""
    return Check("the server has room for the connections that the pipeline opens", remedy)


def needed(config: SourceConfig, subject: Subject, steady: int) -> int:
    """How many the pipeline has at most on this server, over all of its shards there."""
    snapshot = config.snapshot
    workers = 0 if snapshot is None or snapshot.mode == "never" else snapshot.most_workers
    return (steady + workers) * subject.log_count


def note(notes: Notes, name: str, wanted: int, limits: list[Limit]) -> None:
    """Say whether as many fit in each of the limits.

    Args:
        notes: Of the source.
        name: Of the check.
        wanted: What the pipeline has at most.
        limits: Those that hold for it.
    """
    tight = [limit for limit in limits if limit.free < wanted]
    for limit in tight:
        remedy = f"{limit.remedy}; while tables are copied, `snapshot.max_parallel_tables` says how many there are"
        notes.warn(name, f"up to {wanted} connections are opened, and {limit.name} leaves {max(0, limit.free)}", remedy)
    if not tight and limits:
        free = min(limit.free for limit in limits)
        notes.ok(name, f"up to {wanted} connections are opened, and {free} are free")
