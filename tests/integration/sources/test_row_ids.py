"""Row ids of what the log says and of what a SELECT gives: they meet, whatever the key is made of."""

from contextlib import closing

import pytest

from deltaforge.core.event import EventIds
from deltaforge.kernel import backend
from tests.copied_chunks import copied_events as events_of_chunks
from tests.copied_chunks import copier_of
from tests.copying import copied_events
from tests.reading import mysql_reader, postgres_reader

IDS = backend.Transaction("mysql", "s", "copy", "", None).ids
"""Those of :mod:`tests.copying`."""

CHANGES = {
    "insert": ("insert into t values ('B', '2024-01-02', 1.50, 'x', 'big')", 1),
    "update": ("update t set v = 'y' where k = 'B'", 1),
    "update of the key": ("update t set k = 'b' where k = 'B'", 2),
    "update of another key column": ("update t set n = n + 1 where k = 'b'", 2),
    "several": ("update t set v = 'z'", 4),
    "delete": ("delete from t where k = 'b'", 1),
}
"""Statements, and how many keys they are about."""


def ids_of(events):
    return {bytes.fromhex(event.event_id.replace("-", "")) for event in events}


def touched(batches, ids):
    """The row ids of the batches' groups, and the keys of rows that are not whole."""
    found = [group.touched_rows(ids) for batch in batches for group in batch.groups]
    assert not sum(rows.unknown_count for rows in found)
    return set().union(*(rows.split() for rows in found)), [key for rows in found for key in rows.incomplete]


def assert_changes_touch_rows(reader, execute, copied, ids):
    """Each change touches the rows that are in one of the copies before and after it alone, or in both if they differ."""
    before = {event.event_id: event.after for event in copied()}
    assert len(before) == 3
    for what, (sql, key_count) in CHANGES.items():
        first = len(reader.batches)
        execute(sql)
        reader.read(4 if what == "several" else 1)
        after = {event.event_id: event.after for event in copied()}
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        found, _ = touched(reader.batches[first:], ids)
        assert {bytes.fromhex(key.replace("-", "")) for key in changed} == found, what
        assert len(found) == key_count, what
        before = after


@pytest.mark.parametrize("image", ["full", "minimal", "noblob"])
def test_changes_of_mysql_meet_copied_rows(any_mysql_database, tmp_path, image):
    database = any_mysql_database
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"set sql_mode = '', binlog_row_image = {image}")
        cursor.execute(
            "create table t (k varchar(20) collate utf8mb4_bin, d date, n decimal(9, 2), v text, w text,"
            " primary key (n, k, d)) default charset latin1"
        )
        reader = mysql_reader(database, tmp_path / "state").open()
        cursor.execute(
            "insert into t values ('a', '2024-01-01', 0, 'v', 'w'), ('\u00fc', '2024-00-10', -1, 'v', 'w'), ('c ', 0, 2, 'v', 'w')"
        )
        reader.read(3)
        table = reader.batches[-1].groups[-1].table
        assert_changes_touch_rows(reader, cursor.execute, lambda: copied_events(database.url(), table), IDS)
        cursor.execute("update t set d = '2024-00-11' where d = '2024-00-10'")
        reader.read(1)
        found, incomplete = touched(reader.batches[-1:], IDS)
        assert len(found) == 2, "both dates are null as values"
        assert len(incomplete) == (image != "full")
        reader.close()


@pytest.mark.parametrize("identity", ["default", "full", "using index other"])
def test_changes_of_postgres_meet_copied_rows(postgres_database, tmp_path, identity):
    database = postgres_database
    database.execute(
        "create table t (k varchar(20), d date, n numeric(9, 2), v text, w text not null, primary key (n, k, d))",
        "create unique index other on t (k, n, d)",
        f"alter table t replica identity {identity}",
        "alter table t alter w set storage external",
        "create publication pub for table t",
    )
    with closing(postgres_reader(database, tmp_path / "state").open()) as reader:
        database.execute(
            "insert into t values ('a', '2024-01-01', 0, 'v', 'w'), ('\u00fc', 'infinity', -1, 'v', repeat('w', 9000)),"
            " ('c ', '0044-01-01 bc', 'nan', 'v', 'w')"
        )
        reader.read(3)
        copier = copier_of(reader)
        with closing(copier.chunks):
            plan = copier.plan("t")
            ids: EventIds = copier.request(plan).ids
            assert_changes_touch_rows(reader, database.execute, lambda: events_of_chunks(copier.all(plan)), ids)
        database.execute("update t set v = 'not w' where n = -1")
        [event] = reader.read(1)
        assert touched(reader.batches[-1:], ids)[1] == (
            [] if identity == "full" else ['{"n":"-1.00","k":"\u00fc","d":"infinity"}']
        ), event.after


def test_rows_without_a_key_differ_wherever_they_are(postgres_database, tmp_path):
    """In a table that has grown since its copy was planned, and where chunks end in the middle of pages."""
    database = postgres_database
    database.execute("create table t (v text)", "create publication pub for table t")
    with closing(postgres_reader(database, tmp_path / "state").open()) as reader:
        copier = copier_of(reader, max_rows=50, max_bytes=1 << 14)
        with closing(copier.chunks):
            plan = copier.plan("t")
            database.execute("insert into t select repeat('x', 500) from generate_series(1, 700)")
            chunks = copier.all(plan)
            again = copier.read(plan, chunks[1].reached, high=chunks[2].reached)
            ids = [event.event_id for event in events_of_chunks(chunks)]
            assert len(chunks) > 5
            assert len(ids) == len(set(ids)) == 700
            assert events_of_chunks([again])[0].event_id == events_of_chunks(chunks[2:3])[0].event_id
