"""What a log of statements says: rows that are not in it, and the event that an operator lets pass."""

import logging

import pytest

from deltaforge.checkpoint.skips import Skips
from deltaforge.core.errors import ControlError, SourceError
from tests.reading import brief, mysql_reader, readers_of


@pytest.fixture
def reader_of(tmp_path):
    """``reader_of(database, …)``: an open reader; all are closed with the test."""
    with readers_of(mysql_reader, tmp_path) as make:
        yield make


def as_statements(database, *statements):
    """Run them in a session that logs statements."""
    connection = database.connect(local_infile=True)
    with connection, connection.cursor() as cursor:
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


OBJECTS = """
d: create table t (id int primary key auto_increment, v int)
o: create table o (id int primary key auto_increment, v int)
o: create table m (id int, v int) engine=myisam
o: create table parent (id int primary key)
o: create table parents (id int primary key, foreign key (id) references parent (id) on delete cascade)
d: create table child (id int primary key, p int, foreign key (p) references {o}.parents (id) on delete cascade)
o: create table audited (id int)
o: create trigger audit after insert on audited for each row insert into {d}.t (v) values (new.id)
o: create table counted (id int)
o: create trigger count after insert on counted for each row begin declare n int; update o set v = new.id; end
o: create table chained (id int)
o: create trigger chain after insert on chained for each row insert into audited values (new.id)
o: create function f() returns int modifies sql data begin insert into {d}.t (v) values (0); return 1; end
o: create function g() returns int modifies sql data begin insert into o (v) values (0); return 1; end
o: create function h() returns int modifies sql data begin return f() + g(); end
o: create view v as select * from {d}.t
o: create view w as select * from o
o: create view calls as select f() as x
"""
"""In the captured database ``d``, and in ``o``, which nobody captures."""

MAY_CHANGE_A_CAPTURED_TABLE = """
with c as (select 1 id) delete from {d}.t where id in (select id from c)
update o join {d}.t on o.id = t.id set t.v = 1
update {o}.o as a, {d}.t b set b.v = 1 where a.id = b.id
update (select 1 as id) s join {d}.t on s.id = t.id set t.v = 2
delete b from {o}.o a join {d}.t b using (id)
delete from b using {o}.o a join {d}.t as b on a.id = b.id
insert {d}.t values (2, 2)
insert into {d}.t set id = 3
insert ignore {d}.t (id) select 4
replace {d}.t values (2, 3)
insert into {o}.audited values (5)
insert audited select 6
insert into {o}.chained values (7)
select f()
do f()
select {o}.f()
select h()
insert into o (v) values (f())
insert into o (v) values (f()) on duplicate key update v = 1
update o set v = f() limit 1
insert into {o}.o (v) select x from calls
insert into v values (900, 9)
update {o}.v set v = 3
delete from v
delete from {o}.parent
update parent set id = id + 1
replace into parent values (1)
/*!50000 delete */ from {d}.t
load data local infile '{file}' into table {d}.t (v)
load data local infile '{file}' into table o (v) set id = null, v = f()
create table {d}.filled select 1 as id
"""

CHANGES_NO_CAPTURED_TABLE = """
insert into o values (1, 1)
insert o values (2, 2)
insert o set id = 6
insert into {o}.o (id) values (3)
replace o values (1, 3)
replace into o set id = 1
update o set v = 9
update {o}.o a, w set a.v = 9 where a.id = w.id
with c as (select 1 id) delete from o where id in (select id from c)
insert into o select id + 2000, v from {d}.t
insert into o (id, v) values (11, 1) on duplicate key update v = values(v)
insert into counted values (5)
insert into counted (id) values (char_length('insert into {d}.t'))
insert into parent values (77)
select g()
do g()
insert into w values (1200, 1)
delete from w where id = 1200
delete a from o a join {d}.t b on a.id = b.id
delete from o where id > 0 order by id limit 1
insert into m values (rand(), 1)
set @x = 1
insert into m values (@x, last_insert_id())
create temporary table tmp (id int)
insert into tmp values (1)
insert into o select id + 3000, 1 from tmp
drop temporary table tmp
create table made (id int)
insert into made values (1)
drop table made
create table filled select 1 as id
drop table filled
load data local infile '{file}' into table o (v)
load data local infile '{file}' replace into table m (id) set v = 1
create temporary table tmp select v from o
drop temporary table tmp
flush tables
analyze table o
truncate o
/* delete from {d}.t */ delete from o
"""


@pytest.fixture
def two_databases(any_mysql_database, tmp_path):
    """The captured database, the other one, and their names for templates."""
    with any_mysql_database.server.fresh_database() as other:
        databases = {"d": any_mysql_database, "o": other}
        rows = tmp_path / "rows.csv"
        rows.write_text("1\n2\n")
        names = {"d": any_mysql_database.name, "o": other.name, "file": rows}
        other.execute("set global log_bin_trust_function_creators = 1", "set global local_infile = 1")
        for line in OBJECTS.format(**names).strip().splitlines():
            databases[line[0]].execute(line[3:])
        yield any_mysql_database, other, names
        any_mysql_database.execute("drop table child")


def lines(template, names):
    return template.format(**names).strip().splitlines()


