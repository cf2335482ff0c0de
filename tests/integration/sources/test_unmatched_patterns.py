"""Table patterns that mean no table are told with the reason; names follow the server's rule for their case."""

import logging

import pytest

from tests.reading import brief, mysql_reader, postgres_reader

INSERTED = [("c", None, {"id": 1})]


def gauge(reader):
    (line,) = [line for line in reader.metrics.text().splitlines() if line.startswith("deltaforge_source_unmatched_")]
    return float(line.rpartition(" ")[2])


def test_mysql_patterns_without_a_table_say_why(any_mysql_database, tmp_path, caplog):
    database = any_mysql_database
    name = database.name
    database.execute("create table t (id int primary key)", "create table `or.ders` (id int primary key)")
    reader = mysql_reader(
        database, tmp_path / "state",
        tables=[f"{name}.t", f"{name}.`or.ders`", f"{name}.T", f"{name}.late", "no_such_db.*", "mysql.user"],
        outbox={"tables": [f"{name}.t", f"{name}.outb*"]},
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        reader.open()
    reasons = reader.stream.unmatched_patterns()
    assert set(reasons) == {f"{name}.T", f"{name}.late", "no_such_db.*", "mysql.user", f"outbox.tables: {name}.outb*"}
    assert f"there is `{name}.t`" in reasons[f"{name}.T"]
    assert f"grant SELECT on `{name}`.* to" in reasons[f"{name}.late"]
    assert reasons["no_such_db.*"].startswith("database no_such_db is not there")
    assert "never captured" in reasons["mysql.user"]
    assert all(any(f"table pattern {pattern}: " in line for line in caplog.messages) for pattern in reasons)
    reader.read_nothing(0.1)
    assert gauge(reader) == 5
    database.execute("insert into t values (1)", "insert into `or.ders` values (1)")
    assert brief(reader.read(2)) == INSERTED * 2
    database.execute("create table late (id int primary key)", "insert into late values (1)")
    assert brief(reader.read(1)) == INSERTED
    assert f"{name}.late" not in reader.stream.unmatched_patterns()
    database.execute("create table outbox (id int primary key)")
    reader.stream.reload(None)
    reader.read_nothing(0.1)
    reader.open()
    assert set(reader.stream.unmatched_patterns()) == {f"{name}.T", "no_such_db.*", "mysql.user"}
    reader.close()


@pytest.mark.parametrize("name", ["mariadb", "mariadb-10"])
def test_patterns_are_compared_as_the_server_compares_names(private_mysql, tmp_path, name):
    server = private_mysql("--lower-case-table-names=1", name=name)
    with server.fresh_database() as database:
        database.execute("create table Orders (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state", tables=[f"{database.name.upper()}.ORD*"]).open()
        database.execute("insert into ORDERS values (1)")
        assert brief(reader.read(1)) == INSERTED
        assert reader.stream.unmatched_patterns() == {}
        reader.close()


def test_postgres_patterns_without_a_published_table_say_why(any_postgres_database, tmp_path, caplog):
    any_postgres_database.execute(
        "create table t (id int primary key)",
        'create table "or.ders" (id int primary key)',
        "create table unpublished (id int primary key)",
        "create table root (id int primary key) partition by range (id)",
        "create table root_1 partition of root for values from (0) to (10)",
        'create publication pub for table t, "or.ders", root',
    )
    patterns = ["t", 'public."or.ders"', "T", "unpublished", "root", "missing", "no_such_schema.t"]
    reader = postgres_reader(any_postgres_database, tmp_path / "state", tables=patterns)
    with caplog.at_level(logging.WARNING):
        reader.open()
    reasons = reader.stream.unmatched_patterns()
    assert set(reasons) == set(patterns[2:])
    assert "there is `public.t`" in reasons["T"]
    assert "alter publication pub add table" in reasons["unpublished"]
    assert "`public.root_1`" in reasons["root"]
    assert "publish_via_partition_root" in reasons["root"]
    assert reasons["no_such_schema.t"] == "schema no_such_schema is not there"
    assert all(any(f"table pattern {pattern}: " in line for line in caplog.messages) for pattern in reasons)
    any_postgres_database.execute("insert into t values (1)", 'insert into "or.ders" values (1)')
    assert brief(reader.read(2)) == INSERTED * 2
    assert gauge(reader) == 5
    any_postgres_database.execute(
        "alter publication pub set (publish_via_partition_root = true)",
        "alter publication pub add table unpublished",
        "insert into root values (1)",
        "insert into unpublished values (1)",
    )
    assert brief(reader.read(2)) == INSERTED * 2
    assert set(reader.stream.unmatched_patterns()) == {"T", "missing", "no_such_schema.t"}
    reader.close()


def test_a_partition_that_comes_under_the_name_of_its_root_is_told(any_postgres_database, tmp_path):
    any_postgres_database.execute(
        "create table root (id int primary key) partition by range (id)",
        "create table root_1 partition of root for values from (0) to (10)",
        "create publication pub for table root with (publish_via_partition_root)",
    )
    reader = postgres_reader(any_postgres_database, tmp_path / "state", tables=["root_*"]).open()
    assert "partitioned table `public.root`" in reader.stream.unmatched_patterns()["root_*"]
    reader.close()
