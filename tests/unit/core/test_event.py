import uuid

from deltaforge.core.batch import Batch
from deltaforge.core.encoded import EncodedList
from deltaforge.core.event import EventIds
from deltaforge.core.positions import PostgresPosition
from deltaforge.testing.fakes import make_event


def test_event_ids_are_version_8_uuids_and_repeat():
    ids = EventIds.of("mysql", "server-1", "server-1:7")
    first = uuid.UUID(ids.at(3, 5))
    assert (first.version, first.variant) == (8, uuid.RFC_4122)
    assert str(first) == EventIds.of("mysql", "server-1", "server-1:7").at(3, 5)


def test_event_ids_differ_by_connector_origin_transaction_change_and_row():
    seen = {
        EventIds.of(connector, origin, transaction).at(ordinal, row)
        for connector in ("mysql", "postgresql")
        for origin in ("a", "b")
        for transaction in ("1", "2")
        for ordinal in (0, 1, 2**24 - 1)
        for row in (0, 1, 2**24 - 1)
    }
    assert len(seen) == 2 * 2 * 2 * 3 * 3


def test_event_ids_of_more_rows_than_a_transaction_usually_has_are_ids_and_differ():
    ids = EventIds.of("postgresql", "server-1", "0/1")
    found = [ids.at(n + high) for high in (0, 2**24, 3 * 2**24, 2**31) for n in (0, 1, 2, 2**24 - 1)]
    assert len({uuid.UUID(text) for text in found}) == len(found)


def test_key_is_that_of_the_new_row_and_of_the_old_one_for_deletes():
    event = make_event(7, 1)
    assert event.key() == {"id": 7}
    event.before, event.after = {"id": 8}, None
    assert event.key() == {"id": 8}


def test_key_is_none_when_the_image_lacks_a_key_column():
    event = make_event(7, 1)
    event.after = {"name": "x"}
    assert event.key() is None


def test_batch_encodes_once_per_encoder_identity():
    class Counting:
        identity = ("counting",)
        count = 0

        def encode(self, event):
            Counting.count += 1
            return str(event.after["id"]).encode()

        def encode_groups(self, groups, now_ns):  # noqa: ARG002 - as an encoder is called
            events = [event for group in groups for event in group.events()]
            return EncodedList([self.encode(event) for event in events], events)

    batch = Batch([make_event(1, 1), make_event(2, 1)], PostgresPosition(2))
    assert list(batch.encoded(Counting())) == [b"1", b"2"]
    assert list(batch.encoded(Counting())) == [b"1", b"2"]
    assert Counting.count == 2
    assert batch.with_events([make_event(3, 1)]).encoded(Counting())[0] == b"3"