def test_statements_that_may_change_a_captured_table_stop_the_reading(two_databases, reader_of, tmp_path):
    captured, other, names = two_databases
    statements = lines(MAY_CHANGE_A_CAPTURED_TABLE, names)
    if "MariaDB" in other.rows("select version()")[0][0]:
        statements = [sql for sql in statements if not sql.startswith("with")]
        statements.append("set statement max_statement_time = 10 for delete from v")
    reader, skips = reader_of(captured), Skips(tmp_path / "state0")
    as_statements(other, *statements)
    other.execute(f"insert into {captured.name}.t values (1000, 0)")
    for number, sql in enumerate(statements):
        error = refused(reader)
        assert f"it may change {captured.name}." in error.message, sql
        assert len(skips.all()) == number, sql
        skips.add({"position": skips.held().position, "reason": sql})
        reader.open()
    assert brief(reader.read(1)) == [("c", None, {"id": 1000, "v": 0})]


def test_statements_that_change_no_captured_table_stop_nothing(two_databases, reader_of):
    captured, other, names = two_databases
    reader = reader_of(captured)
    start = reader.position
    statements = lines(CHANGES_NO_CAPTURED_TABLE, names)
    if "MariaDB" in other.rows("select version()")[0][0]:
        statements = [sql for sql in statements if not sql.startswith("with")]
    as_statements(other, *statements)
    captured.execute("insert into t values (1000, 0)")
    for _ in range(2):
        assert brief(reader.restart().open(start).read(1)) == [("c", None, {"id": 1000, "v": 0})]


def test_what_cannot_be_known_stops_the_reading(two_databases, reader_of, tmp_path):
    """A table and a function that are gone; a user who may not see triggers."""
    captured, other, _ = two_databases
    other.execute("create table gone (id int)", "create function gone() returns int deterministic return 1")
    reader, skips = reader_of(captured), Skips(tmp_path / "state0")
    as_statements(other, "insert into gone values (1)", "insert into o (v) values (gone())", "drop table gone")
    other.execute("drop function gone")
    for expected in ("gone is not in the catalog now", "gone is no routine in the catalog now"):
        error = refused(reader)
        assert expected in error.message
        skips.add({"position": skips.held().position, "reason": "known"})
        reader.open()
    captured.execute("insert into t values (1, 0)")
    reader.read(1)
    start = reader.position
    as_statements(other, "insert into o (v) values (1)")
    captured.execute("insert into t values (2, 0)")
    assert brief(reader.read(1)) == [("c", None, {"id": 2, "v": 0})]
    seldom = reader_of(captured, url=captured.url(user="cdc", password="cdc"))  # without the right to see triggers
    error = refused(seldom.open(start))
    assert f"the triggers of {other.name}.o are hidden from the user" in error.message
    assert "grant TRIGGER" in error.hint


def xa(database, xid, *statements):
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in (f"xa start {xid}", *statements, f"xa end {xid}", f"xa prepare {xid}"):
            cursor.execute(statement)


def test_a_rolled_back_xa_transaction_is_an_error_only_where_its_rows_were_delivered(two_databases, reader_of, caplog):
    captured, other, _ = two_databases
    reader = reader_of(captured)
    with caplog.at_level(logging.WARNING):
        xa(other, "'foreign', 'b', 7", "insert into o (v) values (1)")
        other.execute("xa rollback 'foreign', 'b', 7", f"insert into {captured.name}.t (id) values (1)")
        assert brief(reader.read(1)) == [("c", None, {"id": 1, "v": None})]
        assert caplog.text == ""
        xa(captured, "'mine'", "insert into t (id) values (2)")
        assert brief(reader.read(1)) == [("c", None, {"id": 2, "v": None})]
        captured.execute("xa rollback 'mine'", "insert into t (id) values (3)")
        reader.read(1)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "XA transaction was rolled back after its rows were delivered" in caplog.text
        caplog.clear()
        xa(other, "'before'", "insert into o (v) values (1)")
        captured.execute("insert into t (id) values (4)")
        reader.read(1)
        reader.open()
        captured.execute("xa rollback 'before'", "insert into t (id) values (5)")
        reader.read(1)
        assert "an XA transaction was rolled back that was prepared before this connection" in caplog.text
        assert "ERROR" not in caplog.text


def test_rows_that_go_with_a_partition_are_warned_of(any_mysql_database, reader_of, caplog):
    database = any_mysql_database
    database.execute(
        "create table part (id int primary key) partition by range (id) "
        "(partition p0 values less than (10), partition p1 values less than maxvalue)",
        "create table plain (id int primary key)",
    )
    reader = reader_of(database, tables=[f"{database.name}.part"])
    database.execute(
        "alter table part truncate partition p0", "alter table part exchange partition p1 with table plain",
        "alter table part drop partition p0", "insert into part values (50)",
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert brief(reader.read(1)) == [("c", None, {"id": 50})]
    assert caplog.text.count("with a partition: there are no events of them") == 3


def test_which_servers_log_what_a_foreign_key_cascades(any_mysql_database, reader_of):
    """As `docs/what-a-log-cannot-tell.md` says."""
    database = any_mysql_database
    database.execute(
        "create table parent (id int primary key)", "insert into parent values (1)",
        "create table child (id int primary key, foreign key (id) references parent (id) on delete cascade)",
        "insert into child values (1)",
    )  # fmt: skip
    reader = reader_of(database)
    database.execute("delete from parent", "insert into parent values (2)")
    is_mariadb = "MariaDB" in database.rows("select version()")[0][0]
    expected = ["parent", "parent"] if is_mariadb else ["child", "parent", "parent"]
    found = [event.source.table for event in reader.read(len(expected))]
    assert sorted(found) == sorted(expected)
