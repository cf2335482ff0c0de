"""Events that are about no row of a table, which only sinks get whose envelope asks for them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import msgspec

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.event import TX_ID_LENGTH, Asked, ChangeEvent, Notice


def notice_of(event: ChangeEvent) -> Notice | None:
    """What an event is about, if it is about no row."""
    return None if event.origin is None else event.origin.notice


def without_notices(batch: Batch, unwanted: AbstractSet[Asked]) -> Batch:
    """The batch without these; itself if there are none. Groups of rows are not looked into. Where a transaction ends
    with some, it ends with what was before them.
    """
    groups: list[EventGroup] = []
    for group in batch.groups:
        wanted = group.where(lambda event: notice_of(event) not in unwanted) if _may_hold(group) else group
        if wanted is not None:
            groups.append(wanted)
        if wanted is not group and group.tx_end and groups:
            groups[-1] = _ended(groups[-1], group.events()[-1])
    is_same = len(groups) == len(batch.groups) and all(map(operator.is_, groups, batch.groups))
    return batch if is_same else batch.with_groups(groups)


def _ended(group: EventGroup, end: ChangeEvent) -> EventGroup:
    """A group as the end of the transaction of an event, if it is of that. Events are shared with other sinks."""
    *others, last = group.events()
    if last.tx_end or (last.event_id or "")[:TX_ID_LENGTH] != (end.event_id or "")[:TX_ID_LENGTH]:
        return group
    return DecodedGroup([*others, msgspec.structs.replace(last, tx_end=True)])


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
