"""What ``benchmarks.cliffs`` compares: columns of a table, and options of a pipeline.

Every table has ``id bigint primary key, a int, note varchar(60)`` and the column ``x``, which the case is about;
``{n}`` in its value is the number of the row.
"""

from __future__ import annotations

from typing import Any

import msgspec

PLAIN = "plain"


class Column(msgspec.Struct, frozen=True):
    """A type and the value of row ``{n}``, as SQL.

    Attributes:
        change: What is measured where that is not the inserts: a statement about the rows ``{first}`` to ``{last}``.
        before: Statements about the table before its first row.
        session: Of the connection that writes.
    """

    type: str
    value: str
    change: str = ""
    before: tuple[str, ...] = ()
    session: tuple[str, ...] = ()


class Option(msgspec.Struct, frozen=True):
    """A pipeline for plain rows. ``like``: the option that it is compared with; itself where that is empty.

    Attributes:
        sink: ``null``, ``file``, ``kafka``, ``kafka-tls`` or ``redis``.
        config: Of that sink, beside where it writes to.
        spec: Keys below ``spec`` of the document.
        more_sinks: Kinds of sinks beside it.
    """

    sink: str
    like: str = ""
    config: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    more_sinks: tuple[str, ...] = ()


_NOTE = {"mysql": "concat('note ', {n}, ' of some length')", "postgres": "'note ' || {n} || ' of some length'"}
_OBJECT = {"mysql": "json_object('id', {n}, {0})", "postgres": "jsonb_build_object('id', {n}, {0})"}


def _object(database: str, members: str) -> str:
    return _OBJECT[database].replace("{0}", members)


_FOREIGN = "concat('\u4e2d\u6587 ', {n}, ' \u6587\u5b57')"
_ROWS = "where id between {first} and {last}"
_KEYS_100 = ", ".join(f"'key_{k}', {{n}} + {k}" for k in range(100))
_KEYS_45 = ", ".join(f"'key_{k}', {{n}} + {k}" for k in range(45))
_NESTED = "[[[[[[[[[[[[[[[[[[[[{n}]]]]]]]]]]]]]]]]]]]]"

