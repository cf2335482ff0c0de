"""MySQL 9 and what it has in common with MariaDB 11."""

from tests.compat.histories import FINISH, WAIT, History, mariadb
from tests.compat.histories import mysql_lives as lives

NUMBERS = {
    "tiny": ("tinyint", "-7", "-128", "127"),
    "tiny_unsigned": ("tinyint unsigned", "7", "0", "255"),
    "tiny_one": ("tinyint(1)", "1", "-128", "127"),
    "truth": ("boolean", "true", "false", "2"),
    "small": ("smallint", "-300", "-32768", "32767"),
    "small_unsigned": ("smallint unsigned", "300", "0", "65535"),
    "medium": ("mediumint", "-70000", "-8388608", "8388607"),
    "medium_unsigned": ("mediumint unsigned", "70000", "0", "16777215"),
    "whole": ("int", "-100000", "-2147483648", "2147483647"),
    "whole_unsigned": ("int unsigned", "100000", "0", "4294967295"),
    "whole_filled": ("int(7) zerofill", "42", "0", "4294967295"),
    "big": ("bigint", "-5000000000", "-9223372036854775808", "9223372036854775807"),
    "big_unsigned": ("bigint unsigned", "5000000000", "0", "18446744073709551615"),
    "single": ("float", "1.5", "-3.402823466e38", "3.402823466e38"),
    "single_odd": ("float", "0.1", "1.175494351e-38", "16777217"),
    "single_scaled": ("float(7,3)", "1.125", "-9999.999", "9999.999"),
    "twice": ("double", "0.1", "-1.7976931348623157e308", "5e-324"),
    "twice_odd": ("double", "123456789.123456789", "1e21", "1e-7"),
    "twice_scaled": ("double(10,4)", "1.0625", "-999999.9999", "999999.9999"),
    "exact": ("decimal(10,2)", "12.50", "-99999999.99", "99999999.99"),
    "exact_whole": ("decimal(10,0)", "7", "-9999999999", "9999999999"),
    "exact_plain": ("decimal", "7", "-9999999999", "9999999999"),
    "exact_small": ("numeric(3,3)", "0.125", "-0.999", "0.001"),
    "exact_wide": ("decimal(65,30)", "1." + "3" * 30, "-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1"),
    "exact_unsigned": ("decimal(20,0) unsigned", "1", "0", "9" * 20),
    "bit_one": ("bit(1)", "b'1'", "b'0'", "b'1'"),
    "bit_plain": ("bit", "b'1'", "b'0'", "b'1'"),
    "bit_few": ("bit(7)", "b'101'", "0", "127"),
    "bit_two_bytes": ("bit(16)", "258", "0", "65535"),
    "bit_all": ("bit(64)", "258", "0", "18446744073709551615"),
    "in_year": ("year", "2026", "1901", "2155"),
}
TIMES = {
    "day": ("date", "'2026-11-28'", "'1000-01-01'", "'9999-12-31'"),
    "clock": ("time", "'12:34:56'", "'00:00:00'", "'23:59:59'"),
    "clock_ms": ("time(3)", "'12:34:56.789'", "'00:00:00.001'", "'23:59:59.999'"),
    "clock_us": ("time(6)", "'12:34:56.789012'", "'00:00:00.000001'", "'23:59:59.999999'"),
    "moment": ("datetime", "'2026-11-28 12:34:56'", "'1700-01-01 00:00:00'", "'2200-12-31 23:59:59'"),
    "moment_one": ("datetime(1)", "'2026-11-28 12:34:56.7'", "'1969-12-31 23:59:59.9'", "'2200-12-31 23:59:59.9'"),
    "moment_ms": ("datetime(3)", "'2026-11-28 12:34:56.789'", "'1969-12-31 23:59:59.999'", "'2200-12-31 23:59:59.999'"),
    "moment_us": ("datetime(6)", "'2026-11-28 12:34:56.789012'", "'1700-01-01 00:00:00.000001'", "'2200-12-31 23:59:59.499999'"),
    "stamp": ("timestamp null", "'2026-11-28 12:34:56'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"),
    "stamp_ms": ("timestamp(3) null", "'2026-11-28 12:34:56.789'", "'1970-01-01 00:00:01.001'",
                 "'2038-01-19 03:14:07.499'"),
    "stamp_us": ("timestamp(6) null", "'2026-11-28 12:34:56.780000'", "'1970-01-01 00:00:01.000001'",
                 "'2038-01-19 03:14:07.499999'"),
}  # fmt: skip
TEXTS = {
    "fixed": ("char(10)", "'ab'", "''", "repeat('ü', 10)"),
    "variable": ("varchar(40)", "'O''Neil \"q\" \\\\ \\t'", "''", "repeat('😀', 40)"),
    "western": ("varchar(20) character set latin1", "'Größe'", "''", "'ÿþ€'"),
    "wide": ("varchar(20) character set utf16", "'Größe'", "''", "'😀'"),
    "plain": ("varchar(20) character set ascii", "'abc'", "''", "'~'"),
    "binary_collation": ("varchar(20) collate utf8mb4_bin", "'abc'", "''", "'ß'"),
    "tiny_text": ("tinytext", "'tiny'", "''", "'ü'"),
    "some_text": ("text", "'text'", "''", "repeat('x', 3000)"),
    "medium_text": ("mediumtext", "'medium'", "''", "'ü'"),
    "long_text": ("longtext", "'long'", "''", "'ü'"),
    "fixed_bytes": ("binary(4)", "x'0102'", "x''", "x'ffffffff'"),
    "variable_bytes": ("varbinary(16)", "x'000102'", "x''", "x'ff00ff00'"),
    "tiny_blob": ("tinyblob", "x'01'", "x''", "x'fffe'"),
    "some_blob": ("blob", "'text in a blob'", "x''", "x'fbff'"),
    "long_blob": ("longblob", "x'01'", "x''", "x'fffefdfc'"),
    "label": ("enum('small','medium','la,rge','it''s')", "'medium'", "'small'", "'it''s'"),
    "labels": ("set('a','b','c d')", "'a,c d'", "''", "'a,b,c d'"),
    "document": ("json", """'{"b": 1, "a": [true, null, 1.50, "x"], "c": {"d": "ü"}}'""", "'[]'",
                 """'{"big": 18446744073709551615, "e": 1e300, "s": "\\\\u0000\\\\n\\\\"", "f": 0.1}'"""),
    "scalar": ("json", "'1'", "'null'", "'\"text\"'"),
    "place": ("point", "ST_GeomFromText('POINT(1.5 2.5)')", "ST_GeomFromText('POINT(-180 -90)')",
              "ST_GeomFromText('POINT(180 90)')"),
    "shape": ("geometry", "ST_GeomFromText('LINESTRING(0 0,1 1)')", "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')",
              "ST_GeomFromText('MULTIPOLYGON(((0 0,1 1,1 0,0 0)))')"),
    "area": ("polygon", "ST_GeomFromText('POLYGON((0 0,1 1,1 0,0 0))')", "ST_GeomFromText('POLYGON((0 0,2 2,2 0,0 0))')",
             "ST_GeomFromText('POLYGON((0 0,3 3,3 0,0 0))')"),
    "way": ("linestring", "ST_GeomFromText('LINESTRING(0 0,1 1)')", "ST_GeomFromText('LINESTRING(0 0,2 2)')",
            "ST_GeomFromText('LINESTRING(0 0,3 3)')"),
    "places": ("multipoint", "ST_GeomFromText('MULTIPOINT(0 0,1 1)')", "ST_GeomFromText('MULTIPOINT(1 1)')",
               "ST_GeomFromText('MULTIPOINT(2 2)')"),
    "all_shapes": ("geometrycollection", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')",
                   "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(2 2))')", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(3 3))')"),
}  # fmt: skip
ONLY_MYSQL = {
    "vector_three": ("vector(3)", "string_to_vector('[1,2.5,-3]')", "string_to_vector('[0,0,0]')",
                     "string_to_vector('[3.4e37,1e-37,0.1]')"),
    "place_on_earth": ("point srid 4326", "ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('POINT(-90 -180)', 4326)",
                       "ST_GeomFromText('POINT(90 180)', 4326)"),
}  # fmt: skip
ONLY_MARIADB = {
    "identity": ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", "'00000000-0000-0000-0000-000000000000'",
                 "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
}  # fmt: skip
DEFAULTS = """create table defaults (
  id int primary key,
  tiny_d tinyint default 5, tiny_n tinyint not null default -5,
  truth_d boolean default true, truth_n tinyint(1) not null default 0,
  small_d smallint default 5, medium_n mediumint not null default 6, whole_d int default 7, whole_n int not null default 8,
  whole_u int unsigned not null default 4000000000, big_d bigint default 9, big_n bigint not null default -9,
  big_u bigint unsigned not null default 18446744073709551615,
  single_d float default 1.5, single_n float not null default 0, twice_d double default 2.5, twice_n double not null default 0.1,
  exact_d decimal(10,2) default 1.25, exact_n decimal(10,2) not null default 7, exact_z decimal(12,4) not null default 0,
  bit_d bit(1) default b'1', bit_n bit(8) not null default b'101', bit_w bit(16) default b'100000001',
  year_d year default 2026, year_n year not null default 1999,
  day_d date default '2026-11-28', day_n date not null default '1970-01-01',
  clock_d time default '12:34:56', clock_n time(3) not null default '00:00:00.5',
  moment_d datetime default '2026-11-28 12:34:56', moment_n datetime(6) not null default '2000-01-01 00:00:00.123456',
  moment_now datetime default current_timestamp, moment_now_n datetime(3) not null default current_timestamp(3),
  stamp_d timestamp null default '2026-11-28 12:34:56', stamp_n timestamp not null default '2000-01-01 00:00:00',
  stamp_now timestamp not null default current_timestamp on update current_timestamp,
  text_d varchar(20) default 'abc', text_n varchar(20) not null default '', text_q varchar(20) default 'it''s "q"',
  char_n char(5) not null default 'x', null_d varchar(20) default null,
  bytes_d varbinary(8) default 'ab', bytes_f binary(4) not null default 'cd',
  label_d enum('a','b') default 'b', label_n enum('a','b') not null default 'a', labels_n set('x','y') not null default 'x,y'
)"""
TABLES = [
    "create table orders (id int primary key, customer varchar(40) not null, amount decimal(10,2), note text comment 'free')",
    "create table parts (order_id int, line int, name varchar(20), primary key (line, order_id))",
    "create table no_key (a int, b varchar(10))",
    "create table only_unique (a int not null, b varchar(10), unique key (a))",
    "create table text_key (code varchar(10) character set latin1 primary key, amount int)",
    "create table wide_key (d decimal(6,2), t datetime(3), b binary(2), e enum('x','y'), u bigint unsigned, v int, primary key (d, t, b, e, u))",
    "create table `odd-name$1` (`the id` int primary key, `1st` int, `ünï` int, `a-b` varchar(5))",
    "create table worked_out (id int primary key, a int, doubled int generated always as (a * 2) stored, tripled int generated always as (a * 3) virtual)",
    "create table secrets (id int primary key, name varchar(40), card varchar(40), phone varchar(40), note text, hidden int)",
]
SNAPSHOT_ROWS = [
    "insert into orders values (1, 'Ann', 10.00, null), (2, 'Bob', 20.50, 'a note'), (3, 'Cid', null, '')",
    "insert into parts values (1, 1, 'bolt'), (1, 2, 'nut')",
    "insert into no_key values (1, 'x'), (1, 'x')",
    "insert into only_unique values (1, 'x')",
    "insert into text_key values ('ü', 1)",
    "insert into wide_key values (1.50, '2026-11-28 12:00:00.5', x'0102', 'y', 18446744073709551615, 1)",
    "insert into `odd-name$1` values (1, 2, 3, 'x')",
    "insert into worked_out (id, a) values (1, 5)",
    "insert into secrets values (1, 'Ann', '4111111111111111', '0123456789', 'long note of a person', 7)",
]
CHANGES = [
    "insert into orders values (4, 'Dan', 1.10, 'n'), (5, 'Eve', 2.20, null)",
    "update orders set amount = amount + 1 where id < 3",
    "update orders set note = null where id = 2",
    "delete from orders where id = 3",
    "update orders set id = 40 where id = 4",
    "replace into orders values (1, 'Ann', 99.00, 'replaced')",
    "insert into orders values (5, 'Eve', 0, 'again') on duplicate key update note = 'updated'",
    "begin", "insert into orders values (6, 'Fay', 3, null)", "insert into parts values (6, 1, 'a'), (6, 2, 'b')",
    "update orders set amount = 4 where id = 6", "update parts set line = 3 where order_id = 6 and line = 2",
    "delete from parts where order_id = 1 and line = 1", "commit",
    "begin", "insert into orders values (7, 'Gus', 1, null)", "rollback",
    "begin", "insert into orders values (8, 'Hal', 1, null)", "savepoint s", "insert into orders values (9, 'Ida', 1, null)",
    "rollback to savepoint s", "commit",
    "insert into no_key values (2, null)", "update no_key set b = 'y' where a = 2", "delete from no_key where a = 1",
    "insert into only_unique values (2, 'y')", "update only_unique set a = 3 where a = 2", "delete from only_unique where a = 1",
    "insert into text_key values ('é', 2)", "update text_key set code = 'ß' where code = 'ü'", "delete from text_key where code = 'ß'",
    "update wide_key set v = 2", "update wide_key set t = '2026-11-28 13:00:00.25', u = 7", "delete from wide_key",
    "insert into `odd-name$1` values (2, null, null, null)", "update `odd-name$1` set `1st` = 5 where `the id` = 1",
    "delete from `odd-name$1` where `the id` = 2",
    "insert into worked_out (id, a) values (2, null)", "update worked_out set a = 6 where id = 1",
    "insert into secrets values (2, null, null, null, null, null)", "update secrets set card = '4222', note = 'another long note' where id = 1",
    "delete from secrets where id = 1",
    "insert into defaults (id) values (3)",
    ("update defaults set tiny_d = null, truth_d = null, small_d = null, whole_d = null, big_d = null, single_d = null, twice_d = null, "
    "exact_d = null, bit_d = null, year_d = null, day_d = null, clock_d = null, moment_d = null, stamp_d = null, text_d = null, "
    "bytes_d = null, label_d = null where id = 3"),
    "delete from defaults where id = 3",
]  # fmt: skip
DDL = [
    "create table later (id int auto_increment primary key, v varchar(10) not null default 'x') comment 'made later'",
    "insert into later (v) values ('one')",
    "alter table later add column w int, add column z decimal(8,3) not null default 1.5 after id",
    "insert into later (v, w) values ('two', 2)",
    "alter table later change column w w2 bigint unsigned",
    "insert into later (v, w2) values ('three', 3)",
    "alter table later modify column v varchar(30) null",
    "insert into later (v) values (null)",
    "alter table later drop column z",
    "insert into later (v) values ('five')",
    "alter table later rename column w2 to w3",
    "create index by_v on later (v)",
    "update later set w3 = 1 where id = 1",
    "delete from later where v is null",
    "alter table later drop primary key, modify column id int not null, add primary key (id, v)",
    "insert into later values (9, 'nine', 9)",
    "rename table later to renamed",
    "insert into renamed values (10, 'ten', 10)",
    "create table alike like orders",
    "insert into alike select * from orders where id = 1",
    "create table chosen (primary key (id)) as select id, customer from orders where id <= 2",
    "update chosen set customer = 'new' where id = 1",
    "create view seen as select id from orders",
    "drop view seen",
    "truncate table alike",
    "insert into alike values (1, 'after', 1, 'truncate')",
    "drop table alike",
    "alter table orders add column extra json, add column kind enum('a','b') default 'a'",
    "insert into orders (id, customer, extra) values (50, 'Zoe', '{\"a\": 1}')",
    "alter table orders modify column kind enum('a','b','c')",
    "update orders set kind = 'c' where id = 50",
    "drop table renamed, chosen",
]
BEYOND = [  # what some forms cannot hold
    "create table beyond (id int primary key, clock time default '-100:00:00', moment datetime, moment_us datetime(6), bits bit(8))",
    "insert into beyond (id) values (1)", "insert into beyond values (2, '838:59:59', null, null, null)",
    "insert into beyond values (3, null, '1000-01-01 00:00:00', null, null)", "insert into beyond values (4, null, null, '9999-12-31 23:59:59.499999', null)",
]  # fmt: skip
ZERO_DATES = [
    "set session sql_mode = ''",
    (
        "create table zero_dates (id int primary key, day date, day_n date not null, moment datetime, moment_n datetime not null, stamp timestamp null, "
        "stamp_n timestamp not null default '2000-01-01 00:00:00', in_year year)"
    ),
    "insert into zero_dates values (1, '0000-00-00', '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0)",
]
QUERIES = ["set session binlog_rows_query_log_events = on", "insert into orders (id, customer) values (60, 'Quentin') /* asked */",
           "update orders set amount = 1 where id = 60", "set session binlog_rows_query_log_events = off"]  # fmt: skip


