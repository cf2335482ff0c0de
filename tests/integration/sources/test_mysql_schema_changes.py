"""DDL as notices, with what the tables are behind it: what the catalog of the server says there."""

import re
from contextlib import closing

import pytest

from deltaforge.core.notices import notice_of
from tests.reading import mysql_reader

CATALOG = """
    select column_name, column_type, is_nullable, character_set_name from information_schema.columns
    where table_schema = %s and table_name = %s order by ordinal_position
"""
KEY = """
    select column_name from information_schema.key_column_usage
    where table_schema = %s and table_name = %s and constraint_name = 'PRIMARY' order by ordinal_position
"""
STATEMENTS = [
    ("alter table t add column w int default 5", [("ALTER", "t")]),
    ("create table n (id int primary key, e enum('a','b') default 'a', x varchar(10) character set latin1, d decimal(10,2) unsigned not null)", [("CREATE", "n")]),
    ("alter table n modify x text, drop primary key, add primary key (e, id)", [("ALTER", "n")]),
    ("rename table n to n2", [("ALTER", "n2")]),
    ("create table l like n2", [("CREATE", "l")]),
    ("create table if not exists l like t", []),
    ("create table if not exists k like t", [("CREATE", "k")]),
    ("create index i on t (v)", []),
    ("alter table n2 rename to n3, add column z json", [("ALTER", "n3")]),
]  # fmt: skip


def plain(kind):
    return re.sub(r"^int\(\d+\)", "int", kind)


def described(database, name):
    """Columns and key of a table as the catalog has them; a width that MariaDB adds to integers says nothing."""
    columns = [(column, plain(kind), *more) for column, kind, *more in database.rows(CATALOG, (database.name, name))]
    return columns, tuple(name for (name,) in database.rows(KEY, (database.name, name)))


def told(change):
    """The same as a notice has them."""
    schema = change.definition
    columns = zip(schema.columns, change.column_charsets, strict=True)
    return [
        (c.name, plain(c.type), "YES" if c.nullable else "NO", charset) for c, charset in columns
    ], schema.primary_key


def changes_of(event):
    return event.origin.definition.changes


@pytest.fixture
def reader(any_mysql_database, tmp_path):
    any_mysql_database.execute("create table t (id int primary key, v varchar(20))", "insert into t values (1, 'a')")
    with closing(mysql_reader(any_mysql_database, tmp_path / "state", asked={"definition"}).open()) as reader:
        yield reader


def test_tables_are_what_the_server_says_behind_each_statement(any_mysql_database, reader):
    database, start, notices = any_mysql_database, reader.position, []
    is_mariadb = reader.stream._server.flavor == "mariadb"
    for statement, expected in STATEMENTS:
        database.execute(statement)
        if is_mariadb and "if not exists l" in statement:
            continue  # it logs nothing that did nothing
        [event] = reader.read(1)
        notices.append(event)
        assert (notice_of(event), event.after, event.origin.definition.ddl) == ("definition", None, statement)
        assert [(change.kind, change.table.name) for change in changes_of(event)] == expected, statement
        for change in changes_of(event):
            columns, key = described(database, change.table.name)
            assert told(change) == (columns, key), statement
        assert (event.source.db, event.origin.definition.database) == (database.name, database.name)
    database.execute("insert into t (id) values (2)", "drop table n3, l", "drop table if exists k", "truncate t")
    row, *dropped, truncated = reader.read(5)
    assert (row.op, truncated.op, notice_of(truncated)) == ("c", "t", None)
    assert [changes_of(event)[0].kind for event in dropped] == ["DROP", "DROP", "DROP"]
    counted = reader.metrics.notices.labels("p", reader._spec.config.id, "definition")
    assert counted._value.get() == len(notices) + len(dropped)
    assert [event.origin.definition.ddl for event in dropped] == [
        f"DROP TABLE `{database.name}`.`n3`",
        f"DROP TABLE `{database.name}`.`l`",
        f"DROP TABLE IF EXISTS `{database.name}`.`k`",
    ]
    events = [*notices, row, *dropped, truncated]
    assert len({event.event_id for event in events}) == len(events)
    again = reader.restart().open(start).read(len(events))
    assert [(event.event_id, event.origin) for event in again] == [(event.event_id, event.origin) for event in events]


