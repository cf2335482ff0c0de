"""PostgreSQL 15 and 18: on 15 with the extensions that its distribution brings, on 18 with pgvector."""

from tests.compat.histories import FINISH, WAIT, History
from tests.compat.histories import postgres_lives as lives
from tests.compat.histories.mysql import every_value

NUMBERS = {
    "truth": ("boolean", "true", "false", "true"),
    "small": ("smallint", "-300", "-32768", "32767"),
    "whole": ("integer", "-100000", "-2147483648", "2147483647"),
    "big": ("bigint", "-5000000000", "-9223372036854775808", "9223372036854775807"),
    "single": ("real", "1.5", "'-Infinity'", "'NaN'"),
    "single_odd": ("real", "0.1", "1.17549e-38", "3.4028235e38"),
    "twice": ("double precision", "0.1", "'-Infinity'", "'NaN'"),
    "twice_odd": ("double precision", "123456789.123456789", "5e-324", "1.7976931348623157e308"),
    "twice_short": ("float(30)", "1e21", "1e-7", "100"),
    "exact": ("numeric(10,2)", "12.50", "-99999999.99", "99999999.99"),
    "exact_whole": ("numeric(10)", "7", "-9999999999", "9999999999"),
    "exact_free": ("numeric", "1.50", "-" + "9" * 40 + "." + "9" * 20, "0.00000000000000000001"),
    "exact_wide": ("numeric(60,30)", "1." + "3" * 30, "-" + "9" * 30, "0." + "0" * 29 + "1"),
    "exact_coarse": ("numeric(3,-2)", "12300", "-99900", "99900"),
    "exact_fine": ("numeric(2,5)", "0.00012", "-0.00099", "0.00001"),
    "cash": ("money", "12.50", "-92233720368547758.08", "92233720368547758.07"),
    "object": ("oid", "42", "0", "4294967295"),
    "bit_one": ("bit(1)", "B'1'", "B'0'", "B'1'"),
    "bit_plain": ("bit", "B'1'", "B'0'", "B'1'"),
    "bit_few": ("bit(5)", "B'10101'", "B'00000'", "B'11111'"),
    "bit_many": ("bit(70)", "B'" + "10" * 35 + "'", "B'" + "0" * 70 + "'", "B'" + "1" * 70 + "'"),
    "bit_vary": ("bit varying(12)", "B'101'", "B''", "B'111111111111'"),
    "bit_free": ("bit varying", "B'101'", "B''", "B'1'"),
}
TIMES = {
    "day": ("date", "'2026-11-28'", "'1000-01-01'", "'9999-12-31'"),
    "day_near": ("date", "'1969-12-31'", "'1970-01-01'", "'1582-10-04'"),
    "clock": ("time", "'12:34:56.789012'", "'00:00:00'", "'24:00:00'"),
    "clock_s": ("time(0)", "'12:34:56'", "'00:00:00'", "'23:59:59'"),
    "clock_ms": ("time(3)", "'12:34:56.789'", "'00:00:00.001'", "'23:59:59.999'"),
    "clock_zone": ("timetz", "'12:34:56.789012+02'", "'00:00:00-15:59'", "'24:00:00+15:59'"),
    "clock_zone_ms": ("timetz(3)", "'12:34:56.789+02'", "'00:00:00Z'", "'23:59:59.999+05:30'"),
    "moment": ("timestamp", "'2026-11-28 12:34:56.789012'", "'1677-09-22 00:00:00'", "'2262-04-11 23:00:00'"),
    "moment_far": (
        "timestamp",
        "'1969-12-31 23:59:59.999999'",
        "'0044-03-15 12:00:00 BC'",
        "'9999-12-31 23:59:59.999999'",
    ),
    "moment_s": ("timestamp(0)", "'2026-11-28 12:34:56'", "'1969-12-31 23:59:59'", "'2200-12-31 23:59:59'"),
    "moment_ms": (
        "timestamp(3)",
        "'2026-11-28 12:34:56.789'",
        "'1969-12-31 23:59:59.999'",
        "'2200-12-31 23:59:59.999'",
    ),
    "moment_five": (
        "timestamp(5)",
        "'2026-11-28 12:34:56.78901'",
        "'1969-12-31 23:59:59.99999'",
        "'2100-01-01 00:00:00'",
    ),
    "stamp": (
        "timestamptz",
        "'2026-11-28 12:34:56.789012+02'",
        "'1000-01-01 00:00:00+00'",
        "'9999-12-31 23:59:59.999999+00'",
    ),
    "stamp_far": (
        "timestamptz",
        "'1969-12-31 23:59:59.999999+00'",
        "'0044-03-15 12:00:00+00 BC'",
        "'9999-12-31 23:59:59.9+00'",
    ),
    "stamp_s": ("timestamptz(0)", "'2026-11-28 12:34:56+00'", "'1970-01-01 00:00:00+00'", "'2100-01-01 00:00:00+00'"),
    "span": ("interval", "'1 year 2 mons 3 days 04:05:06.789'", "'-100 years'", "'1000 years 11 mons'"),
    "span_small": ("interval", "'-1 day -00:00:00.000001'", "'0'", "'1 mon -1 day'"),
    "span_days": ("interval day to second(3)", "'3 days 04:05:06.789'", "'-1 day'", "'00:00:00.001'"),
}
TEXTS = {
    "fixed": ("char(10)", "'ab'", "''", "repeat('ü', 10)"),
    "one": ("char", "'x'", "''", "'ü'"),
    "variable": ("varchar(40)", "'O''Neil \"q\" \\ '", "''", "repeat('😀', 40)"),
    "free": ("varchar", "'abc'", "''", "'x'"),
    "some_text": ("text", "E'text\\n\\t\\u0001'", "''", "repeat('x', 3000)"),
    "inner_char": ('"char"', "'a'", "''", "'z'"),
    "object_name": ("name", "'abc'", "''", "'z'"),
    "some_bytes": ("bytea", "'\\x000102'", "''", "'\\xfffefdfbff'"),
    "document": ("json", """'{"b": 1,  "a": [true, null, 1.50, "x"], "b": 2}'""", "'[]'", """'{"big": 18446744073709551615, "e": 1e300}'"""),
    "document_b": ("jsonb", """'{"b": 1,  "a": [true, null, 1.50, "x"], "b": 2}'""", "'null'", """'{"big": 18446744073709551615, "e": 1e30}'"""),
    "identity": ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", "'00000000-0000-0000-0000-000000000000'",
                 "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    "label": ("mood", "'fine'", "'sad'", "'it''s, \"odd\"'"),
    "search": ("tsvector", "'a fat cat'::tsvector", "''", "to_tsvector('english', 'the quick brown fox')"),
    "searched": ("tsquery", "'a & b'", "''", "'!a | b <-> c'"),
    "path_json": ("jsonpath", "'$.a[*]'", "'$'", "'strict $.b'"),
    "place_in_log": ("pg_lsn", "'0/16B6C50'", "'0/0'", "'FFFFFFFF/FFFFFFFF'"),
    "number_of_tx": ("xid", "'42'", "'0'", "'4294967295'"),
    "snapshot_of_tx": ("txid_snapshot", "'10:20:10,14,15'", "'1:1:'", "'10:20:'"),
    "relation": ("regclass", "'orders'", "'pg_class'", "'parts'"),
}  # fmt: skip
NETWORK_AND_SHAPES = {
    "address": ("inet", "'192.168.0.1'", "'0.0.0.0/0'", "'2001:db8::1/64'"),
    "net": ("cidr", "'192.168.0.0/24'", "'0.0.0.0/0'", "'2001:db8::/32'"),
    "card": ("macaddr", "'08:00:2b:01:02:03'", "'00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff'"),
    "card_8": ("macaddr8", "'08:00:2b:01:02:03:04:05'", "'00:00:00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff:ff:ff'"),
    "place": ("point", "'(1.5,2.5)'", "'(-1e300,0)'", "'(0.1,1e-300)'"),
    "straight": ("line", "'{1,2,3}'", "'{1,0,0}'", "'{0,1,-1}'"),
    "piece": ("lseg", "'[(0,0),(1,1)]'", "'[(0,0),(0,0)]'", "'[(-1,-1),(1,1)]'"),
    "corner": ("box", "'(1,1),(0,0)'", "'(0,0),(0,0)'", "'(2,2),(-2,-2)'"),
    "way": ("path", "'((0,0),(1,1))'", "'[(0,0),(1,1)]'", "'((0,0))'"),
    "area": ("polygon", "'((0,0),(1,1),(1,0))'", "'((0,0))'", "'((0,0),(2,2),(2,0))'"),
    "ring": ("circle", "'<(1,1),2>'", "'<(0,0),0>'", "'<(-1,-1),1e10>'"),
    "range_whole": ("int4range", "'[1,5)'", "'empty'", "'(,)'"),
    "range_big": ("int8range", "'[1,5]'", "'empty'", "'(,9223372036854775807)'"),
    "range_exact": ("numrange", "'[1.5,2.5)'", "'empty'", "'(1,)'"),
    "range_moment": ("tsrange", "'[2026-01-01 00:00,2026-01-02 12:00)'", "'empty'", "'(,2026-01-01)'"),
    "range_stamp": ("tstzrange", "'[2026-01-01 00:00+00,2026-01-02 12:00+02)'", "'empty'", "'(,2026-01-01 00:00+00)'"),
    "range_day": ("daterange", "'[2026-01-01,2026-01-31]'", "'empty'", "'[2026-01-01,)'"),
    "ranges_whole": ("int4multirange", "'{[1,5),[7,9)}'", "'{}'", "'{(,)}'"),
}
ARRAYS = {
    "truths": ("boolean[]", "'{t,f,NULL}'", "'{}'", "'{t}'"),
    "smalls": ("smallint[]", "'{1,NULL,-32768}'", "'{}'", "'{32767}'"),
    "wholes": ("integer[]", "'{1,NULL,-2147483648}'", "'{}'", "'{2147483647}'"),
    "bigs": ("bigint[]", "'{1,NULL,-9223372036854775808}'", "'{}'", "'{9223372036854775807}'"),
    "singles": ("real[]", "'{1.5,NULL,0.1}'", "'{}'", "'{-1}'"),
    "twices": ("double precision[]", "'{1.5,NULL,0.1}'", "'{}'", "'{1e300}'"),
    "exacts": ("numeric(10,2)[]", "'{1.50,NULL,-99999999.99}'", "'{}'", "'{0}'"),
    "exacts_free": ("numeric[]", "'{1.50,NULL,1e20}'", "'{}'", "'{0.001}'"),
    "texts": ("text[]", """'{a,NULL,"NULL","with \\"quotes\\", commas",ü}'""", "'{}'", "'{\"\"}'"),
    "variables": ("varchar(5)[]", "'{a,NULL}'", "'{}'", "'{b}'"),
    "fixeds": ("char(3)[]", "'{a,NULL}'", "'{}'", "'{abc}'"),
    "bytes_many": ("bytea[]", """array['\\x00ff'::bytea, null]""", "'{}'", """array['\\x'::bytea]"""),
    "days": ("date[]", "'{2026-11-28,NULL}'", "'{}'", "'{1969-12-31}'"),
    "clocks": ("time[]", "'{12:34:56.789012,NULL}'", "'{}'", "'{00:00}'"),
    "moments": ("timestamp[]", "'{\"2026-11-28 12:34:56.789012\",NULL}'", "'{}'", "'{\"1969-12-31 23:59:59\"}'"),
    "stamps": ("timestamptz[]", "'{\"2026-11-28 12:34:56.789012+00\",NULL}'", "'{}'", "'{\"1969-12-31 23:59:59+00\"}'"),
    "identities": (
        "uuid[]",
        "'{123e4567-e89b-12d3-a456-426614174000,NULL}'",
        "'{}'",
        "'{00000000-0000-0000-0000-000000000000}'",
    ),
    "documents": ("json[]", """array['{"a": 1}'::json, null]""", "'{}'", "array['1'::json]"),
    "documents_b": ("jsonb[]", """array['{"a": 1}'::jsonb, null]""", "'{}'", "array['1'::jsonb]"),
    "labels": ("mood[]", "'{fine,NULL,sad}'", "'{}'", "'{sad}'"),
    "addresses": ("inet[]", "'{192.168.0.1,NULL}'", "'{}'", "'{::1}'"),
    "ranges": ("int4range[]", """'{"[1,5)",NULL}'""", "'{}'", "'{empty}'"),
    "objects": ("oid[]", "'{1,NULL}'", "'{}'", "'{4294967295}'"),
    "cashes": ("money[]", "'{1.50,NULL}'", "'{}'", "'{0}'"),
    "spans": ("interval[]", "'{1 day,NULL}'", "'{}'", "'{0}'"),
    "bits": ("bit(3)[]", "'{101,NULL}'", "'{}'", "'{000}'"),
    "places": ("point[]", """'{"(1,2)",NULL}'""", "'{}'", """'{"(0,0)"}'"""),
}
BEYOND = {
    "day": ("date", "'infinity'", "'4713-01-01 BC'"),
    "moment": ("timestamp", "'infinity'", "'0044-03-15 12:00:00 BC'", "'9999-12-31 23:59:59.999999'"),
    "stamp": ("timestamptz", "'-infinity'", "'0044-03-15 12:00:00+00 BC'"),
    "span": ("interval", "'-178000000 years'"),
    "exact": ("numeric", "'NaN'"),
    "exact_fixed": ("numeric(5,2)", "'NaN'"),
    "grid": ("integer[][]", "'{{1,2},{3,4}}'"),
}
DOMAINS = {
    "positive": ("positive", "7", "1", "2147483647"),
    "price": ("price", "7.25", "0.01", "99999.99"),
    "e_mail": ("e_mail", "'a@b'", "'x@y'", "'z@z'"),
    "nested": ("nested", "7", "1", "2147483647"),
    "pair": ("pair", "row(1, 'a')", "row(null, null)", "row(2, 'b,c')"),
    "positives": ("positive[]", "'{1,NULL}'", "'{}'", "'{2}'"),
}
ONLY_15 = {
    "markup": ("xml", "'<a b=\"c\">ü</a>'", "'text'", "'<x/>'"),
    "any_case": ("citext", "'Abc'", "''", "'ÜBER'"),
    "any_cases": ("citext[]", "'{Abc,NULL}'", "'{}'", "'{x}'"),
    "pairs": ("hstore", '\'a=>1, b=>NULL, "c d"=>"e\\"f"\'', "''", "'x=>\"\"'"),
    "pairs_many": ("hstore[]", "array['a=>1'::hstore, null]", "'{}'", "array[''::hstore]"),
    "tree": ("ltree", "'a.b.c'", "''", "'x'"),
    "trees": ("ltree[]", "'{a.b,NULL}'", "'{}'", "'{x}'"),
    "book": ("isbn", "'978-0-393-04002-9'", "'0-393-04002-X'", "'9780393040029'"),
    "cubic": ("cube", "'(1,2)'", "'0'", "'(1),(2)'"),
}
ONLY_18 = {
    "vector_three": ("vector(3)", "'[1,2.5,-3]'", "'[0,0,0]'", "'[0.1,1e-30,3e38]'"),
    "vector_half": ("halfvec(3)", "'[1,2.5,-3]'", "'[0,0,0]'", "'[0.1,1,2]'"),
    "vector_sparse": ("sparsevec(5)", "'{1:1,3:2.5}/5'", "'{}/5'", "'{5:1}/5'"),
}
TYPES = [
    "create type mood as enum ('sad', 'fine', 'it''s, \"odd\"')",
    "create domain positive as integer check (value > 0)", "create domain price as numeric(7,2)", "create domain e_mail as varchar(50)",
    "create domain nested as positive", "create type pair as (a int, b text)",
]  # fmt: skip
DEFAULTS = """create table defaults (
  id int primary key,
  truth_d boolean default true, truth_n boolean not null default false,
  small_d smallint default 5, small_n smallint not null default -5, whole_d int default 7, whole_n int not null default 8,
  big_d bigint default 9, big_n bigint not null default 9000000000, count_n serial, count_big bigserial,
  made_d int generated by default as identity, made_a bigint generated always as identity,
  single_d real default 1.5, single_n real not null default 0, twice_d double precision default 2.5,
  twice_n double precision not null default 0.1, exact_d numeric(10,2) default 1.25, exact_n numeric(10,2) not null default 7,
  exact_free numeric default 1.5, cash_n money not null default 1.5, bit_d bit(1) default B'1', bit_n bit(5) not null default B'10101',
  text_d text default 'abc', text_n text not null default '', text_q varchar(20) default 'it''s "q"', char_n char(5) not null default 'x',
  null_d text default null, bytes_d bytea default '\\x6162', day_d date default '2026-11-28', day_n date not null default '1970-01-01',
  day_now date default current_date, clock_d time default '12:34:56', clock_z timetz not null default '12:34:56+02',
  moment_d timestamp default '2026-11-28 12:34:56', moment_n timestamp(3) not null default '2000-01-01 00:00:00.123',
  moment_now timestamp not null default '2026-01-01'::timestamp, stamp_d timestamptz default '2026-11-28 12:34:56+00',
  stamp_n timestamptz not null default '2000-01-01 00:00:00+00', span_d interval default '1 day', span_n interval not null default '0',
  identity_n uuid not null default '123e4567-e89b-12d3-a456-426614174000', document_d json default '{"a": 1}', document_n jsonb not null default '{}',
  label_d mood default 'fine', label_n mood not null default 'sad', texts_d text[] default '{a,b}', wholes_n int[] not null default '{}',
  positive_n positive not null default 1, worked int not null default 1 + 1, called text default upper('x'), address_n inet not null default '::1'
)"""
TABLES = [
    "create table orders (id int primary key, customer varchar(40) not null, amount numeric(10,2), note text)",
    "create table parts (order_id int, line int, name varchar(20), primary key (line, order_id))",
    "create table no_key (a int, b varchar(10))", "alter table no_key replica identity full",
    "create table no_identity (a int, b varchar(10))",
    "create table full_identity (id int primary key, b varchar(10), c text)", "alter table full_identity replica identity full",
    "create table by_index (a int not null, b varchar(10) not null, c text)", "create unique index by_index_b on by_index (b)",
    "alter table by_index replica identity using index by_index_b",
    "create table wide_key (d numeric(6,2), t timestamp, b bytea, e mood, u uuid, v int, primary key (d, t, b, e, u))",
    'create table "odd-name$1" ("the id" int primary key, "1st" int, "ünï" int, "a-b" varchar(5))',
    "create table worked_out (id int primary key, a int, doubled int generated always as (a * 2) stored)",
    "create table secrets (id int primary key, name varchar(40), card varchar(40), phone varchar(40), note text, hidden int)",
    "create table large (id int primary key, v int, t text, b bytea, j json, jb jsonb, a text[], n int[], x text not null default '')",
    *(f"alter table large alter {column} set storage external" for column in ("t", "b", "j", "jb", "a", "n", "x")),
    "create table by_range (id int, at date, v int, primary key (id, at)) partition by range (at)",
    "create table by_range_1 partition of by_range for values from ('2026-01-01') to ('2026-07-01')",
    "create table by_range_2 partition of by_range for values from ('2026-07-01') to ('2027-01-01')",
    "create schema other", "create table other.orders (id int primary key, v int)",
]  # fmt: skip
LARGE = ("repeat('t', 9000), convert_to(repeat('b', 9000), 'utf8'), ('{\"a\": \"' || repeat('j', 9000) || '\"}')::json, "
         "('{\"a\": \"' || repeat('j', 9000) || '\"}')::jsonb, array[repeat('a', 9000)], array(select generate_series(1, 3000)), repeat('x', 9000)")  # fmt: skip
