"""The step of the dataflow that splits what a log brings into its lanes."""

from __future__ import annotations

import zlib
from collections.abc import Hashable

from deltaforge.checkpoint.reader import delivery_key, stream_key
from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.errors import DeltaForgeError, RecordError, SourceError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, RowImage
from deltaforge.core.json_text import encode_json
from deltaforge.core.routing import row_key_bytes
from deltaforge.kernel import backend
from deltaforge.runtime.panics import told
from deltaforge.runtime.run_info import RunInfo

MAX_KNOWN_TABLES = 10_000


class Router:
    """Gives every lane of a log its part of each batch, in the order of the log. A lane for which a batch holds nothing
    gets it without events: so all of them stand at the same place.

    Where an event goes depends on nothing but the event and the number of lanes: read again, it goes there again.

    Args:
        info: Of the run.
    """

    def __init__(self, info: RunInfo) -> None:
        lanes, sharding = info.spec.lanes(), info.spec.spec.sharding
        self._info = info
        self._keys: dict[str, list[str]] = {}
        for lane in lanes:
            self._keys.setdefault(stream_key(lane.shard), []).append(delivery_key(lane))
        self._count = lanes[0].count
        self._is_by_key = sharding is not None and sharding.mode == "key"
        self._column = sharding.key if sharding is not None and self._is_by_key else None
        self._known: dict[Hashable, int] = {}

    @told
    def __call__(self, items: list[tuple[str, Batch]]) -> list[tuple[str, Batch]]:
        try:
            return [part for key, batch in items for part in zip(self._keys[key], self._split(batch), strict=True)]
        except DeltaForgeError as error:
            self._info.ending.fail(error)
            raise

    def _split(self, batch: Batch) -> list[Batch]:
        parts: list[list[EventGroup]] = [[] for _ in range(self._count)]
        groups, at = list(batch.groups), 0
        if len(self._known) >= MAX_KNOWN_TABLES:
            self._known.clear()
        while at < len(groups):
            if self._is_by_key:
                at = backend.split_groups(groups, at, parts, self._column, self.lane_of, self._known)
            if at < len(groups):
                self._add(groups[at], parts)
                at += 1
        return [_part(batch, groups) for groups in parts]

    def _add(self, group: EventGroup, parts: list[list[EventGroup]]) -> None:
        table = group.table
        if not self._is_by_key and table is not None:
            lane = self._known.get(table)
            if lane is None:
                lane = self._known[table] = self.lane_of(group.head())
            parts[lane].append(group)
            return
        of_lanes: dict[int, list[ChangeEvent]] = {}
        for event in group.events():
            of_lanes.setdefault(self.lane_of(event), []).append(event)
        for lane, events in of_lanes.items():
            parts[lane].append(group if len(events) == group.event_count else DecodedGroup(events))

    def lane_of(self, event: ChangeEvent) -> int:
        """Number of the lane that gets an event.

        Raises:
            SourceError: The log does not hold the column of the document in every change of a row.
        """
        return self._hashed(self._key_of(event) or event.source.qualified_table.encode())

    def _key_of(self, event: ChangeEvent) -> bytes | None:
        """What an event goes by; None: its table."""
        if not self._is_by_key:
            return None
        if self._column is not None:
            return _value_of(event, self._column)
        try:
            return row_key_bytes(event, 0) if event.key() is not None else None
        except RecordError:
            return None  # the log does not hold it: sinks that need it refuse the event

    def _hashed(self, data: bytes) -> int:
        return zlib.crc32(data) % self._count


def _part(batch: Batch, groups: list[EventGroup]) -> Batch:
    """What a batch is to a lane; its bytes are shared out by events."""
    part = batch.with_groups(groups)
    part.byte_count = batch.byte_count * part.event_count // max(1, batch.event_count)
    part.taken_at = batch.taken_at
    return part


def _value_of(event: ChangeEvent, column: str) -> bytes | None:
    """The value of a column as JSON; None of a table that has no such column, and of what is no row."""
    schema, image = event.schema, event.after if event.after is not None else event.before
    if schema is None or image is None or all(each.name != column for each in schema.columns):
        return None
    if event.source.connector == "postgresql" and column not in schema.primary_key:
        raise _unknown(event, column, "make it part of the replica identity: a delete holds nothing else")
    older: RowImage = event.before or image
    value = image.get(column, older.get(column, UNCHANGED_TOAST))
    if value == UNCHANGED_TOAST:
        raise _unknown(event, column, "set binlog_row_image=FULL")
    if value is None and event.zero_dates:
        value = event.zero_dates.get(column)
    try:
        return encode_json(value)
    except ValueError:
        return None  # no text: sinks refuse the event


def _unknown(event: ChangeEvent, column: str, remedy: str) -> SourceError:
    return SourceError(
        f"sharding.key: the log does not hold column {column} in every change of {event.source.qualified_table}",
        kind="schema",
        hint=f"{remedy}; or leave sharding.key out, and split by the primary key",
    )
