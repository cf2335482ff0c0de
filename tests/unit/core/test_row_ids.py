"""Row ids: hashes of the keys of rows, wide enough for any table."""

import hashlib
import uuid

from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, EventIds, SourceInfo
from deltaforge.core.row_ids import event_id, touched_rows, without_rows
from deltaforge.core.table import Column, TableId, TableSchema

IDS = EventIds.of("postgresql", "7301", "snapshot|3f|public.t")
SCHEMA = TableSchema(TableId("d", "public", "t"), (Column("id", "int"), Column("v", "text")), ("id",))


def event(op, before, after, schema=SCHEMA):
    source = SourceInfo(version="1", connector="postgresql", name="p", ts_ms=1, db="d", schema="public", table="t")
    return ChangeEvent(before=before, after=after, source=source, op=op, ts_ms=1, schema=schema)


def row_ids(*numbers):
    return b"".join(IDS.row_id(b'{"id":%d}' % number) for number in numbers)


def test_a_row_id_is_the_hash_of_the_ids_it_is_copied_under_and_of_its_key():
    text = IDS.for_key(b'{"id":1}')
    digest = hashlib.blake2b(f'{IDS.prefix}{{"id":1}}'.encode(), digest_size=16).digest()
    found = uuid.UUID(text)
    assert (found.version, found.variant) == (8, uuid.RFC_4122)
    assert found.bytes == IDS.row_id(b'{"id":1}')
    assert [byte for n, byte in enumerate(found.bytes) if n not in {6, 8}] == [
        byte for n, byte in enumerate(digest) if n not in {6, 8}
    ]


def test_event_id_same_after_restart_distinct_in_16M():  # noqa: N802 - 16 million
    """Of 122 bits that all depend on the key, 2^24 rows collide once in 2^75 tables. Of 48 bits behind what a table has
    in common, once in two.
    """
    keys = [b'{"id":%d}' % number for number in range(100_000)]
    again = EventIds.of("postgresql", "7301", "snapshot|3f|public.t")
    found = [IDS.row_id(key) for key in keys]
    assert found == [again.row_id(key) for key in keys]
    assert len({row_id[:8] for row_id in found}) == len({row_id[8:] for row_id in found}) == len(keys)
    other = EventIds.of("postgresql", "7301", "snapshot|40|public.t")
    assert not {other.row_id(key) for key in keys}.intersection(found)


def test_a_row_without_a_key_has_the_id_of_its_place():
    keyless = TableSchema(SCHEMA.table, SCHEMA.columns, ())
    copied = [
        event_id(event("r", None, {"id": 1, "v": "x"}, keyless), IDS, ordinal, row)
        for ordinal in (0, 1, 1 << 24, 1 << 40)
        for row in (0, 1, 1 << 24)
    ]
    assert len(set(copied)) == 12
    assert copied[1] == IDS.for_key(b"0.1")


def test_which_rows_events_are_about():
    events = [
        event("c", None, {"id": 1, "v": "x"}),
        event("u", {"id": 1, "v": None}, {"id": 2, "v": "y"}),
        event("u", {"id": 2, "v": None}, {"id": 2, "v": UNCHANGED_TOAST}),
        event("u", None, {"id": 3}),
        event("d", {"id": 4, "v": None}, None),
        event("r", None, {"id": 5, "v": "x"}),
        event("t", None, None),
        event("d", {"id": None, "v": "x"}, None),
        event("u", {"v": "x"}, {"id": 6, "v": "y"}),
        event("c", None, {"id": 1, "v": "x"}, None),
    ]
    found = touched_rows(events, IDS)
    assert found.ids == row_ids(1, 1, 2, 2, 3, 4, 5)
    assert found.split() == {row_ids(number) for number in (1, 2, 3, 4, 5)}
    assert found.incomplete == ('{"id":2}', '{"id":3}')
    assert found.unknown_count == 2


def test_without_some_rows():
    events = [event("r", None, {"id": number, "v": "x"}) for number in range(3)]
    for copied in events:
        copied.event_id = event_id(copied, IDS, 0, 0)
    assert without_rows(events, {row_ids(7)}) is events
    assert [copied.after["id"] for copied in without_rows(events, {row_ids(1), row_ids(7)})] == [0, 2]
