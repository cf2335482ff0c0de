"""A pipeline reads one database while other sessions do in another one whatever a log can hold."""

import logging

import pymysql
import pytest

from deltaforge.checkpoint.skips import Skips
from tests.reading import brief, mysql_reader

BOTH = """
create table o (id int primary key auto_increment, v int)
create table m (id int primary key auto_increment, v int) engine=myisam
create table `größe ``"q"` (`ä` enum('klein','größer'), `b` set('x','y'), `period` int)
create table part (id int, j int) partition by range (id) (partition p0 values less than (10), partition p1 values less than (20), partition p2 values less than maxvalue)
alter table part drop partition p0, p1
alter table part truncate partition p2
create table exchanged (id int, j int)
alter table part exchange partition p2 with table exchanged
alter table o order by id, v
alter table o add n int after v, change v v bigint
alter table o add (x float(30), y real), add key (x)
create table wide (a varchar(200), b text, c geometry, d json, e bit(7), f year, g decimal(65,30), h time(6))
insert into wide values ('a', 'b', point(1, 2), '{{"n": 1e300}}', b'101', 1999, 1e20, '-838:59:59')
create view v as select * from o
alter view v as select id from o
rename table o to p, p to o
create table empty_dates (d date, t datetime)
set sql_mode = ''
insert into empty_dates values ('0000-00-00', '2024-00-10 00:00:00')
create table long_text (t varchar(70000))
set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,REAL_AS_FLOAT,PIPES_AS_CONCAT'
create table "a ""b" ("t" varchar(9) default '\\\\', "r" real)
alter table "a ""b" add "c" varchar(3) comment 'x''\\\\'
truncate table "a ""b"
set sql_mode = default
create function f() returns int modifies sql data begin insert into o (v) values (0); return 1; end
create procedure dynamic() begin set @s = 'insert into o (v) values (5)'; prepare s from @s; execute s; end
create trigger r after insert on exchanged for each row insert into o (v) values (new.id)
create event e on schedule every 1 day starts now() + interval 1 day do delete from o
begin
insert into o (v) values (1)
savepoint `before x`
insert into o (v) values (2)
rollback to `before x`
commit
xa start 'foreign'
insert into o (v) values (1)
xa end 'foreign'
xa prepare 'foreign'
xa rollback 'foreign'
set session binlog_format = 'STATEMENT'
insert into o (v) values (1)
insert o set v = 2
replace o (id, v) values (1, 2)
update o set v = 3 limit 1
update o a join part b on a.id = b.id set a.v = 1
delete from o limit 1
select f()
do f()
call dynamic()
insert into m (v) values (3)
insert into exchanged values (1, 1)
load data local infile '{file}' into table o (v)
create temporary table tmp (id int)
insert into tmp values (1)
drop temporary table tmp
create table made select 1 as id
drop table made
truncate o
analyze table o
optimize table m
flush tables
set session binlog_format = 'ROW'
create user if not exists foreign_user@localhost identified by 'x'
grant select on *.* to foreign_user@localhost
drop user foreign_user@localhost
drop event e
drop procedure dynamic
drop trigger r
drop function f
alter database character set latin1
drop view v
"""

MYSQL = """
with c as (select 1 as id) update o, c set o.v = 1 where o.id = c.id
set session binlog_format = 'STATEMENT'
with c as (select 1 as id) delete from o where id in (select id from c)
set session binlog_format = 'ROW'
alter table o add column gone int invisible, algorithm = instant
create table checked (a int check (a > 0), b int generated always as (a + 1) stored, key ((a + 1)))
/*M! not code here */ alter table checked alter check checked_chk_1 not enforced
"""

MARIADB = """
create sequence sq
select nextval(sq)
alter sequence sq restart 10
create table versioned (id int primary key, v int) with system versioning
insert into versioned values (1, 1)
update versioned set v = 2
delete history from versioned
delete from versioned
create table hashed (a text, unique (a))
insert into hashed values ('x')
set statement max_statement_time = 10 for alter table hashed add b int
set statement max_statement_time = 10 for truncate table hashed
create or replace table hashed (period int, `row` int, start date, `end` date, period for app(start, `end`))
alter table hashed add if not exists c int, drop column if exists q
/*M! alter table hashed add d inet6 */
"""


@pytest.fixture(
    params=[
        ("mysql", "FULL"), ("mysql", "MINIMAL"), ("mariadb", "FULL"), ("mariadb", "NO_LOG"), ("mariadb-10", "NO_LOG"),
    ],
    ids="-".join,
)  # fmt: skip
def server(request, private_mysql):
    name, metadata = request.param
    return private_mysql(
        f"--binlog-row-metadata={metadata}", "--log-bin-trust-function-creators=1", "--local-infile=1", name=name
    )


def test_nothing_in_a_database_that_is_not_captured_stops_a_pipeline(server, tmp_path, caplog):
    rows = tmp_path / "rows.csv"
    rows.write_text("1\n2\n")
    with server.fresh_database() as captured, server.fresh_database() as foreign:
        captured.execute("create table t (id int primary key)")
        reader = mysql_reader(captured, tmp_path / "state").open()
        start = reader.position
        is_mariadb = "MariaDB" in captured.rows("select version()")[0][0]
        statements = (BOTH.strip() + (MARIADB if is_mariadb else MYSQL)).format(file=rows).strip().splitlines()
        for charset in ("utf8mb4", "latin1"):
            run(foreign, statements, charset)
            foreign.server.drop(foreign.name)
            foreign.server.create(foreign.name)
        captured.execute("insert into t values (1)")
        assert brief(reader.read(1)) == [("c", None, {"id": 1})]
        assert brief(reader.restart().open(start).read(1)) == [("c", None, {"id": 1})]
        reader.close()
    assert Skips(tmp_path / "state").held() is None
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


def run(database, statements, charset):
    connection = database.connect(charset=charset, local_infile=True)
    refused = []
    with connection, connection.cursor() as cursor:
        for statement in statements:
            try:
                cursor.execute(statement)
            except pymysql.err.MySQLError as error:
                refused.append((statement, error.args))
    assert refused == []
