"""Values in the forms of records, and defaults of schemas: what the servers themselves make of them."""

import json
from decimal import Decimal
from itertools import product

import pytest

from deltaforge.records.types import CdcModes, ConnectOptions, cdc_column, record_column
from deltaforge.records.values import converted
from tests.reading import mysql_reader, postgres_reader

MICROS_OF_MYSQL = "timestampdiff(microsecond, '1970-01-01', {})"
MICROS_OF_TIME = "truncate(time_to_sec({0}), 0) * 1000000 + if({0} < 0, -1, 1) * microsecond({0})"
PLAIN, NANOS, CONNECT = (
    ConnectOptions(),
    ConnectOptions(time_precision="nanoseconds"),
    ConnectOptions(time_precision="connect"),
)
MYSQL = [  # type, literals, options, what the server makes of it
    ("date", ["'0001-01-01'", "'1969-12-31'", "'9999-12-31'", "'2024-02-29'"], PLAIN, "to_days({}) - to_days('1970-01-01')"),
    ("datetime", ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"], PLAIN, f"{MICROS_OF_MYSQL} div 1000"),
    ("datetime(6)", ["'1969-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.999999'"], PLAIN, MICROS_OF_MYSQL),
    ("datetime(6)", ["'1969-12-31 23:59:59.999999'", "'2024-02-29 01:02:03.000004'"], NANOS, f"{MICROS_OF_MYSQL} * 1000"),
    ("datetime(6)", ["'1969-12-31 23:59:59.999999'"], CONNECT, f"floor({MICROS_OF_MYSQL} / 1000)"),
    ("time(6)", ["'-838:59:59'", "'838:59:59'", "'-00:00:00.000001'", "'12:34:56.789012'"], PLAIN, MICROS_OF_TIME),
    ("time", ["'00:00:00'", "'23:59:59'"], CONNECT, "time_to_sec({}) * 1000"),
    ("timestamp(6) null", ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'"], CdcModes(), MICROS_OF_MYSQL),
    ("bigint unsigned", ["0", "9223372036854775807", "18446744073709551615"], ConnectOptions(bigint_unsigned_handling="long"),
     "cast({} as signed)"),
    ("bit(9)", ["b'0'", "b'100000001'"], PLAIN, "{} + 0"),
    ("decimal(65,30)", ["-1", "12345678901234567890123456789012345.123456789012345678901234567890", "0"], PLAIN,
     "cast({} as char)"),
    ("varbinary(20)", ["x'00ff'", "''"], ConnectOptions(binary_handling="hex"), "lower(hex({}))"),
    ("blob", ["x'fbff'"], ConnectOptions(binary_handling="base64"), "to_base64({})"),
]  # fmt: skip
MARIADB = [
    ("uuid", ["'123e4567-e89b-12d3-a456-426614174000'", "'00000000-0000-0000-0000-000000000000'", "'018F3A3E7B1C7ABC8DEF0123456789AB'"],
     options, "cast({} as char)") for options in (PLAIN, CdcModes())
]  # fmt: skip
INTERVAL = (
    "((((extract(year from {0}) * 12 + extract(month from {0})) * 30.4375 + extract(day from {0})) * 86400"
    " + extract(hour from {0}) * 3600 + extract(minute from {0}) * 60 + extract(second from {0})) * 1000000)::numeric(40)"
)
EPOCH = "(extract(epoch from {}) * 1000000)::numeric(40)"
POSTGRES = [
    ("date", ["'4713-01-01 BC'", "'0001-01-01'", "'1969-12-31'", "'5874897-12-31'"], PLAIN, "{} - '1970-01-01'::date"),
    ("timestamp", ["'4713-01-01 00:00:00 BC'", "'0001-12-31 23:59:59.999999 BC'", "'1969-12-31 23:59:59.999999'",
                   "'294246-12-31'"], PLAIN, EPOCH),
    ("timestamp(3)", ["'294276-12-31 23:59:59.999'", "'1969-12-31 23:59:59.999'"], PLAIN, "(extract(epoch from {}) * 1000)::numeric(40)"),
    ("timestamp", ["'1969-12-31 23:59:59.999999'", "'2262-01-01'"], NANOS, f"{EPOCH} * 1000"),
    ("time", ["'00:00:00'", "'24:00:00'", "'23:59:59.999999'"], PLAIN, EPOCH),
    ("timestamptz", ["'1900-01-01 00:00:00.000001+05:30'", "'4713-01-01 00:00:00+00 BC'", "'294246-12-31'"], CdcModes(), EPOCH),
    ("interval", ["'1 year 2 mons -3 days 04:05:06.789'", "'-1 mons +2 days -00:00:00.000001'", "'290000 years'", "'0'"], PLAIN,
     INTERVAL),
    ("numeric(30,10)", ["-1", "12345678901234567890.0123456789", "0"], PLAIN, "{}::text"),
    ("numeric", ["1.500", "-0.00000000000000000001", "1e50", "12300", "0.00"], PLAIN, "{}::text"),
    ("money", ["-1234567.89", "92233720368547758.07", "0"], PLAIN, "{}::numeric::text"),
    ("bit(12)", ["B'000000000001'", "B'101010101010'"], PLAIN, "{}::int"),
    ("bytea", ["'\\xfbff'"], ConnectOptions(binary_handling="base64-url-safe"), "translate(encode({}, 'base64'), '+/', '-_')"),
]  # fmt: skip


def read_back(value, conversion, printed):
    """A converted value in the form in which the server prints it."""
    if isinstance(printed, str) and isinstance(value, bytes):
        return Decimal(f"{int.from_bytes(value, 'big', signed=True)}E-{conversion.scale}"), Decimal(printed)
    if isinstance(value, dict):
        return Decimal(f"{int.from_bytes(value['value'], 'big', signed=True)}E-{value['scale']}"), Decimal(printed)
    if isinstance(value, bytes):
        return int.from_bytes(value, "little"), int(printed)
    return value, printed if isinstance(printed, str) else int(printed)


def check(database, reader, connector, cases, prepare, query):
    columns = [f"c{n}" for n in range(len(cases))]
    definitions = ", ".join(f"{name} {case[0]}" for name, case in zip(columns, cases, strict=True))
    database.execute(*prepare, f"create table t (id int primary key, {definitions})")
    reader.open()
    inserts, expressions = [], []
    for name, (_, literals, _, expression) in zip(columns, cases, strict=True):
        for literal in literals:
            inserts.append(f"insert into t (id, {name}) values ({len(inserts)}, {literal})")
            expressions.append((name, expression.format(name)))
    query(inserts)
    wanted = query([f"select {made} from t where id = {n}" for n, (_, made) in enumerate(expressions)])
    events = reader.read(len(inserts))
    reader.close()
    options = {name: case[2] for name, case in zip(columns, cases, strict=True)}
    for event, (name, _), printed in zip(events, expressions, wanted, strict=True):
        declared = next(column for column in event.schema.columns if column.name == name)
        make = record_column if isinstance(options[name], ConnectOptions) else cdc_column
        conversion = make(connector, declared, options[name]).conversion
        found, expected = read_back(converted(conversion, event.after[name]), conversion, printed)
        assert found == expected, (declared.type, options[name], found, expected)


def test_values_of_mysql_are_what_the_server_makes_of_them(any_mysql_database, tmp_path):
    database = any_mysql_database
    ((version,),) = database.rows("select version()")

    def query(statements):
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("set time_zone = '+00:00', sql_mode = ''")
            results = []
            for statement in statements:
                cursor.execute(statement)
                results.append(cursor.fetchall())
            connection.commit()
        return [rows[0][0] for rows in results if rows]

    reader = mysql_reader(database, tmp_path / "state")
    check(database, reader, "mysql", MYSQL + MARIADB * ("MariaDB" in version), (), query)


def test_numbers_of_postgres_are_what_the_server_makes_of_the_values(any_postgres_database, tmp_path):
    database = any_postgres_database

    def query(statements):
        if statements[0].startswith("insert"):
            database.execute(*statements)
            return []
        return [database.rows(statement)[0][0] for statement in statements]

    reader = postgres_reader(database, tmp_path / "state")
    check(database, reader, "postgresql", POSTGRES, ("create publication pub for all tables",), query)


CONSTANTS_OF_ALL = [
    "int default 5", "int not null default -7", "bigint default 5000000000", "smallint default 3", "decimal(10,2) default 1.5",
    "decimal(20,0) default 100", "varchar(20) default 'x''y'", "varchar(20) not null default ''", "date default '2024-02-29'",
    "time(6) default '12:34:56.5'", "timestamp(6) default '2024-02-29 12:34:56.7'",
]  # fmt: skip
CONSTANTS = {
    "mysql": [
        *CONSTANTS_OF_ALL, "tinyint(1) default true", "bigint unsigned default 18446744073709551615", "double default 1.5",
        "float default 0.1", "bit(1) default b'1'", "bit(9) default b'100000001'", "year default 2024",
        "datetime default '2024-02-29'", "datetime(3) default '2024-02-29 12:34:56.789'", "time default '-100:00:00'",
        "enum('a','b,c') default 'b,c'", "set('a','b') default 'a,b'", "char(5) default 'ab'", "varchar(30) default 'a\\\\b\"c'",
        "date default '2024-2-9'", "varchar(20) default 'uuid()'",
    ],
    "postgresql": [
        *CONSTANTS_OF_ALL, "boolean default true", "real default 1.1", "double precision default '-Infinity'",
        "text default E'a\\\\b\\nc''d'", "jsonb default '{\"a\": [1]}'", "uuid default 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "timestamptz default '2024-02-29 12:34:56+02'", "interval default '1 year 2 days'", "bit(4) default B'1010'",
        "bit varying default B'101'", "mood default 'so so'", "date default '0044-03-15 BC'", "timestamp default 'infinity'",
        "xml default '<a/>'", "integer default '5'",
    ],
}  # fmt: skip


def test_a_constant_default_is_what_the_server_fills_in(any_database, tmp_path):
    database, connector, constants = any_database
    columns = ", ".join(f"c{n} {text}" for n, text in enumerate(constants))
    if connector == "postgresql":
        database.execute("create type mood as enum ('so so')", "create publication pub for all tables")
    database.execute(f"create table t (id int primary key, {columns})")
    reader = (postgres_reader if connector == "postgresql" else mysql_reader)(database, tmp_path / "state").open()
    database.execute("insert into t (id) values (1)")
    (event,) = reader.read(1)
    reader.close()
    every = ConnectOptions(), ConnectOptions("string", "isostring", binary_handling="hex")
    for column, options in product(event.schema.columns[1:], every):
        made = record_column(connector, column, options)
        if made.schema.has_default:
            assert made.schema.default == converted(made.conversion, event.after[column.name]), column
        else:
            assert "time default '-100" in constants[int(column.name[1:])], column  # no time of a day
    assert sum(column.default is not None for column in event.schema.columns) == len(constants)


@pytest.fixture(params=["mysql", "mariadb", "postgres"])
def any_database(request):
    if request.param == "postgres":
        return request.getfixturevalue("postgres_database"), "postgresql", CONSTANTS["postgresql"]
    of_texts = ["text default 'a,''b'", "longtext not null default '{}'"] * (request.param == "mariadb")
    return request.getfixturevalue(f"{request.param}_database"), "mysql", CONSTANTS["mysql"] + of_texts


def test_defaults_of_a_table_that_has_changed_since_are_those_of_its_columns_as_they_are_now(mysql_database, tmp_path):
    reader = mysql_reader(mysql_database, tmp_path / "state").open()
    mysql_database.execute(
        "create table t (id int primary key, a int default 5, b varchar(9) default 'x', c int default 1)",
        "insert into t (id) values (1)",
        "alter table t modify b varchar(20) default 'y', add d int default 2",
    )
    (event,) = reader.read(1)
    reader.close()
    assert [column.default for column in event.schema.columns] == [None, "5", None, "1"]


def test_vectors_of_mariadb_are_lists_of_numbers(mariadb_database, tmp_path):
    reader = mysql_reader(mariadb_database, tmp_path / "state").open()
    mariadb_database.execute(
        "create table t (id int primary key, v vector(3) not null, n vector(2), vector index (v))",
        "insert into t values (1, vec_fromtext('[1,-2.5,0.1]'), null), (2, vec_fromtext('[0,1e-5,100.25]'), vec_fromtext('[1,2]'))",
    )
    events = reader.read(2)
    reader.close()
    printed = mariadb_database.rows("select vec_totext(v), vec_totext(n) from t order by id")
    for event, row in zip(events, printed, strict=True):
        for name, text in zip("vn", row, strict=True):
            declared = next(column for column in event.schema.columns if column.name == name)
            assert declared.type.startswith("vector(")
            for made in (
                record_column("mariadb", declared, ConnectOptions()),
                cdc_column("mariadb", declared, CdcModes()),
            ):
                value = event.after[name]
                found = None if value is None else converted(made.conversion, value)
                assert found == (None if text is None else pytest.approx(json.loads(text), rel=1e-6)), (name, made)


@pytest.mark.parametrize("any_postgres_database", ["postgres_18"], indirect=True)
def test_vectors_of_pgvector_are_lists_of_numbers(any_postgres_database, tmp_path):
    database = any_postgres_database
    database.execute(
        "create extension vector",
        "create table t (id int primary key, v vector(3), h halfvec(2), s sparsevec(3))",
        "create publication pub for all tables",
    )
    reader = postgres_reader(database, tmp_path / "state").open()
    database.execute("insert into t values (1, '[1,-2.5,0.1]', '[0.5,65504]', '{1:2}/3')")
    (event,) = reader.read(1)
    reader.close()
    made = {column.name: record_column("postgresql", column, ConnectOptions()) for column in event.schema.columns}
    assert made["s"] is None
    found = [converted(made[name].conversion, event.after[name]) for name in ("v", "h")]
    assert found == [list(row) for row in database.rows("select v::real[], h::real[] from t")[0]]
