"""Databases of tests that bring their own tables."""

from contextlib import contextmanager

from tests.fixtures.database import wait_until_left


@contextmanager
def database_with(request, *statements):
    """A fresh database of the server that the fixture's parameter names, after these statements; published, where
    that is needed to read it.
    """
    with request.getfixturevalue(request.param).fresh_database() as database:
        begin_log_anew(database)
        database.execute(*statements)
        if request.param == "postgres":
            database.execute("create publication pub for all tables")
        yield database


def drop_slots(database):
    """Drop the replication slots of a database whose pipelines have ended."""
    wait_until_left(database)
    database.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()"
    )


def begin_log_anew(database):
    """Throw away what other tests left in the binary log of a shared server: whoever reads from the earliest place would
    read that, too, with statements about databases that are gone. PostgreSQL has a slot for each reader instead.
    """
    if database.server.scheme == "mysql":
        database.execute("flush binary logs")
        newest = database.rows("show binary logs")[-1][0]
        database.execute(f"purge binary logs to '{newest}'")
