"""Databases of tests that bring their own tables."""

from contextlib import contextmanager


@contextmanager
def database_with(request, *statements):
    """A fresh database of the server that the fixture's parameter names, after these statements; published, where
    that is needed to read it.
    """
    with request.getfixturevalue(request.param).fresh_database() as database:
        database.execute(*statements)
        if request.param == "postgres":
            database.execute("create publication pub for all tables")
        yield database
