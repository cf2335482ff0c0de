"""Events that are about no row of a table, which only sinks get whose envelope asks for them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.event import Asked, ChangeEvent, Notice


def notice_of(event: ChangeEvent) -> Notice | None:
    """What an event is about, if it is about no row."""
    return None if event.origin is None else event.origin.notice


def without_notices(batch: Batch, unwanted: AbstractSet[Asked]) -> Batch:
    """The batch without these; itself if there are none. Groups of rows are not looked into."""
    groups: list[EventGroup] = []
    for group in batch.groups:
        wanted = group.where(lambda event: notice_of(event) not in unwanted) if _may_hold(group) else group
        if wanted is not None:
            groups.append(wanted)
    is_same = len(groups) == len(batch.groups) and all(map(operator.is_, groups, batch.groups))
    return batch if is_same else batch.with_groups(groups)


def row_count(groups: Iterable[EventGroup]) -> int:
    """How many events are no notices: that does not depend on what sinks ask for."""
    return sum(skipped(group, group.event_count)[1] for group in groups)


def skipped(group: EventGroup, row_count: int) -> tuple[int, int]:
    """The length of the beginning of a group that has so many events besides notices, or of all of it; and how many it
    has. Notices behind the last of them are not part of it.
    """
    if not _may_hold(group):
        return min(row_count, group.event_count), min(row_count, group.event_count)
    length = found = 0
    for number, event in enumerate(group.events()):
        if found == row_count:
            break
        if notice_of(event) is None:
            found += 1
            length = number + 1
    return (length if found == row_count else group.event_count), found


def _may_hold(group: EventGroup) -> bool:
    return isinstance(group, DecodedGroup)