_MYSQL: dict[str, Column] = {
    PLAIN: Column("varchar(60)", _NOTE["mysql"]),
    "tinyint": Column("tinyint", "{n} % 100"),
    "bigint unsigned": Column("bigint unsigned", "18446744073709551615 - {n}"),
    "float": Column("float", "{n} / 7"),
    "double": Column("double", "{n} / 7e0"),
    "decimal(10,2)": Column("decimal(10,2)", "{n} / 100"),
    "decimal(65,30)": Column("decimal(65,30)", "{n} / 7"),
    "bit(8)": Column("bit(8)", "{n} % 256"),
    "year": Column("year", "2000 + {n} % 50"),
    "date": Column("date", "date_add('2020-01-01', interval {n} % 900 day)"),
    "time(3)": Column("time(3)", "sec_to_time({n} % 80000)"),
    "datetime(6)": Column("datetime(6)", "date_add('2020-01-01', interval {n} second)"),
    "timestamp(6)": Column("timestamp(6)", "date_add('2020-01-01', interval {n} second)"),
    "null": Column("varchar(60)", "null"),
    "zero date": Column("date", "'0000-00-00'", session=("set sql_mode = ''",)),
    "text of 1 KB": Column("text", "repeat(concat('text ', {n} % 90, ' '), 120)"),
    "text with escapes": Column("varchar(90)", "concat('say \"', {n}, '\"\\n\\\\ and so on')"),
    "utf8mb4": Column("varchar(60)", _FOREIGN),
    "binary(16)": Column("binary(16)", "unhex(left(sha2({n}, 256), 32))"),
    "blob": Column("blob", "unhex(repeat(sha2({n}, 256), 2))"),
    "enum": Column("enum('new','paid','shipped')", "elt(1 + {n} % 3, 'new', 'paid', 'shipped')"),
    "set": Column("set('a','b','c')", "elt(1 + {n} % 3, 'a', 'a,b', 'b,c')"),
    **{
        f"text in {charset}": Column(f"varchar(60) character set {charset}", _FOREIGN)
        for charset in ("gbk", "gb18030", "big5", "sjis", "cp932", "ujis", "euckr", "ucs2", "utf16", "utf32")
    },
    "text in latin1": Column("varchar(60) character set latin1", "concat('\u00e9t\u00e9 ', {n}, ' \u00fcber')"),
    "ASCII in gbk": Column("varchar(60) character set gbk", _NOTE["mysql"]),
    "point": Column("point", "point({n}, 2.5)"),
    "a row changed": Column("varchar(60)", _NOTE["mysql"], change="update {table} set a = a + 1 " + _ROWS),
    "a row deleted": Column("varchar(60)", _NOTE["mysql"], change="delete from {table} " + _ROWS),
}
_MYSQL_JSON: dict[str, Column] = {
    "json, short numbers": Column("json", _object("mysql", "'score', {n} % 97, 'ok', true")),
    "json, doubles": Column("json", _object("mysql", "'score', {n} / 7e0")),
    "json, decimals": Column("json", _object("mysql", "'score', {n} / 8.0")),
    "json, decimals of 40 digits": Column("json", _object("mysql", "'score', cast({n} as decimal(60,30)) / 7")),
    "json, small decimals": Column("json", _object("mysql", "'score', cast({n} as decimal(30,20)) / 100000000000")),
    "json, large integers": Column("json", _object("mysql", "'score', 18446744073709551615 - {n}")),
    "json, dates": Column("json", _object("mysql", "'at', date_add('2020-01-01', interval {n} second)")),
    "json, 100 keys": Column("json", f"json_object({_KEYS_100})"),
    "json, 20 levels": Column(
        "json", f"cast(concat('{_NESTED.replace('{n}', chr(39) + ', {n}, ' + chr(39))}') as json)"
    ),
    "json changed in part": Column(
        "json",
        _object("mysql", "'score', {n} % 97, 'note', repeat('x', 80)"),
        change="update {table} set x = json_set(x, '$.score', a + 1000) " + _ROWS,
        session=("set binlog_row_value_options = 'PARTIAL_JSON'",),
    ),
}
_MARIADB: dict[str, Column] = {
    "json": Column("json", _object("mysql", "'score', {n} / 8.0")),
    "uuid": Column("uuid", "md5({n})"),
    "text compressed": Column("text compressed", "repeat(concat('text ', {n} % 90, ' '), 40)"),
}
_MYSQL_9: dict[str, Column] = {
    "vector(3)": Column("vector(3)", "to_vector(concat('[', {n}, ',2.5,0.1]'))"),
    "compressed transactions": Column(
        "varchar(60)", _NOTE["mysql"], session=("set binlog_transaction_compression = on",)
    ),
}

