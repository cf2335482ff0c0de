"""How the DSN of a MySQL source may be written."""

import urllib.parse
from contextlib import closing

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sources.mysql.catalog import load_catalog
from deltaforge.sources.mysql.client import connect
from tests.integration.types.test_mariadb_old_times import settings
from tests.reading import brief, mysql_reader

ODD = "p@/ :?#%&'\\üж"


def test_every_form_of_a_dsn(any_mysql_database, tmp_path):
    database, user = any_mysql_database, any_mysql_database.name
    database.execute("create table t (id int primary key)")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create user %s@'%%' identified by %s", (user, ODD))
        cursor.execute("grant select, replication slave, replication client on *.* to %s@'%%'", (user,))
    server, password = database.server, urllib.parse.quote(ODD, safe="")
    forms = [
        f"mysql://{user}:{password}@{server.host}:{server.port}/{database.name}?ssl-mode=preferred",
        f"mariadb://{user}:{password}@localhost:{server.port}",
    ]
    try:
        for number, form in enumerate(forms):
            reader = mysql_reader(database, tmp_path / str(number), url=form, tables=["*.t"]).open()
            database.execute(f"insert into t values ({number})")
            assert brief(reader.read(1)) == [("c", None, {"id": number})], form
            reader.close()
    finally:
        database.execute(f"drop user {user}@'%'")


def test_a_file_of_a_certificate_that_is_not_there_ends_the_retries(mysql_database, tmp_path):
    reader = mysql_reader(
        mysql_database, tmp_path, url=mysql_database.url() + f"?ssl-mode=verify_ca&ssl-ca={tmp_path}/no"
    )
    with pytest.raises(SpecError, match="ssl-ca") as caught:
        reader.open()
    assert retry_of(caught.value) is Retry.OPERATOR


def test_a_limit_of_rows_for_clients_does_not_cut_the_catalog(any_mysql_database):
    any_mysql_database.execute("create table t (a int primary key, b int, c int)")
    name = (any_mysql_database.name, "t")
    with settings(any_mysql_database.server, sql_select_limit=1), closing(connect(any_mysql_database.url())) as found:
        assert [column.name for column in load_catalog(found).tables[name].schema.columns] == ["a", "b", "c"]
