"""Every column type: inserted through SQL, decoded from the stream, compared with what the server itself says."""

import json

import psycopg
import pytest

from tests import printed
from tests.reading import postgres_reader, wire
from tests.second_reader import SecondReader, differences

# type, literals, SELECT expression ({} is the column), how to read its text
TEXT, NUMBER, JSON = str, int, json.loads
HEX, FLOAT = printed.base64_of_hex, printed.postgres_float
CASES = [
    ("bool", ["true", "false", "null"], "to_json({})::text", JSON),
    ("int2", ["-32768", "32767"], "{}::text", NUMBER),
    ("int4", ["-2147483648"], "{}::text", NUMBER),
    ("int8", ["-9223372036854775808", "9223372036854775807"], "{}::text", NUMBER),
    ("oid", ["4294967295"], "{}::text", NUMBER),
    ("float4", ["0.1", "'NaN'", "'-Infinity'", "3.4028235e38"], "{}::text", FLOAT),
    ("float8", ["0.1", "5e-324", "'Infinity'", "1.7976931348623157e308"], "{}::text", FLOAT),
    ("numeric", ["1.500", "-0.00000000000000000001", "'NaN'", "'Infinity'", "1e50"], "{}::text", TEXT),
    ("numeric(10,2)", ["-99999999.99", "0"], "{}::text", TEXT),
    ("money", ["12.34"], "{}::text", TEXT),
    ("text", ["''", "'h\u00e9\U0001f600'", "E'a\\tb\\n'", "'NULL'"], "{}::text", TEXT),
    ("varchar(9)", ["'x'"], "{}::text", TEXT),
    ("char(5)", ["'ab'"], "rpad({}::text, 5)", TEXT),
    ('"char"', ["'z'"], "{}::text", TEXT),
    ("name", ["'n'"], "{}::text", TEXT),
    ("bytea", ["'\\x00ff10'", "''"], "encode({}, 'hex')", HEX),
    ("json", ["'{\"b\": 1, \"a\": [1.10, null]}'", "'12345678901234567890123'"], "{}::text", JSON),
    ("jsonb", ["'{\"b\": 1, \"a\": [1.5, true, \"\\u00e9\"]}'", "'null'", "'[]'"], "{}::text", JSON),
    ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], "{}::text", TEXT),
    ("date", ["'2024-02-29'", "'infinity'", "'0044-03-15 BC'", "'10000-01-01'"], "{}::text", TEXT),
    ("time", ["'23:59:59.999999'", "'24:00:00'"], "{}::text", TEXT),
    ("timetz", ["'12:00:00+05:30'"], "{}::text", TEXT),
    ("timestamp", ["'2024-02-29 12:34:56.789'", "'2024-02-29'"], "replace({}::text, ' ', 'T')", TEXT),
    ("timestamp", ["'-infinity'", "'0044-03-15 01:02:03 BC'"], "{}::text", TEXT),
    ("timestamptz", ["'2024-02-29 12:34:56.789+02'", "'1900-01-01 00:00:00+00'"],
     "replace(({} at time zone 'UTC')::text, ' ', 'T') || 'Z'", TEXT),
    ("timestamptz", ["'infinity'"], "{}::text", TEXT),
    ("interval", ["'1 year 2 mons -3 days 04:05:06.789'", "'0'"], "{}::text", TEXT),
    ("inet", ["'10.1.2.3/8'", "'::1'"], "to_json({}) #>> '{{}}'", TEXT),
    ("cidr", ["'10.0.0.0/8'"], "{}::text", TEXT),
    ("macaddr", ["'08:00:2b:01:02:03'"], "{}::text", TEXT),
    ("bit(4)", ["B'1010'"], "{}::text", TEXT),
    ("varbit", ["B'101'"], "{}::text", TEXT),
    ("point", ["'(1,2.5)'"], "{}::text", TEXT),
    ("box", ["'(2,2),(0,0)'"], "{}::text", TEXT),
    ("polygon", ["'((0,0),(1,1),(1,0))'"], "{}::text", TEXT),
    ("tsvector", ["'a:1 b:2'"], "{}::text", TEXT),
    ("xml", ["'<a>1</a>'"], "{}::text", TEXT),
    ("int4range", ["'[1,5)'", "'empty'"], "{}::text", TEXT),
    ("int4multirange", ["'{[1,3),[5,7)}'"], "{}::text", TEXT),
    ("mood", ["'so so'"], "{}::text", TEXT),
    ("pair", ["row(1,'x,y')"], "{}::text", TEXT),
    ("positive", ["7"], "{}::text", NUMBER),
    ("hstore", ["'a=>1, \"b c\"=>NULL, d=>\"q\\\"r\"'", "''"], "hstore_to_json({})::text", JSON),
    ("citext", ["'AbC'"], "{}::text", TEXT),
    ("int4[]", ["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"], "to_json({})::text", JSON),
    ("text[]", ["array['a','NULL',null,'x,y','q\"r','b\\s','','{}','t','1']"], "to_json({})::text", JSON),
    ("bool[]", ["'{t,f,NULL}'"], "to_json({})::text", JSON),
    ("float8[]", ["'{0.1,1e300}'"], "to_json({})::text", JSON),
    ("numeric[]", ["'{1.50,2}'"], "{}::text[]::text", lambda t: t.strip("{}").split(",")),
    ("uuid[]", ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"], "to_json({})::text", JSON),
    ("jsonb[]", ["array['{\"a\":1}'::jsonb, '[2]'::jsonb]"], "to_json({})::text", JSON),
    ("mood[]", ["'{\"so so\",NULL}'"], "to_json({})::text", JSON),
    ("positive[]", ["'{1,2}'"], "to_json({})::text", JSON),
    ("date[]", ["'{2024-02-29,NULL}'"], "to_json({})::text", JSON),
    ("bytea[]", ["array['\\x00ff'::bytea]"], "encode({}[1], 'hex')", lambda t: [HEX(t)]),
    ("hstore[]", ["array['a=>1'::hstore]"], "hstore_to_json({}[1])::text", lambda t: [json.loads(t)]),
]  # fmt: skip