_FULL = ("alter table {table} replica identity full",)
_POSTGRES: dict[str, Column] = {
    PLAIN: Column("varchar(60)", _NOTE["postgres"]),
    "bool": Column("bool", "{n} % 2 = 0"),
    "int8": Column("int8", "{n}::int8 * 1000000000"),
    "float4": Column("float4", "{n} / 7.0"),
    "float8": Column("float8", "{n} / 7.0"),
    "numeric": Column("numeric", "{n} / 7.0"),
    "money": Column("money", "({n} / 100.0)::money"),
    "bytea": Column("bytea", "decode(repeat(md5({n}::text), 4), 'hex')"),
    "date": Column("date", "date '2020-01-01' + {n} % 900"),
    "time": Column("time", "time '00:00' + {n} * interval '1 second'"),
    "timestamp": Column("timestamp", "timestamp '2020-01-01' + {n} * interval '1 second'"),
    "timestamptz": Column("timestamptz", "timestamptz '2020-01-01' + {n} * interval '1 second'"),
    "interval": Column("interval", "{n} * interval '1 second'"),
    "uuid": Column("uuid", "md5({n}::text)::uuid"),
    "null": Column("varchar(60)", "null"),
    "inet": Column("inet", "inet '10.0.0.0' + {n}"),
    "bit(8)": Column("bit(8)", "({n} % 256)::bit(8)"),
    "point": Column("point", "point({n}, 2.5)"),
    "tsvector": Column("tsvector", "to_tsvector('simple', 'some words ' || {n})"),
    "int4range": Column("int4range", "int4range({n}, {n} + 5)"),
    "composite": Column("pair", "row({n}, 'text')::pair"),
    "enum": Column("mood", "(array['sad','ok','happy'])[1 + {n} % 3]::mood"),
    "domain": Column("amount", "{n} % 900"),
    "hstore": Column("hstore", "hstore(array['id', {n}::text, 'note', 'some text'])"),
    "int4[]": Column("int4[]", "array[{n}, 2, 3, null]"),
    "text[]": Column("text[]", "array['text ' || {n}, 'b', null]"),
    "timestamptz[]": Column("timestamptz[]", "array[timestamptz '2020-01-01' + {n} * interval '1 second']"),
    "jsonb[]": Column("jsonb[]", f"array[{_object('postgres', chr(39) + 'ok' + chr(39) + ', true')}]"),
    "text of 1 KB": Column("text", "repeat('text ' || {n} % 90 || ' ', 120)"),
    "text with escapes": Column("varchar(90)", "'say \"' || {n} || E'\"\\n\\\\ and so on'"),
    "text in other scripts": Column("varchar(60)", "'\u4e2d\u6587 ' || {n} || ' \u6587\u5b57'"),
    "a row changed": Column("varchar(60)", _NOTE["postgres"], change="update {table} set a = a + 1 " + _ROWS),
    "a row changed, identity full": Column(
        "varchar(60)", _NOTE["postgres"], change="update {table} set a = a + 1 " + _ROWS, before=_FULL
    ),
    "a row deleted": Column("varchar(60)", _NOTE["postgres"], change="delete from {table} " + _ROWS),
}
_POSTGRES_JSON: dict[str, Column] = {
    "jsonb, short numbers": Column("jsonb", _object("postgres", "'score', {n} % 97, 'ok', true")),
    "jsonb, doubles": Column("jsonb", _object("postgres", "'score', {n} / 7.0::float8")),
    "jsonb, x/8.0": Column("jsonb", _object("postgres", "'score', {n} / 8.0")),
    "jsonb, x/7.0 of 40 digits": Column("jsonb", _object("postgres", "'score', {n}::numeric(60,30) / 7.0")),
    "jsonb, small numbers": Column("jsonb", _object("postgres", "'score', {n} / 100000000000.0")),
    "jsonb, large integers": Column("jsonb", _object("postgres", "'score', 99999999999999999999999999 - {n}")),
    "jsonb, prices": Column("jsonb", _object("postgres", "'score', ({n} / 100.0)::numeric(10,2)")),
    "jsonb, 20 levels": Column("jsonb", f"('{_NESTED.replace('{n}', chr(39) + ' || {n} || ' + chr(39))}')::jsonb"),
    "jsonb, 90 keys": Column(
        "jsonb", f"jsonb_build_object({_KEYS_45}) || jsonb_build_object({_KEYS_45.replace('key_', 'more_')})"
    ),
    "json as it was written": Column("json", '(\'{"id" : \' || {n} || \', "score": 1.5e3, "t": "\\u00e9"}\')::json'),
    "json, a key twice": Column("json", "('{\"id\":' || {n} || ',\"id\":2}')::json"),
}
POSTGRES_TYPES = (
    "create extension if not exists hstore", "create type pair as (a int, b text)",
    "create type mood as enum ('sad', 'ok', 'happy')", "create domain amount as int check (value >= 0)",
)  # fmt: skip

