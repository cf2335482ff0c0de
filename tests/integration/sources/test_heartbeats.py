"""Heartbeats of sources: while a database is idle, and between transactions alone."""

from contextlib import closing

import pytest

from deltaforge.core.notices import notice_of
from deltaforge.core.resume import ResumeFilter, SinkProgress
from tests.databases import database_with
from tests.reading import mysql_reader, postgres_reader


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    with database_with(request, "create table t (id int primary key)") as database:
        yield database


@pytest.fixture
def make(database, tmp_path):
    def make(**options):
        reader = mysql_reader if database.server.scheme == "mysql" else postgres_reader
        return reader(database, tmp_path / "state", **options)

    return make


def test_they_come_while_nothing_else_does_and_move_no_position(database, make):
    with closing(make(asked={"heartbeat"}, heartbeat_interval_ms=1).open()) as reader:
        start = reader.position
        beats = reader.read_until(lambda events: len(events) >= 3)
        assert {(notice_of(event), event.after, event.tx_end) for event in beats} == {("heartbeat", None, True)}
        assert len({event.event_id for event in beats}) == len(beats)
        assert reader.position.order[:1] == start.order[:1]
        assert not reader.position.is_behind(start)
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("begin")
            for number in range(5):
                cursor.execute(f"insert into t values ({number})")
            cursor.execute("commit")
        rows = reader.read_until(lambda events: any(event.tx_end and not notice_of(event) for event in events))
        kinds = [notice_of(event) for event in rows]
        first = kinds.index(None)
        assert kinds[first : first + 5] == [None] * 5, "no heartbeat stands inside of a transaction"
        position = reader.position
        reader.read_until(lambda events: len(events) >= 2)
        again = reader.open(start).read_until(lambda events: any(not notice_of(event) for event in events))
        assert [event.event_id for event in again if not notice_of(event)] == [
            e.event_id for e in rows if not notice_of(e)
        ]
    # To a sink that has everything the log brings nothing, whatever heartbeats come before and behind it.
    unseen = ResumeFilter(SinkProgress(position))
    assert not any(unseen.unseen(batch).event_count for batch in reader.batches)


def test_nobody_gets_them_who_does_not_ask(make):
    with closing(make(heartbeat_interval_ms=1).open()) as reader:
        reader.read_nothing(0.2)
    with closing(make(asked={"heartbeat"}).open()) as reader:
        reader.read_nothing(0.2)
