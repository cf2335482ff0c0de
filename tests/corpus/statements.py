"""What the recorded servers were told to do: every column type, every kind of change, transactions, DDL."""

from itertools import zip_longest

from tests.integration.types.test_mysql_types import COMMON, MARIADB, MYSQL
from tests.integration.types.test_postgres_types import CASES
from tests.workload import Workload

END = "the_end"
"""The table whose first row is the last of a recording."""

_DIGITS = "0.12345678901234567890123"
_ODD_TEXT = "tab\t quote \" '' back\\\\slash \x01 \x1f \x7f \u2028 \ud7ff \U0001f600 </script> \n\r"


def _every_type(database, cases, *, changes="update types set id = -id", settings=()):
    """A table with a column of each case; row n has the n-th literal of each."""
    columns = [f"c{n}" for n in range(len(cases))]
    definitions = ", ".join(f"{c} {case[0]}" for c, case in zip(columns, cases, strict=True))
    with database.connect() as connection, connection.cursor() as cursor:
        for setting in settings:
            cursor.execute(setting)
        cursor.execute(f"create table types (id int primary key, kind varchar(9) not null, {definitions})")
        if database.server.scheme == "postgres":
            cursor.execute("alter table types replica identity full")
        for number, literals in enumerate(zip_longest(*(case[1] for case in cases), fillvalue="null"), 1):
            cursor.execute(f"insert into types values ({number}, 'k{number % 3}', {', '.join(literals)})")
        cursor.execute(changes)
        cursor.execute("delete from types where id = -2")


def _common(database, *, quote):
    """Kinds of changes that every database has."""
    odd = f"{quote}odd na me{quote}"
    with database.connect() as connection, connection.cursor() as cursor:
        for statement in (
            f"create table {odd} (id int primary key, kind varchar(9) not null, {quote}c 0{quote} text)",
            "create table keyless (kind varchar(9), c0 text, c1 int)",
            "create table two_keys (b varchar(20), id bigint, kind varchar(9) not null, c0 decimal(30,20), primary key (id, b))",
            "create table only_key (id int primary key)",
            f"insert into {odd} values (1, 'k', '{_ODD_TEXT}'), (2, 'k', null)",
            f"update {odd} set id = id + 10",
            "insert into keyless values ('k', 'same', 1), ('k', 'same', 1), ('k', null, null)",
            "update keyless set c1 = 2 where c0 = 'same'",
            "delete from keyless where c0 is null",
            f"insert into two_keys values ('\u00e9 \"|', 1, 'k', {_DIGITS}), ('', 2, 'k', -{_DIGITS}), ('b', 3, 'k', null)",
            "update two_keys set c0 = 1 where id = 1",
            "update two_keys set id = 20, b = 'new' where id = 2",
            "delete from two_keys where id = 3",
            "insert into only_key values (1), (2)",
            "update only_key set id = 3 where id = 1",
            "delete from only_key",
            "begin",
            "insert into two_keys values ('t', 100, 'k', 0)",
            "insert into only_key values (100)",
            "savepoint s",
            "insert into only_key values (101)",
            "rollback to savepoint s",
            "update two_keys set b = 'u' where id = 100",
            "commit",
            "truncate table only_key",
            "alter table two_keys add column c1 varchar(9) default 'd\u00e9'",
            "insert into two_keys (b, id, kind) values ('', 200, 'after')",
            "alter table two_keys drop column c0",
            "insert into two_keys (b, id, kind) values ('', 201, 'after')",
            "alter table only_key rename to renamed",
            "insert into renamed values (1)",
        ):
            cursor.execute(statement)
            if statement.startswith("create table keyless") and quote == '"':
                cursor.execute("alter table keyless replica identity full")


def _random(database):
    workload = Workload(database, 17)
    workload.create()
    workload.run(60)


def _charsets(database):
    names = ("latin1", "latin2", "cp1250", "cp1251", "greek", "hebrew", "tis620", "big5", "gbk", "gb2312", "sjis", "cp932",
             "ujis", "euckr", "ascii", "utf8mb3", "ucs2", "utf16le", "koi8u", "macroman", "cp852", "utf16", "utf32", "gb18030")  # fmt: skip
    columns = ", ".join(f"c{n} varchar(40) character set {name}" for n, name in enumerate(names))
    text = "_utf8mb4 'a\u00e9\u0159\u0436\u03c0\u05d0\u0e01\u4e2d\u6587\u65e5\uac00~\\\\'"
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        cursor.execute(f"create table charsets (id int primary key, kind varchar(9) character set latin1, {columns})")
        cursor.execute(f"insert into charsets values (1, 'k', {', '.join([text] * len(names))})")
        cursor.execute(f"insert into charsets values (2, 'k', {', '.join(['null', repr('')] * (len(names) // 2))})")


def _outbox_table(database):
    database.execute(
        "create table outbox (id int primary key, aggregate_type varchar(20), aggregate_id varchar(20), event_type varchar(20),"
        " payload text)",
        "insert into outbox values (1, 'order', '7', 'placed', '{\"a\": 1}')",
        "delete from outbox",
    )


