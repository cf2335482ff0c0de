"""How a pipeline of a chaos round is laid out: lanes, processes, workers, shards.

``key3-2x1-s2``: three lanes of each log by key, two processes of one worker each, two shards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from tests.strands import by_key, by_table, whole

_FORM = re.compile(r"(one|key|table)(\d*)-(\d+)x(\d+)(?:-s(\d+))?")


class Layout(msgspec.Struct, frozen=True):
    """What of a pipeline is there several times.

    Attributes:
        mode: Of ``spec.sharding``; ``one``: there is none.
        lanes: Of each log.
        shards: Logs; with 1 the source has no shards.
    """

    mode: str = "one"
    lanes: int = 1
    processes: int = 1
    workers: int = 1
    shards: int = 1

    @property
    def name(self) -> str:
        """In file names, and as an argument."""
        lanes = str(self.lanes) if self.mode != "one" else ""
        shards = f"-s{self.shards}" if self.shards > 1 else ""
        return f"{self.mode}{lanes}-{self.processes}x{self.workers}{shards}"

    @property
    def shard_ids(self) -> list[str]:
        """None for a source without shards."""
        return [f"s{number}" for number in range(self.shards)] if self.shards > 1 else []

    @property
    def lane_names(self) -> list[str]:
        """What the file of each lane has in its name."""
        numbers = [f".{number}" for number in range(self.lanes)] if self.lanes > 1 else [""]
        return [f".{shard}{number}" if shard else number for shard in self.shard_ids or [""] for number in numbers]

    def strands(self) -> Callable[[list[Any]], list[list[Any]]]:
        """What of a log's events has an order."""
        return {"key": by_key, "table": by_table}.get(self.mode if self.lanes > 1 else "one", whole)

    def spec(self) -> dict[str, Any]:
        """More of the document."""
        found: dict[str, Any] = {}
        if self.mode != "one":
            found["sharding"] = {"mode": self.mode, "count": self.lanes}
        if (self.processes, self.workers) != (1, 1):
            found["runtime"] = {"processes": self.processes, "workers": self.workers}
        return found


ONE = Layout()


def layout_of(name: str) -> Layout:
    """The layout of this name.

    Raises:
        ValueError: It is none.
    """
    found = _FORM.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no layout, as key3-2x1-s2 is one")
    mode, lanes, processes, workers, shards = found.groups()
    return Layout(mode, int(lanes or 1), int(processes), int(workers), int(shards or 1))
