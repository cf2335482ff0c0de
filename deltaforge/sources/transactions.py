"""Numbers of events in their transactions, and notices of where transactions begin and end, for sinks that ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from deltaforge.core.batch import DecodedGroup, EventGroup
from deltaforge.core.event import TX_ID_LENGTH, Asked, ChangeEvent, Origin
from deltaforge.core.key_changes import split_key_change
from deltaforge.core.positions.postgres import lsn_from_text

LOGGED = "LOGICAL_DECODING_MESSAGE"
"""What Debezium counts messages in the log of PostgreSQL as, beside tables."""


class TransactionNumbers:
    """Numbers the groups of a log in order. A replay from the beginning of a transaction gives the same numbers.

    What is in no transaction (statements that define tables, logical messages outside of one) has none, and neither has
    a transaction without a name: of a MySQL server without GTIDs. An update of the key is counted as the delete and
    the insert that it becomes, and has the number of the delete.

    Args:
        counts_truncates: Whether there are messages of PostgreSQL's.
    """

    def __init__(self, *, counts_truncates: bool = False) -> None:
        self._counts_truncates = counts_truncates
        self._open = ""
        self._counts: Counter[str] = Counter()

    def of(self, groups: Sequence[EventGroup]) -> list[EventGroup]:
        """The groups, numbered, with notices between them."""
        return [each for group in groups for each in self._numbered(group)]

    def _numbered(self, group: EventGroup) -> Iterator[EventGroup]:
        head = group.head()
        transaction = (head.event_id or "")[:TX_ID_LENGTH]
        if not _is_counted(head) or not transaction or head.transaction is None:
            yield group
            return
        if transaction != self._open:
            self._open, self._counts = transaction, Counter()
            yield _notice(head, "begin", None)
        group = self._with_numbers(group, head)
        yield group
        if group.tx_end:
            yield _notice(group.events()[-1] if group.table is None else head, "end", dict(self._counts))
            self._open = ""

    def _with_numbers(self, group: EventGroup, head: ChangeEvent) -> EventGroup:
        """The group, or one of its events, each of which has numbers of its own."""
        if group.table is not None and group.keeps_keys():
            self._number(group, head, group.event_count)
            return group
        events = group.events()
        counts = [1 if split_key_change(event) is None else 2 for event in events]
        if group.table is not None and max(counts) == 1:
            self._number(group, head, group.event_count)
            return group
        for event, count in zip(events, counts, strict=True):
            self._number(DecodedGroup([event]), event, count)
        return group if group.table is None else DecodedGroup(events)

    def _number(self, group: EventGroup, head: ChangeEvent, count: int) -> None:
        if not _is_counted(head) or (head.op == "t" and not self._counts_truncates):
            return
        is_logged = head.origin is not None and head.origin.message is not None
        table = LOGGED if is_logged else head.source.qualified_table
        group.number(self._counts.total() + 1, self._counts[table] + 1)
        self._counts[table] += count


def numbers_for(asked: frozenset[Asked]) -> TransactionNumbers | None:
    """What numbers events, if a sink asks for it."""
    return TransactionNumbers(counts_truncates="truncate" in asked) if "end" in asked else None


def _is_counted(event: ChangeEvent) -> bool:
    """Whether an event is one of a transaction: MySQL's truncate is a statement of its own."""
    origin = event.origin
    if event.op == "t" and not event.source.lsn:
        return False
    if origin is None:
        return True
    if origin.message is not None:
        return origin.message.is_transactional
    return origin.notice is None


def _notice(event: ChangeEvent, notice: Literal["begin", "end"], counts: dict[str, int] | None) -> DecodedGroup:
    """A notice of the transaction that an event is of."""
    at = event.origin or Origin()
    lsn = at.lsn
    if notice == "end" and event.source.lsn:
        lsn = lsn_from_text(event.source.lsn)
    origin = Origin(ts_us=at.ts_us, lsn=lsn, last_commit_lsn=at.last_commit_lsn, notice=notice, table_counts=counts)
    found = msgspec.structs.replace(
        event,
        before=None,
        after=None,
        op="c",
        event_id=f"{(event.event_id or '')[:TX_ID_LENGTH]}{_PLACES[notice]:012x}",
        schema=None,
        ddl=None,
        tx_end=False,
        zero_dates=None,
        old_zero_dates=None,
        schema_version=None,
        schema_sequence=None,
        origin=origin,
    )
    return DecodedGroup([found])


_PLACES = {"begin": 0xFFFFFFFFFFFE, "end": 0xFFFFFFFFFFFF}
"""No row has these."""
