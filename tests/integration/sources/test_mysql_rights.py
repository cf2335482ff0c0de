"""A user without the rights that reading needs is told at once which GRANT mends it."""

import pytest

from deltaforge.core.errors import SourceError
from deltaforge.core.positions import LogEdge
from deltaforge.core.retry import Retry, retry_of
from tests.reading import brief, mysql_reader

MISSING = ["", "replication slave", "replication client"]


@pytest.fixture
def user(any_mysql_database):
    """The name of a user who may log in, and nothing else."""
    name = f"u_{any_mysql_database.name[-8:]}"
    any_mysql_database.execute(f"create user '{name}'@'%' identified by 'pass'")
    yield name
    any_mysql_database.execute(f"drop user '{name}'@'%'")


@pytest.mark.parametrize("start", [None, LogEdge.EARLIEST])
@pytest.mark.parametrize("granted", MISSING)
def test_the_grant_that_is_named_is_the_one_that_is_missing(any_mysql_database, user, tmp_path, granted, start):
    database = any_mysql_database
    database.execute("create table t (id int primary key)", f"grant select on `{database.name}`.* to '{user}'@'%'")
    if granted:
        database.execute(f"grant {granted} on *.* to '{user}'@'%'")
    # the DSN names no database: no rights of that kind are missing
    reader = mysql_reader(database, tmp_path / "state", url=database.server.url(user=user, password="pass"))
    with pytest.raises(SourceError) as caught:
        reader.open(start)
    assert caught.value.kind == "permission"
    assert retry_of(caught.value) is Retry.OPERATOR
    before, grant, what = caught.value.hint.partition("grant ")
    assert before == "as an administrator: "
    database.execute(grant + what)
    reader.open()
    database.execute("insert into t values (1)")
    assert brief(reader.read(1)) == [("c", None, {"id": 1})]
    reader.close()
