"""Numbers of events in their transactions, and where transactions begin and end."""

import msgspec
from msgspec import UNSET

from deltaforge.core.batch import DecodedGroup
from deltaforge.core.event import EventIds, LoggedMessage, Origin, Transaction
from deltaforge.core.positions import PostgresPosition
from deltaforge.sources.base import BatchLimits
from deltaforge.sources.batching import TransactionBatcher
from deltaforge.sources.transactions import TransactionNumbers, numbers_for
from deltaforge.testing.fakes import make_event


def change(number, tx, table="t", **fields):
    event = make_event(number, 0x20)
    event.source = msgspec.structs.replace(event.source, table=table)
    event.transaction = Transaction(str(tx))
    event.event_id = EventIds.of("postgresql", "o", str(tx)).at(number)
    event.origin = Origin(lsn=number)
    return msgspec.structs.replace(event, **fields)


def said(groups):
    """Notices by their name, rows by their table and numbers."""
    return [
        event.origin.notice or (event.source.table, event.origin.total_order, event.origin.table_order)
        for group in groups
        for event in group.events()
    ]


def test_rows_are_numbered_by_transaction_and_by_table():
    last = change(4, 1)
    last.tx_end = True
    groups = [DecodedGroup([change(1, 1), change(2, 1, "u")]), DecodedGroup([change(3, 1)]), DecodedGroup([last])]
    found = TransactionNumbers().of(groups)
    assert said(found) == ["begin", ("t", 1, 1), ("u", 2, 1), ("t", 3, 2), ("t", 4, 3), "end"]
    begin, end = found[0].events()[0], found[-1].events()[0]
    assert (begin.origin.lsn, end.origin.lsn) == (1, 0x20)
    assert end.origin.table_counts == {"public.t": 3, "public.u": 1}
    assert begin.event_id != end.event_id
    assert begin.event_id[:24] == end.event_id[:24] == last.event_id[:24]
    assert last.tx_end


def test_a_transaction_in_several_batches_is_numbered_through_and_a_replay_has_the_same_numbers():
    def read():
        batcher = TransactionBatcher(BatchLimits(max_tx_bytes=200), lambda: PostgresPosition(1), frozenset({"end"}))
        for number in range(5):
            batcher.add(DecodedGroup([change(number, 1)]), 100, 0.0)
        batcher.end_transaction(0.0)
        return [said(batch.groups) for batch in batcher.due(1.0)]

    assert read() == read() == [
        ["begin", ("t", 1, 1), ("t", 2, 2)], [("t", 3, 3), ("t", 4, 4)], [("t", 5, 5), "end"]
    ]  # fmt: skip


def test_what_is_in_no_transaction_is_not_numbered():
    outside = LoggedMessage("p", b"{}", is_transactional=False)
    inside = LoggedMessage("p", b"{}", is_transactional=True)
    truncate = change(3, 2, op="t")
    last = change(4, 2)
    last.tx_end = True
    events = [
        change(0, 0, origin=Origin(message=outside)),
        change(1, 1, origin=Origin(notice="definition")),
        change(5, 9, transaction=None),  # of a server without GTIDs
        change(6, 8, op="t", source=msgspec.structs.replace(make_event(0, 0).source, lsn=UNSET)),  # MySQL's
        change(2, 2, origin=Origin(message=inside)),
        truncate,
        last,
    ]
    found = TransactionNumbers().of([DecodedGroup([event]) for event in events])
    nothing = ("t", None, None)
    assert said(found) == [nothing, "definition", nothing, nothing, "begin", ("t", 1, 1), nothing, ("t", 2, 1), "end"]
    assert found[-1].events()[0].origin.table_counts == {"LOGICAL_DECODING_MESSAGE": 1, "public.t": 1}


def test_truncates_of_postgres_are_counted_where_there_are_messages_of_them():
    last = change(2, 1, table="u", op="t")
    last.tx_end = True
    events = [DecodedGroup([event]) for event in (change(1, 1, op="t"), last)]
    numbers = numbers_for(frozenset({"begin", "end", "truncate"}))
    found = numbers.of(events)
    assert said(found) == ["begin", ("t", 1, 1), ("u", 2, 1), "end"]
    assert found[-1].events()[0].origin.table_counts == {"public.t": 1, "public.u": 1}


def test_events_are_numbered_only_where_a_sink_asks():
    assert numbers_for(frozenset({"message"})) is None
    assert numbers_for(frozenset({"begin", "end"})) is not None


def test_an_update_of_the_key_counts_as_the_two_messages_that_it_becomes():
    events = [
        change(1, 1),
        change(2, 1, op="u", before={"id": 1}, after={"id": 2}),
        change(3, 1, op="u", before={"id": 2}, after={"id": 2}),
    ]
    events[-1].tx_end = True
    found = TransactionNumbers().of([DecodedGroup([event]) for event in events])
    assert said(found) == ["begin", ("t", 1, 1), ("t", 2, 2), ("t", 4, 4), "end"]
    assert found[-1].events()[0].origin.table_counts == {"public.t": 4}
