"""The same log read by ``test_decoding`` and by us."""

import pytest

from tests.reading import postgres_reader
from tests.second_reader import SecondReader, differences
from tests.workload import Workload


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_workload_is_what_test_decoding_reads(postgres_database, tmp_path, seed):
    database = postgres_database  # PostgreSQL 15: the packages of 18 bring no test_decoding
    workload = Workload(database, seed)
    workload.create()
    database.execute(
        "alter table pairs replica identity full" if seed == 1 else "alter table items replica identity full"
    )
    reader = postgres_reader(database, tmp_path / "state").open()
    judge = SecondReader(database)
    workload.run(250)
    workload.big_transaction(3000, "z" * 300)
    workload.run(50)
    changes = judge.changes()
    assert len(changes) > 3500
    events = reader.read(len(changes), timeout_secs=60)
    reader.close()
    assert differences(judge, changes, events)[:5] == []


def test_large_values_truncates_messages_and_identities_are_what_test_decoding_reads(postgres_database, tmp_path):
    database = postgres_database
    database.execute(
        "create table big (id int primary key, v text, n int)", "alter table big alter v set storage external",
        "create table full_ (id int primary key, v text, n int)", "alter table full_ alter v set storage external",
        "alter table full_ replica identity full",
        "create table i (a int not null, b int not null, v text)", "create unique index ib on i (b)",
        "alter table i replica identity using index ib", "create publication pub for all tables",
    )  # fmt: skip
    reader, judge = postgres_reader(database, tmp_path / "state").open(), SecondReader(database)
    rows = [
        f"{verb} {table} {rest}"
        for table in ("big", "full_")
        for verb, rest in (
            ("insert into", "values (1, repeat('x', 9000), 0), (2, null, 0)"), ("update", "set n = 1"),
            ("update", "set v = repeat('y', 9000) where id = 1"), ("update", "set id = id + 10"), ("delete from", ""),
        )
    ]  # fmt: skip
    database.execute(
        *rows, "insert into i values (1, 2, 'it''s [a]:\"x\" new-tuple: ')", "update i set v = null", "update i set b = 3",
        "delete from i", "truncate big, full_ restart identity", "truncate i cascade",
        "select pg_logical_emit_message(false, 'p', '{\"a\": 1}')", "select pg_logical_emit_message(true, 'q', '[2]')",
    )  # fmt: skip
    changes = judge.changes()
    events = reader.read(len(changes))
    reader.close()
    assert differences(judge, changes, events) == []
