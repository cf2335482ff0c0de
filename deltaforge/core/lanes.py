"""Lanes: what a pipeline splits its delivery into.

A log, that of the source or of one of its shards, is delivered in one or more lanes. A lane has sinks, a spool and
positions of its own, and keeps the order of what it gets; between lanes there is no order. The names made here are on
disk and at destinations: they never change.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PROCESSES = MAX_WORKERS = 64
"""Of a pipeline, and in each of its processes."""
ONE_LOG = ""
"""The shard of a source without shards."""


@dataclass(frozen=True, order=True)
class Lane:
    """One of the ``count`` lanes of a log.

    Attributes:
        shard: Whose log; :data:`ONE_LOG` without shards.
        number: From 0 on.
    """

    shard: str = ONE_LOG
    number: int = 0
    count: int = 1

    @property
    def name(self) -> str:
        """Which lane of the pipeline: ``eu1``, ``2``, ``eu1#2``; empty if there is only one."""
        number = str(self.number) if self.count > 1 else ""
        return "#".join(part for part in (self.shard, number) if part)


ONE_LANE = Lane()


def shard_suffix(shard: str) -> str:
    """What keys of a shard end with."""
    return f"@{shard}" if shard else ""


def lane_suffix(lane: Lane) -> str:
    """What keys of a lane end with."""
    return shard_suffix(lane.shard) + (f"#{lane.number}" if lane.count > 1 else "")


def source_name(pipeline: str, shard: str) -> str:
    """What events say of where they come from. It may stand in the name of a topic."""
    return f"{pipeline}.{shard}" if shard else pipeline


def lanes_of(shards: tuple[str, ...], count: int) -> tuple[Lane, ...]:
    """All lanes of a pipeline: ``count`` for each log."""
    return tuple(Lane(shard, number, count) for shard in shards for number in range(count))
