"""Databases of tests that bring their own tables."""

from contextlib import contextmanager

from tests.pipelines import wait_for


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
    """Drop the replication slots of a database whose pipelines have ended. The server has them in use for a moment longer:
    until its own process has noticed.
    """
    slots = "from pg_replication_slots where database = current_database()"
    wait_for(lambda: not database.rows(f"select 1 {slots} and active"))
    database.execute(f"select pg_drop_replication_slot(slot_name) {slots}")


def begin_log_anew(database):
    """Throw away what other tests left in the binary log of a shared server: whoever reads from the earliest place would
    read that, too, with statements about databases that are gone. PostgreSQL has a slot for each reader instead.
    """
    if database.server.scheme == "mysql":
        database.execute("flush binary logs")
        newest = database.rows("show binary logs")[-1][0]
        database.execute(f"purge binary logs to '{newest}'")