def _json_of_mysql(database):
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set binlog_row_value_options = 'partial_json', binlog_transaction_compression = on")
        cursor.execute("create table documents (id int primary key, kind varchar(9) not null, c0 json)")
        cursor.execute(
            "insert into documents values (1, 'k', json_object('a', 1, 'b', json_array(1, 2, 3), 'c', 'x')), (2, 'k', null),"
            ' (3, \'k\', cast(\'{"\u00e9": 1.10, "": 1e2, "n": 12345678901234567890.5, "\\\\u0001": -0.0}\' as json)),'
            " (4, 'k', json_object('q', 1/3, 'r', cast(1 as decimal(60,30))/7, 's', 1e-7, 't', 1e16, 'u', 123456789012345680000))"
        )
        cursor.execute("update documents set c0 = json_set(c0, '$.a', 2, '$.b[1]', 'new', '$.d', true) where id = 1")
        cursor.execute("update documents set c0 = json_remove(c0, '$.b[0]', '$.c') where id = 1")
        cursor.execute("update documents set c0 = json_replace(c0, '$.a', repeat('y', 300)), kind = 'l' where id = 1")
        cursor.execute("delete from documents")


def _images_of_mysql(database):
    with database.connect() as connection, connection.cursor() as cursor:
        for image in ("minimal", "noblob"):
            cursor.execute(f"set binlog_row_image = {image}")
            cursor.execute(f"create table image_{image} (id int primary key, kind varchar(9), c0 text, c1 int)")
            cursor.execute(f"insert into image_{image} (id, kind, c0) values (1, 'k', 'x'), (2, 'k', 'y')")
            cursor.execute(f"update image_{image} set c1 = 5 where id = 1")
            cursor.execute(f"update image_{image} set id = 20 where id = 2")
            cursor.execute(f"delete from image_{image}")


def _end(database):
    database.execute(f"create table {END} (id int primary key, kind varchar(9))", f"insert into {END} values (1, 'k')")


def mysql(database):
    _every_type(database, COMMON + MYSQL, settings=["set time_zone = '+00:00', sql_mode = ''"])
    _common(database, quote="`")
    _random(database)
    _charsets(database)
    _outbox_table(database)
    _json_of_mysql(database)
    _images_of_mysql(database)
    _end(database)


def mysql_minimal(database):
    _every_type(database, COMMON[::2] + MYSQL, settings=["set time_zone = '+00:00', sql_mode = ''"])
    _common(database, quote="`")
    _outbox_table(database)
    _images_of_mysql(database)
    _end(database)


def mariadb(database):
    _every_type(database, COMMON + MARIADB + MARIADB_ALONE, settings=["set time_zone = '+00:00', sql_mode = ''"])
    _common(database, quote="`")
    _random(database)
    _outbox_table(database)
    _images_of_mysql(database)
    _end(database)


MARIADB_ALONE = [
    ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("inet4", ["'10.1.2.3'"]),
    ("inet6", ["'2001:db8::1'"]),
    ("varchar(3000) compressed", ["repeat('abc', 500)", "'short'"]),
    ("blob compressed", ["repeat('abc', 500)", "''"]),
]


def postgres(database):
    types = [case for case in CASES if case[0].rstrip("[]") != "xml"]
    database.execute(
        "create extension if not exists hstore",
        "create extension if not exists citext",
        "create type mood as enum ('so so', 'good')",
        "create type pair as (a int, b text)",
        "create domain positive as int check (value > 0)",
        "create schema other",
    )
    _every_type(database, types)
    _common(database, quote='"')
    _random(database)
    _toast(database)
    database.execute(
        "create table other.things (id bigint primary key, kind text, c0 int generated always as (7) stored)",
        "insert into other.things values (1, 'k')",
        "create table documents (id int primary key, kind text not null, c0 jsonb, c1 json)",
        "insert into documents select n, 'k', jsonb_build_object('score', n / 8.0, 'long', n / 7.0, 'deep', '[[{}]]'::jsonb),"
        ' \'{ "b" : 1.10, "a" :[1e2, 1E+400, -0.0, 12345678901234567890.5] }\' from generate_series(1, 4) n',
        "alter table documents replica identity full",
        "update documents set c0 = c0 || '{\"score\": 1e-7}' where id < 3",
        "delete from documents",
        "alter table keyless replica identity nothing",
        "insert into keyless values ('k', 'nothing', 1)",
        'select pg_logical_emit_message(true, \'outbox\', \'{"aggregate_type":"order","aggregate_id":"7","event_type":"placed","payload":{"a":1}}\')',
        "select pg_logical_emit_message(false, 'outbox', 'no json')",
        "truncate two_keys, renamed",
    )
    _end(database)


def _toast(database):
    """Values outside of the row, which an update that leaves them alone does not log."""
    long = "(select string_agg(md5(n::text), '') from generate_series(1, 200) n)"
    for identity in ("default", "full", "index"):
        name = f"toast_{identity}"
        database.execute(f"create table {name} (id int primary key, kind text not null, c0 text, c1 int)")
        if identity != "default":
            database.execute(
                f"create unique index {name}_key on {name} (id, kind)",
                f"alter table {name} replica identity {'full' if identity == 'full' else f'using index {name}_key'}",
            )
        database.execute(
            f"insert into {name} values (1, 'k', {long}, 1), (2, 'k', 'short', 1)",
            f"update {name} set c1 = 2",
            f"update {name} set id = id + 10",
            f"update {name} set c0 = c0 || '!'",
            f"delete from {name}",
        )
