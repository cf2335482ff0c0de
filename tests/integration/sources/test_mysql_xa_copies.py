"""A prepared XA transaction stands in the log, and in the set of those that are executed, while nobody sees its rows."""

import secrets
from contextlib import closing, contextmanager

import pytest

from deltaforge.core.errors import SourceError
from tests.copied_chunks import copied_events, copier_of
from tests.reading import mysql_reader


@pytest.fixture
def user(mysql_database):
    """Has what the log and a copy need, and no more."""
    name = f"u{secrets.token_hex(4)}"
    mysql_database.execute(
        f"create user '{name}'@'%' identified by 'secret'",
        f"grant select, replication slave, replication client on *.* to '{name}'@'%'",
    )
    yield name
    mysql_database.execute(f"drop user '{name}'@'%'")


@contextmanager
def prepared(database, sql):
    """An XA transaction that is prepared; committed at the end."""
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in ("xa start 'x1'", sql, "xa end 'x1'", "xa prepare 'x1'"):
            cursor.execute(statement)
        try:
            yield
        finally:
            cursor.execute("xa commit 'x1'")


def test_who_may_not_see_prepared_transactions_cannot_copy_where_there_are_any(mysql_database, user, tmp_path):
    database = mysql_database
    database.execute("create table t (id int primary key, v int)", "insert into t values (1, 1)")
    url = database.url(user=user, password="secret")
    with closing(mysql_reader(database, tmp_path / "state", url=url).open()) as reader:
        copier = copier_of(reader)
        with closing(copier.chunks):
            plan = copier.plan("t", database.name)
            with prepared(database, "update t set v = 2"):
                with pytest.raises(SourceError) as caught:
                    copier.read(plan)
                assert caught.value.kind == "permission"
                assert "XA_RECOVER_ADMIN" in caught.value.hint
                database.execute(f"grant xa_recover_admin on *.* to '{user}'@'%'")
                copier.chunks.close()  # rights are those of a connection's beginning
                chunk = copier.read(plan)
                assert [event.after["v"] for event in copied_events([chunk])] == [1]
                assert "prepared" in copier.chunks.unsettled(chunk.mark, reader.stream.since())
            chunk = copier.read(plan)
            assert [event.after["v"] for event in copied_events([chunk])] == [2]
            assert not chunk.mark.prepared
