"""Copied rows of any columns: the kernel's events are those of Python, and those of an insert but for what must differ."""

import json
import random
import re

import pytest

from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.event import EventIds
from deltaforge.core.positions import MysqlPosition, PostgresPosition
from deltaforge.core.routing import row_key
from deltaforge.core.row_ids import touched_rows
from deltaforge.core.snapshot import ChunkMark
from deltaforge.kernel import backend, description
from deltaforge.kernel import compiled as kernel
from deltaforge.sensing.sample import sample_of_events
from deltaforge.sources.mysql.group import row_group
from deltaforge.sources.mysql.spec import MysqlSourceSpec
from deltaforge.sources.postgres.spec import PostgresSourceSpec
from tests.fuzz import mysql_rows
from tests.fuzz.copied_rows import FRAME, MysqlCase, PostgresCase
from tests.reading import ENCODERS, assert_same_sample
from tests.spooling import PackedTables, assert_spooled_alike

both = pytest.mark.parametrize("make", [MysqlCase, PostgresCase], ids=["mysql", "postgres"])
needs_kernel = pytest.mark.skipif(kernel is None, reason=description)
IDS = EventIds.of("mysql", "server-1", "snapshot|other|d.t")


@needs_kernel
@both
@pytest.mark.parametrize("damage", [0.0, 1.0], ids=["valid", "damaged"])
def test_values_keys_and_errors(make, damage):
    rnd, taken = random.Random(4712), 0
    for n in range(800):
        case = make(rnd, damage)
        found, expected = case.by_kernel(), case.by_python()
        assert found == expected, n
        taken += isinstance(found, list)
    assert taken > 100


def without_difference(value):
    """A value of the native envelope without what a copied row and an insert may differ in."""
    event = json.loads(value)
    assert event["op"] in "cr"
    assert event["source"].get("snapshot") == ("true" if event["op"] == "r" else None)
    assert event["source"].pop("schema", "") in ("", "__outbox", "s")
    event["source"].pop("snapshot", None)
    return {key: part for key, part in event.items() if key not in ("op", "event_id")}


@needs_kernel
@both
def test_a_copied_row_is_the_insert_of_it_byte_for_byte(make):
    rnd, compared = random.Random(31), 0
    images = re.compile(rb'^\{"before":null,"after":(.*),"source":\{"version"', re.DOTALL)
    for _ in range(400):
        case = make(rnd, 0)
        inserted = case.inserted()
        if inserted is None:
            continue
        try:
            copied, expected = (ENCODERS[0].encode_groups(groups) for groups in (case.groups(), [inserted]))
            keys = [(copied.key(n), expected.key(n)) for n in range(len(copied))]
        except DeltaForgeError:
            continue
        for n, value in enumerate(copied):
            assert images.match(value)[1] == images.match(expected[n])[1]
            assert without_difference(value) == without_difference(expected[n])
            if case.table.schema.primary_key:
                assert keys[n][0] == keys[n][1]
            compared += 1
    assert compared > 300


@both
def test_the_event_id_is_the_hash_of_the_key_and_without_one_of_the_place(make):
    rnd, keyless, ids = random.Random(8), 0, set()
    for _ in range(300):
        case = make(rnd, 0)
        try:
            events = [event for group in case.groups() for event in group.events()]
        except DeltaForgeError:
            continue
        transaction = case.transaction(backend)
        for row, event in enumerate(events):
            try:
                text = row_key(event) if event.key() else f"{transaction.ordinal}.{row}"
            except ValueError:
                text = f"{transaction.ordinal}.{row}"
            keyless += event.key() is None
            assert event.event_id == transaction.ids.for_key(text.encode())
            assert event.event_id[14] == "8"
            ids.add(event.event_id)
    assert len(ids) > 200
    assert keyless > 50


def log_groups(make, rnd, case):
    """Groups of the log of the same tables: any op, images whole and not."""
    if make is MysqlCase:
        transaction = backend.Transaction("mysql", "server-1", "f:4", "", None)
        return [row_group(case.table, case.rows, transaction, mysql_rows.PLACE)]
    if kernel is None:
        return []
    block = kernel.copy_data([FRAME + message for message in case.messages])
    transaction = backend.Transaction("postgresql", "sys", "0/1", "", None)
    group = block.rows(0, {77: case.table}, transaction, 1, 9, b"0/1")[1]
    return [group] if group is not None else []


