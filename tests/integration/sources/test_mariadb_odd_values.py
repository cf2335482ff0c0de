"""What MariaDB takes and clients do not expect: none of it ends a pipeline, least of all one of other tables."""

import pytest

from deltaforge.core.errors import SchemaError
from tests.reading import mysql_reader

HALF = "x'd83d'"
"""Half of a surrogate pair: ucs2 holds it, and the server sends three bytes that are no UTF-8."""


@pytest.fixture(params=["FULL", "NO_LOG"])
def database(request, mariadb):
    """A database while the server writes row metadata in full, and not at all."""
    with mariadb.fresh_database() as made:
        ((before,),) = made.rows("select @@global.binlog_row_metadata")
        made.execute(f"set global binlog_row_metadata = {request.param}")
        yield made
        made.execute(f"set global binlog_row_metadata = {before}")


def test_a_default_that_is_no_text_in_a_table_that_nobody_captures(database, mariadb, tmp_path):
    with mariadb.fresh_database() as other:
        other.execute(
            f"create table o (id int, v varchar(9) character set ucs2 default {HALF})",
            f"create table e (id int, v enum({HALF}) character set ucs2)",
        )
        database.execute("create table t (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state").open()
        database.execute("insert into t values (7)")
        (event,) = reader.read(1)
        reader.close()
    assert event.after == {"id": 7}


def test_a_default_that_is_no_text_in_a_captured_table(database, tmp_path):
    database.execute(f"create table t (id int primary key, v varchar(9) character set ucs2 default {HALF})")
    reader = mysql_reader(database, tmp_path / "state").open()
    database.execute("insert into t (id) values (7)")
    (event,) = reader.read(1)
    reader.close()
    assert event.after == {"id": 7, "v": {"_base64": "2D0="}}


def test_a_label_that_is_no_text_is_refused_only_where_it_has_to_be_read(tmp_path, mariadb):
    with mariadb.fresh_database() as made:
        made.execute(f"create table t (id int primary key, v enum('a', {HALF}) character set ucs2)")
        ((before,),) = made.rows("select @@global.binlog_row_metadata")
        made.execute("set global binlog_row_metadata = NO_LOG")
        try:
            reader = mysql_reader(made, tmp_path / "state").open()
            made.execute("insert into t values (7, 2)")
            with pytest.raises(SchemaError, match=r"\.t\b"):
                reader.read(1)
            reader.close()
        finally:
            made.execute(f"set global binlog_row_metadata = {before}")


def test_an_empty_geometry(database, tmp_path):
    database.execute("create table t (id int primary key, g geometry not null)")
    reader = mysql_reader(database, tmp_path / "state").open()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        cursor.execute("insert into t values (1, st_geomfromtext('POINT(1 2)', 7)), (2, null)")
        cursor.execute("select hex(g) from t order by id")
        assert [text for (text,) in cursor.fetchall()] == ["070000000101000000000000000000F03F0000000000000040", ""]
    first, second = reader.read(2)
    reader.close()
    assert (first.after["g"]["srid"], second.after["g"]) == (7, {"_base64": ""})