COLUMNS: dict[str, dict[str, Column]] = {
    "mysql": _MYSQL | _MYSQL_JSON | _MYSQL_9,
    "mariadb": _MYSQL | _MARIADB,
    "postgres-15": _POSTGRES | _POSTGRES_JSON,
}

_SENSING = {"schema_sensing": {"enabled": True}}
_SENSING_ALL = {"schema_sensing": {"enabled": True, "sampling": {"sample_rate": 1}}}
_CLOUDEVENTS = {"type": "cloudevents", "type_prefix": "com.acme"}
_DLQ = {"journal": {"enabled": True}}


def _connect(**options: Any) -> dict[str, Any]:
    return {"envelope": {"type": "debezium", "dialect": "connect", **options}, "encoding": {"type": "json"}}


_NOTES = {"columns": [r".*\.(note|x)"]}
_HASH = _NOTES | {"algorithm": "SHA-256", "salt": "pepper"}
OPTIONS: dict[str, Option] = {
    "no destination": Option("null"),
    "envelope debezium": Option("null", "no destination", {"envelope": {"type": "debezium"}}),
    "envelope cloudevents": Option("null", "no destination", {"envelope": _CLOUDEVENTS}),
    "connect": Option("null", "no destination", _connect()),
    "connect, columns masked": Option("null", "connect", _connect(column_mask=[_NOTES | {"length": 8}])),
    "connect, columns hashed": Option("null", "connect", _connect(column_hash=[_HASH])),
    "connect, columns hashed the first way": Option("null", "connect", _connect(column_hash=[_HASH | {"version": 1}])),
    "connect, columns cut": Option("null", "connect", _connect(column_truncate=[_NOTES | {"length": 8}])),
    "connect, columns left out": Option("null", "connect", _connect(column_exclude_list=[r".*\.x"])),
    "connect, no updates": Option("null", "connect", _connect(skipped_operations=["u", "d"])),
    "connect, no inserts": Option("null", "connect", _connect(skipped_operations=["c"])),
    "connect, no messages without change": Option("null", "connect", _connect(skip_messages_without_change=True)),
    "connect, headers": Option("null", "connect", _connect(extended_headers=True)),
    "sensing": Option("null", "no destination", spec=_SENSING),
    "sensing of every row": Option("null", "no destination", spec=_SENSING_ALL),
    "journal": Option("null", "no destination", spec=_DLQ),
    "batches of 100": Option("null", "no destination", spec={"batch": {"max_events": 100}}),
    "file": Option("file"),
    "two files": Option("file", "file", more_sinks=("file",)),
    "two files, policy all": Option("file", "two files", spec={"commit_policy": {"mode": "all"}}, more_sinks=("file",)),
    "two files, quorum of 1": Option(
        "file", "two files", spec={"commit_policy": {"mode": "quorum", "quorum": 1}}, more_sinks=("file",)
    ),
    "kafka": Option("kafka"),
    "kafka, key ${after.id}": Option("kafka", "kafka", {"key": "${after.id}"}),
    "kafka, key of a text": Option("kafka", "kafka", {"key": "${source.table}-${after.a}"}),
    "kafka, topic by table": Option("kafka", "kafka", {"topic": "{topic}-${source.table}"}),
    "kafka, topic by column": Option("kafka", "kafka", {"topic": "{topic}-${after.a}"}),
    "kafka, debezium": Option("kafka", "kafka", {"envelope": {"type": "debezium"}}),
    "kafka, exactly once": Option("kafka", "kafka", {"exactly_once": True}),
    "kafka, journal": Option("kafka", "kafka", spec=_DLQ),
    "kafka, sensing": Option("kafka", "kafka", spec=_SENSING),
    "kafka, optional": Option("kafka", "kafka", {"required": False}, more_sinks=("null",)),
    "kafka, TLS": Option("kafka-tls", "kafka"),
    "redis": Option("redis"),
    "redis, key ${after.id}": Option("redis", "redis", {"key": "${after.id}"}),
    "redis, stream by column": Option("redis", "redis", {"stream": "{topic}-${after.a}"}),
}  # fmt: skip
