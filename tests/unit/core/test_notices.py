"""Events that are about no row: who gets them, and what they change for those who do not."""

import msgspec
import pytest

from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.event import EventIds, Origin
from deltaforge.core.notices import row_count, without_notices
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.resume import advanced, transaction_of, without_first
from deltaforge.testing.fakes import make_event

IDS = EventIds.of("postgresql", "s", "0/1")


def group_of(first, kinds):
    """Events numbered from ``first`` on: a row where the kind is None."""
    events = []
    for number, kind in enumerate(kinds, first):
        origin = Origin(lsn=number, notice=kind)
        events.append(msgspec.structs.replace(make_event(number, 7), event_id=IDS.at(number), origin=origin))
    return DecodedGroup(events)


def batch_of(*groups, is_tx_end=True):
    batch = Batch.of_groups(list(groups), PostgresPosition(9), is_tx_end=is_tx_end)
    if is_tx_end:
        groups[-1].tx_end = True
    return batch


def numbers(batch):
    return [event.origin.lsn for event in batch.events()]


def test_a_sink_gets_the_notices_that_it_asks_for_alone():
    batch = batch_of(group_of(1, [None, "message"]), group_of(3, ["definition"]), group_of(4, [None]))
    assert numbers(without_notices(batch, {"message"})) == [1, 3, 4]
    assert numbers(without_notices(batch, {"message", "definition"})) == [1, 4]
    assert without_notices(batch, {"heartbeat"}) is batch


def test_a_transaction_ends_with_the_row_before_its_last_notice():
    batch = batch_of(group_of(1, [None]), group_of(2, [None]), group_of(3, ["message"]))
    without = without_notices(batch, {"message"})
    assert [event.tx_end for event in without.events()] == [False, True]
    assert [event.tx_end for event in batch.events()] == [False, False, True], "others still get the notice"


def test_an_end_of_another_transaction_stays_where_it_is():
    alone = DecodedGroup(
        [msgspec.structs.replace(make_event(9, 7), event_id="other", origin=Origin(notice="heartbeat"))]
    )
    batch = batch_of(group_of(1, [None]), alone)
    assert [event.tx_end for event in without_notices(batch, {"heartbeat"}).events()] == [False]


@pytest.mark.parametrize("asked", [True, False])
def test_how_much_of_a_transaction_a_sink_has_does_not_depend_on_what_is_asked_for(asked):
    """A pipeline may ask for less, or for more, when it starts again inside of a transaction."""
    first, second = [None, "message", None], ["message", None, None]
    delivered = batch_of(group_of(1, first), group_of(4, second[:1]), is_tx_end=False)
    if not asked:
        delivered = without_notices(delivered, {"message"})
    progress = advanced(None, delivered)
    assert progress.open_count == row_count(delivered.groups) == 2
    for kept in (set(), {"message"}):
        again = without_notices(batch_of(group_of(1, first), group_of(4, second)), kept)
        rest, left = without_first(again, progress.open_count, transaction_of(again.groups[0]))
        rows = [event.origin.lsn for event in rest.events() if event.origin.notice is None]
        assert (rows, left) == ([5, 6], 0)