SNAPSHOT_ROWS = [
    "insert into orders values (1, 'Ann', 10.00, null), (2, 'Bob', 20.50, 'a note'), (3, 'Cid', null, '')",
    "insert into parts values (1, 1, 'bolt'), (1, 2, 'nut')",
    "insert into no_key values (1, 'x'), (1, 'x')", "insert into no_identity values (1, 'x')",
    "insert into full_identity values (1, 'x', 'y')", "insert into by_index values (1, 'x', 'y')",
    "insert into wide_key values (1.50, '2026-11-28 12:00:00.5', '\\x0102', 'fine', '123e4567-e89b-12d3-a456-426614174000', 1)",
    "insert into \"odd-name$1\" values (1, 2, 3, 'x')", "insert into worked_out (id, a) values (1, 5)",
    "insert into secrets values (1, 'Ann', '4111111111111111', '0123456789', 'long note of a person', 7)",
    f"insert into large values (1, 1, {LARGE})", "insert into by_range values (1, '2026-02-01', 1), (2, '2026-08-01', 1)",
    "insert into other.orders values (1, 1)",
]  # fmt: skip
CHANGES = [
    "insert into orders values (4, 'Dan', 1.10, 'n'), (5, 'Eve', 2.20, null)",
    "update orders set amount = amount + 1 where id < 3",
    "update orders set note = null where id = 2",
    "update orders set note = note where id = 1",
    "delete from orders where id = 3",
    "update orders set id = 40 where id = 4",
    "insert into orders values (5, 'Eve', 0, 'again') on conflict (id) do update set note = 'updated'",
    "begin", "insert into orders values (6, 'Fay', 3, null)", "insert into parts values (6, 1, 'a'), (6, 2, 'b')",
    "update orders set amount = 4 where id = 6", "update parts set line = 3 where order_id = 6 and line = 2",
    "delete from parts where order_id = 1 and line = 1", "insert into other.orders values (2, 2)", "commit",
    "begin", "insert into orders values (7, 'Gus', 1, null)", "rollback",
    "begin", "insert into orders values (8, 'Hal', 1, null)", "savepoint s", "insert into orders values (9, 'Ida', 1, null)",
    "rollback to savepoint s", "commit",
    "insert into no_key values (2, null)", "update no_key set b = 'y' where a = 2", "delete from no_key where a = 1",
    "insert into no_identity values (2, 'y')",
    "insert into full_identity values (2, null, null)", "update full_identity set b = 'z' where id = 1",
    "update full_identity set id = 3 where id = 2", "delete from full_identity where id = 1",
    "insert into by_index values (2, 'y', null)", "update by_index set c = 'z' where a = 1", "update by_index set b = 'q' where a = 1",
    "delete from by_index where a = 1",
    "update wide_key set v = 2", "update wide_key set t = '2026-11-28 13:00:00.25', e = 'sad'", "delete from wide_key",
    'insert into "odd-name$1" values (2, null, null, null)', 'update "odd-name$1" set "1st" = 5 where "the id" = 1',
    'delete from "odd-name$1" where "the id" = 2',
    "insert into worked_out (id, a) values (2, null)", "update worked_out set a = 6 where id = 1",
    "insert into secrets values (2, null, null, null, null, null)", "update secrets set card = '4222', note = 'another long note' where id = 1",
    "delete from secrets where id = 1",
    f"insert into large values (2, 1, {LARGE})", "update large set v = 2", "update large set t = 'short' where id = 1", "update large set id = 3 where id = 2",
    "update large set a = null, n = null, j = null, jb = null, b = null where id = 3", "update large set v = 4", "delete from large",
    "alter table large replica identity full", f"insert into large values (4, 1, {LARGE})", "update large set v = 2 where id = 4",
    "insert into by_range values (3, '2026-03-01', 1)", "update by_range set v = 2 where id = 1", "update by_range set at = '2026-09-01' where id = 1",
    "delete from by_range where id = 2", "delete from other.orders where id = 1",
    "insert into defaults (id) values (3)",
    ("update defaults set truth_d = null, small_d = null, whole_d = null, big_d = null, single_d = null, twice_d = null, exact_d = null, "
    "exact_free = null, bit_d = null, text_d = null, bytes_d = null, day_d = null, clock_d = null, moment_d = null, stamp_d = null, "
    "span_d = null, document_d = null, label_d = null, texts_d = null where id = 3"),
    "delete from defaults where id = 3",
    "truncate orders", "insert into orders values (1, 'Ann', 1, 'after truncate')", "truncate parts, no_key restart identity", "truncate by_range cascade",
    "select pg_logical_emit_message(true, 'prefix', 'in a transaction')", "select pg_logical_emit_message(false, 'prefix', 'by itself')",
    "select pg_logical_emit_message(true, 'binary', '\\x00ff'::bytea)",
    "begin", "insert into orders values (2, 'Bea', 1, null)", "select pg_logical_emit_message(true, 'prefix', '{\"a\": 1}')",
    "truncate no_identity", "insert into orders values (3, 'Cat', 1, null)", "commit",
]  # fmt: skip
DDL = [
    "create table later (id serial primary key, v varchar(10) not null default 'x')",
    "insert into later (v) values ('one')",
    "alter table later add column w int, add column z numeric(8,3) not null default 1.5",
    "insert into later (v, w) values ('two', 2)", "update later set w = 1 where id = 1",
    "alter table later alter column w type bigint",
    "insert into later (v, w) values ('three', 3)",
    "alter table later alter column v drop not null, alter column v drop default",
    "insert into later (v) values (null)",
    "alter table later drop column z", "insert into later (v) values ('five')",
    "alter table later rename column w to w2", "insert into later (v, w2) values ('six', 6)",
    "delete from later where w2 is null", "alter table later drop constraint later_pkey, add primary key (id, w2)",
    "alter table later rename to renamed", "insert into renamed values (10, 'ten', 10)",
    "alter table renamed set schema other", "insert into other.renamed values (11, 'eleven', 11)",
    "drop table other.renamed",
    "alter type mood add value 'new' after 'sad'", "insert into defaults (id, label_d) values (4, 'new')",
    "alter table orders add column extra jsonb, add column tags text[] default '{a}'", "insert into orders (id, customer, extra) values (50, 'Zoe', '{\"a\": 1}')",
    "alter table orders drop constraint orders_pkey", "alter table orders replica identity full", "insert into orders (id, customer) values (51, 'Yan')",
    "begin", "alter table parts add column inside int", "insert into parts values (9, 9, 'x', 9)", "alter table parts drop column inside",
    "insert into parts values (9, 10, 'y')", "commit",
]  # fmt: skip


