"""What happens to tables of MySQL and MariaDB in the course of their lives, beyond types and simple changes."""

TABLES = [
    "create table users (id binary(16) primary key, e_mail varchar(190) not null unique, name varchar(40) character set latin1, born date)",
    "create table moment_key (day date, clock time(3), moment datetime(3), v int, primary key (day, clock, moment))",
    "create table odd_text_key (code varchar(40) collate utf8mb4_bin primary key, v int)",
    "create table legacy (id int primary key, note varchar(30), kind enum('gro','klein'), flags set('a','b'), long_note text) default charset latin1",
    "create table parent (id int primary key, v int)",
    "create table child (id int primary key, parent_id int, v int, foreign key (parent_id) references parent (id) on delete cascade)",
    ("create table by_range (id int, at date, v int, primary key (id, at)) partition by range (year(at)) "
    "(partition p1 values less than (2026), partition p2 values less than (2027))"),
    "create table wide_decimal_key (d decimal(30,10), f double, b boolean, primary key (d, f, b))",
    "create table swap_a (id int primary key, a int)", "create table swap_b (id int primary key, b varchar(10))",
    "create table gains_key (a int not null, b int)",
]  # fmt: skip
ONLY_MYSQL_TABLES = [
    "create table hidden (id int primary key, a int, b int invisible default 7)",
    "create table functional (id int primary key, a varchar(20), key by_lower ((lower(a))))",
    "create table checked (id int primary key, a int default (1 + 1), b varchar(40) default (concat('a', 'b')), c json default (json_array()), check (a > 0))",
]  # fmt: skip
ROWS = [
    "insert into users values (x'00112233445566778899aabbccddeeff', 'a@b', 'Grün', '1990-01-01')",
    "insert into moment_key values ('1960-02-03', '00:00:00', '1960-02-03 04:05:06.7', 1), ('2026-11-28', '12:34:56.5', '2026-11-28 00:00:00', 1)",
    "insert into odd_text_key values ('a\"b', 1), ('c\\\\d', 1), ('e\nf\tg', 1), ('ü😀', 1)",
    "insert into legacy values (1, 'Größe', 'gro', 'a,b', 'Ähre')",
    "insert into parent values (1, 1), (2, 2)", "insert into child values (1, 1, 1), (2, 2, 2)",
    "insert into by_range values (1, '2025-05-05', 1)",
    "insert into wide_decimal_key values (0, 0.1, true), (12345678901234567890.5, 1e300, false)",
    "insert into swap_a values (1, 1)", "insert into swap_b values (1, 'b')", "insert into gains_key values (1, 1)",
]  # fmt: skip
ONLY_MYSQL_ROWS = [
    "insert into hidden (id, a, b) values (1, 1, 1)",
    "insert into functional values (1, 'A')",
    "insert into checked (id) values (1)",
]
CHANGES = [
    "insert into users values (x'ff00ff00ff00ff00ff00ff00ff00ff00', 'c@d', 'ÿ', null)",
    "update users set id = x'ff00ff00ff00ff00ff00ff00ff00ff01' where e_mail = 'c@d'", "update users set name = 'Blau'", "delete from users where born is null",
    "update moment_key set day = '1970-01-01' where day = '1960-02-03'", "update moment_key set moment = '1960-01-01 00:00:00.001', day = '2026-11-29' where day = '2026-11-28'",
    "update moment_key set clock = '23:59:59.999'", "delete from moment_key",
    "update odd_text_key set code = concat(code, '\"\\\\/')", "delete from odd_text_key",
    "insert into legacy values (2, 'ÿ€', 'klein', '', null)", "update legacy set note = 'Straße', flags = 'a' where id = 1", "delete from legacy where id = 2",
    "update wide_decimal_key set d = d + 1", "delete from wide_decimal_key",
    # transactions over several tables, with savepoints that are released and rolled back
    "begin", "insert into parent values (3, 3)", "savepoint a", "insert into child values (3, 3, 3)", "savepoint b", "update child set v = 4 where id = 3",
    "rollback to savepoint b", "update parent set v = 5 where id = 3", "release savepoint a", "delete from child where id = 3", "commit",
    "begin", "insert into parent values (4, 4)", "savepoint a", "insert into child values (4, 4, 4)", "rollback to savepoint a", "insert into parent values (5, 5)", "commit",
    "delete from parent where id = 1",  # with its children, of which only newer servers write
    "xa start 'one'", "insert into parent values (6, 6)", "update parent set v = 7 where id = 6", "xa end 'one'", "xa prepare 'one'", "xa commit 'one'",
    "xa start 'two'", "insert into parent values (7, 7)", "xa end 'two'", "xa prepare 'two'", "xa rollback 'two'",
    "xa start 'three'", "insert into parent values (8, 8)", "xa end 'three'", "xa commit 'three' one phase",
    # many rows of one statement
    "insert into by_range values (1, '2026-01-01', 1), (2, '2026-01-02', 2), (3, '2026-01-03', 3)",
    "replace into by_range values (1, '2026-01-01', 10), (9, '2026-01-09', 9), (2, '2026-01-02', 20)",
    "insert into by_range values (1, '2026-01-01', 0), (10, '2026-01-10', 10) on duplicate key update v = v + 1",
    "insert ignore into by_range values (1, '2026-01-01', 0), (11, '2026-01-11', 11)",
    "insert into by_range select id + 100, at, v from by_range", "update by_range set at = '2026-06-06' where at = '2026-01-01' and id = 1", "delete from by_range where id > 100",
    "insert into users values (x'01', 'a@b', null, null) on duplicate key update name = 'doubled'",
    "replace into users values (x'02', 'a@b', 'replaced by its other key', null)",
]  # fmt: skip
ONLY_MYSQL_CHANGES = [
    "insert into hidden values (2, 2)", "update hidden set b = 8 where id = 2", "insert into functional values (2, 'B')", "update functional set a = 'C'",
    "insert into checked (id, b) values (2, 'x')", "update checked set c = '{\"a\": 1}' where id = 2",
]  # fmt: skip
DDL = [
    # a name that means another table from then on
    "rename table swap_a to swap_c, swap_b to swap_a, swap_c to swap_b",
    "insert into swap_a values (2, 'is b')", "insert into swap_b values (2, 2)",
    "drop table swap_a", "create table swap_a (name varchar(20) primary key, n int not null default 3)", "insert into swap_a (name) values ('new')",
    "alter table swap_b add column c varchar(10) default 'c' first, add column d int after a", "insert into swap_b (id) values (3)",
    "alter table swap_b modify column id int after d, alter column c set default 'changed'", "update swap_b set d = 1 where id = 3",
    "alter table swap_b change id code varchar(20) not null", "insert into swap_b (code) values ('text')",
    "alter table gains_key add primary key (a)", "insert into gains_key values (2, 2)",
    "alter table gains_key drop primary key, add column id int auto_increment primary key first", "insert into gains_key (a) values (3)",
    "alter table legacy convert to character set utf8mb4", "insert into legacy values (3, 'Größe😀', 'gro', 'a', '😀')",
    "alter table legacy modify column kind enum('neu','gro','klein','größer')", "update legacy set kind = 'größer' where id = 3",
    "alter table by_range add partition (partition p3 values less than (2028))", "insert into by_range values (20, '2027-01-01', 1)",
    "alter table by_range drop partition p3",
    "alter table parent comment = 'of children', add unique key by_v_id (v, id), engine = InnoDB", "create unique index by_v_2 on parent (id, v)", "drop index by_v_2 on parent",
    "create table if not exists parent (other int)", "drop table if exists never_there",
    "create temporary table passing (id int)", "insert into passing values (1)", "drop temporary table passing",
    "create or replace view seen as select id from parent", "alter view seen as select v from parent", "drop view seen",
    "create trigger doubled after insert on parent for each row insert into child values (new.id + 1000, new.id, new.v)", "insert into parent values (30, 30)", "drop trigger doubled",
    "create procedure adds() insert into parent values (31, 31)", "call adds()", "drop procedure adds",
    "analyze table parent", "optimize table gains_key", "flush tables",
    "/* a comment */ alter /* inside */ table parent add column w int -- at the end", "insert into parent (id, w) values (32, 1)",
]  # fmt: skip
