"""Row events of any columns, on disk and back. ``make fuzz-asan`` damages many more."""

import random
from functools import partial

import pytest

from deltaforge.checkpoint.spooled_batch import decode_batch, encode_batch
from deltaforge.core.batch import Batch, DecodedGroup
from deltaforge.core.errors import DeltaForgeError, ProtocolError, StorageError
from deltaforge.core.event import Origin
from deltaforge.core.positions import MysqlPosition, PostgresPosition
from deltaforge.kernel import backend, description
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.postgres.messages import decode_message
from deltaforge.sources.mysql.group import row_group
from deltaforge.sources.mysql.spec import MysqlSourceSpec
from deltaforge.sources.postgres.event_mapper import RowPlace
from deltaforge.sources.postgres.spec import PostgresSourceSpec
from tests.fuzz import mysql_rows, postgres_rows
from tests.fuzz.mysql_input import damaged
from tests.reading import ENCODERS
from tests.spooling import PackedTables, assert_spooled_alike

MYSQL = MysqlSourceSpec.model_construct(type="mysql")
POSTGRES = PostgresSourceSpec.model_construct(type="postgres")
PLACES = [
    (1_700_000_000_123, 7, "binlog.000001", 4711, 4000, None),
    (1_700_000_000_123, 7, "binlog.000001", 4711, 4000, "update t"),
    (-5, 2**32 - 1, 'b\u00fc"g.1', 2**40, 2**41, "\u00fc"),
]
MARKS = [(None, None, None), (None, "first", "last"), ("incremental", None, None)]


def decorate(rnd, group):
    """Give a group what a copy and a count of its transaction say of it."""
    group.mark(*rnd.choice(MARKS))
    if rnd.random() < 0.5:
        group.number(rnd.randint(1, 2**40), rnd.randint(1, 99))
    return group


def mysql_batch(rnd, case_count=4):
    """Some transactions of one to three row events, of tables of any columns."""
    groups = []
    for _ in range(case_count):
        case = mysql_rows.Case(rnd, 0)
        transaction = backend.Transaction("mysql", "s", f"f:{rnd.random()}", case.gtid, rnd.choice((None, 17_004, -1)))
        transaction.thread = rnd.choice((None, 0, 2**32 - 1))
        for _ in range(rnd.randint(1, 3)):
            transaction.ordinal += rnd.randint(1, 300)
            try:
                groups.append(row_group(case.table, case.rows, transaction, rnd.choice(PLACES)))
                decorate(rnd, groups[-1])
            except DeltaForgeError:  # a value that nothing can decode
                continue
        if groups:
            groups[-1].tx_end = True
    return Batch.of_groups(groups, MysqlPosition("b.1", 9, "g:1-5", "mysql", "u"), byte_count=99, received_at=5.5)


def postgres_batch(rnd, case_count=4):
    groups = []
    for _ in range(case_count):
        case = postgres_rows.Case(rnd, 0)
        lsn, xid = rnd.choice(("0/1", "FFFFFFFF/1A")), rnd.choice((0, 9, 2**32 - 1))
        transaction = backend.Transaction("postgresql", "sys", lsn, "", rnd.choice((None, 17_004)))
        transaction.last_commit_lsn = rnd.choice((0, 2**64 - 1))
        if kernel is not None:
            block = kernel.copy_data([b"w" + bytes(24) + message for message in case.messages])
            _, group, _, _ = block.rows(0, {77: case.table}, transaction, 1_700_000_000_123, xid, lsn.encode())
            groups += [decorate(rnd, group)] if group is not None else []
        place = RowPlace(transaction, transaction.ordinal, 1_700_000_000_123, xid, lsn)
        for message in case.messages[:1]:
            place.ordinal += 1
            try:
                groups.append(DecodedGroup([case.table.mapper.row(case.table, decode_message(message), place)]))
            except DeltaForgeError:
                continue
    return Batch.of_groups(groups, PostgresPosition(77, 3, "sys", 2), is_tx_end=False, byte_count=5)


@pytest.mark.parametrize(
    ("make", "spec", "pipeline"),
    [(mysql_batch, MYSQL, 'p"'), (postgres_batch, POSTGRES, "p")],
    ids=["mysql", "postgres"],
)
def test_a_batch_of_any_columns_is_the_same_again(make, spec, pipeline):
    rnd, packed_count = random.Random(23), 0
    for _ in range(150):
        tables = PackedTables(spec, pipeline, "acm\u00e9")
        assert_spooled_alike(make(rnd), tables, ENCODERS)
        packed_count += len(tables.packed)
    assert (packed_count > 250) is (kernel is not None)


