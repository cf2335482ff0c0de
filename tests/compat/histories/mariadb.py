"""What only MariaDB has, as far as Debezium's connector does not end at it: ``docs/debezium.md`` says where it does."""

TABLES = [
    (
        "create table collated (id int primary key, a varchar(20) collate utf8mb3_uca1400_ai_ci, b varchar(20) collate uca1400_as_cs, "
        "c varchar(20) character set utf8mb3, d char(9) collate utf8mb4_uca1400_nopad_ai_ci) collate utf8mb4_uca1400_ai_ci"
    ),
    (
        "create table expressions (id int primary key, v int check (v > 0), w int default (1 + 2), x varchar(20) default concat('a', 'b'), "
        "t text default 'a text', m mediumtext not null default '', u uuid default '123e4567-e89b-12d3-a456-426614174001', "
        "day date default curdate(), constraint c check (v < 1000))"
    ),
    "create table vectors (id int primary key, embedding vector(3) not null)",
    "create table old_ones (id int primary key, y2 year(2), y4 year(4), bits bit(64), dynamic blob)",
    "create table ids (id uuid primary key, other uuid not null default '00000000-0000-0000-0000-000000000001', v int)",
    "create table two_domains (id int primary key, v int)",
    "create table unseen (id int primary key, v int invisible default 5, w int)",
    "create table made_again (id int primary key, v int)",
]
ROWS = [
    "insert into collated values (1, 'ü', 'ß', 'é', 'x ')",
    "insert into expressions (id, v, day) values (1, 1, '2026-11-28')",
    "insert into vectors values (1, vec_fromtext('[1,2.5,-3]'))",
    "insert into old_ones values (1, 99, 1999, b'1010', column_create('a', 1, 'b', 'x'))",
    "insert into ids (id, v) values ('018f3a3e-7b1c-7abc-8def-0123456789ab', 1)",
    "insert into unseen (id, v, w) values (1, 2, 3)",
    "insert into made_again values (1, 1)",
]
CHANGES = [
    "insert into collated values (2, 'Ü', 'ẞ', 'É', null)", "update collated set a = 'ö' where id = 1", "delete from collated where id = 2",
    "insert into expressions (id, v, day) values (2, 2, '2026-11-29') returning x", "update expressions set t = null, v = 3 where id = 1",
    "insert into vectors values (2, vec_fromtext('[0,0,0]'))", "update vectors set embedding = vec_fromtext('[0.1,1e-5,100]') where id = 1",
    "insert into old_ones values (2, 70, 2155, x'ffffffffffffffff', column_create('a', 2.5))", "update old_ones set dynamic = column_add(dynamic, 'c', 'y')",
    "insert into ids (id, v) values ('018f3a3e-7b1c-7abc-8def-0123456789ac', 2)",
    "update ids set id = '018f3a3e-7b1c-7abc-8def-0123456789ad' where v = 2", "delete from ids where v = 1",
    "set session gtid_domain_id = 7", "insert into two_domains values (1, 1)", "set session gtid_domain_id = 0", "insert into two_domains values (2, 1)",
    "set session gtid_domain_id = 7", "begin", "update two_domains set v = 2", "delete from two_domains where id = 1", "commit",
    "set session gtid_domain_id = 0", "update two_domains set v = 5",
    "insert into unseen (id, w) values (2, 4)", "update unseen set v = 9 where id = 1", "delete from unseen where id = 2",
]  # fmt: skip
DDL = [
    "create table collated_too (id int primary key, a varchar(20) collate utf8mb3_uca1400_ai_ci, b varchar(20) character set utf8mb4 collate uca1400_as_cs)",
    "insert into collated_too values (2, 'ü', 'ß')",
    (
        "create table expressions_too (id int primary key, v int check (v > 0), w int default (1 + 2), x varchar(20) default concat('a', 'b'), "
        "t text default 'a text', constraint c2 check (v < 1000))"
    ),
    "insert into expressions_too (id, v) values (2, 2)", "alter table expressions_too drop constraint c2, add constraint c3 check (v < 5)",
    "alter table two_domains add column w int default 3, algorithm = instant", "update two_domains set w = 4",
    "alter table two_domains add column if not exists w int", "alter table unseen rename column w to w2, modify v int",
    "insert into unseen values (3, 3, 3)",
    "create or replace table made_again (id int, w varchar(9), primary key (id))", "insert into made_again values (1, 'w')",
    "drop table made_again",
]  # fmt: skip
