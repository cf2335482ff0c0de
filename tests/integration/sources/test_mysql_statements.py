"""What a log of statements says: rows that are not in it, and the event that an operator lets pass."""

import logging

import pytest

from deltaforge.checkpoint.skips import Skips
from deltaforge.core.errors import ControlError, SourceError
from tests.reading import brief, mysql_reader


@pytest.fixture
def reader_of(tmp_path):
    """``reader_of(database, …)``: an open reader; all are closed with the test."""
    readers = []

    def make(database, **options):
        readers.append(mysql_reader(database, tmp_path / f"state{len(readers)}", **options))
        return readers[-1].open()

    yield make
    for reader in readers:
        reader.close()


def as_statements(database, *statements):
    """Run them in a session that logs statements."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set session binlog_format = 'STATEMENT'")
        for statement in statements:
            cursor.execute(statement)


def refused(reader, count=1):
    with pytest.raises(SourceError) as caught:
        reader.read(count)
    return caught.value


def test_an_operator_goes_past_exactly_one_event(any_mysql_database, reader_of, tmp_path, caplog):
    database = any_mysql_database
    database.execute("create table t (id int primary key, v varchar(9))")
    reader, skips = reader_of(database), Skips(tmp_path / "state0")
    start = reader.position
    database.execute("insert into t values (1, 'a')")
    as_statements(database, "insert into t values (2, 'secret')", "insert into t values (3, 'secret')")
    database.execute("insert into t values (4, 'b')")
    error = refused(reader, 2)
    held = skips.held()
    assert held.tables == [f"{database.name}.t"]
    assert held.what == "insert into t values (?, ?)"
    assert f"{held.position['file']}:{held.position['pos']}" in error.message
    assert "insert into t values (?, ?)" in error.message
    assert "secret" not in str(error)
    assert "/pipelines/p/skips" in error.hint
    with pytest.raises(ControlError):
        skips.add({"position": {**held.position, "pos": held.position["pos"] + 1}, "reason": "no"})
    skips.add({"position": held.position, "reason": "done by hand"})
    assert refused(reader.open(start), 2).context["pos"] > held.position["pos"]
    skips.add({"position": skips.held().position, "reason": "done by hand"})
    caplog.clear()
    for _ in range(2):  # and again, as after a crash
        with caplog.at_level(logging.WARNING):
            reader.restart().open(start)
            assert skips.held() is None
            assert brief(reader.read(2)) == [("c", None, {"id": 1, "v": "a"}), ("c", None, {"id": 4, "v": "b"})]
        assert caplog.text.count("left out, as an operator asked") == 2
        caplog.clear()
    assert reader.metrics.skipped_events.labels("p", f"test-{database.name}")._value.get() == 5
