"""The step of the dataflow that splits what a log brings into its lanes."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator

from deltaforge.checkpoint.reader import delivery_key, stream_key
from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.lanes import Lane
from deltaforge.core.routing import row_key_bytes
from deltaforge.spec.model import ShardingSpec

MAX_KNOWN_TABLES = 10_000


class Router:
    """Gives every lane of a log its part of each batch, in the order of the log. A lane for which a batch holds nothing
    gets it without events: so all of them stand at the same place.

    Where an event goes depends on nothing but the event and the number of lanes: read again, it goes there again.

    Args:
        lanes: Of the pipeline.
        sharding: What it is split by.
    """

    def __init__(self, lanes: tuple[Lane, ...], sharding: ShardingSpec) -> None:
        self._keys: dict[str, list[str]] = {}
        for lane in lanes:
            self._keys.setdefault(stream_key(lane.shard), []).append(delivery_key(lane))
        self._count = lanes[0].count
        self._is_by_key = sharding.mode == "key"
        self._known: dict[Hashable, int] = {}

    def __call__(self, items: list[tuple[str, Batch]]) -> Iterator[tuple[str, Batch]]:
        for key, batch in items:
            yield from zip(self._keys[key], self._split(batch), strict=True)

    def _split(self, batch: Batch) -> list[Batch]:
        parts: list[list[EventGroup]] = [[] for _ in range(self._count)]
        for group in batch.groups:
            table = group.table
            if self._is_by_key or table is None:
                for event in group.events():
                    parts[self._lane_of(event)].append(DecodedGroup([event]))
                continue
            lane = self._known.get(table)
            if lane is None:
                if len(self._known) >= MAX_KNOWN_TABLES:
                    self._known.clear()
                lane = self._known[table] = self._hashed(group.head().source.qualified_table.encode())
            parts[lane].append(group)
        return [_part(batch, groups) for groups in parts]

    def _lane_of(self, event: ChangeEvent) -> int:
        if not self._is_by_key or event.key() is None:
            return self._hashed(event.source.qualified_table.encode())
        try:
            return self._hashed(row_key_bytes(event, 0))
        except RecordError:
            return 0  # its sinks refuse it

    def _hashed(self, data: bytes) -> int:
        return zlib.crc32(data) % self._count


def _part(batch: Batch, groups: list[EventGroup]) -> Batch:
    """What a batch is to a lane; its bytes are shared out by events."""
    part = batch.with_groups(groups)
    part.byte_count = batch.byte_count * part.event_count // max(1, batch.event_count)
    part.taken_at = batch.taken_at
    return part
