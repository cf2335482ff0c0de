"""What the log of PostgreSQL says of an event beside its native form."""

from contextlib import closing

import pytest

from deltaforge.core.event import LoggedMessage
from deltaforge.core.positions.postgres import lsn_from_text
from tests.reading import postgres_reader

PEEK = """
    select lsn - '0/0', xid::text::bigint, data from pg_logical_slot_peek_binary_changes(
        'peek_' || current_database(), null, null, 'proto_version', '1', 'publication_names', 'pub', 'messages', 'true'
    )
"""
TABLES = (
    "create table t (id int primary key, v text)",
    "create table u (id int primary key)",
    "create publication pub for all tables",
    "select pg_create_logical_replication_slot('peek_' || current_database(), 'pgoutput')",
)


@pytest.fixture
def reader(any_postgres_database, tmp_path):
    any_postgres_database.execute(*TABLES)
    with closing(postgres_reader(any_postgres_database, tmp_path / "state", asked={"message"}).open()) as reader:
        yield reader


def test_origins_are_what_the_server_says(any_postgres_database, reader):
    """Each row has the LSN of its message; and the end of the transaction before it, or the message outside of one."""
    database = any_postgres_database
    with database.connect() as connection:
        with connection.transaction():
            connection.execute("insert into t values (1, 'a'), (2, 'b')")
            connection.execute("insert into u values (1)")
            connection.execute("select pg_logical_emit_message(true, 'in', '\\xff00'::bytea)")
        connection.execute("update t set v = 'c' where id = 1")
        connection.execute("select pg_logical_emit_message(false, 'out', 'no json')")
        connection.execute("truncate t, u")
        connection.execute("delete from u")
        connection.execute("insert into u values (5)")
    events = reader.read(9)
    expected, last = [], None
    for lsn, xid, data in database.rows(PEEK):
        kind = bytes(data)[:1]
        if kind == b"C":
            last = lsn
        elif kind == b"T":
            expected += [(lsn, xid, last)] * 2
        elif kind == b"M" and not bytes(data)[1]:
            last = lsn
            expected.append((lsn, 0, last))
        elif kind in b"IUDM":
            expected.append((lsn, xid, last))
    assert [(e.origin.lsn, e.source.txId or 0, e.origin.last_commit_lsn) for e in events] == expected
    assert all(event.origin.ts_us // 1000 == event.ts_ms for event in events)
    assert any(event.origin.ts_us % 1000 for event in events)
    notices = [event for event in events if event.origin.notice]
    assert [(event.origin.message, event.after, event.source.table) for event in notices] == [
        (LoggedMessage("in", b"\xff\x00", True), None, "in"),
        (LoggedMessage("out", b"no json", False), None, "out"),
    ]
    assert lsn_from_text(events[0].source.lsn) > events[0].origin.lsn


def test_a_replay_has_the_same_origins_wherever_it_begins(any_postgres_database, reader):
    database, starts, events = any_postgres_database, [], []
    emit = "select pg_logical_emit_message(false, 'm', '{}')"
    for statement in (emit, "insert into t values (1, 'a')", emit, emit, "update t set v = 'b'", "truncate u", emit):
        starts.append(reader.position)
        database.execute(statement)
        events += reader.read(1)
    for n, start in enumerate(starts):
        again = reader.open(start).read(len(events) - n)
        assert [event.origin for event in again] == [event.origin for event in events[n:]]


def test_messages_that_are_no_json_are_left_out_where_nobody_asks_for_them(any_postgres_database, tmp_path):
    database = any_postgres_database
    database.execute(*TABLES)
    with closing(postgres_reader(database, tmp_path / "state").open()) as reader:
        database.execute("select pg_logical_emit_message(true, 'p', 'no json')", "insert into u values (1)")
        [event] = reader.read(1)
        assert event.after == {"id": 1}
        database.execute("select pg_logical_emit_message(true, 'p', '[1]')")
        [event] = reader.read(1)
        assert (event.after, event.origin.message) == ([1], LoggedMessage("p", b"[1]", True))
