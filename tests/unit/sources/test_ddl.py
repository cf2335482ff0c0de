"""Statements of the schema history that no server is needed for; the others are in test_mysql_history.py."""

import pytest

from deltaforge.core.errors import SchemaError
from deltaforge.protocol.mysql.status_vars import ANSI_QUOTES, StatusVars
from deltaforge.sources.mysql import ddl
from deltaforge.sources.mysql.statement import Statement


def apply_ddl(sql, tables, captured, **session):
    return ddl.apply_ddl(Statement(sql, "d", StatusVars(**session)), tables, captured)


BASE = apply_ddl("create table t (id int primary key, a text)", {}, lambda *_: True).tables


def columns_after(sql, **session):
    changes = apply_ddl(sql, BASE, lambda *_: True, **session)
    definition = changes.tables[("d", "t")]
    return [(column.name, column.type) for column in definition.schema.columns]


def test_references_and_actions_are_no_attributes():
    sql = "alter table t add b int references x.y (z) on delete set default on update set null, add c int"
    assert columns_after(sql) == [("id", "int"), ("a", "text"), ("b", "int"), ("c", "int")]


def test_mariadb_conditions():
    sql = "alter table if exists t add column if not exists a int, drop column if exists q, modify if exists r int"
    assert columns_after(sql) == [("id", "int"), ("a", "text")]


def test_mariadb_waits_for_locks():
    assert columns_after("alter table t wait 5 add b int") == [("id", "int"), ("a", "text"), ("b", "int")]
    assert columns_after("alter table t nowait drop column a") == [("id", "int")]
    for sql in ("rename table t nowait to u", "rename table t wait 5 to u"):
        renamed = apply_ddl(sql, BASE, lambda *_: True).tables
        assert renamed["d", "t"] is None
        assert renamed["d", "u"].schema.table.name == "u"


def test_ansi_quotes_name_columns():
    assert columns_after('alter table "t" add "b c" int', sql_mode=ANSI_QUOTES) == [
        ("id", "int"),
        ("a", "text"),
        ("b c", "int"),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "alter table t frobnicate",
        "alter table t add b nonsense(3)",
        "alter table t add b enum(x'61')",
        "alter table t drop column missing",
        "alter table t modify missing int",
        "alter table t add b int after missing",
        "alter table t add system versioning",
        "create table t as select 1 as a",
        "create table t (a int) select 1 as a",
        "create table t (id int) with system versioning",
        "alter table t add b enum('x",
        "alter table t add",
        "rename table other to t",
        "create table t like other",
        "alter table t rename",
        "alter table t add b int, wait 5 drop column a",
        "rename table t",
    ],
)
def test_what_is_not_understood_stops_for_captured_tables_and_is_forgotten_for_others(sql):
    with pytest.raises(SchemaError):
        apply_ddl(sql, BASE, lambda *key: key == ("d", "t"))
    changes = apply_ddl(sql, BASE, lambda *_: False)
    assert set(changes.tables.values()) <= {None}


@pytest.mark.parametrize(
    "sql",
    [
        "create temporary table t (a nonsense)",
        "create index i on t (a)",
        "drop view t",
        "grant all on *.* to u",
        "create definer=`u`@`%` trigger r before insert on t for each row set new.a = 'alter table t'",
        "analyze table t",
        "",
    ],
)
def test_statements_that_change_no_table_definition(sql):
    assert apply_ddl(sql, BASE, lambda *_: True).tables == {}