def history(*, version: int) -> History:
    """The whole story of one server."""
    kinds = {
        "numbers": NUMBERS,
        "times": TIMES,
        "texts": TEXTS,
        "shapes": NETWORK_AND_SHAPES,
        "arrays": ARRAYS,
        "domains": DOMAINS,
    }
    extensions = ["vector"] if version >= 18 else ["citext", "hstore", "ltree", "isn", "cube"]
    setup = [*(f"create extension {name}" for name in extensions), *TYPES, *TABLES]
    changes = []
    for table, columns in (kinds | {"others": ONLY_18 if version >= 18 else ONLY_15}).items():
        made, rows = every_value(table, columns)
        setup += [made, *rows]
        changes += [row.replace("values (", "values (1") for row in rows]
        changes += [
            f"update {table} set {name} = {values[2]} where id = 11" for name, values in [next(iter(columns.items()))]
        ]
        changes += [f"delete from {table} where id = 12"]
    made = ", ".join(f"{name} {values[0]}" for name, values in BEYOND.items())
    setup += [f"create table beyond (id serial primary key, {made})"]
    changes += [f"insert into beyond ({name}) values ({one})" for name, values in BEYOND.items() for one in values[1:]]
    setup += [DEFAULTS, "insert into defaults (id) values (1), (2)", *SNAPSHOT_ROWS, *lives.TABLES, *lives.ROWS]
    setup += [f"create table {FINISH} (id int primary key)", f"insert into {FINISH} values (0)"]
    return History(setup, [*changes, *CHANGES, *lives.CHANGES, WAIT, *_waiting(DDL), *lives.DDL, WAIT])


def _waiting(statements: list[str]) -> list[str]:
    """Before each change of a table that was written to, outside of transactions."""
    found, is_inside = [], False
    for statement in statements:
        is_inside = (is_inside or statement == "begin") and statement != "commit"
        if not is_inside and statement.startswith(("alter table", "drop table")):
            found.append(WAIT)
        found.append(statement)
    return found
