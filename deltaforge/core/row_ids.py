"""Row ids: what tells the rows of a table apart while it is copied. The event id of a copied row is its row id."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, EventIds, RowImage
from deltaforge.core.routing import key_text

ROW_ID_BYTES = 16


class TouchedRows(NamedTuple):
    """Which rows some events are about.

    Attributes:
        ids: Their row ids one behind the other, those of the keys before and after each change.
        incomplete: Row keys of rows that are there after their change, while the log does not hold all of their values.
        unknown_count: Changes of rows whose key the log does not hold.
    """

    ids: bytes
    incomplete: tuple[str, ...] = ()
    unknown_count: int = 0

    def split(self) -> AbstractSet[bytes]:
        """The row ids one by one."""
        return frozenset(self.ids[at : at + ROW_ID_BYTES] for at in range(0, len(self.ids), ROW_ID_BYTES))


def touched_rows(events: Sequence[ChangeEvent], ids: EventIds) -> TouchedRows:
    """The rows of events of any ops. Tables without a key have no row ids; nor do events that are about no row.

    Args:
        events: Of one table.
        ids: Under which the table is copied.
    """
    found, incomplete, unknown_count = bytearray(), list[str](), 0
    for event in events:
        if event.schema is None or not event.schema.primary_key or (event.before is None and event.after is None):
            continue
        try:
            texts = [key_text(event, key) for key in _keys(event)]
        except (KeyError, ValueError):
            unknown_count += 1
            continue
        for text in dict.fromkeys(texts):
            found += ids.row_id(text.encode())
        if not _is_whole(event):
            incomplete.append(texts[-1])
    return TouchedRows(bytes(found), tuple(incomplete), unknown_count)


def row_keys(events: Sequence[ChangeEvent]) -> tuple[str, ...]:
    """Row keys of rows before and after the changes, as far as there are any and the log holds them."""
    found = dict[str, None]()
    for event in events:
        try:
            found.update((key_text(event, key), None) for key in _keys(event))
        except (KeyError, ValueError):
            continue
    return tuple(found)


def event_id(event: ChangeEvent, ids: EventIds, ordinal: int, row: int) -> str:
    """The id of a row event. That of a copied row is its row id, or without a key, a hash of its place.

    Args:
        event: With its images.
        ids: Of its transaction, or of the table that is copied.
        ordinal: Of the change message or, of copied rows, of their chunk.
        row: Its number in there.
    """
    if event.op != "r":
        return ids.at(ordinal, row)
    key = event.key()
    if key is not None:
        try:
            return ids.for_key(key_text(event, key).encode())
        except ValueError:  # which a sink that needs the key says again
            pass
    return ids.for_key(f"{ordinal}.{row}".encode())


def without_rows(events: Sequence[ChangeEvent], row_ids: AbstractSet[bytes]) -> Sequence[ChangeEvent]:
    """Copied rows but for those with these ids; the same object if that is all of them."""
    rest = [event for event in events if bytes.fromhex((event.event_id or "").replace("-", "")) not in row_ids]
    return events if len(rest) == len(events) else rest


def _keys(event: ChangeEvent) -> list[RowImage]:
    """The keys of the row before and after the change, as far as it was there.

    Raises:
        KeyError: The log does not hold a key column.
    """
    key = event.key()
    if key is None:
        raise KeyError
    if event.before is None or event.after is None:
        return [key]
    old = {name: event.before[name] for name in key}
    if event.old_zero_dates:
        old |= {name: text for name, text in event.old_zero_dates.items() if old.get(name, text) is None}
    return [old, key]


def _is_whole(event: ChangeEvent) -> bool:
    """Whether the log holds all values of the row as it is now."""
    image = event.after
    if image is None or event.schema is None:
        return True
    return UNCHANGED_TOAST not in image.values() and all(column.name in image for column in event.schema.columns)