@pytest.mark.skipif(kernel is None, reason=description)
def test_groups_of_one_transaction_share_it_and_neighbours_of_one_table_stay_neighbours():
    case = mysql_rows.Case(random.Random(1), 0)
    transactions = [backend.Transaction("mysql", "s", f"f:{n}", "", None) for n in range(2)]
    groups = [row_group(case.table, case.rows, transactions[n > 2], PLACES[0]) for n in range(5)]
    block, tables, stop = kernel.pack_groups([None, *groups, "other"], 1)
    found = kernel.unpack_groups(block, tables)
    assert (tables, stop) == ([case.table], 6)
    assert [group.transaction is found[0].transaction for group in found] == [True, True, True, False, False]
    assert found[3].transaction is found[4].transaction
    assert all(group.table is case.table for group in found)


@pytest.mark.skipif(kernel is None, reason=description)
@pytest.mark.parametrize("make", [mysql_batch, postgres_batch])
def test_damaged_blocks_are_refused_or_read_as_something(make):
    rnd, refused, taken = random.Random(99), 0, 0
    for _ in range(40):
        groups = [group for group in make(rnd).groups if type(group) is kernel.RowGroup]
        block, tables, _ = kernel.pack_groups(groups, 0)
        for _ in range(50):
            try:
                found = kernel.unpack_groups(damaged(rnd, block), tables)
            except ProtocolError:
                refused += 1
                continue
            taken += 1
            for encoder in ENCODERS:
                read_all(found, encoder)
    assert refused > 300
    assert taken > 100


def read_all(groups, encoder):
    for group in groups:
        group.head()
        try:
            encoder.encode_groups([group]).lines()
        except DeltaForgeError:
            continue


@pytest.mark.skipif(kernel is None, reason=description)
def test_every_cut_of_a_block_is_refused():
    rnd = random.Random(4)
    for make in (mysql_batch, postgres_batch):
        group = next(group for group in make(rnd).groups if type(group) is kernel.RowGroup)
        block, tables, _ = kernel.pack_groups([group], 0)
        for size in range(1, len(block)):
            with pytest.raises(ProtocolError):
                kernel.unpack_groups(block[:size], tables)


@pytest.mark.skipif(kernel is None, reason=description)
def test_rows_of_another_database_are_refused():
    rnd = random.Random(5)
    groups = [[g for g in make(rnd).groups if type(g) is kernel.RowGroup] for make in (mysql_batch, postgres_batch)]
    blocks = [kernel.pack_groups(found, 0) for found in groups]
    for (block, tables, _), (_, others, _) in (blocks, blocks[::-1]):
        with pytest.raises(ProtocolError):
            kernel.unpack_groups(block, (others * len(tables))[: len(tables)])


def table_near(tables, number):
    return tables.table_of(number % len(tables.packed))


def test_damaged_records_are_refused_or_read_as_something():
    rnd, refused = random.Random(6), 0
    for make, spec in ((mysql_batch, MYSQL), (postgres_batch, POSTGRES)):
        for _ in range(10):
            tables = PackedTables(spec)
            data = encode_batch(make(rnd), tables.number_of)
            for _ in range(60):
                try:
                    decode_batch(damaged(rnd, data), partial(table_near, tables))
                except StorageError:
                    refused += 1
    assert refused > 300


OLD_MYSQL = bytes.fromhex(
    "1f6338313963323262372d343437312d386361332d613138322d2203673a310002220307e72403622e310a00050000000006000000"
)
OLD_POSTGRES = bytes.fromhex(
    "166361663630636235362d343161372d386539322d396562622d00000222010904302f34302700000027000000"
    "7700000000000000300000000000000030000000000000000349000000074e000174000000013577000000000000"
    "00300000000000000030000000000000000349000000074e0001740000000135"
)


@pytest.mark.skipif(kernel is None, reason=description)
def test_blocks_without_origins_are_still_read():
    """The blocks are those that the kernel made of the same rows before it knew of origins."""
    [rows] = kernel.unpack_groups(OLD_MYSQL, [mysql_rows.plain_table()])
    [run] = kernel.unpack_groups(OLD_POSTGRES, [postgres_rows.plain_table()])
    assert [event.after for event in rows.events()] == [{"id": 5}, {"id": 6}]
    assert {(event.source.pos, event.source.gtid, event.ts_ms) for event in rows.events()} == {(4711, "g:1", 17)}
    assert {event.event_id for event in rows.events()} == {rows.transaction.ids.at(3, row) for row in range(2)}
    assert [event.tx_end for event in rows.events()] == [False, True]
    assert rows.head().origin == rows.events()[0].origin == Origin(ts_us=17_000)
    assert [event.after for event in run.events()] == [{"id": 5}, {"id": 5}]
    assert {(event.source.lsn, event.source.txId) for event in run.events()} == {("0/40", 9)}
    assert run.events()[0].origin == Origin(ts_us=17_000, lsn=0x30)