@pytest.fixture
def prepared(any_postgres_database):
    extensions = {row[0] for row in any_postgres_database.rows("select name from pg_available_extensions")}
    missing = {"hstore", "citext"} - extensions
    try:
        any_postgres_database.execute("select '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        missing.add("xml")
    cases = [case for case in CASES if case[0].rstrip("[]") not in missing]
    any_postgres_database.execute(
        *(f"create extension {name}" for name in sorted({"hstore", "citext"} & extensions)),
        "create type mood as enum ('so so', 'good')",
        "create type pair as (a int, b text)",
        "create domain positive as int check (value > 0)",
        "create publication pub for all tables",
    )
    return any_postgres_database, cases


def test_types_are_what_the_server_prints(prepared, tmp_path):
    database, cases = prepared
    columns = [f"c{n}" for n in range(len(cases))]
    definitions = ", ".join(f"{c} {case[0]}" for c, case in zip(columns, cases, strict=True))
    database.execute(f"create table t (id serial primary key, {definitions})")
    reader = postgres_reader(database, tmp_path / "state").open()
    for column, case in zip(columns, cases, strict=True):
        database.execute(*(f"insert into t ({column}) values ({literal})" for literal in case[1]))
    expressions = ", ".join(case[2].format(c) for c, case in zip(columns, cases, strict=True))
    printed = database.rows(f"select {expressions} from t order by id")
    events = reader.read(len(printed))
    reader.close()
    for event, row in zip(events, printed, strict=True):
        found = wire(event.after)
        expected = {
            c: None if text is None else case[3](text) for c, text, case in zip(columns, row, cases, strict=True)
        }
        del found["id"]
        assert found == expected


@pytest.mark.parametrize("any_postgres_database", ["postgres_15"], indirect=True)
def test_types_are_what_test_decoding_reads(prepared, tmp_path):
    database, cases = prepared
    columns = ", ".join(f"c{n} {case[0]}" for n, case in enumerate(cases))
    database.execute(f"create table t (id serial primary key, {columns})", "alter table t replica identity full")
    reader, judge = postgres_reader(database, tmp_path / "state").open(), SecondReader(database)
    for n, case in enumerate(cases):
        database.execute(*(f"insert into t (c{n}) values ({literal})" for literal in case[1]))
    database.execute("update t set id = -id", "delete from t")
    changes = judge.changes()
    events = reader.read(len(changes))
    reader.close()
    assert len(changes) == 3 * sum(len(case[1]) for case in cases)
    assert differences(judge, changes, events)[:5] == []


def test_instant_in_an_array_is_in_utc(prepared, tmp_path):
    database, _ = prepared
    database.execute("create table t (id int primary key, at timestamptz[], b box[])")
    reader = postgres_reader(database, tmp_path / "state").open()
    database.execute(
        "insert into t values (1, array['2024-02-29 12:00:00+02'::timestamptz], '{(1,1),(0,0);(3,3),(2,2)}')"
    )
    (event,) = reader.read(1)
    reader.close()
    assert event.after["at"] == ["2024-02-29T10:00:00Z"]
    assert event.after["b"] == ["(1,1),(0,0)", "(3,3),(2,2)"]
