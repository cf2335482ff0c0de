"""Which tables a statement changes, and which routines it calls, by its tokens."""

import pytest

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.made import created_table
from deltaforge.sources.mysql.named import named_in
from deltaforge.sources.mysql.reach import filled_table, fills_table
from deltaforge.sources.mysql.statement import Statement


def changed(sql):
    named = named_in(Statement(sql).tokens, "d")
    return {".".join(table) for table in named.changed - named.expressions}


def called(sql):
    return {(owner, name) for owner, name in named_in(Statement(sql).tokens, "d").called if name.islower()}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("insert t values (1)", "d.t"),
        ("insert low_priority ignore into x.t (a, b) select * from u", "x.t"),
        ("replace delayed `into` set a = 1", "d.into"),
        ("insert into t partition (p0, p1) values (1) on duplicate key update a = replace(a, 'x', 'y')", "d.t"),
        ("update t set a = (select max(b) from u)", "d.t"),
        ("update ignore t as a left join (u, x.v) on a.i = u.i, w partition (p0) set a.b = 1 where exists (select 1 from z)",
         "d.t d.u d.w x.v"),
        ("update t use index for join (i) join u using (id) set v = 1", "d.t d.u"),
        ("update (t join u on t.a = u.a) set t.b = 1", "d.t d.u"),
        ("update json_table('[]', '$[*]' columns (a int path '$')) j join t on j.a = t.a set b = 1", "d.t"),
        ("delete from t where a in (select a from u) order by a limit 1", "d.t"),
        ("delete quick from t", "d.t"),
        ("delete a, x.b from t as a join u b on a.i = b.i join w using (i)", "d.t d.u"),
        ("delete a.* from t a, u", "d.t"),
        ("delete from a using t as a join u using (id)", "d.t"),
        ("delete a from a as b join o as a on a.i = b.i", "d.a d.o"),
        ("delete t from t join u using (id)", "d.t"),
        ("delete q from t a, u b", "d.t d.u"),
        ("with c (n) as (select 1), e as (select 2) delete from t where id in (select n from c)", "d.t"),
        ("with recursive c as (select 1 union select 2) update t, c set t.a = c.a", "d.t"),
        ("load data concurrent local infile 'x' replace into table t (a, @b) set c = @b", "d.t"),
        ("load index into cache t", ""),
        ("select f(1), t.update from t for update", ""),
        ("begin if (select count(*) from u) > 0 then insert into t values (1); else delete from x.u; end if; end",
         "d.t x.u"),
        ("begin declare continue handler for not found update t set a = 1; end", "d.t"),
    ],
)  # fmt: skip
def test_tables_that_are_changed(sql, expected):
    assert changed(sql) == set(expected.split())


def test_routines_that_are_called():
    assert called("insert into t (a) values (g(1), x.h(2), `i`(3))") == {
        ("", "g"),
        ("x", "h"),
        ("", "i"),
        ("", "values"),
    }
    assert called("call x.p(1)") == {("x", "p")}
    assert called("call p") == {("d", "p")}
    assert named_in(Statement("begin prepare s from 'x'; execute s; end").tokens, "d").has_dynamic


@pytest.mark.parametrize(
    "sql", ["update set a = 1", "delete t", "insert", "insert into (1)", "with c as delete from t"]
)
def test_what_names_no_table_where_one_must_be_is_an_error(sql):
    with pytest.raises(SchemaError):
        named_in(Statement(sql).tokens, "d")


def test_tables_that_are_made():
    made = Statement("create or replace table x.t as select 1", "d")
    assert (created_table(made), filled_table(made), fills_table(made)) == ((("x", "t"), False, True), ("x", "t"), True)
    temporary = Statement("create temporary table if not exists t select 1", "d")
    expected = ((("d", "t"), True, False), None, True)
    assert (created_table(temporary), filled_table(temporary), fills_table(temporary)) == expected
    assert created_table(Statement("create table if not exists t (a int)", "d")) == (("d", "t"), False, False)
    assert not fills_table(Statement("create view t as select 1", "d"))
