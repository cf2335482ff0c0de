"""Statements of the schema history that no server is needed for; the others are in test_mysql_history.py."""

import pytest

from deltaforge.protocol.mysql.status_vars import ANSI_QUOTES, StatusVars
from deltaforge.sources.mysql import ddl
from deltaforge.sources.mysql.definitions import Changes, Definitions, Unknown
from deltaforge.sources.mysql.statement import Statement


def base(**settings):
    known = Definitions(**settings)
    known.apply(ddl.apply_ddl(Statement("create table t (id int primary key, a text)", "d"), known))
    return known


def changed(sql, known=None, **session):
    return ddl.apply_ddl(Statement(sql, "d", StatusVars(**session)), known or base()).tables


def columns_after(sql, **session):
    known = base()
    known.apply(ddl.apply_ddl(Statement(sql, "d", StatusVars(**session)), known))
    definition = known.table(("d", "t"))
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
        renamed = changed(sql)
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
        "create table t as select 1 as a",
        "create table t (a int) select 1 as a",
        "alter table t add b int, add B int",
        "alter table t add (a int), modify a text, drop a",
        "alter table t add b enum('x",
        "alter table t add",
        "rename table other to t",
        "create table t like other",
        "alter table t rename",
        "alter table t add b int, wait 5 drop column a",
        "rename table t",
    ],
)
def test_what_is_not_understood_leaves_the_table_unknown_with_the_reason(sql):
    state = changed(sql)["d", "t"]
    assert isinstance(state, Unknown)
    assert "'x" not in state.reason


def test_reasons_show_the_statement_without_its_texts():
    reason = changed("alter table t frobnicate 'a secret'")["d", "t"].reason
    assert reason.startswith("ALTER TABLE ... FROBNICATE is not known: alter table t frobnicate")
    assert "secret" not in reason
    assert len(changed(f"alter table t frobnicate {'x' * 5000}")["d", "t"].reason) < 500


def test_what_is_not_known_stays_so_until_it_is_made_again():
    known = base()
    for sql in ("alter table t frobnicate", "alter table t add b int", "rename table t to u"):
        known.apply(ddl.apply_ddl(Statement(sql, "d"), known))
    assert known.table(("d", "t")) is None
    assert "FROBNICATE" in known.table(("d", "u")).reason
    assert not changed("create table if not exists u (id int)", known)
    assert [column.name for column in changed("create table v (id int)", known)["d", "v"].schema.columns] == ["id"]


def test_names_of_a_server_that_folds_them():
    known = base(folds_names=True)
    for sql in ("ALTER TABLE T add b int", "rename table D.T to D.U", "create table if not exists u (id int)"):
        known.apply(ddl.apply_ddl(Statement(sql, "d"), known))
    assert [column.name for column in known.table(("d", "u")).schema.columns] == ["id", "a", "b"]
    assert known.table(("d", "t")) is None
    known.apply(ddl.apply_ddl(Statement("drop database D", "d"), known))
    assert known.table(("d", "u")) is None


def test_one_statement_looks_at_its_own_tables_only():
    class Counting(Definitions):
        looked_at = 0

        def table(self, key):
            self.looked_at += 1
            return super().table(key)

        def mentioned_in(self, text):
            raise AssertionError(text)

    known = Counting()
    known.apply(Changes({("d", f"t{n}"): Unknown("") for n in range(50)}))
    for sql in ("grant all on *.* to u", "create table t (id int)", "alter table t add a int", "rename table t to u"):
        known.apply(ddl.apply_ddl(Statement(sql, "d"), known))
    assert known.looked_at < 10


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
    assert changed(sql) == {}


def test_statements_that_a_server_writes_in_utf8_are_not_read_as_latin1():
    for name in ("größe", "Ï", "ж"):
        written = f"CREATE TABLE `t` (\n  `{name}` int DEFAULT NULL\n)".encode().decode("cp1252", "surrogateescape")
        written = "".join(chr(ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c for c in written)
        state = changed(written, client_charset="latin1")["d", "t"]
        assert "in other settings" in state.reason
    assert changed("CREATE TABLE `t` (\n  `größe` int\n)", client_charset="latin1")["d", "t"].schema.columns