def every_value(table: str, columns: dict[str, tuple[str, ...]]) -> tuple[str, list[str]]:
    """The table with a column of each type, and four rows: ordinary, smallest, largest, NULL."""
    made = ", ".join(f"{name} {kinds[0]}" for name, kinds in columns.items())
    rows = [f"insert into {table} values ({i}, {', '.join(kinds[i] for kinds in columns.values())})" for i in (1, 2, 3)]
    rows.append(f"insert into {table} (id) values (4)")
    return f"create table {table} (id int primary key, {made})", rows


def history(*, is_mariadb: bool) -> History:
    """The whole story of one server."""
    kinds = {"numbers": NUMBERS, "times": TIMES, "texts": TEXTS, "others": ONLY_MARIADB if is_mariadb else ONLY_MYSQL}
    setup = ["set session sql_mode = 'STRICT_TRANS_TABLES'", "set time_zone = '+00:00'"]
    changes = []
    for table, columns in kinds.items():
        made, rows = every_value(table, columns)
        setup += [made, *rows]
        first = next(iter(columns))
        changes += [row.replace("values (", "values (1") for row in rows]
        changes += [
            f"update {table} set {first} = {columns[first][2]} where id = 11",
            f"delete from {table} where id = 12",
        ]
    setup += [DEFAULTS, "insert into defaults (id) values (1), (2)", *TABLES, *SNAPSHOT_ROWS]
    setup += [*lives.TABLES, *lives.ROWS]
    changes += lives.CHANGES
    if is_mariadb:
        setup += [*mariadb.TABLES, *mariadb.ROWS]
        changes += mariadb.CHANGES + mariadb.DDL
    else:
        setup += [*lives.ONLY_MYSQL_TABLES, *lives.ONLY_MYSQL_ROWS]
        changes += lives.ONLY_MYSQL_CHANGES
    setup += [f"create table {FINISH} (id int primary key)", f"insert into {FINISH} values (0)"]
    changes += CHANGES + DDL + lives.DDL + BEYOND + ([] if is_mariadb else QUERIES) + ZERO_DATES + [WAIT]
    if is_mariadb:  # Debezium ends at the first row of a table with generated columns, which MariaDB does not log
        setup, changes = ([one for one in part if "worked_out" not in one] for part in (setup, changes))
    return History(setup, changes)