def test_a_statement_of_several_renames_is_one_of_each_and_comments_around_it_are_left_out(any_mysql_database, reader):
    any_mysql_database.execute(
        "create table `a,b` (id int primary key, x int)",
        "rename table t to `c,d`, `a,b` to t, `c,d` to `a,b`",
        "/* first */ -- then\n# and\n alter /* inside */ table t comment '-- a /* text' /* behind */ ; -- at the end",
        "alter table t add y int /*!50000 default 5 */",
    )
    _, *renamed, commented, code = reader.read(6)
    assert [(event.origin.definition.ddl, changes_of(event)[:1] and changes_of(event)[0].table.name) for event in renamed] == [
        ("rename table t to `c,d`", ()), ("rename table `a,b` to t", "t"), ("rename table `c,d` to `a,b`", "a,b"),
    ]  # fmt: skip
    assert [changes_of(event)[0].definition.columns[1].name for event in renamed[1:]] == ["x", "v"]
    assert commented.origin.definition.ddl == "alter /* inside */ table t comment '-- a /* text'"
    assert code.origin.definition.ddl == "alter table t add y int /*!50000 default 5 */"


def test_defaults_are_constants_as_the_catalog_has_them_and_no_parts_of_expressions(mariadb_database, tmp_path):
    statement = """create table n (
      id int primary key, a varchar(20) default 'x', b varchar(20) default concat('a', 'b'), c varchar(90) default current_user,
      d int default (1 + 2), e uuid default uuid(), f text default 'long', g date default curdate(), h date default date '2026-01-02',
      i boolean default true, j varchar(9) default _latin1'y' comment 'z', k int default -1 check (k < 5), l longtext default '{}'
    )"""
    with closing(mysql_reader(mariadb_database, tmp_path / "state", asked={"definition"}).open()) as reader:
        mariadb_database.execute(statement)
        [event] = reader.read(1)
    found = {column.name: column.default for column in changes_of(event)[0].definition.columns}
    in_catalog = dict(mariadb_database.rows(
        "select column_name, column_default from information_schema.columns where table_schema = database()"
    ))  # fmt: skip
    expressions = {name for name in "bcdeg" if found.pop(name) is None and in_catalog.pop(name)}
    assert expressions == set("bcdeg")
    words = {None: None, "true": "1"}
    assert {name: words.get(default, default) for name, default in found.items()} == {
        name: None if default in (None, "NULL") else default.strip("'") for name, default in in_catalog.items()
    }


def test_databases_and_what_is_not_captured(any_mysql_database, tmp_path):
    database = any_mysql_database
    other = f"{database.name}_o"
    tables = [f"{database.name}.t", f"{other}.*"]
    with closing(mysql_reader(database, tmp_path / "state", tables=tables, asked={"definition"}).open()) as reader:
        database.execute(
            "create table u (id int)",
            f"create database {other} character set latin1",
            f"create table {other}.z (v varchar(5))",
            "create view w as select 1 as x",
            "analyze table u",
            f"alter database {other} character set utf8mb4",
            f"drop database {other}",
            "create table t (id int)",
        )
        events = reader.read(5)
    found = [event.origin.definition for event in events]
    assert [(one.database, one.tables) for one in found] == [
        (other, None), (other, "z"), (other, ""), (other, None), (database.name, "t"),
    ]  # fmt: skip
    assert found[1].changes[0].column_charsets == ("latin1",)
    assert found[1].changes[0].charset == "latin1"


def test_nobody_gets_them_who_does_not_ask(any_mysql_database, tmp_path):
    with closing(mysql_reader(any_mysql_database, tmp_path / "state").open()) as reader:
        any_mysql_database.execute("create table t (id int)", "insert into t values (1)")
        assert [event.after for event in reader.read(1)] == [{"id": 1}]