@needs_kernel
@both
def test_touched_rows_of_any_group_are_those_of_its_events(make):
    rnd, ids, incomplete, unknown = random.Random(17), 0, 0, 0
    for n in range(1500):
        case = make(rnd, 0)
        try:
            groups = log_groups(make, rnd, case) + case.groups()
            expected = [touched_rows(case.table.mapper.events(group), IDS) for group in groups]
        except DeltaForgeError:
            continue
        assert [group.touched_rows(IDS) for group in groups] == expected, n
        assert [DecodedGroup(group.events()).touched_rows(IDS) for group in groups] == expected
        for found in expected:
            ids, incomplete = ids + len(found.split()), incomplete + len(found.incomplete)
            unknown += found.unknown_count
    assert ids > 1000
    assert incomplete > 50
    assert unknown > 50


@needs_kernel
@both
def test_without_some_rows(make):
    rnd, kept, gone, empty = random.Random(19), 0, 0, 0
    for _ in range(600):
        case = make(rnd, 0)
        try:
            group, by_python = case.groups()[0], case.python_groups()[0]
            ids = group.touched_rows(group.transaction.ids)
            if ids.unknown_count:  # a null in the key, which no server allows
                continue
            chosen = {row_id for row_id in sorted(ids.split()) if rnd.random() < 0.5}
            found, expected = group.without(chosen), by_python.without(chosen)
            if expected is None or found is None:
                assert found is expected is None
                empty += 1
                continue
            assert (found is group) == (expected is by_python)
            values = [ENCODERS[0].encode_groups([rest]) for rest in (found, expected)]
        except DeltaForgeError:
            continue
        assert [row_of(value) for value in values[0]] == [row_of(value) for value in values[1]]
        assert (found.op, found.ts_ms, found.table, found.tx_end) == ("r", group.ts_ms, group.table, False)
        assert not found.touched_rows(group.transaction.ids).split() & chosen
        assert found.without(chosen) is found
        kept, gone = kept + found.event_count, gone + group.event_count - found.event_count
    assert kept > 100
    assert gone > 40
    assert empty > 20


def row_of(value):
    return re.sub(rb'"row":\d+', b"", value)


@needs_kernel
@both
def test_only_copied_rows_are_left_out(make):
    rnd = random.Random(2)
    group = next(group for _ in range(50) for group in log_groups(make, rnd, make(rnd, 0)) if group is not None)
    with pytest.raises(ValueError, match="not copied"):
        group.without({b""})


@both
def test_copied_rows_are_spooled(make):
    spec = MysqlSourceSpec.model_construct(type="mysql") if make is MysqlCase else None
    spec = spec or PostgresSourceSpec.model_construct(type="postgres")
    position = MysqlPosition("b.1", 9, "g:1-5", "mysql", "u") if make is MysqlCase else PostgresPosition(77, 3, "s", 2)
    rnd, packed_count = random.Random(29), 0
    for _ in range(100):
        groups, tables = [], PackedTables(spec, 'p"' if make is MysqlCase else "p", "acm\u00e9")
        for _ in range(3):
            try:
                groups += make(rnd, 0).groups()
            except DeltaForgeError:
                continue
        batch = Batch.of_groups(groups, position, byte_count=5, received_at=5.5)
        batch.chunk = ChunkMark(7, "j1", "d", "t", 1, "low", reread=("a", "b"), sinks=("s",))
        assert_spooled_alike(batch, tables, ENCODERS)
        packed_count += len(tables.packed)
    assert (packed_count > 200) is (kernel is not None)


@needs_kernel
@both
def test_samples(make):
    rnd, compared = random.Random(8), 0
    for _ in range(400):
        case = make(rnd, 0)
        try:
            group = case.groups()[0]
            events = case.table.mapper.events(group)
        except DeltaForgeError:
            continue
        values = [value for event in events for value in event.after.values()]
        if any(part != part for value in values for part in (value if isinstance(value, list) else [value])):
            continue
        names = [column.name for column in case.table.schema.columns]
        terms = {"seen": 3, "warmup": 4, "rate": 2, "max_depth": 3}
        found = kernel.row_sample([group, group], names, **terms)
        if found is not None:
            assert_same_sample(found, sample_of_events([*events, *events], names, **terms), len(names))
            compared += 1
    assert compared > 20


@needs_kernel
def test_inserts_that_do_not_fit_the_table_are_left_to_python():
    case = PostgresCase(random.Random(3), 0)
    for damaged in (b"D" + case.inserts[0][1:], case.inserts[0][:-1], b"I"):
        case.inserts = [damaged]
        block = kernel.copy_data([FRAME + damaged])
        assert kernel.postgres_copied_rows(case.table, block, case.transaction(backend), 1, "0/1") is None
        with pytest.raises(DeltaForgeError):
            case.groups()
